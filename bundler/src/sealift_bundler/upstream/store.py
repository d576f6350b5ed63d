"""Evidence in the cache: files by their SHA-256, and what stood at an address when it was asked.

Layout below the cache: `evidence/<sha256>` are the files that locks name, `evidence/answers/<name>`
the last answer of each address with its ETag, for --offline and for builds that look again.
"""

import hashlib
import json
from pathlib import Path

from sealift_bundler.cache import Cache, unwritable, writing
from sealift_bundler.kept_files import read_kept
from sealift_installer.errors import HostError, host_errors

FOLDER = "evidence"
ANSWERS = f"{FOLDER}/answers"
# More than any file has that is kept here (bytes).
_LARGEST = 1024 * 1024 * 1024


class EvidenceStore:
    """The part of the cache that holds evidence.

    Args:
        cache: the whole of it.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def path(self, sha256: str) -> Path:
        """Return where the file with this digest is kept, whether it is there or not."""
        return self._cache.directory / FOLDER / sha256

    def keep(self, data: bytes) -> str:
        """Keep a file and return its SHA-256.

        Raises:
            Damaged: it is there with other bytes, and the cache cannot be written.
            HostError: the cache cannot be written.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        if self.find(sha256) is None:
            try:
                self._write(self.path(sha256), data)
            except HostError as error:
                self._refuse_damaged(sha256, error)
                raise
        return sha256

    def find(self, sha256: str) -> bytes | None:
        """Return the file with this digest; one that is damaged is as good as none.

        Raises:
            HostError: the cache cannot be read.
        """
        data = self._read(self.path(sha256))
        return data if data is not None and hashlib.sha256(data).hexdigest() == sha256 else None

    def _refuse_damaged(self, sha256: str, error: HostError) -> None:
        path = self.path(sha256)
        kept = self._read(path)
        if kept is None:
            return
        reason = str(getattr(error.__cause__, "strerror", None) or error.message)
        raise unwritable(path, sha256, hashlib.sha256(kept).hexdigest(), reason) from error

    def answer(self, address: str) -> tuple[bytes, str | None] | None:
        """Return the last answer of an address and its ETag, None where there is no whole one.

        Raises:
            HostError: the cache cannot be read.
        """
        first, found, data = (self._read(self._answer(address)) or b"").partition(b"\n")
        try:
            head = json.loads(first) if found else {}
            if head["sha256"] == hashlib.sha256(data).hexdigest():
                return data, head["etag"] if isinstance(head["etag"], str) else None
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        return None

    def keep_answer(self, address: str, data: bytes, etag: str | None) -> None:
        """Keep an answer: one file, so that head and body cannot belong to two.

        Raises:
            HostError: the cache cannot be written.
        """
        head = {"etag": etag, "sha256": hashlib.sha256(data).hexdigest()}
        self._write(self._answer(address), json.dumps(head).encode() + b"\n" + data)

    def _answer(self, address: str) -> Path:
        # An address may hold a secret in its query; its digest does not.
        name = hashlib.sha256(address.encode()).hexdigest()
        return self._cache.directory / ANSWERS / name

    def _write(self, path: Path, data: bytes) -> None:
        with self._cache.temporary() as temporary, writing():
            temporary.write_bytes(data)
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(path)

    def _read(self, path: Path) -> bytes | None:
        with host_errors("cannot read the cache"):
            return read_kept(path, _LARGEST)
