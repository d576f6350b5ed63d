"""Writes that are whole or not there at all, whatever happens in between."""

import os
import sys
from collections.abc import Iterable
from errno import ENOTDIR
from pathlib import Path

_DIRECTORY_MODE = 0o755
# Windows does not know the first, and translates line ends without the second.
_NEW_FILE = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)


def make_directory(path: Path, top: Path) -> None:
    """Make the directory `path` and those above it, with 0755 from `top` downwards.

    The umask has no say there: with 077 nobody else could run what root installed, and with 000
    anybody could change whom this target trusts. Directories that are there are left as they are.

    Raises:
        OSError: one cannot be made.
    """
    if path.is_dir():
        return
    make_directory(path.parent, top)
    try:
        path.mkdir(_DIRECTORY_MODE)
    except FileExistsError:
        if path.is_dir():
            return  # another run made it
        raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), str(path)) from None
    if path == top or top in path.parents:
        path.chmod(_DIRECTORY_MODE)


def write_durably(path: Path, data: bytes | Iterable[bytes], *, mode: int = 0o644) -> None:
    """Put `data` at `path` in one step: a file beside it, synced, then a rename, synced too.

    Data can come in pieces, so that all of it is never held.

    Raises:
        OSError: the directory is missing, full or not writable.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, _NEW_FILE, mode)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.writelines((data,) if isinstance(data, bytes) else data)
        if sys.platform != "win32":
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
    except (FileNotFoundError, NotADirectoryError):
        return
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames and removals in the directory `path` outlast a power cut."""
    if sys.platform == "win32":
        return  # a directory cannot be opened there, and NTFS keeps a journal of its own
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
