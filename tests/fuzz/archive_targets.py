"""What the fuzzer does with bytes that claim to be an archive, or a part of one.

What comes out is `SealiftError` or members that hold what they promise: a safe name, as many bytes
as they say, and no other reading of the same archive by the standard library where it has a reader.
"""

import bz2
import io
import lzma
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hostile.generator import BLOCK
from hostile.seven import wrap
from memory_source import MemorySource, unpack
from sealift_installer.archives import check_path, check_target, read_members
from sealift_installer.archives.decompress import decompress
from sealift_installer.archives.seven_blocks import Block, Coder
from sealift_installer.archives.seven_header import read_listing
from sealift_installer.archives.seven_methods import unpack_block
from sealift_installer.errors import SealiftError
from sealift_installer.limits import LIMITS, MIB
from sealift_installer.tree import TreeWriter

# Small enough that nothing honest takes long: what takes long is a find.
SMALL = replace(
    LIMITS,
    members=2000,
    unpacked=8 * MIB,
    unsuspected=MIB,
    ratio=200,
    decoder_memory=16 * MIB,
    extended_header=64 * 1024,
    sparse_regions=200,
    seven_header=256 * 1024,
    central_directory=256 * 1024,
    padding=64 * 1024,
)
Read = dict[str, tuple[str, bytes]]


def collect(archive_format: str, data: bytes, step: int = 1 << 20) -> Read | None:
    """Read a whole archive; None where it is refused, or has a name twice, which others decide."""
    found: Read = {}
    twice = False
    try:
        for member in read_members(archive_format, MemorySource(data, step=step), SMALL):
            check_path(member.name, SMALL)
            content = b"".join(member.data)
            assert len(content) == member.size, (len(content), member.size)
            if member.type == "link":
                check_target(member.target, SMALL)
            twice |= member.name in found
            found[member.name] = (member.type, content or member.target.encode())
    except SealiftError:
        return None
    return None if twice else found


def read_tar(data: bytes) -> None:
    """A tar archive, as it is and with checksums that are right."""
    _read_tar(data)
    mended = bytearray(data)
    for start in range(0, len(data) - BLOCK + 1, BLOCK):
        block = mended[start : start + BLOCK]
        if block[257:262] == b"ustar":
            block[148:156] = b" " * 8
            mended[start + 148 : start + 156] = b"%06o\0 " % sum(block)
    if mended != data:
        _read_tar(bytes(mended))


def _read_tar(data: bytes) -> None:
    """In small pieces it is the same one, and tarfile sees the same files."""
    found = collect("tar", data)
    if data and len(data) < 20_000:
        assert collect("tar", data, step=23) == found
    # tarfile takes GNU's times for a path's beginning, and ends at a header whose owner or time is
    # no number, which we do not read.
    if found is None or b"ustar  " in data:
        return
    try:
        other = tarfile.open(fileobj=io.BytesIO(data), errorlevel=2)  # noqa: SIM115 - it is, below
    except tarfile.ReadError:
        return
    with other:
        seen = {_plain(info.name): info for info in other}
        for name, (kind, content) in found.items():
            if kind == "file" and name in seen:
                file = other.extractfile(seen[name])
                assert file is not None
                assert file.read() == content, name


def read_zip(data: bytes) -> None:
    """A zip archive; zipfile sees the same files."""
    found = collect("zip", data)
    if found is None:
        return
    try:
        other = zipfile.ZipFile(io.BytesIO(data))
    except NotImplementedError:
        return  # for a version of the format that is none
    with other:
        seen = {_plain(name) for name in other.namelist()} - {""}
        assert seen == set(found), seen ^ set(found)
        for name, (kind, content) in found.items():
            if kind == "file" and name in other.namelist():
                method = other.getinfo(name).compress_type
                if method not in {93, 95}:  # zipfile has no zstd before 3.14, and no xz
                    assert other.read(name) == content, name


def read_seven(data: bytes) -> None:
    """A 7z archive: as it is, and as packed bytes with a header, the checksums being right."""
    collect("7z", data)
    packed = int.from_bytes(data[:2], "little")
    collect("7z", wrap(data[2 : 2 + packed], data[2 + packed :]))


def read_seven_header(data: bytes) -> None:
    """The header of a 7z archive, whose checksums would keep a fuzzer out."""
    try:
        listing = read_listing(data, 32, 32 + 100_000, SMALL)
    except SealiftError:
        return
    assert len(listing.items) <= SMALL.members


