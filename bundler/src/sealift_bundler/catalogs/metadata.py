"""Reads a catalogue in the format of uv's download-metadata.json.

It is one JSON object; the names of its members mean nothing, as in uv, and everything derives from
the fields of an entry: `name`, `arch` (`family`, `variant`), `os`, `libc`, `major`, `minor`,
`patch`, `url`, and `prerelease`, `sha256`, `variant`, `build`, which may be null or missing. Fields
that nobody knows are passed over, and so is an entry for an implementation, a platform or a
variant that has no place in the grammar of install keys.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sealift_bundler.addresses import find_flaw
from sealift_schemas.keys import InstallKey
from sealift_schemas.strictjson import SHA256, DocumentError, check_integer, check_text, shorten

# The published one has 3 MB; this is room for ten times its entries.
LIMIT = 32 * 1024 * 1024
_OPERATING_SYSTEMS = {"darwin": "macos"}
_ARCHITECTURES = {"i686": "x86", "riscv64": "riscv64gc"}
_STAGES = ("a", "b", "rc")
_PRERELEASE = re.compile(r"(a|b|rc)([0-9]+)")
# A version's numbers fit a byte in uv.
LARGEST_NUMBER = 255


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
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DocumentError(what, "a catalogue in JSON", str(error)) from None
    if not isinstance(document, dict):
        raise DocumentError(what, "an object", shorten(document))
    entries = (_read_entry(value, f"{what}: {name}") for name, value in document.items())
    return tuple(entry for entry in entries if entry is not None)


def _read_entry(value: object, where: str) -> CatalogEntry | None:
    fields = _object(value, where)
    major, minor, patch = (
        check_integer(fields.get(name), f"{where}.{name}", maximum=LARGEST_NUMBER)
        for name in ("major", "minor", "patch")
    )
    prerelease = _optional(fields, "prerelease", where) or ""
    version = f"{major}.{minor}.{patch}{prerelease}"
    url = check_text(fields.get("url"), f"{where}.url", _ADDRESS, "an absolute URL")
    if flaw := find_flaw(url):
        raise DocumentError(f"{where}.url", "a plain address", flaw)
    sha256 = _optional(fields, "sha256", where)
    if sha256 is not None:
        check_text(sha256.lower(), f"{where}.sha256", SHA256, "64 hexadecimal digits")
    build = _optional(fields, "build", where)
    key = _key(fields, version, where)
    if key is None:
        return None
    digest = sha256.lower() if sha256 else None
    return CatalogEntry(key, (major, minor, patch), prerelease, url, digest, build)


def _key(fields: Mapping[str, object], version: str, where: str) -> InstallKey | None:
    """Return the install key, or None where the grammar has none for this entry."""
    arch = _object(fields.get("arch"), f"{where}.arch")
    family = _required(arch, "family", f"{where}.arch")
    level = _optional(arch, "variant", f"{where}.arch")
    operating_system = _required(fields, "os", where)
    libc = _required(fields, "libc", where)
    name = _required(fields, "name", where)
    variant = _optional(fields, "variant", where)
    text = "-".join(
        (
            # The builds of CPython for emscripten are those of Pyodide, and uv names them so.
            "pyodide" if operating_system == "emscripten" and name == "cpython" else name,
            f"{version}+{variant}" if variant else version,
            _OPERATING_SYSTEMS.get(operating_system, operating_system),
            _ARCHITECTURES.get(family, family) + (f"_{level}" if level else ""),
            libc,
        )
    )
    try:
        return InstallKey.parse(text)
    except ValueError:
        return None


_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\x00-\x20]+")


def _object(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise DocumentError(where, "an object", shorten(value))
    return value


def _required(fields: Mapping[str, object], name: str, where: str) -> str:
    return check_text(fields.get(name), f"{where}.{name}")


def _optional(fields: Mapping[str, object], name: str, where: str) -> str | None:
    value = fields.get(name)
    return None if value is None else check_text(value, f"{where}.{name}")
