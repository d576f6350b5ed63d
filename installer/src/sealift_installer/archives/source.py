"""Where an archive's bytes come from; the readers know nothing else about it."""

from collections.abc import Iterator
from typing import BinaryIO, Protocol


class ArchiveSource(Protocol):
    """An archive whose bytes are authenticated before a reader sees them."""

    @property
    def name(self) -> str:
        """What messages call the archive."""
        ...

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Return all bytes in order, in chunks; at the end the whole file's hash is compared.

        A chunk is valid until the next one is asked for.
        """
        ...

    def seekable(self) -> BinaryIO:
        """Return the bytes as a file, for formats that are read from their end."""
        ...
