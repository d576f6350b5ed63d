"""Reads a catalogue in the format of uv's download-metadata.json.

It is one JSON object; the names of its members mean nothing, as in uv, and everything derives from
the fields of an entry: `name`, `arch` (`family`, `variant`), `os`, `libc`, `major`, `minor`,
`patch`, `url`, and `prerelease`, `sha256`, `variant`, `build`, which may be null or missing. Fields
that nobody knows are passed over, and so is an entry for an implementation, a platform or a
variant that has no place in the grammar of install keys.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from sealift_bundler.addresses import find_flaw
from sealift_bundler.foreign_json import read_json
from sealift_schemas.keys import (
    IMPLEMENTATIONS,
    PYTHON_VERSION,
    VARIANTS,
    InstallKey,
    Platform,
)
from sealift_schemas.strictjson import SHA256, DocumentError, check_integer, check_text, shorten

# The published one has 3 MB; this is room for ten times its entries.
LIMIT = 32 * 1024 * 1024
_OPERATING_SYSTEMS = {"darwin": "macos"}
_ARCHITECTURES = {"i686": "x86", "riscv64": "riscv64gc"}
_VARIANTS = (None, *VARIANTS)
_STAGES = ("a", "b", "rc")
_PRERELEASE = re.compile(r"(a|b|rc)([0-9]+)")
# A version's numbers fit a byte in uv.
LARGEST_NUMBER = 255
# Of a version: four numbers, of which nobody needs more digits.
_LONGEST_VERSION = 32


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One archive of a managed Python; `sha256` is None where upstream publishes no digest."""

    key: InstallKey
    release: tuple[int, int, int]
    prerelease: str
    url: str
    sha256: str | None
    build: str | None

    @property
    def order(self) -> tuple[tuple[int, int, int], tuple[int, int]]:
        """What versions are compared by: numbers, then prerelease; a final release comes last."""
        match = _PRERELEASE.fullmatch(self.prerelease)
        stage = (_STAGES.index(match[1]), int(match[2])) if match else (len(_STAGES), 0)
        return self.release, stage


def read_catalog(data: bytes, what: str) -> tuple[CatalogEntry, ...]:
    """Return the entries of a catalogue in its own order; `what` names it in errors.

    Raises:
        DocumentError: it is no catalogue of this format.
    """
    if len(data) > LIMIT:
        raise DocumentError(what, f"at most {LIMIT} bytes", f"{len(data)} bytes")
    try:
        document = read_json(data)
    except ValueError as error:
        raise DocumentError(what, "a catalogue in JSON", str(error)) from None
    if not isinstance(document, dict):
        raise DocumentError(what, "an object", shorten(document))
    entries = (_read_entry(value, f"{what}: {name}") for name, value in document.items())
    return tuple(entry for entry in entries if entry is not None)


def _read_entry(value: object, where: str) -> CatalogEntry | None:
    fields = _object(value, where)
    major, minor, patch = (_number(fields, name, where) for name in ("major", "minor", "patch"))
    prerelease = _optional(fields, "prerelease", where) or ""
    url = _address(fields, where)
    sha256 = _optional(fields, "sha256", where)
    if sha256 is not None:
        check_text(sha256.lower(), f"{where}.sha256", SHA256, "64 hexadecimal digits")
    build = _optional(fields, "build", where)
    arch = _object(fields.get("arch"), f"{where}.arch")
    family = _required(arch, "family", f"{where}.arch")
    level = _optional(arch, "variant", f"{where}.arch")
    system, libc = _required(fields, "os", where), _required(fields, "libc", where)
    variant = _optional(fields, "variant", where)
    platform = (system, f"{family}_{level}" if level else family, libc)
    version = f"{major}.{minor}.{patch}{prerelease}"
    key = catalog_key(_required(fields, "name", where), version, variant, platform)
    if key is None:
        return None
    digest = sha256.lower() if sha256 else None
    return CatalogEntry(key, (major, minor, patch), prerelease, url, digest, build)


def catalog_key(
    name: str, version: str, variant: str | None, platform: tuple[str, str, str]
) -> InstallKey | None:
    """Return the install key of an entry, or None where the grammar has none for it.

    `platform` is operating system, architecture and libc as the catalogue spells them.
    """
    known = _platform(*platform)
    # The builds of CPython for emscripten are those of Pyodide, and uv names them so.
    name = "pyodide" if platform[0] == "emscripten" and name == "cpython" else name
    if known is None or name not in IMPLEMENTATIONS or variant not in _VARIANTS:
        return None
    return InstallKey(name, version, variant, known) if _is_version(version) else None


@cache
def _platform(system: str, architecture: str, libc: str) -> Platform | None:
    family, underscore, level = architecture.partition("_v")
    parts = (
        _OPERATING_SYSTEMS.get(system, system),
        _ARCHITECTURES.get(family, family) + underscore + level,
        libc,
    )
    try:
        return Platform.parse("-".join(parts))
    except ValueError:
        return None


@cache
def _is_version(text: str) -> bool:
    return len(text) <= _LONGEST_VERSION and PYTHON_VERSION.fullmatch(text) is not None


# What upstreams publish. Of these nothing more has to be asked; others are looked at in full.
_PLAIN = re.compile(r"https://[a-z0-9-]+(?:\.[a-z0-9-]+)+/[A-Za-z0-9._~%+/-]{1,2000}")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\x00-\x20]+")


def _address(fields: Mapping[str, object], where: str) -> str:
    value = fields.get("url")
    if isinstance(value, str) and _PLAIN.fullmatch(value) and "%00" not in value:
        return value
    url = check_text(value, f"{where}.url", _ADDRESS, "an absolute URL")
    if flaw := find_flaw(url):
        raise DocumentError(f"{where}.url", "a plain address", flaw)
    return url


def _object(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise DocumentError(where, "an object", shorten(value))
    return value


# Thousands of entries are read whenever somebody searches: what is right is told quickly, and the
# reader of the contract finds the words for what is wrong.
def _required(fields: Mapping[str, object], name: str, where: str) -> str:
    value = fields.get(name)
    if isinstance(value, str) and value.isascii():
        return value
    return check_text(value, f"{where}.{name}")


def _optional(fields: Mapping[str, object], name: str, where: str) -> str | None:
    return None if fields.get(name) is None else _required(fields, name, where)


def _number(fields: Mapping[str, object], name: str, where: str) -> int:
    value = fields.get(name)
    if type(value) is int and 0 <= value <= LARGEST_NUMBER:
        return value
    return check_integer(value, f"{where}.{name}", maximum=LARGEST_NUMBER)
