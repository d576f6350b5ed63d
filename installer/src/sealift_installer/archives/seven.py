"""A strict reader of 7z archives: members in their order, block by block.

The format says at the start of the file where its header is, and the header says everything else;
both are authenticated chunks when they are read, and nothing is unpacked before its limits hold.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from sealift_installer.archives.central import read_at
from sealift_installer.archives.members import Member, check_path, check_target
from sealift_installer.archives.seven_blocks import Block, Stream, read_blocks
from sealift_installer.archives.seven_cursor import Cursor
from sealift_installer.archives.seven_header import ENCODED, Item, Listing, read_listing
from sealift_installer.archives.seven_methods import check_block, unpack_block
from sealift_installer.archives.sniff import SNIFFED, describe
from sealift_installer.archives.source import ArchiveSource
from sealift_installer.errors import Damaged, mismatch, printable
from sealift_installer.limits import LIMITS, Limits

# Magic, version, CRC of what follows; offset, size and CRC of the header.
_START = struct.Struct("<6s2BLQQL")
_COVERED = struct.Struct("<QQL")
_STEP = 128 * 1024


def read_seven(source: ArchiveSource, limits: Limits = LIMITS) -> Iterator[Member]:
    """Yield the members of the 7z archive in `source`.

    Raises:
        Damaged: it is malformed, truncated or hostile, or compressed by a method that is not read.
    """
    called = printable(source.name)
    try:
        with source.seekable() as file:
            listing = _read_header(file, limits)
            _check_blocks(listing, limits)
            yield from _members(file, listing, called, limits)
        # Only a reader of the whole compares the whole file's hash.
        for _ in source.chunks():
            pass
    except Damaged as error:
        if error.message.startswith(called):
            raise
        raise Damaged(f"{called}: {error.message}", hint=error.hint) from None


def _read_header(file: BinaryIO, limits: Limits) -> Listing:
    file.seek(0)
    first = file.read(SNIFFED)
    found = describe(first)
    if found != "a 7z archive":
        raise Damaged(mismatch("it is not what its format says", "a 7z archive", found))
    if len(first) < _START.size:
        raise Damaged("it is truncated")
    _, major, _, start_checksum, offset, size, checksum = _START.unpack_from(first)
    if zlib.crc32(_COVERED.pack(offset, size, checksum)) != start_checksum or major:
        raise Damaged("its first bytes are damaged, or of a version that is unknown")
    length = file.seek(0, 2)
    begin = _START.size
    if begin + offset + size != length:
        raise Damaged("it is truncated, or there is something behind its end")
    if not size:
        if offset:
            raise Damaged("it has no header")
        return Listing((), ())
    header = _read_checked(file, begin + offset, size, checksum, limits)
    end = begin + offset
    if header[0] == ENCODED:
        header, end = _decode_header(file, header, end, limits)
    return read_listing(header, begin, end, limits)


def _read_checked(file: BinaryIO, offset: int, size: int, checksum: int, limits: Limits) -> bytes:
    if size > limits.seven_header:
        raise Damaged(mismatch("its header is too long", f"at most {limits.seven_header}", size))
    header = read_at(file, offset, size)
    if zlib.crc32(header) != checksum:
        raise Damaged(
            mismatch("its header is damaged", f"{checksum:08x}", f"{zlib.crc32(header):08x}")
        )
    return header


def _decode_header(file: BinaryIO, encoded: bytes, end: int, limits: Limits) -> tuple[bytes, int]:
    """Return the header that is compressed itself, and where the packed form of it begins."""
    cursor = Cursor(encoded)
    cursor.byte()
    blocks, behind = read_blocks(cursor, _START.size, limits)
    if cursor.left or len(blocks) != 1 or len(blocks[0].streams) != 1 or behind != end:
        raise Damaged("its header is compressed in a way that nobody writes")
    block = blocks[0]
    if block.size > limits.seven_header:
        raise Damaged(
            mismatch("its header is too long", f"at most {limits.seven_header}", block.size)
        )
    header = b"".join(unpack_block(block, _pieces(file, block), limits))
    checksum = block.streams[0].checksum
    if checksum is not None and zlib.crc32(header) != checksum:
        raise Damaged("its header is damaged")
    if not header:
        raise Damaged("its header is empty")
    return header, block.offset


def _check_blocks(listing: Listing, limits: Limits) -> None:
    """Check what all blocks unpack to, and how, before the first of them is."""
    size = sum(block.size for block in listing.blocks)
    if size > limits.unpacked:
        raise Damaged(f"it unpacks to more than {limits.unpacked} bytes")
    for block in listing.blocks:
        if limits.is_bomb(block.packed, block.size):
            raise Damaged(f"a block of {block.packed} bytes says that it unpacks to {block.size}")
        check_block(block, limits)
    packed = sum(block.packed for block in listing.blocks)
    if limits.is_bomb(packed, size):
        raise Damaged(f"{packed} bytes of blocks say that they unpack to {size}")


def _members(file: BinaryIO, listing: Listing, called: str, limits: Limits) -> Iterator[Member]:
    streams = _streams(file, listing, limits)
    for item in listing.items:
        if not item.filled:
            yield _member(item, 0, iter(()), limits)
            continue
        stream, data = next(streams)
        checked = _checked(f"{called}: member '{printable(item.name)}'", stream, data)
        yield _member(item, stream.size, checked, limits)
        # What was not read is skipped.
        for _ in checked:
            pass
    if next(streams, None) is not None:
        raise Damaged("it has more in its blocks than in its list")


def _member(item: Item, size: int, data: Iterator[bytes], limits: Limits) -> Member:
    name = item.name.removeprefix("./")
    check_path(name, limits)
    if item.type == "file":
        return Member(name, "file", size, item.executable, "", data)
    target = ""
    if item.type == "link":
        if size > limits.link_target:
            raise Damaged(f"the target of the link '{printable(name)}' is too long")
        target = b"".join(data).decode("utf-8", "surrogateescape")
        check_target(target, limits)
    return Member(name, item.type, 0, False, target, iter(()))  # noqa: FBT003 - a member's field


def _streams(
    file: BinaryIO, listing: Listing, limits: Limits
) -> Iterator[tuple[Stream, Iterator[bytes]]]:
    """Yield the members' bytes, one member after the other; each is read before the next."""
    for block in listing.blocks:
        unpacked = _Unpacked(unpack_block(block, _pieces(file, block), limits))
        for stream in block.streams:
            yield stream, unpacked.take(stream.size)
        unpacked.finish()


