import io
import stat
import struct
import zipfile
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_source import MemorySource
from sealift_installer.archives import Member, read_members
from sealift_installer.errors import Damaged
from sealift_installer.limits import LIMITS, Limits

NAMES = st.text("abcXYZ019_é日", min_size=1, max_size=20)
CONTENTS = st.sampled_from([b"", b"x", b"y" * 5000, bytes(300_000)])
METHODS = st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])


class Pipe(io.RawIOBase):
    """Nobody can go back in it, so the writer puts sizes behind the data."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.data += bytes(data)
        return len(data)


def members(data: bytes, limits: Limits = LIMITS) -> Iterator[Member]:
    return read_members("zip", MemorySource(data), limits)


def contents(data: bytes) -> dict[str, bytes]:
    return {member.name: b"".join(member.data) for member in members(data)}


@pytest.mark.parametrize(
    ("data", "looks"),
    [
        (b"<html><body>Please log in</body></html>", "an HTML page"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\3", "gzip data"),
        (b"", "nothing"),
    ],
)
def test_another_format_is_named(data: bytes, looks: str):
    message = rf"not what its format says\n  Expected: a zip archive\n  Computed: {looks}"
    with pytest.raises(Damaged, match=message):
        list(members(data))


def one(name: str, data: bytes, mode: int = 0, method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.compress_type = method
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, data)
    return buffer.getvalue()


@settings(deadline=None)
@given(st.dictionaries(NAMES, CONTENTS, max_size=5), METHODS, st.booleans(), st.booleans())
def test_members_are_what_was_put_in(
    written: dict[str, bytes], method: int, piped: bool, large: bool
):
    buffer, pipe = io.BytesIO(), Pipe()
    with zipfile.ZipFile(pipe if piped else buffer, "w", method) as archive:
        for name, data in written.items():
            with archive.open(name, "w", force_zip64=large) as file:
                file.write(data)
    assert contents(pipe.data if piped else buffer.getvalue()) == written


def test_types_and_modes():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.mkdir("d")
        for name, mode in {"program": 0o100755, "text": 0o100644, "unknown": 0}.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, b"x")
        info = zipfile.ZipInfo("windows")
        info.create_system = 0
        info.external_attr = 0o100755 << 16
        archive.writestr(info, b"x")
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "../é")
    found = [
        (member.name, member.type, member.size, member.executable, member.target)
        for member in members(buffer.getvalue())
    ]
    assert found == [
        ("d", "directory", 0, False, ""),
        ("program", "file", 1, True, ""),
        ("text", "file", 1, False, ""),
        ("unknown", "file", 1, False, ""),
        ("windows", "file", 1, False, ""),
        ("link", "link", 0, False, "../é"),
    ]


def test_the_tree_s_own_top_is_no_member():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("./", b"")
        archive.writestr("./a", b"x")
    assert contents(buffer.getvalue()) == {"a": b"x"}


@pytest.mark.parametrize("name", ["./", "d/"])
def test_a_directory_has_no_bytes(name: str):
    with pytest.raises(Damaged, match=f"member '{name}' is a directory and has a size"):
        list(members(one(name, b"x")))


def test_members_come_in_the_order_of_their_data():
    data = bytearray(contents_in_other_order())
    assert [member.name for member in members(bytes(data))] == ["a", "b"]


def contents_in_other_order() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"1")
        archive.writestr("b", b"2")
        archive.filelist.reverse()
    assert zipfile.ZipFile(buffer).namelist() == ["b", "a"]
    return buffer.getvalue()


def test_zip64(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    buffer = io.BytesIO()
    written = {"a": b"x" * 500, "b": b"y" * 500, "c": b"z"}
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in written.items():
            archive.writestr(name, data)
    data = buffer.getvalue()
    assert b"PK\x06\x06" in data
    assert contents(data) == written
    locator = data.rindex(b"PK\x06\x07")
    moved = data[: locator + 8] + struct.pack("<Q", 1) + data[locator + 16 :]
    with pytest.raises(Damaged, match="zip64 end is not where the locator says"):
        list(members(moved))
    end = data.rindex(b"PK\x05\x06")
    other = data[: end + 16] + struct.pack("<L", 7) + data[end + 20 :]
    with pytest.raises(Damaged, match="its two ends contradict each other"):
        list(members(other))


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_changed_archive_is_refused_or_still_an_archive(data: st.DataObject):
    changed = bytearray(one("a/b", b"text" * 50, method=zipfile.ZIP_DEFLATED))
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        # One byte makes a link of it, to what would be the file's bytes.
        found = [b"".join(m.data) or m.target.encode() for m in members(bytes(changed))]
    except Damaged:
        return
    assert found in ([b"text" * 50], [])


def test_an_archive_cut_anywhere_is_refused():
    data = one("a", b"x" * 100)
    for length in range(len(data)):
        with pytest.raises(Damaged, match="sample: "):
            contents(data[:length])


def test_limits():
    data = one("a", b"x" * 100)
    with pytest.raises(Damaged, match="sample: it has more than 0 members"):
        list(members(data, Limits(members=0)))
    with pytest.raises(Damaged, match="sample: it unpacks to more than 99 bytes"):
        list(members(data, Limits(unpacked=99)))
    with pytest.raises(Damaged, match="list of members is too long\n  Expected: at most 9 bytes"):
        list(members(data, Limits(central_directory=9)))


def test_the_whole_file_is_read_for_its_hash():
    source = MemorySource(one("a", b"x"))
    assert [member.name for member in read_members("zip", source)] == ["a"]
    assert source.drained


def test_large_members_stream():
    data = one("a", bytes(20_000_000), method=zipfile.ZIP_DEFLATED)
    sizes = [len(piece) for member in members(data) for piece in member.data]
    assert sum(sizes) == 20_000_000
    assert max(sizes) <= 1 << 20


def test_a_bomb_is_stopped_where_the_list_says():
    data = bytearray(one("a", bytes(20_000_000), method=zipfile.ZIP_DEFLATED))
    size = struct.pack("<L", 20_000_000)
    assert data.count(size) == 2
    lying = bytes(data).replace(size, struct.pack("<L", 1000))
    written: list[int] = []
    member = next(members(lying))
    with pytest.raises(Damaged, match=r"member 'a' is damaged\n  Expected: 1000 bytes"):
        written.extend(len(piece) for piece in member.data)
    assert sum(written) <= 1000
