"""What this host is: platform, glibc, libraries. Nothing is loaded to find out."""

import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sealift_installer.errors import HostError, printable
from sealift_schemas.keys import Platform

# The kernel's names, and uv's where they differ.
_ARCHITECTURES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "i386": "x86",
    "i486": "x86",
    "i586": "x86",
    "i686": "x86",
    "ppc64le": "powerpc64le",
    "riscv64": "riscv64gc",
}
# A 32-bit userland under a 64-bit kernel, which names itself in uname.
_NARROW = {"x86_64": "x86", "aarch64": "armv7l"}
_OPERATING_SYSTEMS = {"linux": "linux", "darwin": "macos", "win32": "windows"}
# What /proc/cpuinfo must list for the levels of the x86-64 psABI (section 3.1.1); LZCNT is abm.
_LEVELS = {
    "x86_64_v2": frozenset({"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"}),
    "x86_64_v3": frozenset({"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"}),
    "x86_64_v4": frozenset({"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"}),
}
_COMMAND_SECONDS = 10
_ELF_HEADER = 20  # bytes, up to and including e_machine


@cache
def current_platform() -> Platform:
    """Return this host's platform in uv's words.

    Raises:
        HostError: an operating system that no archive is made for.
    """
    system = _OPERATING_SYSTEMS.get(sys.platform)
    if system is None:
        raise HostError(f"no archives are made for this operating system: {sys.platform}")
    architecture = _architecture()
    return Platform(system, architecture, _libc(system, architecture))


def fits(platform: str, host: Platform) -> bool:
    """Tell whether an archive for `platform` (or "any") runs on `host`."""
    if platform == "any":
        return True
    wanted = Platform.parse(platform)
    if (wanted.os, wanted.libc) != (host.os, host.libc):
        return False
    if wanted.architecture == host.architecture:
        return True
    return host.architecture == "x86_64" and wanted.architecture in _levels_here()


@cache
def glibc_version() -> tuple[int, int] | None:
    """Return the version of the glibc that is installed here, or None where there is none."""
    try:
        text = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        # This program may run on an interpreter with a libc of its own.
        text = _output(_glibc_loader(_architecture()), "--version")
    match = re.search(r"(?:glibc |GLIBC |version )(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def find_library(soname: str) -> Path | None:
    """Return the file that the dynamic loader would take for `soname`, or None.

    The loader's cache and its standard directories are asked; nothing is loaded, since loading
    runs code. A library for another architecture does not count.
    """
    for candidate in (*_cached_libraries().get(soname, ()), *_standard(soname)):
        if _same_machine(candidate):
            return candidate
    return None


def _architecture() -> str:
    if sys.platform == "win32":
        machine = os.environ.get("PROCESSOR_ARCHITECTURE", "").lower()
    else:
        machine = os.uname().machine.lower()
    if sys.maxsize < 2**32:
        machine = _NARROW.get(machine, machine)
    machine = _ARCHITECTURES.get(machine, machine)
    return "armv7" if machine.startswith("armv7") else machine


def _libc(system: str, architecture: str) -> str:
    if system != "linux":
        return "none"
    libc = "gnu" if glibc_version() is not None else "musl"
    # uv names the hard-float ABI, the one that Debian and Alpine build for ARMv7.
    return f"{libc}eabihf" if architecture == "armv7" else libc


@cache
def _levels_here() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return frozenset()
    match = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    flags = frozenset(match[1].split()) if match else frozenset()
    reached = []
    for level, needed in _LEVELS.items():
        if not needed <= flags:
            break
        reached.append(level)
    return frozenset(reached)


def _glibc_loader(architecture: str) -> str:
    names = {
        "x86_64": "/lib64/ld-linux-x86-64.so.2",
        "x86": "/lib/ld-linux.so.2",
        "aarch64": "/lib/ld-linux-aarch64.so.1",
        "armv7": "/lib/ld-linux-armhf.so.3",
        "powerpc64le": "/lib64/ld64.so.2",
        "riscv64gc": "/lib/ld-linux-riscv64-lp64d.so.1",
        "s390x": "/lib/ld64.so.1",
    }
    return names.get(architecture, "")


def _output(command: str, argument: str) -> str:
    """Return what a command of the system prints, or nothing where it cannot be run."""
    if not command or not Path(command).is_file():
        return ""
    import subprocess

    try:
        result = subprocess.run(
            [command, argument],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_COMMAND_SECONDS,
            check=False,
            env={"LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.decode("utf-8", "replace")


@cache
def _cached_libraries() -> dict[str, tuple[Path, ...]]:
    """Return the loader's cache as `ldconfig -p` prints it: soname (flags) => path."""
    found: dict[str, tuple[Path, ...]] = {}
    text = next(filter(None, (_output(name, "-p") for name in _LDCONFIG)), "")
    for soname, path in re.findall(r"^\s+(\S+) \([^)]*\) => (/.*)$", text, re.MULTILINE):
        found[soname] = (*found.get(soname, ()), Path(path))
    return found


_LDCONFIG = ("/sbin/ldconfig", "/usr/sbin/ldconfig")


def _standard(soname: str) -> Iterator[Path]:
    # Not those of LD_LIBRARY_PATH: what is installed is not only run by whoever set it.
    for directory in _DIRECTORIES:
        yield Path(directory, soname)
        yield from sorted(Path(directory).glob(f"*-linux-*/{_literal(soname)}"))


_DIRECTORIES = ("/lib64", "/lib", "/usr/lib64", "/usr/lib", "/usr/local/lib")


def _literal(name: str) -> str:
    return re.sub(r"[*?\[]", r"[\g<0>]", name)


def _same_machine(path: Path) -> bool:
    """Tell whether `path` is a library of the architecture that this program runs on."""
    mine = _machine(Path("/proc/self/exe"))
    theirs = _machine(path)
    return theirs is not None and mine in (theirs, None)


def _machine(path: Path) -> bytes | None:
    """Return class, byte order and e_machine of an ELF file, or None where it is none."""
    try:
        with path.open("rb") as file:
            header = file.read(_ELF_HEADER)
    except OSError:
        return None
    if len(header) < _ELF_HEADER or not header.startswith(b"\x7fELF"):
        return None
    return header[4:6] + header[18:20]


def describe(version: tuple[int, int] | None) -> str:
    """Return a glibc version for a message."""
    return "none" if version is None else printable(f"{version[0]}.{version[1]}")
