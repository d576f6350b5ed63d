"""The list of members at the end of a zip archive, read strictly (APPNOTE.TXT 6.3.10, section 4).

A zip archive says everything twice, in this list and before each member, and its end is searched
for: two readers can see two archives in one file. So the end must be where the file ends, the list
must stand right before it, and the members must fill the rest of the file without gap or overlap.
"""

import struct
from typing import BinaryIO

from sealift_installer.errors import Damaged, mismatch, printable
from sealift_installer.limits import Limits
from sealift_schemas.lean import dataclass

END = b"PK\x05\x06"
_END = struct.Struct("<4s4H2LH")
_END_64_LOCATOR = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_RECORD = struct.Struct("<4s6H3L5H2L")
_LONGEST_COMMENT = 0xFFFF
# Fields with all bits set stand in the zip64 extra field instead (4.5.3).
SHORT_MAX = 0xFFFF
LONG_MAX = 0xFFFFFFFF
_ZIP64 = 0x0001
_UNICODE_PATH = 0x7075

ENCRYPTED = 0x0001
DESCRIPTOR = 0x0008
# What bit 1 means for method 14, LZMA (4.4.4).
_END_MARK = 0x0002
_LZMA = 14
_PATCHED = 0x0020
_STRONG = 0x0040
UTF8 = 0x0800
_MASKED = 0x2000
# Whose upper 16 bits of the external attributes are a POSIX mode: Unix and macOS (4.4.2).
_POSIX_SYSTEMS = (3, 19)


@dataclass(frozen=True, slots=True)
class Record:
    """What the list says about one member. Sizes and offset are in bytes; `mode` is POSIX or 0."""

    raw_name: bytes
    name: str
    flags: int
    method: int
    checksum: int
    compressed: int
    size: int
    offset: int
    mode: int

    @property
    def ends(self) -> bool:
        """Whether its compressed data says itself where it ends."""
        return self.method != _LZMA or self.flags & _END_MARK != 0


def read_central(file: BinaryIO, limits: Limits) -> tuple[list[Record], int]:
    """Return the members in the order of their data, and the offset where that ends.

    Raises:
        Damaged: the list is malformed, elsewhere, too long, or ambiguous.
    """
    count, size, offset = _find(file)
    if count > limits.members:
        raise Damaged(f"it has more than {limits.members} members")
    if size > limits.central_directory:
        raise Damaged(
            mismatch(
                "its list of members is too long", f"at most {limits.central_directory} bytes", size
            )
        )
    data = read_at(file, offset, size)
    records = []
    position = 0
    for _ in range(count):
        record, position = _record(data, position)
        records.append(record)
    if position != size:
        raise Damaged("its list of members has another length than its end says")
    records.sort(key=lambda record: record.offset)
    return records, offset


def read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    """Return exactly `size` bytes.

    Raises:
        Damaged: there are not as many.
    """
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise Damaged("it is truncated")
    return data


def extra_fields(data: bytes) -> dict[int, bytes]:
    """Take an extra field apart (4.5.1).

    Raises:
        Damaged: malformed, or one kind is there twice.
    """
    fields: dict[int, bytes] = {}
    position = 0
    while position < len(data):
        # Some writers pad with up to three zeros, to align what follows.
        if len(data) - position < 4:  # noqa: PLR2004 - the length of a field's header
            if data[position:].strip(b"\0"):
                raise Damaged("a member has a malformed extra field")
            break
        kind, size = struct.unpack_from("<2H", data, position)
        position += 4
        if kind in fields or position + size > len(data):
            raise Damaged("a member has a malformed extra field")
        fields[kind] = data[position : position + size]
        position += size
    return fields


def zip64_values(fields: dict[int, bytes], values: tuple[int, ...]) -> list[int]:
    """Return `values`, those that are too large for their field taken from the zip64 one.

    Raises:
        Damaged: there are fewer than needed.
    """
    extra = fields.get(_ZIP64, b"")
    position = 0
    result = []
    for value in values:
        if value == LONG_MAX:
            if position + 8 > len(extra):
                raise Damaged("a member's zip64 field is too short")
            value = int.from_bytes(extra[position : position + 8], "little")  # noqa: PLW2901
            position += 8
        result.append(value)
    return result


