"""The short way through a tar archive, `TarReader.take`: it finds what the long one finds."""

import tarfile

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from memory_source import MemorySource
from sealift_installer.archives import read_members
from sealift_installer.archives.tar import TarReader
from sealift_installer.errors import Damaged
from sealift_installer.limits import LIMITS, Limits
from tars import FORMATS, archive, file_info, infos

Found = list[tuple[str, str, int, str, bytes]]


def read_all(data: bytes, limits: Limits = LIMITS, step: int = 1 << 20) -> Found:
    return [
        (member.name, member.type, member.size, member.target, b"".join(member.data))
        for member in read_members("tar", MemorySource(data, step=step), limits)
    ]


def take_all(
    data: bytes, expected: Found, limits: Limits = LIMITS, step: int = 1 << 20
) -> tuple[Found, int]:
    """Read as an extraction does: ask for what is expected, and let the iterator have the rest."""
    reader = TarReader(MemorySource(data, step=step).chunks(), "sample", limits)
    found: Found = []
    taken = 0
    for name, kind, size, target, _ in expected:
        if kind == "link" and reader.take_link(name, target):
            taken += 1
            found.append((name, "link", 0, target, b""))
            continue
        payload = reader.take(name, size) if kind == "file" else None
        if payload is not None:
            taken += 1
            found.append((name, "file", size, "", bytes(payload)))
            continue
        member = next(reader, None)
        if member is None:
            break
        found.append((member.name, member.type, member.size, member.target, b"".join(member.data)))
    found += [(m.name, m.type, m.size, m.target, b"".join(m.data)) for m in reader]
    return found, taken


def outcome(data: bytes, expected: Found | None, step: int = 1 << 20) -> Found | str:
    """Return what is found on the long way, or on the short one if something is expected."""
    try:
        if expected is None:
            return read_all(data, step=step)
        return take_all(data, expected, step=step)[0]
    except Damaged as error:
        return error.message


@given(
    st.lists(infos(), max_size=6), st.sampled_from(FORMATS), st.sampled_from([700, 5120, 1 << 20])
)
@settings(max_examples=60)
def test_it_finds_the_same(
    members: list[tuple[tarfile.TarInfo, bytes]], tar_format: int, step: int
):
    try:
        data = archive(members, tar_format)
    except ValueError:  # a number or a name that ustar has no room for
        assume(False)
    names: Found = [(i.name, "file", i.size, "", b"") for i, _ in members]
    assert outcome(data, names, step) == outcome(data, None, step)
    if isinstance(expected := outcome(data, None, step), list):
        assert outcome(data, expected, step) == expected


def simple() -> bytes:
    names = [("first", b"1"), ("dir/second", b"x" * 600), ("dir/third", b"")]
    members = [(file_info(n, len(d)), d) for n, d in names]
    link = tarfile.TarInfo("dir/link")
    link.type, link.linkname = tarfile.SYMTYPE, "../first"
    return archive([*members, (link, b"")], tarfile.USTAR_FORMAT)


def test_most_are_taken_on_the_short_way():
    found, taken = take_all(simple(), read_all(simple()))
    assert [each[0] for each in found] == ["first", "dir/second", "dir/third", "dir/link"]
    assert taken == 3  # the first is looked at in full: it may be no tar archive at all


def mended(data: bytes, start: int) -> bytes:
    """Put the right checksum into the header at `start`."""
    header = bytearray(data[start : start + 512])
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:start] + bytes(header) + data[start + 512 :]


@pytest.mark.parametrize("mend", [False, True])
@pytest.mark.parametrize("name", [b"dir/second", b"dir/link"])
def test_a_header_with_another_byte_is_found_to_be_the_same(name: bytes, mend: bool):
    whole = simple()
    expected = read_all(whole)
    start = whole.index(name)
    for place in range(512):
        for value in (0x00, 0x20, 0x31, 0x80, whole[start + place] ^ 1):
            changed = bytearray(whole)
            changed[start + place] = value
            data = mended(bytes(changed), start) if mend else bytes(changed)
            assert outcome(data, expected) == outcome(data, None), (place, value)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(members=1), "sample: it has more than 1 members"),
        (Limits(unpacked=600), "sample: it unpacks to more than 600 bytes"),
        (Limits(path=9), "sample: unsafe path 'dir/second': it is longer than 9 bytes"),
        (Limits(stream=1000), "sample: it unpacks to more than 1000 bytes"),
    ],
)
def test_limits_hold_on_the_short_way(limits: Limits, message: str):
    with pytest.raises(Damaged, match=f"^{message}$"):
        take_all(simple(), read_all(simple()), limits)


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a//b", "a/./b", "a\\b"])
def test_an_unsafe_name_is_refused_on_the_short_way(name: str):
    data = archive([(file_info("first", 0), b""), (file_info(name, 1), b"x")], FORMATS[0])
    expected: Found = [("first", "file", 0, "", b""), (name, "file", 1, "", b"x")]
    with pytest.raises(Damaged, match=r"^sample: unsafe path "):
        take_all(data, expected)


@pytest.mark.parametrize("target", ["", "a\nb", "x" * 1025])
def test_an_unsafe_target_is_refused_on_the_short_way(target: str):
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, target
    data = archive([(file_info("first", 0), b""), (link, b"")], tarfile.GNU_FORMAT)
    with pytest.raises(Damaged, match=r"^sample: unsafe link target "):
        take_all(data, [("first", "file", 0, "", b""), ("link", "link", 0, target, b"")])


def test_another_member_is_left_to_the_iterator():
    reader = TarReader(MemorySource(simple()).chunks(), "sample")
    assert reader.take("first", 1) is None
    assert next(reader).name == "first"
    assert reader.take("dir/third", 0) is None
    assert reader.take("dir/second", 599) is None
    assert bytes(reader.take("dir/second", 600) or b"") == b"x" * 600
    assert next(reader).name == "dir/third"
    assert reader.take("dir/third", 0) is None
    assert not reader.take_link("dir/link", "../second")
    assert reader.take_link("dir/link", "../first")
    assert next(reader, None) is None
