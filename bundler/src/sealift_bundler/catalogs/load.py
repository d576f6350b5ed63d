"""Loads a catalogue from a file or an address; of the latter the last copy is kept."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sealift_bundler import web
from sealift_bundler.access import Access
from sealift_bundler.cache import Cache
from sealift_bundler.catalogs.metadata import LIMIT, CatalogEntry, read_catalog
from sealift_bundler.errors import NetworkError
from sealift_bundler.fetch import local_path
from sealift_installer.errors import UsageError, documents_damaged, host_errors, printable
from sealift_schemas.lock import LockedCatalog

# Where uv keeps its list of downloads.
DEFAULT = (
    "https://raw.githubusercontent.com/astral-sh/uv/main/"
    "crates/uv-python-managed/download-metadata.json"
)
_VARIABLE = "UV_PYTHON_DOWNLOADS_JSON_URL"


@dataclass(frozen=True, slots=True)
class Catalog:
    """A catalogue that was read; `sha256` is that of its bytes.

    `url` names it in the lock: the address without secrets, the path as the spec has it, or of an
    absolute path the last part, since the rest is of this machine alone.
    """

    url: str
    sha256: str
    entries: tuple[CatalogEntry, ...]

    def locked(self) -> LockedCatalog:
        """Return the catalogue as the lock names it."""
        return LockedCatalog(url=self.url, sha256=self.sha256)


def default_locations(named: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the catalogues to be read: those of the spec, else uv's variable, else uv's own.

    A relative path in the variable is one from the working directory, as it is for uv.
    """
    if named:
        return tuple(named)
    location = os.environ.get(_VARIABLE) or DEFAULT
    return (location if "://" in location else str(Path(location).absolute()),)


def load_catalog(
    location: str,
    cache: Cache,
    *,
    offline: bool = False,
    base: Path | None = None,
    access: Access | None = None,
) -> Catalog:
    """Read the catalogue at `location`: a path (relative to `base`), or a file, http or https URL.

    With `offline` set the copy in the cache serves for an address; else it is reached by `access`.

    Raises:
        Damaged: it is no catalogue.
        NetworkError: it cannot be had from its address, or there is no copy of it.
        UsageError: there is no such file, or no such kind of address.
        HostError: a file cannot be read or written.
    """
    scheme = location.partition("://")[0] if "://" in location else ""
    if scheme in {"", "file"}:
        path = local_path(location) if scheme else (base or Path()) / location
        name = path.name if scheme or Path(location).is_absolute() else location
        data = _read_file(path)
    elif scheme in {"http", "https"}:
        name = web.public_url(location)
        data = _Copy(cache, location).read() if offline else _download(location, cache, access)
    else:
        raise UsageError(
            f"cannot read a catalogue from {printable(location)}",
            hint="name a file or an address that starts with https, http or file",
        )
    with documents_damaged("the catalogue"):
        entries = read_catalog(data, printable(name if scheme else location))
    return Catalog(name, hashlib.sha256(data).hexdigest(), entries)


class _Copy:
    """The last copy of the catalogue at an address, and the server's name (ETag) for it."""

    def __init__(self, cache: Cache, url: str) -> None:
        self.cache = cache
        self.url = url
        self.path = (
            cache.directory / "catalogs" / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}"
        )

    def load(self) -> tuple[bytes, str | None] | None:
        """Return the bytes and the ETag, None where there is no whole copy."""
        with host_errors("cannot read the cache"):
            try:
                first, data = self.path.read_bytes().split(b"\n", 1)
            except (FileNotFoundError, ValueError):
                return None
        try:
            head = json.loads(first)
            if head["sha256"] == hashlib.sha256(data).hexdigest():
                return data, head["etag"]
        except (ValueError, KeyError, TypeError):
            pass
        return None

    def read(self) -> bytes:
        """Return the bytes where the network must not be used."""
        known = self.load()
        if known is None:
            raise NetworkError(
                f"there is no copy of the catalogue {_shown(self.url)} and --offline is set",
                hint="run once without --offline, or name a file",
            )
        return known[0]

    def save(self, data: bytes, etag: str | None) -> None:
        """Keep the bytes: one file, so that head and body cannot belong to two answers."""
        head = {"etag": etag, "sha256": hashlib.sha256(data).hexdigest()}
        with self.cache.temporary() as temporary, host_errors("cannot write the cache"):
            temporary.write_bytes(json.dumps(head).encode() + b"\n" + data)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(self.path)

    @property
    def hint(self) -> str:
        """What can be done when the address does not answer."""
        if self.load() is not None:
            time = datetime.fromtimestamp(self.path.stat().st_mtime, UTC)
            return f"--offline uses the copy of {time:%Y-%m-%d %H:%M} UTC"
        return f"{_VARIABLE} or `catalogs` in sealift.toml name another catalogue, also a file"


def _read_file(path: Path) -> bytes:
    with host_errors("cannot read the catalogue"):
        try:
            with path.open("rb") as file:
                return file.read(LIMIT + 1)
        except FileNotFoundError:
            raise UsageError(f"there is no catalogue {printable(str(path))}") from None


def _download(url: str, cache: Cache, access: Access | None) -> bytes:
    copy = _Copy(cache, url)
    with web.Session(access) as session:
        try:
            return web.insist(lambda: _ask(copy, session), session.access.patience)
        except NetworkError as error:
            raise NetworkError(error.message, hint=copy.hint) from None


def _ask(copy: _Copy, session: web.Session) -> bytes:
    known = copy.load()
    condition = {"If-None-Match": known[1]} if known and known[1] else {}
    with web.get(copy.url, headers=condition, session=session) as response:
        if known and response.status_code == 304:  # noqa: PLR2004 - HTTP: not modified
            return known[0]
        data = bytearray()
        for block in web.read_body(response, copy.url):
            data += block
            if len(data) > LIMIT:
                break
    etag = response.headers.get("ETag")
    if len(data) <= LIMIT:
        copy.save(bytes(data), etag)
    return bytes(data)


def _shown(url: str) -> str:
    return printable(web.public_url(url))
