"""Files with holes, in the four ways that GNU tar stores them (its manual, "Storing Sparse Files").

What is stored is the data between the holes, and a map that says where it belongs: in the header
of the type S and in blocks behind it, in pax records (versions 0.0 and 0.1), or in front of the
data (1.0). A member comes out with all of its bytes, the holes as zeros. A map that two readers
could read in two ways is refused.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from sealift_installer.archives.blocks import BLOCK, Blocks
from sealift_installer.archives.headers import SPARSE, Header, decimal, read_number
from sealift_installer.errors import Damaged, mismatch, printable
from sealift_installer.limits import Limits
from sealift_schemas.lean import dataclass

# A region of a file that is stored: its offset and its size, in bytes.
Region = tuple[int, int]

_PREFIX = "GNU.sparse."
_RECORD = re.compile(rb"([1-9][0-9]*) ([^=]+)=")
_DECIMAL = re.compile(rb"0|[1-9][0-9]{0,18}")
_LONGEST_LINE = 20  # bytes of a number and its newline
# The name that GNU tar and bsdtar give a member for readers that know no sparse files.
_STAND_IN = re.compile(r"(?:.*/)?GNUSparseFile\.[0-9]+/[^/]*", re.DOTALL)
# The header of the type S, whose magic is GNU's: where its regions begin, how many there are, and
# the same of each block behind it. A byte behind the regions says whether a block follows.
_GNU = b"ustar  \x00"
_MAGIC = slice(257, 265)
_IN_HEADER = (386, 4)
_IN_BLOCK = (0, 21)
_REAL_SIZE = slice(483, 495)
_FIELD = 12  # bytes of one number
_HOLE = bytes(256 * 1024)


@dataclass(frozen=True, slots=True)
class Hollow:
    """A member with holes: its name and its bytes.

    `size` is that of the whole file, `map_size` that of a map that is no header, in bytes.
    """

    name: str
    size: int
    map_size: int
    data: Iterator[bytes]


class _MapError(Exception):
    """Why a member with holes is refused, in words that follow its name."""


class SparseReader:
    """Reads the members with holes of one archive, and compares what they become with what is stored.

    Args:
        blocks: the archive, read up to the member's header.
        limits: of the maps, and of holes without data.
    """

    def __init__(self, blocks: Blocks, limits: Limits) -> None:
        self._blocks = blocks
        self._limits = limits
        self._stored = 0
        self._unpacked = 0

    def read(self, header: Header, block: bytes, records: Mapping[str, bytes], name: str) -> Hollow:
        """Read the map of the member `name`, whose header is `block`, and return the member.

        Raises:
            Damaged: the map is malformed, ambiguous or too long, contradicts the member's size, or
                there is next to nothing but holes.
        """
        try:
            said = None
            if header.type != b"S":
                said = _Said(records[SPARSE], self._limits)
                name = said.name(name, records)
            stored = decimal(records["size"]) if "size" in records else header.size
            size, regions, map_size = self._read_map(said, stored, block, records)
            stored -= 0 if said is None else map_size
            self._weigh(size, stored + BLOCK)
            _check(regions, size, stored)
        except _MapError as error:
            raise Damaged(f"sparse file '{printable(name)}': {error}") from None
        return Hollow(name, size, map_size, _expand(regions, size, self._blocks.payload(stored)))

    def _read_map(
        self, said: "_Said | None", stored: int, block: bytes, records: Mapping[str, bytes]
    ) -> tuple[int, list[Region], int]:
        """Return the size of the file, its regions, and the length of a map that is no header."""
        if said is None:
            return self._in_header(block, records)
        if said.version == "1.0":
            regions, map_size = self._in_data(stored)
            return said.size, regions, map_size
        return said.size, said.regions, 0

    def _weigh(self, size: int, stored: int) -> None:
        """Refuse what is too large, or holes and next to no data, by itself or all together."""
        if size > self._limits.unpacked:
            raise _MapError(f"it unpacks to more than {self._limits.unpacked} bytes")
        self._stored += stored
        self._unpacked += size
        for packed, unpacked in ((stored, size), (self._stored, self._unpacked)):
            if self._limits.is_bomb(packed, unpacked):
                raise _MapError(f"{packed} bytes say that they unpack to {unpacked}")

    def _in_header(
        self, block: bytes, records: Mapping[str, bytes]
    ) -> tuple[int, list[Region], int]:
        """Return the size and the regions that a header of the type S says, and its blocks' length."""
        if block[_MAGIC] != _GNU or not records.keys().isdisjoint((SPARSE, "size")):
            raise _MapError("it is not of GNU's format")
        size = read_number(block[_REAL_SIZE], "real size")
        regions: list[Region] = []
        map_size = 0
        start, count = _IN_HEADER
        while True:
            end = start + 2 * _FIELD * count
            full = _read_fields(block[start:end], regions)
            if len(regions) > self._limits.sparse_regions:
                self._fail_long()
            if block[end] == 0:
                return size, regions, map_size
            if block[end] != 1 or not full:
                raise _MapError("its map is malformed")
            block = self._blocks.header()
            if len(block) != BLOCK:
                raise _MapError("its map is truncated")
            map_size += BLOCK
            start, count = _IN_BLOCK

    def _in_data(self, stored: int) -> tuple[list[Region], int]:
        """Read the map at the beginning of `stored` bytes; return the regions, and its length."""
        numbers: list[int] = []
        wanted = 1
        map_size = 0
        text = b""
        while len(numbers) < wanted:
            line, newline, behind = text.partition(b"\n")
            if newline:
                text = behind
                numbers.append(_number(line))
                if len(numbers) == 1:
                    wanted += 2 * numbers[0]
                    if numbers[0] > self._limits.sparse_regions:
                        self._fail_long()
                continue
            if stored - map_size < BLOCK or len(text) > _LONGEST_LINE:
                raise _MapError("its map does not end, or is longer than its data")
            text += self._blocks.whole(BLOCK)
            map_size += BLOCK
        if text.strip(b"\0"):
            raise _MapError("there is something behind its map")
        return list(zip(numbers[1::2], numbers[2::2], strict=True)), map_size

    def _fail_long(self) -> None:
        raise _MapError(f"it has more than {self._limits.sparse_regions} regions")


