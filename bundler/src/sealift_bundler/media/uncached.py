"""Reads of a bundle that come from the medium, and not from what the host remembers of it.

Linux keeps what it has written, so that a file that is read back at once says nothing about the
stick. Where the file system lets a file be read with O_DIRECT, the page cache has no part in it;
elsewhere the file is taken out of the cache first. What the driver of a file system in user space
or the medium itself remembers is beyond both.
"""

import errno
import fcntl
import mmap
import os
from contextlib import suppress
from enum import IntEnum
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from sealift_installer.bundle import Bundle
from sealift_installer.limits import LIMITS, Limits

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# O_DIRECT wants memory, offset and size in whole sectors, and there are sectors of so many bytes.
_SECTOR = 4096
# Bytes that are asked for at a time: sticks are slow with small requests.
_STEP = 1024 * 1024
_DIRECT = getattr(os, "O_DIRECT", 0)
_MOUNTS = Path("/proc/self/mountinfo")


class Way(IntEnum):
    """How the bytes of a file were read, the surest way first."""

    DIRECT = 0
    DRIVER = 1
    DROPPED = 2
    CACHED = 3


class UncachedBundle(Bundle):
    """A bundle whose files are read past the page cache, as far as that can be.

    `way` is the least sure way in which one was read so far.
    """

    def __init__(self, path: Path, limits: Limits = LIMITS) -> None:
        super().__init__(path, limits)
        # Such a driver reads the device through the page cache, and has memory of its own.
        self.way = Way.DRIVER if find_kind(path).startswith("fuse") else Way.DIRECT

    def open(self, name: str) -> FileIO:
        """Open the regular file `name`. Raises what `Bundle.open` raises."""
        file = super().open(name)
        way = drop_cache(file.fileno())
        if go_direct(file.fileno()):
            # The flag belongs to what both descriptors share.
            direct = _DirectFile(os.dup(file.fileno()), way, self._note)
            file.close()
            return direct
        self._note(way)
        return file

    def _note(self, way: Way) -> None:
        self.way = max(self.way, way)


def find_kind(path: Path) -> str:
    """Return what Linux calls the file system of `path`, "" where that is not known."""
    try:
        device = path.stat().st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        for line in _MOUNTS.read_text("utf-8", "replace").splitlines():
            fields, _, kind = line.partition(" - ")
            if fields.split(" ", 3)[2] == wanted:
                return kind.partition(" ")[0]
    except (OSError, IndexError):
        pass
    return ""


def drop_cache(descriptor: int) -> Way:
    """Take what is written of a file out of the page cache; return how it is read then."""
    if not hasattr(os, "posix_fadvise"):
        return Way.CACHED
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError:
        return Way.CACHED
    return Way.DROPPED


def go_direct(descriptor: int, *, on: bool = True) -> bool:
    """Have a file read past the page cache from here on, or not; tell whether that can be."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | _DIRECT if on else flags & ~_DIRECT)
        return bool(_DIRECT)
    return False


class _DirectFile(FileIO):
    """A file that was opened with O_DIRECT, for readers that know nothing of sectors.

    Args:
        descriptor: it is closed with this.
        otherwise: how it is read where the medium wants larger sectors, or no such reads at all.
        note: is told how it was read.
    """

    def __init__(self, descriptor: int, otherwise: Way, note: "Note") -> None:
        super().__init__(descriptor, "rb")
        size = os.fstat(descriptor).st_size
        self._room = mmap.mmap(-1, max(_SECTOR, min(_STEP, size + -size % _SECTOR)))
        self._start = self._held = 0
        self._otherwise = otherwise
        self._note = note

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        position = self.tell()
        if not self._start <= position < self._start + self._held:
            self._start = position - position % _SECTOR
            self._held = self._fetch()
        inside = position - self._start
        count = max(0, min(len(view), self._held - inside))
        view[:count] = memoryview(self._room)[inside : inside + count]
        self.seek(position + count)
        return count

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return self.readall()
        data = bytearray(size)
        del data[self.readinto(data) :]
        return bytes(data)

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self.read(_STEP), b""))

    def _fetch(self) -> int:
        """Fill the room from where it starts; return how many bytes there are."""
        try:
            return os.preadv(self.fileno(), [self._room], self._start)
        except OSError as error:
            if error.errno != errno.EINVAL or not go_direct(self.fileno(), on=False):
                raise
        self._note(self._otherwise)
        return os.preadv(self.fileno(), [self._room], self._start)


if TYPE_CHECKING:
    from collections.abc import Callable

    Note = Callable[[Way], None]