class _Unpacked:
    """The bytes of a block, handed out in other portions than they come in."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = memoryview(b"")

    def take(self, size: int) -> Iterator[bytes]:
        while size:
            if not self._held:
                self._held = memoryview(next(self._pieces, b""))
                if not self._held:
                    raise Damaged("a block is truncated")
            piece = self._held[:size]
            self._held = self._held[len(piece) :]
            size -= len(piece)
            yield bytes(piece)

    def finish(self) -> None:
        for piece in self._pieces:
            if piece:
                raise Damaged("a block has more in it than its members")


def _pieces(file: BinaryIO, block: Block) -> Iterator[bytes]:
    place, left = block.offset, block.packed
    while left:
        piece = read_at(file, place, min(left, _STEP))
        place += len(piece)
        left -= len(piece)
        yield piece


def _checked(what: str, stream: Stream, data: Iterator[bytes]) -> Iterator[bytes]:
    """Yield a member's bytes; at the end the checksum is compared, where there is one."""
    checksum = 0
    try:
        for piece in data:
            checksum = zlib.crc32(piece, checksum)
            yield piece
    except Damaged as error:
        raise Damaged(f"{what}: {error.message}", hint=error.hint) from None
    if stream.checksum is not None and checksum != stream.checksum:
        computed = f"CRC {checksum:08x}"
        raise Damaged(mismatch(f"{what} is damaged", f"CRC {stream.checksum:08x}", computed))
