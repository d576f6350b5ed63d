import tarfile
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_source import MemorySource
from sealift_installer.archives import READABLE, Member, read_members
from sealift_installer.archives.headers import _sum, decimal, read_records
from sealift_installer.errors import Damaged
from sealift_installer.limits import LIMITS, Limits
from tars import FORMATS, archive, file_info, infos


def members(data: bytes, step: int = 1 << 20, limits: Limits = LIMITS) -> Iterator[Member]:
    return read_members("tar", MemorySource(data, step=step), limits)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(infos(), max_size=8),
    st.sampled_from(FORMATS),
    st.sampled_from([100, 512, 5000, 1 << 20]),
)
def test_members_are_what_was_put_in(
    written: list[tuple[tarfile.TarInfo, bytes]], tar_format: int, step: int
):
    try:
        data = archive(written, tar_format)
    except ValueError:  # a name too long for ustar
        return
    found = [(member, b"".join(member.data)) for member in members(data, step)]
    kinds = {tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "hardlink", tarfile.DIRTYPE: "directory"}
    assert [
        (member.name, member.type, member.size, member.executable, member.target, content)
        for member, content in found
    ] == [
        (
            info.name,
            kinds.get(info.type, "file"),
            info.size,
            info.isreg() and info.mode & 0o111 != 0,
            info.linkname,
            content,
        )
        for info, content in written
    ]


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_changed_archive_is_refused_or_still_an_archive(data: st.DataObject):
    original = archive(
        [(file_info("a" * 120, 3), b"one"), (file_info("b", 600), b"t" * 600)], tarfile.PAX_FORMAT
    )
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, 512 * 8))
        changed[position] = data.draw(st.integers(0, 255))
    try:
        for member in members(bytes(changed), 700):
            assert len(b"".join(member.data)) == member.size
    except Damaged:
        return


@pytest.mark.parametrize("step", [512, 1 << 20])
def test_an_archive_cut_anywhere_is_refused(step: int):
    data = archive([(file_info("a", 600), b"x" * 600), (file_info("b" * 120, 1), b"y")])
    end = len(data.rstrip(b"\0")) // 512 * 512 + 512 + 1024
    assert len(list(members(data[:end], step))) == 2
    for length in range(0, end, 37):
        with pytest.raises(Damaged, match=r"truncated|end marker|no tar archive"):
            list(members(data[:length], step))


@pytest.mark.parametrize("size", [1, 300_000, 2_000_000])
@pytest.mark.parametrize("taken", [0, 1])
def test_what_was_not_read_is_skipped(size: int, taken: int):
    data = archive([(file_info("a", size), b"x" * size), (file_info("b", 1), b"y")])
    found = []
    for member in members(data, 100_000):
        found.append(member.name)
        for _ in range(taken):
            next(member.data)
    assert found == ["a", "b"]


def test_data_is_valid_until_the_next_member_is_asked_for():
    data = archive([(file_info("a", 600_000), b"x" * 600_000), (file_info("b", 1), b"y")])
    first, _ = pairwise(members(data)).__next__()
    with pytest.raises(RuntimeError, match="after the next member was asked for"):
        next(first.data)


def test_large_members_stream():
    data = archive([(file_info("a", 10_000_000), bytes(10_000_000))])
    sizes = [len(piece) for member in members(data, 1 << 16) for piece in member.data]
    assert sum(sizes) == 10_000_000
    assert max(sizes) <= 1 << 16


def test_limits():
    data = archive([(file_info("a", 600), b"x" * 600), (file_info("b", 1), b"y")])
    with pytest.raises(Damaged, match="sample: it has more than 1 members"):
        list(members(data, limits=Limits(members=1)))
    with pytest.raises(Damaged, match="sample: it unpacks to more than 600 bytes"):
        list(members(data, limits=Limits(unpacked=600)))
    with pytest.raises(Damaged, match="more than 4096 bytes of zeros follow its end"):
        list(members(data, limits=Limits(padding=4096)))
    long = archive([(file_info("a" * 300, 1), b"x")])
    with pytest.raises(Damaged, match="too long\n  Expected: at most 100 bytes\n  Computed: "):
        list(members(long, limits=Limits(extended_header=100)))


def test_formats_that_cannot_be_read():
    assert "rar" not in READABLE
    with pytest.raises(Damaged, match="archives in the format rar cannot be read") as caught:
        next(read_members("rar", MemorySource(b"")))
    assert caught.value.hint == "Readable are tar, tar.gz, tar.bz2, tar.xz, tar.zst, zip, 7z."


@given(st.binary(min_size=512, max_size=512))
def test_the_quick_sum_is_the_sum(block: bytes):
    assert _sum(block) == sum(block)


def test_the_quick_sum_does_not_overflow():
    assert _sum(b"\xff" * 512) == 512 * 255


@given(st.dictionaries(st.text("abz.", min_size=1), st.text(), max_size=4))
def test_pax_records_are_what_was_put_in(records: dict[str, str]):
    kept = {key: value for key, value in records.items() if "\ud800" not in value}
    data = b""
    for key, value in kept.items():
        rest = f" {key}={value}\n".encode("utf-8", "surrogatepass")
        length = next(n for n in range(len(rest), len(rest) + 9) if n == len(str(n)) + len(rest))
        data += str(length).encode() + rest
    assert read_records(data) == {
        key: value.encode("utf-8", "surrogatepass") for key, value in kept.items()
    }


@pytest.mark.parametrize("value", [b"", b"-1", b"+1", b"1_0", b" 1", b"1" * 20])
def test_a_size_is_digits(value: bytes):
    with pytest.raises(Damaged, match="a size that is no number"):
        decimal(value)
