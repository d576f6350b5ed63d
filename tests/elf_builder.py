"""Builds small 64-bit shared objects, so that tests need no compiler."""

import struct
from collections.abc import Mapping, Sequence

_TAGS = {
    "NEEDED": 1,
    "HASH": 4,
    "STRTAB": 5,
    "SYMTAB": 6,
    "STRSZ": 10,
    "SYMENT": 11,
    "SONAME": 14,
    "RPATH": 15,
    "RUNPATH": 29,
    "VERNEED": 0x6FFFFFFE,
    "VERNEEDNUM": 0x6FFFFFFF,
}
_HEADER = 64
_SEGMENT = 56


def build_elf(
    strings: bytes,
    tags: Sequence[tuple[str, int]],
    symbols: Sequence[int] = (),
    version_names: Mapping[int, int] | None = None,
    spare: int = 0,
) -> bytes:
    """Return an x86-64 shared object.

    Args:
        strings: the whole of .dynstr.
        tags: dynamic tags with the offset of their string.
        symbols: the offset of each dynamic symbol's name.
        version_names: offset of a library's name to that of the version wanted of it.
        spare: how many entries the dynamic table has free.
    """
    place = _HEADER + 2 * _SEGMENT
    strtab, place = place, place + len(strings)
    place += -place % 8
    symtab, place = place, place + 24 * (len(symbols) + 1)
    table, place = place, place + 4 * (3 + len(symbols) + 1)
    versions = b"".join(
        struct.pack("<HHIII", 1, 1, library, 16, 0) + struct.pack("<IHHII", 0, 0, 2, version, 0)
        for library, version in (version_names or {}).items()
    )
    verneed, place = place, place + len(versions)
    place += -place % 8
    entries = [(_TAGS[name], value) for name, value in tags]
    entries += [(_TAGS["STRTAB"], strtab), (_TAGS["STRSZ"], len(strings))]
    entries += [(_TAGS["SYMTAB"], symtab), (_TAGS["SYMENT"], 24), (_TAGS["HASH"], table)]
    entries += [(_TAGS["VERNEED"], verneed), (_TAGS["VERNEEDNUM"], 1)] if versions else []
    dynamic = b"".join(struct.pack("<QQ", *entry) for entry in [*entries, *[(0, 0)] * (1 + spare)])
    size = place + len(dynamic)
    identity = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    counts = (_HEADER, _SEGMENT, 2, 64, 0, 0)
    parts = {
        0: struct.pack("<16sHHIQQQIHHHHHH", identity, 3, 62, 1, 0, _HEADER, 0, 0, *counts),
        _HEADER: struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 4096)
        + struct.pack("<IIQQQQQQ", 2, 6, place, place, place, len(dynamic), len(dynamic), 8),
        strtab: strings,
        symtab: b"".join(struct.pack("<IBBHQQ", name, 0x12, 0, 1, 0, 0) for name in (0, *symbols)),
        table: struct.pack("<III", 1, len(symbols) + 1, 0) + bytes(4 * (len(symbols) + 1)),
        verneed: versions,
        place: dynamic,
    }
    image = bytearray(size)
    for offset, data in parts.items():
        image[offset : offset + len(data)] = data
    return bytes(image)
