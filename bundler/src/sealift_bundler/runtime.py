"""The installer that travels: its own wheels, and those that it needs, from hashed pins."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version
from pypi_simple import DistributionPackage

from sealift_bundler import web
from sealift_bundler.access import Access
from sealift_bundler.addresses import shown
from sealift_bundler.errors import NetworkError
from sealift_bundler.runtime_wheels import own_wheels
from sealift_bundler.sources.index_client import IndexClient, address, digest
from sealift_bundler.sources.pip_settings import PipSettings, through_pip
from sealift_bundler.sources.wheels import choose_for_python, machine, read_wheels
from sealift_bundler.threads import work_through
from sealift_installer.errors import UsageError, mismatch
from sealift_schemas.keys import Platform
from sealift_schemas.lock import LockedWheel
from sealift_schemas.missing import MissingWheel

__all__ = ["Pin", "Runtime", "describe_missing", "own_wheels", "read_pins", "requirements_text"]
__all__ += ["resolve_wheels", "suffices"]

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_LINE_END = "\\\n"
# os_name, platform_system and sys_platform of each system that unseal runs on.
_SYSTEMS = {
    "linux": ("posix", "Linux", "linux"),
    "macos": ("posix", "Darwin", "darwin"),
    "windows": ("nt", "Windows", "win32"),
}
_CONNECTIONS = 8
# Bytes of a file that has to be counted: far more than any that is pinned has.
_LARGEST_WHEEL = 256 * 1024 * 1024


# How many packages without a wheel are named.
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of the pins: exactly one version, and the files that may stand for it."""

    name: str
    version: str
    marker: str = ""
    hashes: frozenset[str] = field(default=frozenset())

    def applies(self, environment: Mapping[str, str]) -> bool:
        """Say whether the pin is for the environment that PEP 508 markers describe."""
        return not self.marker or Marker(self.marker).evaluate(dict(environment))


@dataclass(frozen=True, slots=True)
class Runtime:
    """The wheels that unseal needs, sorted by name, and those of them that there are not."""

    wheels: tuple[LockedWheel, ...] = ()
    missing: tuple[MissingWheel, ...] = ()


@dataclass(frozen=True, slots=True)
class _Missing:
    """A target for which a package has no wheel."""

    platform: Platform
    python: tuple[int, int]
    pin: Pin


def read_pins() -> tuple[Pin, ...]:
    """Return the pins of the installer that come with this package."""
    text = files("sealift_bundler").joinpath("pins/installer.txt").read_text("utf-8")
    return tuple(_pin(line) for line in text.replace(_LINE_END, " ").splitlines() if line.strip())


def resolve_wheels(
    pythons: Sequence[str],
    platforms: Sequence[str],
    *,
    settings: PipSettings | None = None,
    access: Access | None = None,
    pins: Sequence[Pin] | None = None,
) -> Runtime:
    """Find the wheels that unseal needs with these Pythons on these platforms.

    Args:
        pythons: versions such as `3.13`.
        platforms: such as `linux-x86_64-gnu`.
        settings: the index; else the one that pip is configured for.
        access: the way to servers, where pip's configuration says nothing.
        pins: what is wanted; else the pins of this package.

    Raises:
        UsageError: the index does not have a pinned project, or tells another digest.
        NetworkError: the index cannot be reached.
    """
    pins = read_pins() if pins is None else pins
    targets = [(_version(python), Platform.parse(name)) for python in pythons for name in platforms]
    chosen: dict[str, DistributionPackage] = {}
    missing: list[_Missing] = []
    with IndexClient(settings, access) as index:
        for pin in pins:
            wanted = [target for target in targets if pin.applies(_environment(*target))]
            if wanted:
                packages = index.wheels(pin.name)
                chosen |= {one.filename: one for one in _choose(pin, packages, wanted, missing)}
    packages = [chosen[filename] for filename in sorted(chosen)]
    sizes = work_through(packages, partial(_size, settings, access), _CONNECTIONS)
    wheels = tuple(
        LockedWheel(package.filename, address(package), digest(package), size)
        for package, size in zip(packages, sizes, strict=True)
    )
    return Runtime(wheels, _settle(missing))


def suffices(
    runtime: Runtime,
    pythons: Sequence[str],
    platforms: Sequence[str],
    *,
    pins: Sequence[Pin] | None = None,
) -> bool:
    """Tell whether `runtime`, of a lock, is all that `resolve_wheels` would look for, and no more.

    The index is not asked: what it did not have counts as known.
    """
    packages = [_package(wheel) for wheel in runtime.wheels]
    names = {package.filename: parse_wheel_filename(package.filename)[0] for package in packages}
    targets = [(_version(python), Platform.parse(name)) for python in pythons for name in platforms]
    used: set[str] = set()
    missing: list[_Missing] = []
    for pin in read_pins() if pins is None else pins:
        mine = [package for package in packages if names[package.filename] == pin.name]
        wanted = [target for target in targets if pin.applies(_environment(*target))]
        if any(digest(package) not in pin.hashes for package in mine):
            return False
        used |= {package.filename for package in _choose(pin, mine, wanted, missing)}
    return used == names.keys() and _settle(missing) == runtime.missing


