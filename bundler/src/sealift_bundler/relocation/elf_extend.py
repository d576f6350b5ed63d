"""Give an executable a run path that it never had, without moving any byte of it.

Distributions link their Python to a libpython in a folder that the loader searches anyway. Such a
program gets its run path in what the linker left free: a spare entry of the dynamic table (GNU ld
leaves five) and the padding behind the segment that holds the strings.
"""

import io
import struct
from dataclasses import dataclass
from typing import Any

from sealift_bundler.relocation.elf import MALFORMED, Unpatchable, open_elf

_DT_NULL, _DT_STRTAB, _DT_STRSZ, _DT_RUNPATH = 0, 5, 10, 29
# The least size of a page in bytes: what shares one with the segment's end is mapped with it.
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class _Shape:
    """How 32 and 64 bits differ: a dynamic entry, a number, the sizes in a program header."""

    entry: struct.Struct
    number: struct.Struct
    file_size: int
    memory_size: int


def add_run_path(data: bytes, run_path: str) -> bytes:
    """Return the executable's bytes with `run_path` in a DT_RUNPATH of its own.

    Raises:
        Unpatchable: the linker left no room for it.
    """
    try:
        elf = open_elf(io.BytesIO(data))
        return _extend(elf, bytearray(data), run_path.encode("utf-8") + b"\0")
    except MALFORMED as error:
        raise Unpatchable(f"it is malformed ({error})") from error


def _extend(elf: Any, data: bytearray, string: bytes) -> bytes:
    shape = _shape(elf)
    slots = _dynamic_slots(elf, shape)
    entries = [shape.entry.unpack_from(data, slot) for slot in slots]
    free = next(number for number, (tag, _) in enumerate(entries) if tag == _DT_NULL)
    # The entry behind it ends the table from now on.
    if entries[free + 1 : free + 2] != [(_DT_NULL, 0)]:
        raise Unpatchable("its dynamic table has no spare entry")
    values = dict(entries[:free])
    number, segment = _segment_of(elf, values[_DT_STRTAB])
    offset, end = segment["p_offset"] + segment["p_filesz"], segment["p_vaddr"] + segment["p_memsz"]
    if not _is_free(elf, data, offset, len(string)) or segment["p_filesz"] != segment["p_memsz"]:
        raise Unpatchable("there is no padding behind its strings")
    if (end - 1) // _PAGE != (end + len(string) - 1) // _PAGE:
        raise Unpatchable("the padding behind its strings is too short")
    data[offset : offset + len(string)] = string
    header = elf["e_phoff"] + number * elf["e_phentsize"]
    shape.number.pack_into(data, header + shape.file_size, segment["p_filesz"] + len(string))
    shape.number.pack_into(data, header + shape.memory_size, segment["p_memsz"] + len(string))
    place = end - values[_DT_STRTAB]
    shape.entry.pack_into(data, slots[free], _DT_RUNPATH, place)
    sizes = next(slot for slot, (tag, _) in zip(slots, entries, strict=True) if tag == _DT_STRSZ)
    shape.entry.pack_into(data, sizes, _DT_STRSZ, place + len(string))
    return bytes(data)


def _shape(elf: Any) -> _Shape:
    order = "<" if elf.little_endian else ">"
    if elf.elfclass == 64:  # noqa: PLR2004 - bits
        return _Shape(struct.Struct(f"{order}qQ"), struct.Struct(f"{order}Q"), 32, 40)
    return _Shape(struct.Struct(f"{order}iI"), struct.Struct(f"{order}I"), 16, 20)


def _dynamic_slots(elf: Any, shape: _Shape) -> list[int]:
    for segment in elf.iter_segments("PT_DYNAMIC"):
        start = segment["p_offset"]
        end = start + segment["p_filesz"] // shape.entry.size * shape.entry.size
        return list(range(start, end, shape.entry.size))
    raise Unpatchable("it is linked statically")


def _segment_of(elf: Any, address: int) -> tuple[int, Any]:
    for number, segment in enumerate(elf.iter_segments()):
        start = segment["p_vaddr"]
        if segment["p_type"] == "PT_LOAD" and start <= address < start + segment["p_filesz"]:
            return number, segment
    raise Unpatchable("its strings are in no segment")


def _is_free(elf: Any, data: bytearray, offset: int, size: int) -> bool:
    """Say whether these bytes are zero and belong to nothing: no segment, no section, no table."""
    used = [(segment["p_offset"], segment["p_filesz"]) for segment in elf.iter_segments()]
    used += [
        (section["sh_offset"], section["sh_size"])
        for section in elf.iter_sections()
        if section["sh_type"] not in {"SHT_NOBITS", "SHT_NULL"}
    ]
    used.append((elf["e_shoff"], elf["e_shnum"] * elf["e_shentsize"]))
    if any(start < offset + size and offset < start + length for start, length in used):
        return False
    return data[offset : offset + size] == bytes(size)
