"""A strict reader of zip archives: members in the order of their data, by six methods.

Symbolic links are links here, as those who wrote them meant. What a member's own header says must
be what the list at the end says.
"""

import stat
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from sealift_installer.archives.central import (
    DESCRIPTOR,
    ENCRYPTED,
    LONG_MAX,
    UTF8,
    Record,
    extra_fields,
    read_at,
    read_central,
    zip64_values,
)
from sealift_installer.archives.members import Member, MemberType, check_path, check_target
from sealift_installer.archives.sniff import SNIFFED, describe
from sealift_installer.archives.source import ArchiveSource
from sealift_installer.archives.zip_methods import (
    CALLED,
    LZMA,
    READ,
    STORED,
    decode_lzma,
    find_method,
)
from sealift_installer.errors import Damaged, mismatch, printable
from sealift_installer.limits import LIMITS, MIB, Limits

_LOCAL = struct.Struct("<4s5H3L2H")
_EXECUTABLE = 0o111
_TOP = "./"  # the tree's own
_STEP = 256 * 1024
_MEANT = ENCRYPTED | DESCRIPTOR | UTF8


def read_zip(source: ArchiveSource, limits: Limits = LIMITS) -> Iterator[Member]:
    """Yield the members of the zip archive in `source`.

    Raises:
        Damaged: it is malformed, truncated or hostile, or has something before or behind it.
    """
    called = printable(source.name)
    try:
        with source.seekable() as file:
            yield from _Reader(file, called, limits).members()
        # Only a reader of the whole compares the whole file's hash.
        for _ in source.chunks():
            pass
    except Damaged as error:
        if error.message.startswith(called):
            raise
        raise Damaged(f"{called}: {error.message}", hint=error.hint) from None


