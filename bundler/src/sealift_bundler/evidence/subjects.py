"""How a bundle's evidence names things: archives, the bundle, and who built it.

Names of the site stand under .invalid (ADR 3), with the stream's name before it.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from sealift_bundler.downloads_json import public_url
from sealift_bundler.packed import Packed, in_order
from sealift_schemas.lock import Lock, LockedArchive
from sealift_schemas.statement import Subject
from sealift_schemas.upstream import SOURCE


def subject(archive: LockedArchive) -> Subject:
    """Return the archive as a statement names it: where its bytes stand in the bundle."""
    return Subject(f"archives/{archive.sha256[:9]}-{archive.filename}", archive.sha256)


def distinct(archives: Sequence[LockedArchive]) -> Sequence[LockedArchive]:
    """Return the first of those that share their bytes, sorted by the name in the bundle."""
    archives = by_name(archives)
    places: dict[str, int] = {}
    for place, archive in enumerate(archives):
        places.setdefault(subject(archive).name, place)
    # Packed in their new order: they are gone through again and again.
    return Packed(archives[places[name]] for name in sorted(places))


def by_name(archives: Sequence[LockedArchive]) -> Sequence[LockedArchive]:
    """Return the archives sorted by their own names."""
    return in_order(archives, lambda one: one.name)


def builder_uri(stream: str) -> str:
    """Return who built: sealift on a machine of the site whose stream this is."""
    return f"{_site(stream)}/builder/v1"


def bundle_uri(lock: Lock, epoch: int) -> str:
    """Return the bundle's name: its stream, epoch and sequence."""
    return f"{_site(lock.stream)}/bundle/{lock.stream}/{epoch}/{lock.sequence}"


def published(url: str) -> str | None:
    """Return the address without user and query if it is on the web, None if it is not."""
    if urlsplit(url).scheme not in {"http", "https"}:
        return None
    public = public_url(url, "", "")
    return public if SOURCE.fullmatch(public) else None


def _site(stream: str) -> str:
    return public_url("", "sealift", stream)
