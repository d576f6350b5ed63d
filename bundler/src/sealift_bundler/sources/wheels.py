"""Choose among wheels for a platform that is not this one: the least demanding that fits.

Tags are those of https://packaging.python.org/specifications/platform-compatibility-tags/.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from sealift_schemas.keys import Platform

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage

# uv's names of architectures, as wheels spell them on Linux, macOS and Windows.
_MACHINES: dict[str, tuple[str, str, str]] = {
    "x86_64": ("x86_64", "x86_64", "amd64"),
    "x86": ("i686", "i386", "win32"),
    "aarch64": ("aarch64", "arm64", "arm64"),
    "armv7": ("armv7l", "", ""),
    "powerpc64le": ("ppc64le", "", ""),
    "s390x": ("s390x", "", ""),
    "riscv64gc": ("riscv64", "", ""),
    "loongarch64": ("loongarch64", "", ""),
}
_SYSTEMS = ("linux", "macos", "windows")
# The glibc of the first manylinux tags, PEP 600.
_LEGACY = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_VERSIONED = re.compile(r"(manylinux|musllinux|macosx)_([0-9]+)_([0-9]+)_(\w+)")
_LEGACY_TAG = re.compile(r"(manylinux(?:1|2010|2014))_(\w+)")
_CPYTHON = re.compile(r"cp3([0-9]+)")
# Where nothing is said about the system's version, every other wheel goes first.
_UNKNOWN = (9999, 0)
# Characters that file systems take, and tags of one wheel.
_LONGEST_NAME = 255
_TAGS = 1000

Demand = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel of the index, its name taken apart."""

    package: "DistributionPackage"
    version: Version
    build: tuple[int, str]
    tags: frozenset[Tag]


def read_wheels(packages: Iterable["DistributionPackage"]) -> list[Wheel]:
    """Return the wheels whose names follow the rules, the highest build number first."""
    wheels = []
    for package in packages:
        if not _is_sensible(package.filename):
            continue
        try:
            _, version, build, tags = parse_wheel_filename(package.filename)
        except InvalidWheelFilename:
            continue
        wheels.append(Wheel(package, version, build or (0, ""), tags))
    return sorted(wheels, key=lambda wheel: wheel.build, reverse=True)


def _is_sensible(filename: str) -> bool:
    """Tell whether a name can be that of a file, and stands for no absurd number of tags.

    Python reads no number of more than 4300 digits, and each part of the tag multiplies the others.
    """
    parts = filename.rsplit("-", 3)[1:]
    return len(filename) <= _LONGEST_NAME and prod(1 + part.count(".") for part in parts) <= _TAGS


def machine(platform: Platform) -> str:
    """Return the architecture as wheels and markers for this system spell it, else empty."""
    # x86_64_v3 runs what x86_64 runs.
    base = re.sub(r"_v[0-9]+$", "", platform.architecture)
    names = _MACHINES.get(base, ("", "", ""))
    return names[_SYSTEMS.index(platform.os)] if platform.os in _SYSTEMS else ""


def demand(tag: str, platform: Platform) -> Demand | None:
    """Return which version of libc or system a platform tag asks for; None: it does not fit."""
    name = machine(platform)
    if not name:
        return None
    if platform.os == "windows":
        return (0, 0) if tag == (name if name == "win32" else f"win_{name}") else None
    if tag == f"linux_{name}" and platform.os == "linux":
        return _UNKNOWN
    legacy = _LEGACY_TAG.fullmatch(tag)
    if legacy is not None:
        return _LEGACY[legacy[1]] if legacy[2] == name and _is_glibc(platform) else None
    match = _VERSIONED.fullmatch(tag)
    if match is None:
        return None
    kind, major, minor, architecture = match.groups()
    fits = {
        "manylinux": _is_glibc(platform) and architecture == name,
        "musllinux": platform.libc.startswith("musl") and architecture == name,
        "macosx": platform.os == "macos" and architecture in {name, "universal2"},
    }[kind]
    return (int(major), int(minor)) if fits else None


def choose_tool(wheels: Iterable[Wheel], platform: Platform) -> Wheel | None:
    """Return the wheel to be unpacked as a tool: it is run by no Python in particular.

    One for the platform goes before one for any, one without a Python's own interface (`none`)
    before the stable one (`abi3`) and that before a version's, the newest first; then the least
    demand counts.
    """
    ranked = [
        (rank, number, wheel)
        for number, wheel in enumerate(wheels)
        for tag in wheel.tags
        if (rank := _tool_rank(tag, platform)) is not None
    ]
    return min(ranked, key=lambda item: item[:2])[2] if ranked else None


def choose_for_python(
    wheels: Sequence[Wheel], python: tuple[int, int], platform: Platform
) -> Wheel | None:
    """Return the wheel that pip of this CPython on this platform can install, least demand first.

    Args:
        wheels: all of one version.
        python: major and minor version.
        platform: the target.
    """
    demands = {
        tag.platform: asked
        for wheel in wheels
        for tag in wheel.tags
        if (asked := demand(tag.platform, platform)) is not None
    }
    # With no platform at all packaging would take this machine's.
    platforms = sorted(demands, key=lambda name: (demands[name], name)) or ["any"]
    interpreter = f"cp{python[0]}{python[1]}"
    supported = [
        *cpython_tags(python, [interpreter], platforms),
        *compatible_tags(python, interpreter, platforms),
    ]
    return next((wheel for tag in supported for wheel in wheels if tag in wheel.tags), None)


def _is_glibc(platform: Platform) -> bool:
    # Soft-float ARM (gnueabi) has no manylinux.
    return platform.os == "linux" and platform.libc in {"gnu", "gnueabihf"}


def _tool_rank(tag: Tag, platform: Platform) -> tuple[bool, int, int, Demand] | None:
    asked = (0, 0) if tag.platform == "any" else demand(tag.platform, platform)
    if asked is None:
        return None
    version = _CPYTHON.fullmatch(tag.interpreter)
    minor = int(version[1]) if version is not None else 0
    if tag.abi == "none" and (tag.interpreter.startswith("py3") or version is not None):
        kind = 0
    elif tag.abi == "abi3" and version is not None:
        kind = 1
    elif version is not None and tag.abi == tag.interpreter:
        kind = 2
    else:
        return None
    return tag.platform == "any", kind, -minor if kind == 2 else minor, asked  # noqa: PLR2004
