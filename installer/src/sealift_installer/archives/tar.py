"""A strict reader of tar archives. Not the standard library's, which is lenient and slow.

Regular files, links, hard links and directories are read, files with holes too; devices, FIFOs and
types that nobody knows are refused. The stream is read to its end: two blocks of zeros, then zeros
alone.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from sealift_installer.archives.blocks import BLOCK, Blocks
from sealift_installer.archives.headers import (
    SPARSE,
    Header,
    decimal,
    is_plain,
    read_header,
    read_records,
)
from sealift_installer.archives.members import (
    Member,
    MemberType,
    PathChecker,
    check_path,
    check_target,
)
from sealift_installer.archives.sniff import describe
from sealift_installer.errors import Damaged, mismatch, printable
from sealift_installer.limits import LIMITS, Limits

if TYPE_CHECKING:
    from sealift_installer.archives.sparse import SparseReader

_TYPES: dict[bytes, MemberType] = {
    b"0": "file",
    b"\0": "file",
    b"1": "hardlink",
    b"2": "link",
    b"5": "directory",
}
_REFUSED = {
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a FIFO",
    b"7": "a contiguous file",
    b"D": "a GNU dump directory",
    b"M": "a part of a file of several volumes",
    b"V": "a volume label",
}
# Headers that say more about the member behind them: pax, and GNU's long name and long link.
_EXTENDED = {b"x": "", b"L": "path", b"K": "linkpath"}
_ZEROS = bytes(BLOCK)
_EXECUTABLE = 0o111


def _limit(chunks: Iterator[bytes], most: int) -> Iterator[bytes]:
    """Yield chunks as long as they are `most` bytes together, headers and padding included."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise Damaged(f"it unpacks to more than {most} bytes")
        yield chunk