def describe_missing(missing: Iterable[MissingWheel]) -> Iterator[str]:
    """Yield for each platform where unseal cannot be installed, and what it lacks there."""
    by_platform: dict[str, list[MissingWheel]] = {}
    for each in missing:
        by_platform.setdefault(each.platform, []).append(each)
    for platform, lacking in sorted(by_platform.items()):
        pythons = sorted({python for each in lacking for python in each.pythons}, key=_version)
        wheels = sorted(f"{each.name} {each.version}" for each in lacking)
        more = f" and {len(wheels) - _SHOWN} more" if len(wheels) > _SHOWN else ""
        yield (
            f"unseal cannot be installed on {platform} with Python {', '.join(pythons)}:"
            f" there is no wheel of {', '.join(wheels[:_SHOWN])}{more}"
        )


def requirements_text(wheels: Mapping[str, bytes]) -> bytes:
    """Return the requirements file for `pip install --no-index --require-hashes`.

    pip wants every file that may stand for NAME==VERSION on one line, and a marker where a line
    does not hold for every Python.

    Args:
        wheels: the carried wheels by file name.
    """
    markers = {pin.name: pin.marker for pin in read_pins()}
    hashes: dict[tuple[str, str], list[str]] = {}
    for filename in wheels:
        name, version, _, _ = parse_wheel_filename(filename)
        digest_of_it = hashlib.sha256(wheels[filename]).hexdigest()
        hashes.setdefault((name, str(version)), []).append(digest_of_it)
    lines = []
    for (project, pinned), digests in sorted(hashes.items()):
        marker = f" ; {markers[project]}" if markers.get(project) else ""
        options = "".join(f" \\\n    --hash=sha256:{value}" for value in sorted(digests))
        lines.append(f"{project}=={pinned}{marker}{options}\n")
    return "".join(lines).encode("utf-8")


def _pin(line: str) -> Pin:
    requirement = Requirement(line.partition(" --hash=")[0])
    (specifier,) = requirement.specifier
    return Pin(
        name=canonicalize_name(requirement.name),
        version=specifier.version,
        marker=str(requirement.marker or ""),
        hashes=frozenset(_HASH.findall(line)),
    )


def _choose(
    pin: Pin,
    packages: Iterable[DistributionPackage],
    targets: Iterable[tuple[tuple[int, int], Platform]],
    missing: "list[_Missing]",
) -> list[DistributionPackage]:
    """Return the wheels that stand for the pin on the targets, and add to `missing` where none."""
    version = Version(pin.version)
    wheels = [wheel for wheel in read_wheels(packages) if wheel.version == version]
    chosen: dict[str, DistributionPackage] = {}
    for python, platform in targets:
        wheel = choose_for_python(wheels, python, platform)
        if wheel is None:
            missing.append(_Missing(platform, python, pin))
            continue
        chosen[wheel.package.filename] = wheel.package
    for package in chosen.values():
        if digest(package) not in pin.hashes:
            what = f"{package.filename} is not the file that was pinned"
            known = "one of the pinned digests"
            raise UsageError(
                mismatch(what, known, digest(package)),
                hint="the package index that pip is configured for has another file of this name",
            )
    return list(chosen.values())


def _settle(missing: Iterable[_Missing]) -> tuple[MissingWheel, ...]:
    """Return what is missing as the lock has it: sorted, the Pythons together."""
    found: dict[tuple[str, str, str], set[tuple[int, int]]] = {}
    for each in missing:
        key = (str(each.platform), each.pin.name, each.pin.version)
        found.setdefault(key, set()).add(each.python)
    return tuple(
        MissingWheel(
            name, version, platform, tuple(f"{major}.{minor}" for major, minor in sorted(pythons))
        )
        for (platform, name, version), pythons in sorted(found.items())
    )


def _package(wheel: LockedWheel) -> DistributionPackage:
    values = {"filename": wheel.filename, "url": wheel.url, "hashes": {"sha256": wheel.sha256}}
    return DistributionPackage.from_json_data(values)


def _version(python: str) -> tuple[int, int]:
    major, _, minor = python.partition(".")
    return int(major), int(minor)


def _environment(python: tuple[int, int], platform: Platform) -> dict[str, str]:
    """Return the variables of PEP 508 for a CPython on the target."""
    os_name, system, sys_platform = _SYSTEMS.get(platform.os, ("", "", ""))
    version = f"{python[0]}.{python[1]}"
    name = machine(platform)
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{version}.0",
        "os_name": os_name,
        "platform_machine": name.upper() if platform.os == "windows" else name,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": system,
        "platform_version": "",
        "python_full_version": f"{version}.0",
        "python_version": version,
        "sys_platform": sys_platform,
        "extra": "",
    }


def _size(settings: PipSettings | None, access: Access | None, package: DistributionPackage) -> int:
    """Return a file's size in bytes; indexes that do not tell it (PEP 700) are asked for it."""
    if package.size is not None:
        return package.size
    url = address(package)
    access = through_pip(Access(patience=web.PATIENCE) if access is None else access, settings)

    def ask() -> int:
        with web.Session(access) as session, web.get(url, session=session) as response:
            announced = web.body_size(response)
            if announced is not None:
                return announced
            size = 0
            for block in web.read_body(response, url):
                size += len(block)
                if size > _LARGEST_WHEEL:
                    what = "the server announces no size, and sends more than a wheel of unseal has"
                    raise NetworkError(f"{shown(url)}: {what}")
            return size

    return web.insist(ask, access.patience)
