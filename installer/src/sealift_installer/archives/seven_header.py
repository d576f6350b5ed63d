"""The header of a 7z archive, read strictly (7zFormat.txt of the LZMA SDK).

It says where the packed blocks are, how they are compressed, and which members they have in them.
Every count is compared with the limits, and with the bytes that are there to back it, before
anything of its size is made. The blocks must fill the file up to the header, without a gap.
"""

import stat
from collections.abc import Iterator, Sequence

from sealift_installer.archives.members import MemberType
from sealift_installer.archives.seven_blocks import Block, read_blocks
from sealift_installer.archives.seven_cursor import Cursor
from sealift_installer.errors import Damaged, printable
from sealift_installer.limits import Limits
from sealift_schemas.lean import dataclass

_END, _HEADER, _MAIN_STREAMS, _FILES = 0x00, 0x01, 0x04, 0x05
_EMPTY_STREAMS, _EMPTY_FILES, _ANTI, _NAMES, _ATTRIBUTES = 0x0E, 0x0F, 0x10, 0x11, 0x15
# Three times of a member, where its volume starts, padding: nothing that is installed.
_PASSED_OVER = frozenset({0x12, 0x13, 0x14, 0x18, 0x19})
ENCODED = 0x17

# Windows' attributes; the upper half is a POSIX mode where _POSIX is set.
_DIRECTORY, _REPARSE_POINT, _POSIX = 0x10, 0x400, 0x8000


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