class _Reader:
    def __init__(self, file: BinaryIO, called: str, limits: Limits) -> None:
        self._file = file
        self._called = called
        self._limits = limits

    def members(self) -> Iterator[Member]:
        self._file.seek(0)
        found = describe(self._file.read(SNIFFED))
        if found not in {"a zip archive", "an empty zip archive"}:
            raise Damaged(mismatch("it is not what its format says", "a zip archive", found))
        records, end = read_central(self._file, self._limits)
        for record in records:
            if self._limits.is_bomb(record.compressed, record.size):
                shown = printable(record.name)
                raise Damaged(
                    f"member '{shown}' of {record.compressed} bytes says that it unpacks to "
                    f"{record.size}"
                )
        unpacked = sum(record.size for record in records)
        if unpacked > self._limits.unpacked:
            raise Damaged(f"it unpacks to more than {self._limits.unpacked} bytes")
        if self._limits.is_bomb(end, unpacked):
            raise Damaged(f"{end} bytes of members say that they unpack to {unpacked}")
        # An index lists no top of the tree, and a target allows so many headers for what it lists.
        tops = sum(record.name == _TOP for record in records)
        headers, _ = self._limits.share(len(records) - tops, unpacked)
        if len(records) > headers:
            raise Damaged(f"it has more than {headers} members")
        starts = [*(record.offset for record in records), end]
        if starts[0] != 0:
            raise Damaged("there is something before its first member")
        for record, behind in zip(records, starts[1:], strict=True):
            member = self._member(record, behind)
            if member is not None:
                yield member

    def _member(self, record: Record, behind: int) -> Member | None:
        shown = printable(record.name)
        if record.method not in READ:
            name = CALLED.get(record.method, "an unknown one")
            raise Damaged(
                f"member '{shown}' is compressed by method {record.method}, {name}, which is not "
                f"read"
            )
        if record.method == STORED and record.compressed != record.size:
            raise Damaged(f"member '{shown}' is stored, and has two sizes")
        data = self._data(record, self._span(record, behind))
        kind = _kind(record)
        if kind == "directory" and record.size:
            raise Damaged(f"member '{shown}' is a directory and has a size")
        if record.name == _TOP:
            return None
        name = record.name[:-1] if kind == "directory" else record.name
        name = name.removeprefix("./")
        check_path(name, self._limits)
        if kind == "file":
            executable = record.mode & _EXECUTABLE != 0
            return Member(name, kind, record.size, executable, "", data)
        target = ""
        if kind == "link":
            if record.size > self._limits.link_target:
                raise Damaged(f"the target of the link '{shown}' is too long")
            target = b"".join(data).decode("utf-8", "surrogateescape")
            check_target(target, self._limits)
        return Member(name, kind, 0, False, target, iter(()))  # noqa: FBT003 - a record's field

    def _span(self, record: Record, behind: int) -> tuple[int, bytes]:
        """Check a member's own header; return where its data begins, and the first piece of it.

        `behind` is where the next member begins: this one must fill the space up to there.
        """
        shown = printable(record.name)
        room = behind - record.offset
        if room < _LOCAL.size + len(record.raw_name) + record.compressed:
            raise Damaged(f"member '{shown}' overlaps what follows it")
        piece = read_at(self._file, record.offset, min(room, _STEP))
        signature, _, flags, method, _, _, checksum, compressed, size, named, extra = (
            _LOCAL.unpack_from(piece)
        )
        head = _LOCAL.size + named + extra
        if signature != b"PK\x03\x04" or head > len(piece):
            raise Damaged(f"member '{shown}' is not where the list says")
        fields = extra_fields(piece[_LOCAL.size + named : head])
        size, compressed = zip64_values(fields, (size, compressed))
        here = (piece[_LOCAL.size : _LOCAL.size + named], flags & _MEANT, method)
        if here != (record.raw_name, record.flags & _MEANT, record.method):
            raise Damaged(f"member '{shown}' is another one in its own header than in the list")
        values = (checksum, compressed, size)
        listed = (record.checksum, record.compressed, record.size)
        # Writers that cannot go back leave zeros, and put the values behind the data.
        later = record.flags & DESCRIPTOR and all(
            value in (0, known) for value, known in zip(values, listed, strict=True)
        )
        if values != listed and not later:
            raise Damaged(
                mismatch(
                    f"member '{shown}' has other sizes or another checksum in its own header",
                    listed,
                    values,
                )
            )
        start = record.offset + head
        self._check_descriptor(record, start + record.compressed, behind)
        return start, piece[head : head + record.compressed]

    def _check_descriptor(self, record: Record, start: int, behind: int) -> None:
        """Check what stands between a member's data and the next member (4.3.9)."""
        if start == behind:
            # Some writers set the flag and know the sizes: then there is nothing.
            return
        allowed = set()
        if record.flags & DESCRIPTOR:
            for width in ("L", "Q") if max(record.size, record.compressed) <= LONG_MAX else ("Q",):
                values = struct.pack(f"<L2{width}", record.checksum, record.compressed, record.size)
                allowed |= {values, b"PK\x07\x08" + values}
        if behind < start or behind - start > max(map(len, allowed), default=0):
            raise Damaged(
                f"there is something behind the data of member '{printable(record.name)}'"
            )
        if read_at(self._file, start, behind - start) not in allowed:
            raise Damaged(
                f"the descriptor of member '{printable(record.name)}' contradicts the list"
            )

    def _data(self, record: Record, span: tuple[int, bytes]) -> Iterator[bytes]:
        """Yield a member's bytes; at the end, size and checksum are compared."""
        pieces = self._pieces(record, span)
        if record.method != STORED:
            pieces = self._decompress(record, pieces)
        checksum = size = 0
        for piece in pieces:
            checksum = zlib.crc32(piece, checksum)
            size += len(piece)
            if size > record.size:
                break
            yield piece
        if (size, checksum) != (record.size, record.checksum):
            raise Damaged(
                mismatch(
                    f"{self._called}: member '{printable(record.name)}' is damaged",
                    f"{record.size} bytes, CRC {record.checksum:08x}",
                    f"{size} bytes, CRC {checksum:08x}",
                )
            )

    def _pieces(self, record: Record, span: tuple[int, bytes]) -> Iterator[bytes]:
        start, piece = span
        left = record.compressed
        while left:
            piece = piece or read_at(self._file, start, min(left, _STEP))
            yield piece
            start += len(piece)
            left -= len(piece)
            piece = b""

    def _decompress(self, record: Record, pieces: Iterator[bytes]) -> Iterator[bytes]:
        what = f"{self._called}: member '{printable(record.name)}'"
        if record.method == LZMA:
            try:
                yield from decode_lzma(pieces, record.size, self._limits, ends=record.ends)
            except Damaged as error:
                raise Damaged(f"{what}: {error.message}") from None
            return
        codec = find_method(record.method, self._limits)
        decoder = codec.make()
        ended = False
        for piece in pieces:
            data = piece
            while data or not (ended or decoder.needs_input):
                if ended:
                    raise Damaged(f"{what} has something behind its compressed data")
                try:
                    yield decoder.decompress(data, MIB)
                except codec.errors as error:
                    raise Damaged(f"{what} cannot be decompressed: {error}") from None
                ended = decoder.eof
                data = decoder.unused_data if ended else b""
        if not ended:
            raise Damaged(f"{what} is truncated")


def _kind(record: Record) -> MemberType:
    """Return what a member is; a mode, where one is given, and the slash must agree."""
    form = stat.S_IFMT(record.mode)
    slash = record.name.endswith("/")
    if form == stat.S_IFLNK and not slash:
        return "link"
    if form in {0, stat.S_IFDIR} and slash:
        return "directory"
    if form in {0, stat.S_IFREG} and not slash:
        return "file"
    shown = printable(record.name)
    raise Damaged(f"member '{shown}' is of a type that its name denies or nobody supports")