# The methods by number, so that one byte of the input chooses one.
_METHODS = [
    bytes.fromhex(text)
    for text in (
        "00", "030101", "21", "03", "040202", "040108", "04f71101", "06f10701", "03030103", "04",
        "05", "07", "08", "09", "0a", "0303011b", "040109", "ff",
    )
]  # fmt: skip


def read_seven_methods(data: bytes) -> None:
    """A block of a 7z archive: coders, properties and packed bytes as the fuzzer likes them."""
    if len(data) < 4:
        return
    coders = []
    count, rest = 1 + data[0] % 4, data[1:]
    for _ in range(count):
        if len(rest) < 2:
            return
        method, length = _METHODS[rest[0] % len(_METHODS)], rest[1] % 8
        coders.append(Coder(method, rest[2 : 2 + length]))
        rest = rest[2 + length :]
    size, packed = int.from_bytes(rest[:2], "little"), rest[2:]
    block = Block(tuple(coders), 32, len(packed), size, ())
    made = 0
    try:
        for piece in unpack_block(block, iter([packed[:100], packed[100:]]), SMALL):
            made += len(piece)
    except SealiftError:
        return
    finally:
        assert made <= size, (made, size)
    assert made == size, (made, size)


def read_stream(archive_format: str) -> Callable[[bytes], None]:
    """A compressed stream of any content: what we take, the standard library reads alike."""

    def target(data: bytes) -> None:
        held, size = [], 0
        try:
            for chunk in decompress(archive_format, MemorySource(data), SMALL):
                held.append(chunk)
                size += len(chunk)
                if size > SMALL.unpacked:
                    return
        except SealiftError:
            return
        read_alike = _STANDARD.get(archive_format)
        if read_alike is not None:
            assert read_alike(data) == b"".join(held)

    return target


def _gunzip(data: bytes) -> bytes:
    result = b""
    while data:
        stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
        result += stream.decompress(data) + stream.flush()
        assert stream.eof
        data = stream.unused_data
    return result


_STANDARD: dict[str, Callable[[bytes], bytes]] = {
    "tar.gz": _gunzip,
    "tar.bz2": bz2.decompress,
    "tar.xz": lzma.decompress,
}
# On tmpfs where there is one: each run makes a tree.
_MEMORY = Path("/dev/shm")
_NAMES = ["a", "b", "c", "a/b", "a/c", "a/b/c", "d/e", "A", "é", "e\u0301"]
_TARGETS = ["a", "b", "..", "../a", "a/..", ".", "b/../..", "../../x", "/x", "c/b", "d", "a/b/.."]


def write_tree(data: bytes) -> None:
    """Any steps of a writer: whatever they are, nothing of the tree leads out of it."""
    scratch = Path(tempfile.mkdtemp(dir=_MEMORY if _MEMORY.is_dir() else None))
    root = scratch / "inner" / "root"
    root.parent.mkdir()
    try:
        _take_steps(root, data)
        assert _names(scratch) == ["inner"]
        assert _names(root.parent) == ["root"]
        top = os.path.realpath(root)
        for folder, folders, files in os.walk(root):
            for name in (*folders, *files):
                place = os.path.realpath(Path(folder, name))
                assert place == top or place.startswith(f"{top}/"), place
    finally:
        shutil.rmtree(scratch)


def _take_steps(root: Path, data: bytes) -> None:
    steps = zip(data[::3], data[1::3], data[2::3], strict=False)
    try:
        with TreeWriter(root, SMALL) as tree:
            for kind, one, other in list(steps)[:20]:
                name = _NAMES[one % len(_NAMES)]
                if kind % 4 == 0:
                    tree.add_file(name, (bytes([other]),), executable=bool(other & 1))
                elif kind % 4 == 1:
                    tree.add_directory(name)
                elif kind % 4 == 2:
                    tree.add_link(name, _TARGETS[other % len(_TARGETS)])
                else:
                    tree.add_hardlink(name, _NAMES[other % len(_NAMES)])
            tree.finish()
    except SealiftError:
        pass


def unpack_tar(data: bytes) -> None:
    """A tar archive down to a tree on disk."""
    scratch = Path(tempfile.mkdtemp(dir=_MEMORY if _MEMORY.is_dir() else None))
    try:
        unpack("tar", MemorySource(data), scratch / "root", SMALL)
    except SealiftError:
        pass
    finally:
        assert _names(scratch) in ([], ["root"])
        shutil.rmtree(scratch)


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def _plain(name: str) -> str:
    return name.removeprefix("./").rstrip("/")
