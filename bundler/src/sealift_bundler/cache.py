"""The cache: archives under the name they have in a bundle, each of them known by its SHA-256.

Layout: `archives/<sha256[:9]>-<filename>`, which is that of UV_PYTHON_CACHE_DIR, `catalogs/` with
the last copy of each catalogue, `tmp/` for what is not complete, and `lock`, which builds share
and `sealift cache prune` has alone. Files enter `archives/` by a rename within the cache, so that
another process sees a whole file or none.
"""

import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from platformdirs import user_cache_path

from sealift_bundler.kept_files import open_kept
from sealift_installer.errors import (
    Damaged,
    HostError,
    UsageError,
    host_errors,
    mismatch,
    printable,
)
from sealift_schemas.lock import FILENAME

# A file in tmp/ that nobody wrote to for this many seconds is what a killed process left.
_STALE = 24 * 60 * 60
# How long a build waits for somebody who prunes, and how often it looks, in seconds.
_PATIENCE = 60.0
_LOOK = 0.05
# Bytes that are read at a time.
_STEP = 64 * 1024
_ELSEWHERE = "SEALIFT_CACHE_DIR names another place"


class Cache:
    """Downloaded archives, in a directory that can be deleted at any time.

    Args:
        directory: where; else SEALIFT_CACHE_DIR, else the user's cache directory.
    """

    def __init__(self, directory: Path | None = None) -> None:
        named = os.environ.get("SEALIFT_CACHE_DIR")
        if directory is None:
            directory = Path(named) if named else user_cache_path("sealift", appauthor=False)
        self.directory = directory.absolute()

    @property
    def archives(self) -> Path:
        """The folder of the archives."""
        return self.directory / "archives"

    def path(self, sha256: str, filename: str) -> Path:
        """Return where the archive is kept, whether it is there or not.

        Raises:
            UsageError: `filename` is not a portable file name.
        """
        if not FILENAME.fullmatch(filename):
            raise UsageError(f"not a portable file name: {printable(filename)}")
        return self.archives / f"{sha256[:9]}-{filename}"

    def lookup(self, sha256: str, filename: str) -> Path | None:
        """Return the archive if it is here with this digest; it is read and compared each time.

        A file of that name with other bytes is removed.

        Raises:
            Damaged: it has other bytes, and the cache cannot be written.
            HostError: it cannot be read.
        """
        path = self.path(sha256, filename)
        with host_errors("cannot read the cache"):
            try:
                file = open_kept(path)
                if file is None:
                    return None
                with file:
                    computed = file_sha256(file)
                    if computed == sha256:
                        return path
                    read = os.fstat(file.fileno())
            except FileNotFoundError:
                return None
            except IsADirectoryError:
                raise HostError(
                    f"there is a folder in the place of an archive: {printable(str(path))}",
                    hint="sealift cache verify --remove takes it away",
                ) from None
            # Another process may have put a good file in place since; that one stays.
            with suppress(FileNotFoundError):
                if path.stat().st_ino == read.st_ino:
                    _remove_damaged(path, sha256, computed)
        return None

    def adopt(self, temporary: Path, sha256: str, filename: str) -> Path:
        """Take a file of `temporary()` into the cache and return where it is now.

        Args:
            temporary: the file, complete and closed.
            sha256: its digest, computed while it was written.
            filename: its name without the digest.

        Raises:
            HostError: the cache cannot be written.
        """
        path = self.path(sha256, filename)
        with writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            # No fsync: what a power failure leaves is compared with its digest in `lookup`.
            temporary.replace(path)
        return path

    @contextmanager
    def hold(self, *, alone: bool = False) -> Iterator[None]:
        """Keep the archives from being pruned until the end of the `with` block.

        Any number of processes may hold the cache, or one may that wants to be `alone` with it.

        Raises:
            HostError: it is in use by others, or somebody is alone with it for more than a minute;
                `alone`: it cannot be written.
        """
        descriptor = self._open_lock(alone=alone)
        if descriptor is None:
            # Nobody can remove anything from a cache that cannot be written.
            yield
            return
        try:
            _wait_for(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH, self.directory)
            yield
        finally:
            os.close(descriptor)

    def _open_lock(self, *, alone: bool) -> int | None:
        try:
            with host_errors("cannot write the cache"):
                self.directory.mkdir(parents=True, exist_ok=True)
                return os.open(
                    self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666
                )
        except HostError:
            if alone:
                raise
            return None

    @contextmanager
    def temporary(self) -> Iterator[Path]:
        """Make an empty file on the cache's own file system; on exit it is removed if still there.

        Raises:
            HostError: the cache cannot be written.
        """
        folder = self.directory / "tmp"
        with writing():
            folder.mkdir(parents=True, exist_ok=True)
            _remove_stale(folder)
            path = folder / secrets.token_hex(8)
            path.touch(exist_ok=False)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


def file_sha256(file: BinaryIO) -> str:
    """Return the SHA-256 of what is left of a file; several threads do this at a time."""
    computed = hashlib.sha256()
    while block := file.read(_STEP):
        computed.update(block)
    return computed.hexdigest()


@contextmanager
def writing() -> Iterator[None]:
    """Turn an error of the operating system into one that names the way out.

    Raises:
        HostError: the cache cannot be written.
    """
    try:
        with host_errors("cannot write the cache"):
            yield
    except HostError as error:
        raise HostError(error.message, hint=error.hint or _ELSEWHERE) from error.__cause__


def unwritable(path: Path, expected: str, computed: str, reason: str) -> Damaged:
    """Return the error about a file of the cache that is damaged and can be neither used nor put right.

    Args:
        path: the file.
        expected: the SHA-256 that it must have.
        computed: the one that it has.
        reason: why the cache cannot be written.
    """
    what = f"damaged in the cache, which cannot be written ({reason}): {printable(str(path))}"
    return Damaged(
        mismatch(what, f"sha256 {expected}", f"sha256 {computed}"),
        hint="where it can be written, `sealift cache verify --remove` takes the file away; "
        + _ELSEWHERE,
    )


def _remove_damaged(path: Path, expected: str, computed: str) -> None:
    try:
        path.unlink()
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise unwritable(path, expected, computed, reason) from None


def _wait_for(descriptor: int, operation: int, directory: Path) -> None:
    """Take the lock; who wants to be alone does not wait, for a build may take hours."""
    patience = 0.0 if operation == fcntl.LOCK_EX else _PATIENCE
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise HostError(
                    f"the cache is in use by another process: {directory}",
                    hint="try again when it has ended",
                ) from None
            time.sleep(_LOOK)
        except OSError as error:
            if operation == fcntl.LOCK_SH:
                # Some network file systems know no locks. Nobody can be alone with this cache.
                return
            raise HostError(f"cannot lock the cache: {directory}: {error.strerror}") from None
        else:
            return


def _remove_stale(folder: Path) -> None:
    oldest = time.time() - _STALE
    for path in folder.iterdir():
        # What cannot be taken away stays.
        with suppress(OSError):
            if path.lstat().st_mtime < oldest:
                path.unlink()
