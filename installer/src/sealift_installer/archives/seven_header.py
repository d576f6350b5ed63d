"""The header of a 7z archive, read strictly (7zFormat.txt of the LZMA SDK).

It says where the packed blocks are, how they are compressed, and which members they have in them.
Every count is compared with the limits, and with the bytes that are there to back it, before
anything of its size is made. The blocks must fill the file up to the header, without a gap.
"""

import stat
from collections.abc import Iterator, Sequence

from sealift_installer.archives.members import MemberType
from sealift_installer.archives.seven_cursor import Cursor
from sealift_installer.errors import Damaged, printable
from sealift_installer.limits import Limits
from sealift_schemas.lean import dataclass

_END, _HEADER, _MAIN_STREAMS, _FILES = 0x00, 0x01, 0x04, 0x05
_PACKED, _UNPACKED, _SUBSTREAMS, _SIZES, _CHECKSUMS, _BLOCKS = 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B
_UNPACKED_SIZES, _SUBSTREAM_COUNTS = 0x0C, 0x0D
_EMPTY_STREAMS, _EMPTY_FILES, _ANTI, _NAMES, _ATTRIBUTES = 0x0E, 0x0F, 0x10, 0x11, 0x15
# Three times of a member, where its volume starts, padding: nothing that is installed.
_PASSED_OVER = frozenset({0x12, 0x13, 0x14, 0x18, 0x19})
ENCODED = 0x17

_COMPLEX, _HAS_PROPERTIES, _RESERVED = 0x10, 0x20, 0xC0
# 7-Zip and py7zr: a compressor and up to three filters.
_MOST_CODERS = 4
# Windows' attributes; the upper half is a POSIX mode where _POSIX is set.
_DIRECTORY, _REPARSE_POINT, _POSIX = 0x10, 0x400, 0x8000


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
    """What 7-Zip calls a folder: members that are compressed as one.

    `coders` stand in the order in which data passes through them. `offset` and `packed` say where
    the compressed bytes are, `size` how many bytes come out.
    """

    coders: tuple[Coder, ...]
    offset: int
    packed: int
    size: int
    streams: tuple[Stream, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One member as the header describes it; `filled` members take the next stream."""

    name: str
    type: MemberType
    filled: bool
    executable: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """What is in an archive: its blocks, and its members in their order."""

    blocks: tuple[Block, ...]
    items: tuple[Item, ...]


@dataclass(slots=True)
class _Folder:
    coders: tuple[Coder, ...]
    size: int = 0
    checksum: int | None = None


def read_listing(header: bytes, start: int, end: int, limits: Limits) -> Listing:
    """Read a plain header; the blocks stand between the offsets `start` and `end`.

    Raises:
        Damaged: it is malformed, ambiguous, or says what no archive of software has.
    """
    cursor = Cursor(header)
    cursor.expect(_HEADER)
    kind = cursor.byte()
    blocks: tuple[Block, ...] = ()
    behind = start
    if kind == _MAIN_STREAMS:
        blocks, behind = read_blocks(cursor, start, limits)
        kind = cursor.byte()
    items: tuple[Item, ...] = ()
    if kind == _FILES:
        items = tuple(_read_items(cursor, limits))
        kind = cursor.byte()
    if kind != _END or cursor.left:
        raise Damaged("its header has a part that is unknown, or something behind its end")
    if behind != end:
        raise Damaged("its blocks do not end where its header begins")
    if sum(item.filled for item in items) != sum(len(block.streams) for block in blocks):
        raise Damaged("it has other members in its blocks than in its list")
    return Listing(blocks, items)


def read_blocks(cursor: Cursor, start: int, limits: Limits) -> tuple[tuple[Block, ...], int]:
    """Read where the blocks are, from `start` on; return them and the offset behind the last.

    Raises:
        Damaged: as for `read_listing`.
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


def _read_items(cursor: Cursor, limits: Limits) -> Iterator[Item]:
    count = cursor.number()
    if count > limits.members:
        raise Damaged(f"it has more than {limits.members} members")
    # The name of each member has its end at least, two bytes.
    if count * 2 > cursor.left:
        raise Damaged("its header is too short for as many members as it says")
    properties = _read_properties(cursor)
    if _NAMES not in properties:
        raise Damaged("its members have no names")
    names = properties.pop(_NAMES).names(count)
    empty = _bits(properties, _EMPTY_STREAMS, count)
    marked = iter(_bits(properties, _EMPTY_FILES, sum(empty)))
    anti = any(_bits(properties, _ANTI, sum(empty)))
    attributes: Sequence[int | None] = [None] * count
    if _ATTRIBUTES in properties:
        attributes = properties.pop(_ATTRIBUTES).attributes(count)
    if properties:
        raise Damaged(f"its header says something unknown of its members: {min(properties)}")
    if anti:
        raise Damaged("it has anti-items, which tell a reader to delete files")
    for name, no_stream, value in zip(names, empty, attributes, strict=True):
        structured = not (no_stream and not next(marked))
        kind = _kind(name, value, structured=structured)
        executable = bool(value and value & _POSIX and value >> 16 & 0o111)
        yield Item(name, kind, not no_stream, executable and kind == "file")


def _read_properties(cursor: Cursor) -> dict[int, Cursor]:
    """Return what the header says of the members, by kind; each ends exactly where it says."""
    properties: dict[int, Cursor] = {}
    while (kind := cursor.byte()) != _END:
        part = Cursor(cursor.take(cursor.number()))
        if kind in _PASSED_OVER:
            continue
        if kind in properties:
            raise Damaged("its header says the same of its members twice")
        properties[kind] = part
    return properties


def _bits(properties: dict[int, Cursor], kind: int, count: int) -> list[bool]:
    part = properties.pop(kind, None)
    if part is None:
        return [False] * count
    bits = part.bits(count)
    part.finish()
    return bits


def _kind(name: str, attributes: int | None, *, structured: bool) -> MemberType:
    """Return what a member is; `structured` says that it is no directory by its place.

    Readers differ in which of the two they believe, so that they must agree.
    """
    known = attributes or 0
    form = stat.S_IFMT(known >> 16) if known & _POSIX else 0
    directory = bool(known & _DIRECTORY)
    if known & _REPARSE_POINT and form != stat.S_IFLNK:
        raise Damaged(f"member '{printable(name)}' is a reparse point of Windows")
    if structured and not directory and form in {0, stat.S_IFREG}:
        return "file"
    if structured and form == stat.S_IFLNK:
        return "link"
    if not structured and (form == stat.S_IFDIR or (not form and (directory or not attributes))):
        return "directory"
    raise Damaged(
        f"member '{printable(name)}' is of a type that its place denies or nobody supports"
    )
