"""What an archive demands of the host before it is installed: libraries, and the least glibc."""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from sealift_bundler.relocation.elf_needs import ElfNeeds
from sealift_schemas.keys import Platform
from sealift_schemas.lock import LockedArchive
from sealift_schemas.manifest import LIBRARY, Requirements

# What comes with the C library itself, glibc or musl.
_C_LIBRARY = re.compile(
    r"(?:libc|libm|libdl|libpthread|librt|libutil|libresolv|libanl|libmvec|libthread_db)\.so\.[0-9]"
    r"|ld-linux.*\.so\.[0-9]|ld64\.so\.[0-9]|linux-vdso.*|libc\.so|libc\.musl-.*|ld-musl-.*"
)
_MACHINES = {
    "x86_64": "EM_X86_64", "x86_64_v2": "EM_X86_64", "x86_64_v3": "EM_X86_64",
    "x86_64_v4": "EM_X86_64", "x86": "EM_386", "aarch64": "EM_AARCH64", "armv5tel": "EM_ARM",
    "armv6l": "EM_ARM", "armv7": "EM_ARM", "armv7l": "EM_ARM", "powerpc64le": "EM_PPC64",
    "s390x": "EM_S390", "riscv64gc": "EM_RISCV",
}  # fmt: skip
# Extension modules without which CPython is still whole; _tkinter alone brings X11 along.
_OPTIONAL = re.compile(r"(?:_tkinter|_gdbm|_dbm|nis|_crypt|ossaudiodev)\.[^/]*so")
_NOTHING = Requirements()


def find_requirements(
    archive: LockedArchive, files: Mapping[str, ElfNeeds], names: Iterable[str]
) -> Requirements:
    """Return what `archive` demands.

    Demanded is what the programs need, directly or through libraries of the archive, and the
    archive does not have. What other libraries would like to load is not: a JDK starts without
    X11, and python-build-standalone without libcrypt. A captured interpreter has no such builder,
    so its extension modules count as well.

    Args:
        archive: the archive.
        files: its installed ELF files, by path.
        names: the installed paths of everything, links too.
    """
    if archive.platform == "any" or Platform.parse(archive.platform).os != "linux":
        return _NOTHING
    platform = Platform.parse(archive.platform)
    machine = _MACHINES.get(platform.architecture)
    files = {path: needs for path, needs in files.items() if machine in (None, needs.machine)}
    starts = {path for path, needs in files.items() if needs.program} or set(files)
    if archive.source == "captured":
        starts |= {path for path in files if not _OPTIONAL.fullmatch(PurePosixPath(path).name)}
    reached, missing = _follow(starts, files, {PurePosixPath(name).name for name in names})
    # Whatever an interpreter may import counts for glibc: its modules are built alike.
    counted = files.keys() if archive.kind == "interpreter" else reached
    glibc = max((files[path].glibc or (0, 0) for path in counted), default=(0, 0))
    return Requirements(
        glibc=f"{glibc[0]}.{glibc[1]}"
        if glibc > (0, 0) and platform.libc.startswith("gnu")
        else None,
        libraries=tuple(sorted(missing)),
    )


def _follow(
    starts: set[str], files: Mapping[str, ElfNeeds], names: set[str]
) -> tuple[set[str], set[str]]:
    """Return the files that loading `starts` loads, and the sonames that none of `names` is."""
    by_name = {PurePosixPath(path).name: path for path in files}
    by_name |= {needs.soname: path for path, needs in files.items() if needs.soname}
    reached: set[str] = set()
    missing: set[str] = set()
    queue = sorted(starts)
    while queue:
        path = queue.pop()
        if path in reached:
            continue
        reached.add(path)
        for soname in files[path].needed:
            if soname in by_name:
                queue.append(by_name[soname])
            elif soname not in names and not _C_LIBRARY.fullmatch(soname):
                missing.update({soname} if LIBRARY.fullmatch(soname) else set())
    return reached, missing
