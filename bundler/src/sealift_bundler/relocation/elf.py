"""Run paths of ELF files: read them, and rewrite them in place.

A run path (DT_RUNPATH, DT_RPATH) is a string of .dynstr. The linker lets strings share their tails,
so a string is overwritten only when nothing else refers into it; the file never changes its size.
"""

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

MAGIC = b"\x7fELF"
# What pyelftools lets through when a file is malformed.
MALFORMED = (
    ELFError,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
_RUN_PATHS = ("DT_RPATH", "DT_RUNPATH")
_STRINGS = ("DT_NEEDED", "DT_SONAME", "DT_AUXILIARY", "DT_FILTER", "DT_AUDIT", "DT_DEPAUDIT")


# A file can say that it has far more of these than it has bytes for, or one of them many times.
_MOST_SEGMENTS = 1_000
_MOST_SECTIONS = 100_000
_MOST_TAGS = 100_000
_MOST_VERSIONS = 100_000


class Unpatchable(Exception):
    """A run path cannot be rewritten in place; the message says why."""


@dataclass(frozen=True, slots=True)
class ElfFacts:
    """What the dynamic loader reads of a file.

    `machine` is e_machine's name as pyelftools spells it (`EM_X86_64`), `bits` 32 or 64,
    `interpreter` the dynamic loader that an executable asks for, `run_path` the entries of its
    run paths.
    """

    machine: str
    bits: int
    interpreter: str | None
    needed: tuple[str, ...]
    soname: str | None
    run_path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _RunPath:
    """One run path: where its string starts in the file, and its bytes."""

    offset: int
    value: bytes


def open_elf(stream: BinaryIO) -> Any:
    """Return pyelftools' view of a file.

    Raises:
        ELFError: it has more headers than any file that a linker makes.
        Exception: one of MALFORMED, or another one, as pyelftools likes.
    """
    elf: Any = ELFFile(stream)
    if elf.num_segments() > _MOST_SEGMENTS or elf.num_sections() > _MOST_SECTIONS:
        raise ELFError("it says that it has thousands of headers")
    return elf


def read_elf(data: bytes) -> ElfFacts | None:
    """Return the facts of an ELF file, or None for any other and for a malformed one."""
    if not data.startswith(MAGIC):
        return None
    try:
        return _facts(open_elf(io.BytesIO(data)))
    except MALFORMED:
        return None


def rewrite_run_paths(data: bytes, change: Callable[[str], str]) -> bytes:
    """Return the ELF file's bytes with each entry of its run paths changed by `change`.

    Args:
        data: the whole file; what is no ELF file is returned as it is.
        change: gets an entry, returns what is to stand there.

    Raises:
        Unpatchable: the new run path is longer than the old one, or its string is shared.
    """
    if not data.startswith(MAGIC):
        return data
    try:
        return _rewrite(data, change)
    except MALFORMED as error:
        raise Unpatchable(f"it is malformed ({error})") from error


def _facts(elf: Any) -> ElfFacts:
    needed: list[str] = []
    run_path: list[str] = []
    soname = None
    for tag in _dynamic_tags(elf):
        name = tag.entry.d_tag
        if name == "DT_NEEDED":
            needed.append(tag.needed)
        elif name == "DT_SONAME":
            soname = tag.soname
        elif name in _RUN_PATHS:
            value = tag.runpath if name == "DT_RUNPATH" else tag.rpath
            run_path.extend(entry for entry in value.split(":") if entry)
    interpreters = [segment.get_interp_name() for segment in elf.iter_segments("PT_INTERP")]
    return ElfFacts(
        machine=str(elf["e_machine"]),
        bits=elf.elfclass,
        interpreter=interpreters[0] if interpreters else None,
        needed=tuple(needed),
        soname=soname,
        run_path=tuple(run_path),
    )


def _rewrite(data: bytes, change: Callable[[str], str]) -> bytes:
    elf = open_elf(io.BytesIO(data))
    changed = bytearray(data)
    table = _table_offset(elf, "DT_STRTAB")
    for path in set(_run_paths(elf, data, table)):
        entries = path.value.decode("utf-8", "surrogateescape").split(":")
        renewed = [change(entry) if entry else entry for entry in entries]
        if renewed == entries:
            continue
        # Two entries that become one place are searched once.
        value = ":".join(dict.fromkeys(renewed)).encode("utf-8", "surrogateescape")
        if len(value) > len(path.value):
            raise Unpatchable(
                f"the run path {path.value.decode('utf-8', 'replace')!r} has no room for"
                f" {value.decode('utf-8', 'replace')!r}"
            )
        _check_unshared(elf, data, table, path)
        end = path.offset + len(path.value)
        changed[path.offset : end] = value.ljust(len(path.value), b"\0")
    return bytes(changed)


def _run_paths(elf: Any, data: bytes, table: int) -> Iterator[_RunPath]:
    for tag in _dynamic_tags(elf):
        if tag.entry.d_tag in _RUN_PATHS:
            start = table + tag.entry.d_val
            yield _RunPath(start, data[start : data.index(b"\0", start)])


def _check_unshared(elf: Any, data: bytes, table: int, path: _RunPath) -> None:
    start, end = path.offset - table, path.offset - table + len(path.value)
    inside = any(start <= reference < end for reference in _references(elf, data))
    if inside or data[path.offset - 1] != 0:
        raise Unpatchable("the string of its run path is shared with another name")


def _references(elf: Any, data: bytes) -> Iterator[int]:
    """Yield the offsets in .dynstr that anything but a run path refers to."""
    order = "<" if elf.little_endian else ">"
    for tag in _dynamic_tags(elf):
        if tag.entry.d_tag in _STRINGS:
            yield tag.entry.d_val
    for segment in elf.iter_segments("PT_DYNAMIC"):
        symbols = _table_offset(elf, "DT_SYMTAB")
        size = 24 if elf.elfclass == 64 else 16  # noqa: PLR2004 - sizeof(Elf64_Sym), Elf32_Sym
        for number in range(segment.num_symbols()):
            # st_name comes first in both.
            yield struct.unpack_from(f"{order}I", data, symbols + number * size)[0]
    for number, name in enumerate(_version_names(elf, data, order)):
        if number == _MOST_VERSIONS:
            raise ELFError("its tables of versions do not end")
        yield name


def _version_names(elf: Any, data: bytes, order: str) -> Iterator[int]:
    """Yield the names in the version tables: the fields are those of the gABI's Verneed, Verdef."""
    record = _optional_offset(elf, "DT_VERNEED")
    while record is not None:
        _, count, file, auxiliary, following = struct.unpack_from(f"{order}HHIII", data, record)
        yield file
        yield from _listed_names(data, f"{order}8xII", record + auxiliary, count)
        record = record + following if following else None
    record = _optional_offset(elf, "DT_VERDEF")
    while record is not None:
        count, auxiliary, following = struct.unpack_from(f"{order}6xH4xII", data, record)
        yield from _listed_names(data, f"{order}II", record + auxiliary, count)
        record = record + following if following else None


def _listed_names(data: bytes, form: str, entry: int, count: int) -> Iterator[int]:
    for _ in range(count):
        name, step = struct.unpack_from(form, data, entry)
        yield name
        entry += step


def _dynamic_tags(elf: Any) -> Iterator[Any]:
    count = 0
    for segment in elf.iter_segments("PT_DYNAMIC"):
        for tag in segment.iter_tags():
            count += 1
            if count > _MOST_TAGS:
                raise ELFError("its dynamic table does not end")
            yield tag


def _optional_offset(elf: Any, name: str) -> int | None:
    for segment in elf.iter_segments("PT_DYNAMIC"):
        if any(tag.entry.d_tag == name for tag in segment.iter_tags()):
            return _table_offset(elf, name)
    return None


def _table_offset(elf: Any, name: str) -> int:
    for segment in elf.iter_segments("PT_DYNAMIC"):
        _, offset = segment.get_table_offset(name)
        if offset is not None:
            return int(offset)
    # A static executable has no dynamic table and so no run path either.
    return 0
