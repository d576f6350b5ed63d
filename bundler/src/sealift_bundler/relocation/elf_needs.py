"""What an ELF file needs of the host: shared libraries by soname, and the least glibc."""

import re
from dataclasses import dataclass
from typing import Any, BinaryIO

from elftools.elf.dynamic import DynamicSegment
from elftools.elf.gnuversions import GNUVerNeedSection

from sealift_bundler.relocation.elf import open_elf

MAGIC = b"\x7fELF"
_GLIBC = re.compile(r"GLIBC_([0-9]{1,2})\.([0-9]{1,3})(?:\.[0-9]+)?")
# Relative relocations in the packed form carry this name; glibc reads them since 2.36.
_PACKED_RELOCATIONS = "GLIBC_ABI_DT_RELR"
# Symbol versions that one file may ask for, at most; a real one asks for some dozens.
_VERSIONS_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class ElfNeeds:
    """What the dynamic loader looks for when it loads the file.

    `machine` is e_machine as pyelftools names it (EM_X86_64), `program` tells that the file asks
    for a dynamic loader and so can be started, `glibc` is the newest version that it names.
    """

    machine: str
    program: bool
    soname: str | None
    needed: tuple[str, ...]
    glibc: tuple[int, int] | None


def read_needs(stream: BinaryIO) -> ElfNeeds | None:
    """Return what the ELF file `stream` needs, or None where it cannot be read as one."""
    try:
        return _read(open_elf(stream))
    except Exception:  # noqa: BLE001 - the bytes are anyone's, and pyelftools raises what it likes
        return None


def _read(elf: Any) -> ElfNeeds:
    soname: str | None = None
    needed: list[str] = []
    program = False
    for segment in elf.iter_segments():
        program = program or segment["p_type"] == "PT_INTERP"
        if not isinstance(segment, DynamicSegment):
            continue
        for tag in segment.iter_tags():
            # pyelftools gives a tag an attribute of its own name.
            if tag.entry.d_tag == "DT_NEEDED":
                needed.append(str(vars(tag)["needed"]))
            elif tag.entry.d_tag == "DT_SONAME":
                soname = str(vars(tag)["soname"])
    return ElfNeeds(str(elf["e_machine"]), program, soname, tuple(needed), _glibc(elf))


def _glibc(elf: Any) -> tuple[int, int] | None:
    found: list[tuple[int, int]] = []
    count = 0
    for section in elf.iter_sections():
        if not isinstance(section, GNUVerNeedSection):
            continue
        for _, versions in section.iter_versions():
            for version in versions:
                count += 1
                if count > _VERSIONS_LIMIT:
                    raise ValueError("too many symbol versions")
                match = _GLIBC.fullmatch(version.name)
                if match is not None:
                    found.append((int(match[1]), int(match[2])))
                elif version.name == _PACKED_RELOCATIONS:
                    found.append((2, 36))
    return max(found, default=None)
