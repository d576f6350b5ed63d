"""Where the blocks of a 7z archive are, and how they are compressed (7zFormat.txt of the LZMA SDK).

A block is what 7-Zip calls a folder: members that are compressed as one. Every count is compared
with the limits, and with the bytes that are there to back it, before anything of its size is made.
"""

from collections.abc import Iterator, Sequence

from sealift_installer.archives.seven_cursor import Cursor
from sealift_installer.errors import Damaged
from sealift_installer.limits import Limits
from sealift_schemas.lean import dataclass

_END = 0x00
_PACKED, _UNPACKED, _SUBSTREAMS, _SIZES, _CHECKSUMS, _BLOCKS = 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B
_UNPACKED_SIZES, _SUBSTREAM_COUNTS = 0x0C, 0x0D

_COMPLEX, _HAS_PROPERTIES, _RESERVED = 0x10, 0x20, 0xC0
# 7-Zip and py7zr: a compressor and up to three filters.
_MOST_CODERS = 4


@dataclass(frozen=True, slots=True)
class Coder:
    """One step of decompression: its method's number, and what that is told."""

    method: bytes
    properties: bytes


@dataclass(frozen=True, slots=True)
class Stream:
    """One member's bytes inside of a block: how many, and their CRC-32 where it is known."""

    size: int
    checksum: int | None


@dataclass(frozen=True, slots=True)
class Block:
    """Members that are compressed as one.

    `coders` stand in the order in which data passes through them. `offset` and `packed` say where
    the compressed bytes are, `size` how many bytes come out.
    """

    coders: tuple[Coder, ...]
    offset: int
    packed: int
    size: int
    streams: tuple[Stream, ...]


@dataclass(slots=True)
class _Folder:
    coders: tuple[Coder, ...]
    size: int = 0
    checksum: int | None = None


def read_blocks(cursor: Cursor, start: int, limits: Limits) -> tuple[tuple[Block, ...], int]:
    """Read where the blocks are, from `start` on; return them and the offset behind the last.

    Raises:
        Damaged: they are malformed, ambiguous, or more than there can be.
    """
    cursor.expect(_PACKED)
    start += cursor.number()
    packed = _read_packed(cursor)
    cursor.expect(_UNPACKED)
    folders = _read_folders(cursor)
    if len(packed) != len(folders):
        raise Damaged("it has another number of packed streams than of blocks")
    kind = cursor.byte()
    streams: list[tuple[Stream, ...]]
    streams = [(Stream(folder.size, folder.checksum),) for folder in folders]
    if kind == _SUBSTREAMS:
        streams = _read_substreams(cursor, folders, limits)
        kind = cursor.byte()
    if kind != _END:
        raise Damaged("its header has an unknown part between its blocks")
    blocks = []
    for folder, size, inside in zip(folders, packed, streams, strict=True):
        blocks.append(Block(folder.coders, start, size, folder.size, inside))
        start += size
    return tuple(blocks), start


def _read_packed(cursor: Cursor) -> list[int]:
    count = cursor.count()
    cursor.expect(_SIZES)
    sizes = [cursor.number() for _ in range(count)]
    kind = cursor.byte()
    if kind == _CHECKSUMS:
        cursor.checksums(count)  # of packed bytes, which are authenticated already
        kind = cursor.byte()
    if kind != _END:
        raise Damaged("its header has an unknown part in its list of packed streams")
    return sizes


def _read_folders(cursor: Cursor) -> list[_Folder]:
    cursor.expect(_BLOCKS)
    count = cursor.count()
    cursor.inside()
    chains = [_read_coders(cursor) for _ in range(count)]
    cursor.expect(_UNPACKED_SIZES)
    folders = []
    for coders, last in chains:
        sizes = [cursor.number() for _ in coders]
        folders.append(_Folder(coders, sizes[last]))
    kind = cursor.byte()
    if kind == _CHECKSUMS:
        for folder, checksum in zip(folders, cursor.checksums(count), strict=True):
            folder.checksum = checksum
        kind = cursor.byte()
    if kind != _END:
        raise Damaged("its header has an unknown part in its list of blocks")
    return folders


def _read_coders(cursor: Cursor) -> tuple[tuple[Coder, ...], int]:
    """Return a block's coders, ordered from the packed side on, and which of them is the last."""
    count = cursor.number()
    if not 1 <= count <= _MOST_CODERS:
        raise Damaged(f"a block has {count} coders, not 1 to {_MOST_CODERS}")
    coders = []
    plain = True
    for _ in range(count):
        flags = cursor.byte()
        if flags & _RESERVED:
            raise Damaged("a block has a coder of an unknown shape")
        method = cursor.take(flags & 0x0F)
        if flags & _COMPLEX:
            plain = plain and (cursor.number(), cursor.number()) == (1, 1)
        properties = cursor.take(cursor.number()) if flags & _HAS_PROPERTIES else b""
        coders.append(Coder(method, properties))
    if not plain:
        from sealift_installer.archives.seven_methods import refuse_branched

        refuse_branched(coders)
    follows: dict[int, int] = {}
    for _ in range(count - 1):
        taker, giver = cursor.number(), cursor.number()
        follows[giver] = taker
    order = [place for place in range(count) if place not in follows.values()][:1]
    while len(order) < count and order and order[-1] in follows:
        order.append(follows[order[-1]])
    if sorted(order) != list(range(count)):
        raise Damaged("the coders of a block are no chain")
    return tuple(coders[place] for place in order), order[-1]


def _read_substreams(
    cursor: Cursor, folders: Sequence[_Folder], limits: Limits
) -> list[tuple[Stream, ...]]:
    """Read how each block is divided among members."""
    counts = [1] * len(folders)
    kind = cursor.byte()
    if kind == _SUBSTREAM_COUNTS:
        counts = [cursor.number() for _ in folders]
        # py7zr writes an empty block into an archive of directories.
        if any(folder.size for folder, count in zip(folders, counts, strict=True) if not count):
            raise Damaged("it has a block that no member uses")
        if sum(counts) > limits.members:
            raise Damaged(f"it has more than {limits.members} members")
        # All but the last member of a block have their size in what follows.
        if sum(counts) > cursor.left + len(counts):
            raise Damaged("it has more members in its blocks than its header has room for")
        kind = cursor.byte()
    sizes = [[folder.size][:count] for folder, count in zip(folders, counts, strict=True)]
    if kind == _SIZES or max(counts, default=1) > 1:
        if kind != _SIZES:
            raise Damaged("its header does not say how long the members of a block are")
        sizes = [_divide(cursor, *pair) for pair in zip(folders, counts, strict=True)]
        kind = cursor.byte()
    # A block of one member has that member's checksum.
    known = [
        count == 1 and folder.checksum is not None
        for folder, count in zip(folders, counts, strict=True)
    ]
    later: Iterator[int | None] = iter(())
    if kind == _CHECKSUMS:
        missing = sum(count for count, has in zip(counts, known, strict=True) if not has)
        later = iter(cursor.checksums(missing))
        kind = cursor.byte()
    if kind != _END:
        raise Damaged("its header has an unknown part in its list of streams")
    return [
        tuple(Stream(size, folder.checksum if has else next(later, None)) for size in inside)
        for folder, inside, has in zip(folders, sizes, known, strict=True)
    ]


def _divide(cursor: Cursor, folder: _Folder, count: int) -> list[int]:
    if not count:
        return []
    sizes = [cursor.number() for _ in range(count - 1)]
    rest = folder.size - sum(sizes)
    if rest < 0:
        raise Damaged("the members of a block are longer than the block")
    return [*sizes, rest]
