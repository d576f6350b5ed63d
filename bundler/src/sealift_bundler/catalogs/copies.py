"""The last copy of a catalogue that came from an address, kept in the cache for --offline."""

import hashlib
import json
import math
import os
import time
from contextlib import suppress
from datetime import UTC, datetime

from sealift_bundler.addresses import public_url
from sealift_bundler.cache import Cache
from sealift_bundler.catalogs.metadata import LIMIT
from sealift_bundler.errors import NetworkError
from sealift_bundler.kept_files import read_kept
from sealift_installer.errors import host_errors, printable

# Of a copy, with its head (bytes).
_LARGEST = LIMIT + 1024 * 1024


class CatalogCopy:
    """The last copy of the catalogue at an address, and the server's name (ETag) for it."""

    def __init__(self, cache: Cache, url: str) -> None:
        self.url = url
        self.cache = cache
        name = hashlib.sha256(url.encode()).hexdigest()[:32]
        self.path = cache.directory / "catalogs" / name

    def load(self) -> tuple[bytes, str | None] | None:
        """Return the bytes and the ETag, None where there is no whole copy.

        Raises:
            HostError: the cache cannot be read.
        """
        with host_errors("cannot read the cache"):
            first, found, data = (read_kept(self.path, _LARGEST) or b"").partition(b"\n")
        try:
            head = json.loads(first) if found else {}
            if head["sha256"] == hashlib.sha256(data).hexdigest():
                return data, head["etag"] if isinstance(head["etag"], str) else None
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        return None

    def read(self) -> bytes:
        """Return the bytes where the network must not be used.

        Raises:
            NetworkError: there is no whole copy.
        """
        known = self.load()
        if known is None:
            raise NetworkError(
                f"there is no copy of the catalogue {printable(public_url(self.url))} "
                "and --offline is set",
                hint="run once without --offline, or name a file",
            )
        return known[0]

    def save(self, data: bytes, etag: str | None) -> None:
        """Keep the bytes: one file, so that head and body cannot belong to two answers.

        Raises:
            HostError: the cache cannot be written.
        """
        head = {"etag": etag, "sha256": hashlib.sha256(data).hexdigest()}
        with self.cache.temporary() as temporary, host_errors("cannot write the cache"):
            temporary.write_bytes(json.dumps(head).encode() + b"\n" + data)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(self.path)

    def confirm(self) -> None:
        """Note that the server has just said that there is nothing newer."""
        with suppress(OSError):
            os.utime(self.path)

    def age(self) -> float:
        """Return how many seconds ago the server was asked; infinite where there is no copy."""
        if self.load() is None:
            return math.inf
        return max(0.0, time.time() - self.path.stat().st_mtime)

    def date(self) -> str | None:
        """Return when the server was asked, for people; None where there is no copy."""
        if self.load() is None:
            return None
        return f"{datetime.fromtimestamp(self.path.stat().st_mtime, UTC):%Y-%m-%d %H:%M} UTC"
