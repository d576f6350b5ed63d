"""What has come of an archive so far, kept in the cache: a killed run goes on where it stopped.

`partial/<sha256>` holds the bytes and `partial/<sha256>.json` beside it whence they came. Whoever
writes holds a lock on the file, so that two processes do not fetch the same archive. Nothing in
here is trusted: the digest of the whole file decides.
"""

import fcntl
import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from sealift_bundler.cache import Cache, writing
from sealift_bundler.kept_files import open_kept, read_kept
from sealift_installer.errors import HostError, host_errors

_READ = 1024 * 1024
# Seconds between two looks at a lock that another process holds.
_LOOK = 0.1
# Seconds after which nobody comes back for what is not complete.
_STALE = 30 * 24 * 60 * 60
# Bytes of what is noted about the origin.
_LARGEST_NOTE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Origin:
    """Whence bytes came: the address without secrets, the validator (an ETag or a date), the size."""

    url: str
    validator: str | None = None
    size: int | None = None


class Partial:
    """The bytes of an archive from its beginning; `mixed` tells that several answers gave them."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.path = path
        self._file = file
        self._note = path.with_name(f"{path.name}.json")
        self._digest = hashlib.sha256()
        self.size = 0
        self.origin: Origin | None = None
        self.mixed = False
        self._load()

    @property
    def sha256(self) -> str:
        """The digest of the bytes so far."""
        return self._digest.hexdigest()

    def restart(self, origin: Origin | None) -> None:
        """Forget all bytes; those that follow come from `origin`."""
        with host_errors("cannot write the cache"):
            self._file.seek(0)
            self._file.truncate()
            self._digest = hashlib.sha256()
            self.size = 0
            self.mixed = False
            self._remember(origin)

    def resume(self, origin: Origin) -> None:
        """Keep the bytes; those that follow come from another answer."""
        self.mixed = True
        if origin != self.origin:
            with host_errors("cannot write the cache"):
                self._remember(origin)

    def append(self, block: bytes) -> None:
        """Add bytes at the end.

        Raises:
            HostError: the disk is full, or fails.
        """
        with host_errors("cannot write the cache"):
            view = memoryview(block)
            while view:
                count = self._file.write(view)
                self._digest.update(view[:count])
                self.size += count
                view = view[count:]

    def check_space(self, total: int | None, room: int) -> None:
        """Refuse to begin what cannot end.

        Args:
            total: bytes of the whole archive, if known.
            room: bytes that must stay free.

        Raises:
            HostError: there is less space than the rest of the archive needs.
        """
        if total is not None:
            check_space(self.path.parent, total - self.size, room)

    def remove(self) -> None:
        """Take the file and its note away."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def forget_note(self) -> None:
        """Take the note away, once the file is an archive of the cache."""
        self._note.unlink(missing_ok=True)

    def _load(self) -> None:
        with host_errors("cannot read the cache"):
            while block := self._file.read(_READ):
                self._digest.update(block)
                self.size += len(block)
            self.mixed = self.size > 0
            self.origin = _read_origin(read_kept(self._note, _LARGEST_NOTE))

    def _remember(self, origin: Origin | None) -> None:
        self.origin = origin
        if origin is None:
            self._note.unlink(missing_ok=True)
            return
        new = self._note.with_suffix(".new")
        # A link that somebody has put there is not followed.
        new.unlink(missing_ok=True)
        with new.open("x") as file:
            file.write(json.dumps(asdict(origin)))
        new.replace(self._note)


def check_space(folder: Path, needed: int, room: int) -> None:
    """Refuse to fetch what does not fit.

    Raises:
        HostError: less than `needed` + `room` bytes are free where `folder` is.
    """
    with host_errors("cannot read the cache"):
        there = next(each for each in (folder, *folder.parents) if each.exists())
        free = shutil.disk_usage(there).free
    if free < needed + room:
        raise HostError(
            f"not enough space in the cache: {folder}\n"
            f"  Expected: {needed + room} bytes\n  Computed: {free} bytes",
            hint="SEALIFT_CACHE_DIR names another place",
        )


@contextmanager
def open_partial(cache: Cache, sha256: str, waiting: Callable[[], None]) -> Iterator[Partial]:
    """Hold what there is of an archive; wait as long as another process holds it.

    Args:
        cache: where.
        sha256: of the archive.
        waiting: is called while another process has the file; it may raise to give up.

    Raises:
        HostError: the cache cannot be read or written.
    """
    folder = cache.directory / "partial"
    path = folder / sha256
    with writing():
        folder.mkdir(parents=True, exist_ok=True)
        file = _locked(path, waiting)
    with file:
        partial = Partial(file, path)
        try:
            yield partial
        finally:
            # Nothing is worth nothing; and the file may be an archive of the cache by now.
            if partial.size == 0 and _is_open(file, path):
                partial.remove()


def partial_size(cache: Cache, sha256: str) -> int:
    """Return how many bytes of an archive are here already."""
    with host_errors("cannot read the cache"):
        try:
            status = (cache.directory / "partial" / sha256).lstat()
        except FileNotFoundError:
            return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def remove_stale(cache: Cache) -> None:
    """Remove what has been incomplete for long."""
    oldest = time.time() - _STALE
    folder = cache.directory / "partial"
    with host_errors("cannot write the cache"):
        for path in folder.iterdir() if folder.is_dir() else ():
            # Another process may have adopted it since; and what is no file stays.
            with suppress(FileNotFoundError, IsADirectoryError):
                if path.lstat().st_mtime < oldest:
                    path.unlink()


def _read_origin(data: bytes | None) -> Origin | None:
    try:
        value = json.loads(data or b"null")
    except (ValueError, RecursionError):
        return None
    kinds = {"url": str, "validator": str | None, "size": int | None}
    if not isinstance(value, dict) or value.keys() != kinds.keys():
        return None
    if not all(isinstance(value[name], kind) for name, kind in kinds.items()):
        return None
    return Origin(**value)


def _locked(path: Path, waiting: Callable[[], None]) -> BinaryIO:
    while True:
        # Unbuffered: what was written is there when the process is killed.
        file = open_kept(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
        if file is None:
            path.unlink(missing_ok=True)
            continue
        try:
            while not _try_lock(file):
                waiting()
                time.sleep(_LOOK)
            if _is_open(file, path):
                return file
        except BaseException:
            file.close()
            raise
        # Whoever held it has made it an archive of the cache, or has removed it.
        file.close()


def _try_lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_open(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
