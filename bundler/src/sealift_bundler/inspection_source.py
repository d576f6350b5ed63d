"""An archive of the cache, read with the reader that the target uses."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sealift_installer.errors import Damaged, host_errors, mismatch

_CHUNK = 1024 * 1024  # bytes


class CachedArchive:
    """The archive at `path`, whose bytes must have the hash `sha256` (an ArchiveSource)."""

    def __init__(self, name: str, path: Path, sha256: str) -> None:
        self._name = name
        self._path = path
        self._sha256 = sha256

    @property
    def name(self) -> str:
        """What messages call the archive."""
        return self._name

    def chunks(self) -> Iterator[bytes]:
        """Yield all bytes in order; at the end the hash is compared.

        Raises:
            Damaged: another hash.
            HostError: the file cannot be read.
        """
        computed = hashlib.sha256()
        with host_errors(f"cannot read {self._name}"), self._path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                computed.update(chunk)
                yield chunk
        if computed.hexdigest() != self._sha256:
            what = f"{self._name} is not what the lock says"
            raise Damaged(mismatch(what, self._sha256, computed.hexdigest()))

    def seekable(self) -> BinaryIO:
        """Return the bytes as a file, once their hash was compared."""
        for _ in self.chunks():
            pass
        with host_errors(f"cannot read {self._name}"):
            return self._path.open("rb")
