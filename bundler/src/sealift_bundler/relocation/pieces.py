"""Text with holes where the target puts its prefix in, and the template it becomes."""

from collections.abc import Iterable
from dataclasses import dataclass

from sealift_schemas.index import Place


@dataclass(frozen=True, slots=True)
class Hole:
    """A place for the prefix, and how it is escaped there (see sealift_schemas.index)."""

    escaping: str


Pieces = tuple["str | Hole", ...]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A file's bytes without the prefix, and the places where the target puts it in."""

    template: bytes
    places: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """Why a file that names the prefix is installed as it stands in the archive."""

    reason: str


def decode(data: bytes) -> str:
    """Return `data` as text such that `rewrite` gives the same bytes back, whatever they are."""
    return data.decode("utf-8", "surrogateescape")


def rewrite(pieces: Iterable[str | Hole]) -> Rewrite:
    """Join `pieces` to a template and its places."""
    template = bytearray()
    places = []
    for piece in pieces:
        if isinstance(piece, Hole):
            places.append(Place(len(template), piece.escaping))
        else:
            template += piece.encode("utf-8", "surrogateescape")
    return Rewrite(bytes(template), tuple(places))
