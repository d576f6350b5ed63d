"""A catalogue that was read, and several of them as one."""

from collections.abc import Iterable
from dataclasses import dataclass

from sealift_bundler.catalogs.metadata import CatalogEntry
from sealift_schemas.keys import InstallKey
from sealift_schemas.lock import LockedCatalog


@dataclass(frozen=True, slots=True)
class Catalog:
    """A catalogue that was read; `sha256` is that of its bytes.

    `url` names it in the lock: the address without secrets, the path as the spec has it, or of an
    absolute path the last part, since the rest is of this machine alone; `NAME==VERSION` of the
    package that the embedded one comes from.
    """

    url: str
    sha256: str
    entries: tuple[CatalogEntry, ...]

    def locked(self) -> LockedCatalog:
        """Return the catalogue as the lock names it."""
        return LockedCatalog(url=self.url, sha256=self.sha256)


def merge(catalogs: Iterable[Catalog]) -> tuple[CatalogEntry, ...]:
    """Return the entries of all catalogues; of each key that of the first catalogue that has it."""
    found: dict[InstallKey, CatalogEntry] = {}
    for catalog in catalogs:
        for entry in catalog.entries:
            found.setdefault(entry.key, entry)
    return tuple(found.values())
