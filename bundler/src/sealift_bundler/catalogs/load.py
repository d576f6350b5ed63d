"""Loads a catalogue from a file or an address; of the latter the last copy is kept."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sealift_bundler.access import Access
from sealift_bundler.addresses import public_url, shown
from sealift_bundler.cache import Cache
from sealift_bundler.catalogs.catalog import Catalog
from sealift_bundler.catalogs.copies import CatalogCopy
from sealift_bundler.catalogs.metadata import LIMIT, read_catalog
from sealift_bundler.errors import NetworkError
from sealift_bundler.transfer import local_path
from sealift_installer.errors import (
    Damaged,
    HostError,
    UsageError,
    documents_damaged,
    host_errors,
    mismatch,
    printable,
)

if TYPE_CHECKING:
    # Takes 0.1 s to import, and a search of what is here needs none of it.
    from sealift_bundler import web

# Where uv keeps its list of downloads.
DEFAULT = (
    "https://raw.githubusercontent.com/astral-sh/uv/main/"
    "crates/uv-python-managed/download-metadata.json"
)
VARIABLE = "UV_PYTHON_DOWNLOADS_JSON_URL"
_NOT_MODIFIED = 304
_OFFLINE = "it is the last copy, and --offline is set"


def load_catalog(
    location: str,
    cache: Cache,
    *,
    offline: bool = False,
    base: Path | None = None,
    fresh: int = 0,
    access: Access | None = None,
) -> Catalog:
    """Read the catalogue at `location`: a path (relative to `base`), or a file, http or https URL.

    Of an address the last copy serves if `offline` is set, or if the server was asked less than
    `fresh` seconds ago. One that is no catalogue is not kept. `access` says by which way it comes.

    Raises:
        Damaged: it is no catalogue.
        NetworkError: it cannot be had from its address, or there is no copy of it.
        UsageError: there is no such file, or no such kind of address.
        HostError: a file cannot be read.
    """
    scheme = location.partition("://")[0] if "://" in location else ""
    if scheme in {"http", "https"}:
        copy = CatalogCopy(cache, location)
        name = public_url(location)
        if offline or copy.age() < fresh:
            kept = _check_remote(_catalog(copy.read(), name))
            return replace(kept, in_place=_OFFLINE) if offline else kept
        answer = _download(copy, access)
        catalog = _check_remote(_catalog(answer.data, name))
        # What is no catalogue, such as the page of a proxy, does not replace the copy.
        if answer.new:
            # It is for later runs: a cache that is full or somebody else's does not end this one.
            with suppress(HostError):
                copy.save(answer.data, answer.etag)
        else:
            copy.confirm()
        return catalog
    if scheme not in {"", "file"}:
        raise UsageError(
            f"cannot read a catalogue from {printable(location)}",
            hint="name a file or an address that starts with https, http or file",
        )
    path = local_path(location) if scheme else (base or Path()) / location
    absolute = scheme or Path(location).is_absolute()
    return _catalog(_read_file(path), path.name if absolute else location)


def _catalog(data: bytes, name: str) -> Catalog:
    with documents_damaged("the catalogue"):
        entries = read_catalog(data, printable(name))
    return Catalog(name, hashlib.sha256(data).hexdigest(), entries)


def _check_remote(catalog: Catalog) -> Catalog:
    """Refuse a list from a server that leads to files of this machine."""
    for entry in catalog.entries:
        if not entry.url.startswith(("https://", "http://")):
            raise Damaged(
                mismatch(
                    f"the catalogue leads to no server: {printable(catalog.url)}: {entry.key}",
                    "an address with https or http",
                    printable(entry.url),
                ),
                hint="only a catalogue that is a file of this machine may name files of it",
            )
    return catalog


def _read_file(path: Path) -> bytes:
    with host_errors("cannot read the catalogue"):
        try:
            with path.open("rb") as file:
                return file.read(LIMIT + 1)
        except FileNotFoundError:
            raise UsageError(f"there is no catalogue {printable(str(path))}") from None


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the server sent; `new` unless it is the copy that it confirmed."""

    data: bytes
    etag: str | None
    new: bool


def _download(copy: CatalogCopy, access: Access | None) -> _Answer:
    from sealift_bundler import web

    with web.Session(access) as session:
        try:
            return web.insist(lambda: _ask(copy, session), session.access.patience)
        except NetworkError as error:
            hint = "; ".join(filter(None, (error.hint, _hint(copy))))
            raise NetworkError(error.message, hint=hint) from error


def _ask(copy: CatalogCopy, session: "web.Session") -> _Answer:
    from sealift_bundler import web

    known = copy.load()
    condition = {"If-None-Match": known[1]} if known and known[1] else {}
    with web.get(copy.url, headers=condition, session=session) as response:
        etag = web.entity_tag(response)
        if response.status_code == _NOT_MODIFIED:
            if known is None or not condition:
                raise NetworkError(
                    f"{shown(copy.url)}: the server confirms what nobody asked about"
                )
            return _Answer(known[0], etag, new=False)
        data = bytearray()
        for block in web.read_body(response, copy.url):
            data += block
            if len(data) > LIMIT:
                break
    return _Answer(bytes(data), etag, new=True)


def _hint(copy: CatalogCopy) -> str:
    date = copy.date()
    if date is not None:
        return f"--offline uses the copy of {date}"
    return f"{VARIABLE} or `catalogs` in sealift.toml name another catalogue, also a file"
