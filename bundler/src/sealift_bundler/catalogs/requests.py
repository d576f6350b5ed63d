"""Requests for managed Pythons, in uv's grammar, and what they select from a catalogue.

`3.13`, `3.13t`, `cpython@3.13`, `pypy3.11`, `pp311`, `>=3.12,<3.14`, `any`, `default`, or the parts
of an install key in their order, any of them left out: `cpython-3.13+debug-linux-x86_64-gnu`,
`3.13-musl`.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sealift_bundler.catalogs.metadata import CatalogEntry
from sealift_bundler.catalogs.versions import VersionRequest
from sealift_bundler.errors import NothingFitsError
from sealift_installer.errors import UsageError, printable
from sealift_schemas.keys import IMPLEMENTATIONS, LIBCS, OPERATING_SYSTEMS, VARIANTS, Platform

_SHORT_NAMES = {"cp": "cpython", "pp": "pypy", "gp": "graalpy"}
_NAMES = {**{name: name for name in IMPLEMENTATIONS}, **_SHORT_NAMES}
_OPERATING_SYSTEMS = {**{name: name for name in OPERATING_SYSTEMS}, "darwin": "macos"}
_ARCHITECTURES = {
    **{
        name: name
        for name in (
            *("x86_64", "x86_64_v2", "x86_64_v3", "x86_64_v4", "aarch64", "armv7", "x86"),
            *("powerpc64le", "powerpc64", "s390x", "riscv64gc", "loongarch64", "wasm32"),
        )
    },
    "arm64": "aarch64",
    "i686": "x86",
    "riscv64": "riscv64gc",
}
_LIBCS = {name: name for name in LIBCS}
_VARIANTS = (None, *VARIANTS)
_EXAMPLES = "requests look like 3.13, cpython@3.13, 3.13t, pypy@3.11, >=3.12,<3.14 or a whole key"


@dataclass(frozen=True, slots=True)
class PythonRequest:
    """What is wanted; a part that is None is left open.

    `implementation` is CPython where the request names none. `prereleases` is set by `any`.
    """

    text: str
    implementation: str = "cpython"
    version: VersionRequest | None = None
    os: str | None = None
    architecture: str | None = None
    libc: str | None = None
    prereleases: bool = False

    @classmethod
    def parse(cls, text: str) -> "PythonRequest":
        """Read a request; upper and lower case are the same.

        Raises:
            UsageError: uv's grammar does not know it.
        """
        lower = text.strip().lower()
        if lower in {"any", "default"}:
            default = None if lower == "any" else VersionRequest(release=(3,))
            return cls(text, version=default, prereleases=lower == "any")
        named = _parse_named(text, lower)
        return _parse_parts(text, lower) if named is None else named

    @property
    def allows_prereleases(self) -> bool:
        """Whether prereleases are asked for, by `any` or by the version."""
        asked = self.version is not None and self.version.allows_prereleases
        return self.prereleases or asked

    def __str__(self) -> str:
        return f"{self.implementation} {self.version}" if self.version else self.implementation


def _parse_named(text: str, lower: str) -> PythonRequest | None:
    """Read `NAME`, `NAME@VERSION`, `NAMEVERSION` and a bare version; None where it is none."""
    for name in ("python", "", *_NAMES):
        if not lower.startswith(name):
            continue
        rest = lower[len(name) :]
        request = PythonRequest(text, implementation=_NAMES.get(name, "cpython"))
        if not rest:
            if name in _NAMES:
                return request
            continue
        try:
            version = VersionRequest.parse(rest.removeprefix("@") if name else rest)
        except ValueError:
            continue
        return replace(request, version=version)
    return None


def _parse_parts(text: str, lower: str) -> PythonRequest:
    """Read the parts of a key in their order; `any` leaves the part open whose turn it is."""
    found: dict[str, str] = {}
    version: VersionRequest | None = None
    turns = iter(_TURNS)
    for part in lower.split("-"):
        for turn in turns:
            if part == "any":
                break
            if turn == "version":
                try:
                    version = VersionRequest.parse(part)
                except ValueError:
                    continue
                break
            if part in _TURNS[turn]:
                found[turn] = _TURNS[turn][part]
                break
        else:
            raise _unknown(text, part)
    return PythonRequest(text, version=version, **found)  # type: ignore[arg-type]  # names are fields


_TURNS = {
    "implementation": _NAMES,
    "version": {},
    "os": _OPERATING_SYSTEMS,
    "architecture": _ARCHITECTURES,
    "libc": _LIBCS,
}


def _unknown(text: str, part: str) -> UsageError:
    words = [word for names in _TURNS.values() for word in names]
    near = difflib.get_close_matches(part.partition("@")[0].rstrip("0123456789.+"), words, n=3)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return UsageError(
        f"not a request for a Python: {printable(text) or 'nothing'}", hint=hint + _EXAMPLES
    )


def matching(
    entries: Iterable[CatalogEntry], request: PythonRequest, platform: Platform | None = None
) -> list[CatalogEntry]:
    """Return what the request selects, the newest first and default builds before variants.

    Prereleases are among them if they are asked for, or if there is nothing else. With a
    `platform` its parts are demanded, else those that the request names.
    """
    parts = platform or request
    fitting = [
        entry
        for entry in entries
        if entry.key.implementation == request.implementation
        and parts.os in {None, entry.key.platform.os}
        and parts.architecture in {None, entry.key.platform.architecture}
        and parts.libc in {None, entry.key.platform.libc}
        and (request.version is None or request.version.matches(entry))
    ]
    if not request.allows_prereleases:
        fitting = [entry for entry in fitting if not entry.prerelease] or fitting
    fitting.sort(key=lambda entry: _VARIANTS.index(entry.key.variant))
    return sorted(fitting, key=lambda entry: entry.order, reverse=True)


def select(
    entries: Sequence[CatalogEntry], request: PythonRequest, platform: Platform
) -> CatalogEntry:
    """Return the newest entry that fits; `platform` says what the request leaves open.

    Raises:
        NothingFitsError: nothing fits.
        UsageError: the request leaves open which of several platforms.
    """
    target = _settle(entries, request, platform)
    fitting = matching(entries, request, target)
    if fitting:
        return fitting[0]
    message = f"the catalogue has no {request} for {target}"
    raise NothingFitsError(message, hint=_near(entries, request, target))


def _settle(
    entries: Iterable[CatalogEntry], request: PythonRequest, platform: Platform
) -> Platform:
    """Fill in what the request leaves open; the libc follows from the rest where only one fits."""
    wasm = request.implementation == "pyodide"
    system = request.os or ("emscripten" if wasm else platform.os)
    only = "wasm32" if system == "emscripten" else platform.architecture
    architecture = request.architecture or only
    if request.libc:
        return Platform(system, architecture, request.libc)
    known = {
        entry.key.platform.libc
        for entry in entries
        if entry.key.implementation == request.implementation
        and (entry.key.platform.os, entry.key.platform.architecture) == (system, architecture)
    }
    if (system, architecture) == (platform.os, platform.architecture) or not known:
        return replace(platform, os=system, architecture=architecture)
    if platform.libc in known:
        return Platform(system, architecture, platform.libc)
    if len(known) > 1:
        names = ", ".join(f"{system}-{architecture}-{libc}" for libc in sorted(known))
        raise UsageError(f"{request} leaves open which platform: {names}", hint="name one of them")
    return Platform(system, architecture, known.pop())


def _near(
    entries: Sequence[CatalogEntry], request: PythonRequest, platform: Platform
) -> str | None:
    """Return what comes closest: on other platforms, of the same minor version, or at all."""
    anywhere = replace(request, os=None, architecture=None, libc=None)
    platforms = sorted({str(entry.key.platform) for entry in matching(entries, anywhere)})
    if platforms:
        return f"there is one for {_listed(platforms)}"
    here = matching(entries, replace(anywhere, version=None, prereleases=True), platform)
    release = request.version.release if request.version else ()
    variants = {None, request.version.variant if request.version else None}
    here = [entry for entry in here if entry.key.variant in variants]
    close = [str(entry.key) for entry in here if entry.release[:2] == release[:2]]
    newest = {entry.key.minor: str(entry.key) for entry in reversed(here)}
    names = close or list(reversed(newest.values()))
    return f"there is {_listed(names)}" if names else None


def _listed(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