class _Said:
    """What the pax records of one member say about its holes: `version`, `size`, `regions`.

    Version 1.0 says no regions.
    """

    def __init__(self, data: bytes, limits: Limits) -> None:
        values, numbers = _collect(data)
        self._name = values.pop("name", None)
        self.regions: list[Region] = []
        keys = values.keys()
        if keys == {"major", "minor", "realsize"} and not numbers:
            self.version = "1.0" if (values["major"], values["minor"]) == (b"1", b"0") else ""
        elif keys == {"size", "numblocks", "map"} and not numbers:
            self.version = "0.1"
            numbers = values["map"].split(b",", 2 * limits.sparse_regions + 1)
        else:
            whole = keys == {"size", "numblocks"} and self._name is None
            self.version = "0.0" if whole else ""
        if not self.version:
            raise _MapError("it is of a version that is not read, or of two versions")
        self.size = _number(values["realsize" if self.version == "1.0" else "size"])
        if self.version == "1.0":
            return
        if len(numbers) > 2 * limits.sparse_regions:
            raise _MapError(f"it has more than {limits.sparse_regions} regions")
        if len(numbers) != 2 * _number(values["numblocks"]):
            raise _MapError("its map has another length than its records say")
        every = [_number(number) for number in numbers]
        self.regions = list(zip(every[::2], every[1::2], strict=True))

    def name(self, name: str, records: Mapping[str, bytes]) -> str:
        """Return the name of the member `name`, which may be a stand-in, or what it must be."""
        if self._name is None:
            return name
        said = self._name.decode("utf-8", "surrogateescape")
        if "path" in records and name != said and not _STAND_IN.fullmatch(name):
            raise _MapError(f"it is also called '{printable(said)}'")
        return said


def _collect(data: bytes) -> tuple[dict[str, bytes], list[bytes]]:
    """Return the values of the records about holes, and those of a map of version 0.0.

    Such a map has two records for each region, whose order counts. The records are well-formed.
    """
    values: dict[str, bytes] = {}
    numbers: list[bytes] = []
    position = 0
    while match := _RECORD.match(data, position):
        end = position + int(match[1])
        value = data[match.end() : end - 1]
        position = end
        key = match[2].decode("utf-8", "surrogateescape")
        if key in {"SCHILY.realsize", "SUN.holesdata"}:
            raise _MapError(f"it is of a kind that is not supported ({key})")
        if not key.startswith(_PREFIX):
            continue
        key = key.removeprefix(_PREFIX)
        if key == ("numbytes" if len(numbers) % 2 else "offset"):
            numbers.append(value)
        elif key in values or key not in _KEYS:
            shown = printable(_PREFIX + key)
            raise _MapError(f"the record {shown} is unknown or out of order")
        else:
            values[key] = value
    return values, numbers


_KEYS = frozenset({"major", "minor", "realsize", "name", "size", "numblocks", "map"})


def _number(text: bytes) -> int:
    if not _DECIMAL.fullmatch(text):
        raise _MapError(f"a number is none: '{printable(text[:40])}'")
    return int(text)


def _read_fields(data: bytes, regions: list[Region]) -> bool:
    """Add the regions in a block's fields; tell whether all of the fields are in use."""
    for start in range(0, len(data), 2 * _FIELD):
        middle, end = start + _FIELD, start + 2 * _FIELD
        if data[start:end].count(0) == end - start:
            if data[end:].strip(b"\0"):
                raise _MapError("its map is malformed")
            return False
        regions.append(
            (read_number(data[start:middle], "offset"), read_number(data[middle:end], "size"))
        )
    return True


def _check(regions: Iterable[Region], size: int, stored: int) -> None:
    """Check that the regions are in order, inside of the file, and what is stored."""
    position = total = 0
    for offset, length in regions:
        if offset < position:
            raise _MapError("its regions overlap, or are out of order")
        # GNU tar begins each region at a block; others put it right behind the one before.
        if length and total % BLOCK:
            raise _MapError("a region does not end with a block, and another one follows")
        total += length
        position = offset + length
    if position > size:
        raise _MapError(mismatch("it has data behind its end", size, position))
    if total != stored:
        what = "it has more or less data than its map says"
        raise _MapError(mismatch(what, total, stored))


def _expand(regions: Iterable[Region], size: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a file: `pieces` are those of its regions, one after the other."""
    position = taken = 0
    piece = b""
    for offset, length in regions:
        yield from _zeros(offset - position)
        position = offset + length
        while length:
            if taken == len(piece):
                piece, taken = next(pieces), 0
            part = piece[taken : taken + length]
            taken += len(part)
            length -= len(part)  # noqa: PLW2901 - what is left of the region
            yield part
    yield from _zeros(size - position)


def _zeros(count: int) -> Iterator[bytes]:
    while count >= len(_HOLE):
        yield _HOLE
        count -= len(_HOLE)
    if count:
        yield _HOLE[:count]
