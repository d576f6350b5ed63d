"""Turns: a file that is read, changed and put in place again by one run at a time."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sealift_installer.errors import host_errors


def write_synced(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file that has to be on the disk before it takes the place of another.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def turn(directory: Path) -> Iterator[None]:
    """Wait until no other run changes a file in `directory`, and keep others waiting.

    Where the file system knows no locks, everybody goes on as if alone.

    Raises:
        HostError: the directory cannot be opened.
    """
    with host_errors("cannot open the directory"):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
