"""A catalogue that was read, and several of them as one."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sealift_bundler.catalogs.metadata import CatalogEntry
from sealift_bundler.errors import NetworkError, NothingFitsError
from sealift_schemas.keys import InstallKey
from sealift_schemas.lock import LockedCatalog


@dataclass(frozen=True, slots=True)
class Catalog:
    """A catalogue that was read; `sha256` is that of its bytes.

    `url` names it in the lock: the address without secrets, the path as the spec has it, or of an
    absolute path the last part, since the rest is of this machine alone; `NAME==VERSION` of the
    package that the embedded one comes from. `in_place` says why it was read in the place of a newer
    one, if it was.
    """

    url: str
    sha256: str
    entries: tuple[CatalogEntry, ...]
    in_place: str | None = field(default=None, compare=False)

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


@contextmanager
def newest_wanted(catalogs: Sequence[Catalog]) -> Iterator[None]:
    """Tell of a network that was missing where something in a catalogue's place has nothing.

    Raises:
        NetworkError: nothing fits, and one that could not be reached might have something.
    """
    try:
        yield
    except NothingFitsError as error:
        reason = next((one.in_place for one in catalogs if one.in_place is not None), None)
        if reason is None:
            raise
        hint = "; ".join(filter(None, (error.hint, "try again where the newest list can be read")))
        raise NetworkError(f"{error.message}: {reason}", hint=hint) from error