class TarReader:
    """Iterates over the members of the tar archive in `chunks`, which messages call `name`.

    Raises:
        Damaged: it is malformed, truncated or hostile, or has something behind its end.
    """

    def __init__(self, chunks: Iterator[bytes], name: str, limits: Limits = LIMITS) -> None:
        self._name = printable(name)
        self._blocks = Blocks(_limit(chunks, limits.stream), self._name)
        self._limits = limits
        self._check_path = PathChecker(limits).check
        self._count = 0
        self._unpacked = 0
        # What of both is said of other members, and is no member of the index.
        self._aside = 0
        self._aside_bytes = 0
        self._sparse: SparseReader | None = None
        self._members = self._read()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Member:
        try:
            return next(self._members)
        except Damaged as error:
            if error.message.startswith(self._name):
                raise
            raise Damaged(f"{self._name}: {error.message}", hint=error.hint) from None

    def take(self, name: str, size: int) -> memoryview | None:
        """Take the next member if it is a file of this name and size, and return its bytes.

        None where it is not, or it takes a second look to say so: then nothing was taken, and what
        it is comes from the iterator.
        """
        if self._unpacked + size > self._limits.unpacked or not self._fits(name, size):
            return None
        self._unpacked += size
        return self._blocks.take(size)

    def take_link(self, name: str, target: str) -> bool:
        """Take the next member if it is a symbolic link of this name and target, as `take` does."""
        if not self._fits(name, None, target):
            return False
        self._blocks.take(0)
        return True

    def _fits(self, name: str, size: int | None, target: str = "") -> bool:
        """Tell whether the next member is beyond doubt such a one; then it counts as read."""
        at_hand = self._blocks.at_hand(size or 0)
        if at_hand is None or not 0 < self._count < self._limits.members:
            return False
        try:
            if not is_plain(*at_hand, name, size, target):
                return False
            self._check_path(name)
            if size is None:
                check_target(target, self._limits)
        except Damaged:
            return False  # the iterator says so
        self._count += 1
        return True

    def _read(self) -> Iterator[Member]:
        records: dict[str, bytes] = {}  # what extended headers said about the next member
        extended = False
        read_block = self._blocks.header
        most = self._limits.members
        while (block := read_block()) != _ZEROS:
            header = read_header(block) if self._count else self._first(block)
            self._count += 1
            if self._count > most:
                raise Damaged(f"it has more than {most} members")
            if header.size:
                self._charge(header.size)
            if header.type in _EXTENDED:
                extended = True
                _merge(records, self._extended(header))
            elif header.type == b"g":
                self._global(header, extended=extended)
            else:
                member = self._member(header, block, records)
                records, extended = {}, False
                if member is not None:
                    yield member
        if extended:
            raise Damaged("it ends behind an extended header, without the member")
        self._end()

    def _first(self, block: bytes) -> Header:
        """Read the first header; what it is instead is said, where it is something else."""
        try:
            return read_header(block)
        except Damaged:
            found = describe(block)
            if found in {"a tar archive", "zeros", "nothing"}:
                raise
            raise Damaged(mismatch("it is no tar archive", "a tar archive", found)) from None

    def _charge(self, size: int) -> None:
        self._unpacked += size
        if self._unpacked > self._limits.unpacked:
            raise Damaged(f"it unpacks to more than {self._limits.unpacked} bytes")

    def _charge_aside(self, size: int) -> None:
        self._charge(size)
        self._aside_bytes += size

    def _extended(self, header: Header) -> dict[str, bytes]:
        if header.size > self._limits.extended_header:
            raise Damaged(
                mismatch(
                    "an extended header is too long",
                    f"at most {self._limits.extended_header} bytes",
                    header.size,
                )
            )
        self._aside += 1
        self._aside_bytes += header.size
        data = self._blocks.whole(header.size)
        keyword = _EXTENDED[header.type]
        return {keyword: data.rstrip(b"\0")} if keyword else read_records(data)

    def _global(self, header: Header, *, extended: bool) -> None:
        """Skip a header for all members behind it: times, owners, the comment of `git archive`.

        No honest archive gives all its members one path or one size.
        """
        if extended:
            raise Damaged("a global header stands between an extended header and its member")
        records = self._extended(Header(b"", b"x", header.size, 0, b"", old=False))
        if not records.keys().isdisjoint(("path", "linkpath", "size", SPARSE)):
            raise Damaged("a global header names a path or a size")

    def _member(self, header: Header, block: bytes, records: dict[str, bytes]) -> Member | None:
        name = records.get("path", header.name).decode("utf-8", "surrogateescape")
        kind = _TYPES.get(header.type)
        size = header.size
        if kind is None or (records and SPARSE in records):
            return self._unusual(header, block, records, name)
        if records and "size" in records:
            size = decimal(records["size"])
            self._charge(size - header.size)
        if header.old and kind == "file" and name.endswith("/"):
            kind = "directory"
        if kind != "file" and size:
            raise Damaged(f"member '{printable(name)}' is a {kind} and has a size")
        if kind == "directory":
            name = name.removesuffix("/")
            if name == ".":
                self._aside += 1
                return None  # the tree's own top, as `tar -c .` writes it
        if name.startswith("./"):
            name = _plain(name)
        self._check_path(name)
        if kind == "file":
            executable = header.mode & _EXECUTABLE != 0
            return Member(name, kind, size, executable, "", self._blocks.payload(size))
        target = ""
        if kind != "directory":
            target = records.get("linkpath", header.link).decode("utf-8", "surrogateescape")
            target = self._target(name, kind, target)
        return Member(name, kind, 0, executable=False, target=target, data=iter(()))

    def _unusual(
        self, header: Header, block: bytes, records: dict[str, bytes], name: str
    ) -> Member:
        """Return a file with holes; what else is no ordinary member is refused."""
        if header.type != b"S" and _TYPES.get(header.type) != "file":
            what = _REFUSED.get(header.type, f"of the unknown type '{printable(header.type)}'")
            raise Damaged(f"member '{printable(name)}' is {what}, which is not supported")
        if self._sparse is None:
            from sealift_installer.archives.sparse import SparseReader

            self._sparse = SparseReader(self._blocks, self._limits)
        found = self._sparse.read(header, block, records, name)
        self._charge(found.size - header.size)
        self._charge_aside(found.map_size)
        name = _plain(found.name)
        self._check_path(name)
        executable = header.mode & _EXECUTABLE != 0
        return Member(name, "file", found.size, executable, "", found.data)

    def _target(self, name: str, kind: MemberType, link: str) -> str:
        if kind == "link":
            check_target(link, self._limits)
            return link
        link = _plain(link)
        try:
            check_path(link, self._limits)
        except Damaged as error:
            raise Damaged(f"hard link '{printable(name)}': {error.message}") from None
        return link

    def _end(self) -> None:
        """Check that a second block of zeros follows, and zeros alone behind it."""
        if self._blocks.header() != _ZEROS:
            raise Damaged("there is one block of zeros where the end marker has two")
        padding = 0
        for chunk in self._blocks.rest():
            if chunk.count(0) != len(chunk):
                raise Damaged("there is something behind its end")
            padding += len(chunk)
            if padding > self._limits.padding:
                raise Damaged(f"more than {self._limits.padding} bytes of zeros follow its end")
        self._check_share(padding)

    def _check_share(self, padding: int) -> None:
        """Refuse what would not be within the limits that follow from an index of the members.

        So what a target refuses is refused by the bundler, which has no index yet.
        """
        members = self._count - self._aside
        headers, stream = self._limits.share(members, self._unpacked - self._aside_bytes)
        if self._count > headers:
            raise Damaged(f"it has more than {headers} members")
        # A header takes a block, and its payload may be filled up to the next one.
        if self._unpacked + 2 * BLOCK * (self._count + 1) + padding > stream:
            raise Damaged(f"it unpacks to more than {stream} bytes")


def _plain(name: str) -> str:
    """Drop a leading `./`; any other dot is refused with the path."""
    return name.removeprefix("./")


def _merge(records: dict[str, bytes], more: dict[str, bytes]) -> None:
    """Add what a second extended header says; a name given twice could be read in two ways."""
    if not records.keys().isdisjoint(more):
        raise Damaged("two extended headers say the same of one member")
    records.update(more)