def _find(file: BinaryIO) -> tuple[int, int, int]:
    """Return how many members the list has, its size and its offset."""
    length = file.seek(0, 2)
    tail = min(length, _END.size + _LONGEST_COMMENT)
    data = read_at(file, length - tail, tail)
    start = data.rfind(END)
    if start < 0:
        raise Damaged("it is truncated, or there is something behind its end")
    if len(data) - start < _END.size:
        raise Damaged("it is truncated inside of its end")
    _, disk, first_disk, here, count, size, offset, comment = _END.unpack_from(data, start)
    if start + _END.size + comment != len(data):
        raise Damaged("there is something behind its end, or it is truncated")
    # An earlier mark whose comment would reach as far: which one is the end depends on the reader.
    earlier = data.rfind(END, 0, start)
    while earlier >= 0:
        if earlier + _END.size + int.from_bytes(data[earlier + 20 : earlier + 22], "little") == len(
            data
        ):
            raise Damaged("it has two ends, of which each reader may take another")
        earlier = data.rfind(END, 0, earlier)
    end = length - tail + start
    locator = _locator(file, end)
    if locator is not None:
        disk, first_disk, here, count, size, offset, end = _end_64(
            file, locator, (here, count, size, offset), end
        )
    if disk or first_disk or here != count:
        raise Damaged("it is a part of an archive of several volumes")
    if offset + size != end:
        raise Damaged("its list of members is not where its end says")
    return count, size, offset


def _locator(file: BinaryIO, end: int) -> int | None:
    """Return where the zip64 end is, if there is one."""
    if end < _END_64_LOCATOR.size:
        return None
    data = read_at(file, end - _END_64_LOCATOR.size, _END_64_LOCATOR.size)
    signature, disk, offset, disks = _END_64_LOCATOR.unpack(data)
    if signature != b"PK\x06\x07":
        return None
    if disk or disks != 1:
        raise Damaged("it is a part of an archive of several volumes")
    return int(offset)


def _end_64(
    file: BinaryIO, locator: int, short: tuple[int, int, int, int], end: int
) -> tuple[int, int, int, int, int, int, int]:
    start = end - _END_64_LOCATOR.size - _END_64.size
    if locator != start:
        raise Damaged("its zip64 end is not where the locator says")
    signature, length, _, _, disk, first_disk, *long = _END_64.unpack(
        read_at(file, start, _END_64.size)
    )
    if signature != b"PK\x06\x06" or length != _END_64.size - 12:
        raise Damaged("its zip64 end is malformed")
    full = (SHORT_MAX, SHORT_MAX, LONG_MAX, LONG_MAX)
    if any(a not in (b, most) for a, b, most in zip(short, long, full, strict=True)):
        raise Damaged("its two ends contradict each other")
    here, count, size, offset = long
    return disk, first_disk, here, count, size, offset, start


def _record(data: bytes, position: int) -> tuple[Record, int]:
    """Read the record at `position`; return it and the position behind it."""
    if position + _RECORD.size > len(data):
        raise Damaged("its list of members is truncated")
    (
        signature,
        made_by,
        _,
        flags,
        method,
        _,
        _,
        checksum,
        compressed,
        size,
        name_length,
        extra_length,
        comment_length,
        disk,
        _,
        attributes,
        offset,
    ) = _RECORD.unpack_from(data, position)
    names = position + _RECORD.size
    extras = names + name_length
    behind = extras + extra_length + comment_length
    if signature != b"PK\x01\x02" or behind > len(data):
        raise Damaged("its list of members is malformed")
    if disk:
        raise Damaged("it is a part of an archive of several volumes")
    raw_name = data[names:extras]
    fields = extra_fields(data[extras : extras + extra_length])
    size, compressed, offset = zip64_values(fields, (size, compressed, offset))
    mode = attributes >> 16 if made_by >> 8 in _POSIX_SYSTEMS else 0
    name = _name(raw_name, flags, fields)
    record = Record(raw_name, name, flags, method, checksum, compressed, size, offset, mode)
    return record, behind


def _name(raw_name: bytes, flags: int, fields: dict[int, bytes]) -> str:
    name = raw_name.decode("utf-8", "surrogateescape")
    if flags & (ENCRYPTED | _PATCHED | _STRONG | _MASKED):
        raise Damaged(f"member '{printable(name)}' is encrypted or a patch")
    if not flags & UTF8 and not raw_name.isascii():
        raise Damaged(f"the name of member '{printable(name)}' is in an unknown encoding")
    if _UNICODE_PATH in fields and fields[_UNICODE_PATH][5:] != raw_name:
        raise Damaged(f"member '{printable(name)}' has two names")
    return name
