"""Tar headers, strictly: ustar and pax (POSIX.1-2017, pax, "ustar Interchange Format") and GNU's.

What two readers could read in two ways is refused instead of decided: signed checksums, signs and
spaces inside of numbers, a path that is given twice, records whose length lies.
"""

import re
import struct
from functools import lru_cache
from typing import NamedTuple
from zlib import adler32

from sealift_installer.archives.blocks import BLOCK
from sealift_installer.errors import Damaged, printable

# name, mode, size, checksum, type, link name, magic with version, prefix
_FIELDS = struct.Struct("100s8s16x12s12x8sc100s8s80x155s12x")
# name, mode, size, checksum, type, link name, magic with version, first byte of the prefix
_PLAIN = struct.Struct("100s8s16x12s12x8sc100s8s80xc")
_HALF = BLOCK // 2
_POSIX = b"ustar\x0000"
_GNU = b"ustar  \x00"
_BEFORE_POSIX = bytes(8)
# The high bit of a number's first byte marks a binary number; GNU tar writes it for large ones.
_BINARY = 0x80
_LENGTH = re.compile(rb"[1-9][0-9]{0,9} ")
_PATHS = frozenset({"path", "linkpath", "size"})
# Under this key, which no record can have, stand all bytes of an extended header that is one of a
# file with holes, by the words of GNU, star or Solaris: its payload is not the file's bytes.
SPARSE = "="
_OF_HOLES = ("GNU.sparse.", "SCHILY.realsize", "SUN.holesdata")


class Header(NamedTuple):
    """One header block: names as they stand there, numbers read. `size` is in bytes."""

    name: bytes
    type: bytes
    size: int
    mode: int
    link: bytes
    old: bool


def read_header(block: bytes) -> Header:
    """Read a block that is not all zeros.

    Raises:
        Damaged: it is no tar header, or a malformed one.
    """
    if len(block) != BLOCK:
        raise Damaged("it is truncated: the end marker is missing")
    name, mode, size, checksum, kind, link, magic, prefix = _FIELDS.unpack(block)
    if magic not in (_POSIX, _GNU, _BEFORE_POSIX):
        raise Damaged("a header has none of the known magics")
    if _sum(block) != _expected_sum(checksum):
        raise Damaged("a header's checksum is wrong")
    name = name.partition(b"\0")[0]
    if prefix[0] and magic == _POSIX:
        name = prefix.partition(b"\0")[0] + b"/" + name
    return Header(
        name,
        kind,
        read_number(size, "size"),
        read_number(mode, "mode"),
        link.partition(b"\0")[0],
        magic == _BEFORE_POSIX,
    )


def is_plain(buffer: bytes, start: int, name: str, size: int | None, link: str = "") -> bool:
    """Tell whether the header at `start` is, by itself, that of this file or link.

    A file has a size; None is asked for a symbolic link, to `link`. It is what `read_header` would
    find, for nine of ten members in a third of the time. Where the answer is no, it may still be
    such a member.
    """
    found, mode, length, checksum, kind, target, magic, prefix = _PLAIN.unpack_from(buffer, start)
    if not name.isascii() or found.partition(b"\0")[0] != name.encode():
        return False
    if magic != _GNU and (magic != _POSIX or prefix != b"\0"):
        return False
    if size is None:
        if kind != b"2" or not link.isascii() or target.partition(b"\0")[0] != link.encode():
            return False
    elif kind != b"0":
        return False
    if _sum(buffer[start : start + BLOCK]) != _expected_sum(checksum):
        return False
    read_number(mode, "mode")
    return read_number(length, "size") == (size or 0)


def read_records(data: bytes) -> dict[str, bytes]:
    """Read pax records, `LENGTH KEYWORD=VALUE` and a newline each (pax, "Extended Header").

    Raises:
        Damaged: malformed; a path, link path or size twice or empty.
    """
    records: dict[str, bytes] = {}
    position = 0
    while position < len(data):
        match = _LENGTH.match(data, position)
        if match is None:
            raise Damaged("an extended header has a record without a length")
        end = position + int(match[0])
        keyword, equals, value = data[match.end() : end - 1].partition(b"=")
        if data[end - 1 : end] != b"\n" or not equals or not keyword:
            raise Damaged("an extended header has a malformed record")
        key = keyword.decode("utf-8", "surrogateescape")
        if key.startswith(_OF_HOLES):
            records[SPARSE] = data
        if key in _PATHS and (key in records or not value):
            raise Damaged(f"an extended header has the record {key} twice or empty")
        records[key] = value
        position = end
    return records


def decimal(value: bytes) -> int:
    """Return the number that a pax record's value is.

    Raises:
        Damaged: it is none.
    """
    if not value.isdigit() or len(value) > 19:  # noqa: PLR2004 - the digits of 2**63
        raise Damaged(f"an extended header has a size that is no number: '{printable(value[:40])}'")
    return int(value)


@lru_cache(maxsize=4096)  # modes and sizes come again and again
def read_number(field: bytes, what: str) -> int:
    """Read an octal number, or GNU's binary one; not `int`, which takes signs and underscores."""
    text = field.lstrip(b" ").rstrip(b" \0")
    if text.isdigit():
        try:
            return int(text, 8)
        except ValueError:
            pass
    elif field[0] == _BINARY:
        return int.from_bytes(field[1:], "big")
    raise Damaged(f"a header's {what} is no number: '{printable(field)}'")


def _sum(block: bytes) -> int:
    """Return the sum of a header's bytes.

    The low half of Adler-32 is one more than the sum modulo 65521, and 256 bytes cannot reach
    that: it adds 30 times faster than `sum`.
    """
    return (adler32(block[:_HALF]) & 0xFFFF) + (adler32(block[_HALF:]) & 0xFFFF) - 2


@lru_cache(maxsize=4096)
def _expected_sum(checksum: bytes) -> int:
    """Return the sum of all bytes of a header with this checksum, which counts itself as spaces."""
    return read_number(checksum, "checksum") + sum(checksum) - len(checksum) * ord(" ")
