"""Writes that are whole or not there at all, whatever happens in between."""

import os
from pathlib import Path


def write_durably(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Put `data` at `path` in one step: a file beside it, synced, then a rename, synced too.

    Raises:
        OSError: the directory is missing, full or not writable.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    temporary.replace(path)
    sync_directory(path.parent)


def remove_durably(path: Path) -> None:
    """Remove the file at `path`, if it is there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames and removals in the directory `path` outlast a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
