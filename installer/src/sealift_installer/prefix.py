"""The directory that everything is installed to, and the lock that lets one run change it.

    PREFIX/installs/<key>/        interpreters; a valid UV_PYTHON_INSTALL_DIR
    PREFIX/tools/<name>/          everything else
    PREFIX/bin/                   links, where they were asked for
    PREFIX/state/                 trust, records, indexes, receipts, the journal

Trees are made in `.staging/` beside their destination, so that one rename publishes them, and the
one before the newest is kept in `.previous/`. uv ignores names that begin with a dot.
"""

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from errno import EISDIR
from pathlib import Path
from typing import BinaryIO

from sealift_installer.durable import make_directory
from sealift_installer.errors import HostError, host_errors, printable
from sealift_installer.lock import take_lock
from sealift_installer.presence import is_directory

# How long another run is waited for: it may be writing several interpreters to a slow disk.
LOCK_SECONDS = 600.0
_POLL_SECONDS = 0.05
# Windows knows neither of the last two.
_LOCK_FILE = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
# What stands in the state is opened without waiting for who writes to a pipe.
_KEPT_FILE = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def default_prefix() -> Path:
    """Return /opt/sealift for root, for others `sealift` in the user's data directory."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/opt/sealift")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "sealift"
    data = os.environ.get("XDG_DATA_HOME", "")
    base = Path(data) if data.startswith("/") else Path.home() / ".local" / "share"
    return base / "sealift"


class Prefix:
    """One prefix. Making the object touches nothing.

    Args:
        path: the directory; made absolute, symbolic links in it are left alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
        self.state = self.path / "state"
        self.bin = self.path / "bin"

    def exposed(self) -> tuple[Path, ...]:
        """Return which directories everybody can write to: whoever does decides what is trusted.

        Raises:
            HostError: they cannot be looked at.
        """
        with host_errors("cannot look at the prefix"):
            return tuple(
                path
                for path in (self.path, self.state)
                if is_directory(path) and path.stat().st_mode & stat.S_IWOTH
            )

    def parent(self, kind: str) -> Path:
        """Return the directory that holds trees of `kind`: `installs/` or `tools/`."""
        return self.path / ("installs" if kind == "interpreter" else "tools")

    def destination(self, kind: str, name: str) -> Path:
        """Return where the tree `name` is published."""
        return self.parent(kind) / name

    def previous(self, kind: str, name: str) -> Path:
        """Return where the tree that `name` replaced is kept."""
        return self.parent(kind) / ".previous" / name

    def new_staging(self, kind: str, name: str) -> Path:
        """Return a path for a tree to be made at; its directory is made, it is not.

        Raises:
            HostError: the directory cannot be made.
        """
        directory = self._staging(kind)
        with host_errors("cannot make the staging directory"):
            make_directory(directory, self.path)
        return directory / f"{name}.{os.urandom(8).hex()}"

    def clear_staging(self) -> tuple[Path, ...]:
        """Remove what earlier runs left, and return what this user cannot remove.

        Only under the lock: nobody else is staging then.
        """
        found: list[Path] = []
        for kind in ("interpreter", "tool"):
            directory = self._staging(kind)
            with host_errors("cannot look for what an earlier run left"):
                found += sorted(directory.iterdir()) if is_directory(directory) else ()
        return tuple(path for path in found if not discard(path))

    def _staging(self, kind: str) -> Path:
        """Return the staging directory of `kind`. What is in it is removed by the next run.

        Raises:
            HostError: it is a link, so that somebody else's files would be removed.
        """
        path = self.parent(kind) / ".staging"
        if path.is_symlink():
            raise HostError(
                f"the staging directory is a link: {printable(str(path))}",
                hint="remove the link; unseal makes a directory there and empties it",
            )
        return path

    @contextmanager
    def lock(
        self, waiting: Callable[[str], None], *, seconds: float = LOCK_SECONDS
    ) -> Iterator[None]:
        """Hold the prefix for this run alone; `waiting` is told once when another run holds it.

        The kernel lets go of the lock when its holder ends, however it ends.

        Raises:
            HostError: the state directory is not writable, or the wait took `seconds`.
        """
        with host_errors("cannot lock the prefix"):
            make_directory(self.state, self.path)
            # Not through a link: the file is emptied, whatever it is.
            path = self.state / "lock"
            descriptor = os.open(path, _LOCK_FILE, 0o644)
        try:
            check_kept(descriptor, path)
            self._wait(descriptor, waiting, seconds)
            # Who holds the lock is for people alone; a full disk does not keep the lock from us.
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
                os.lseek(descriptor, 0, os.SEEK_SET)
                os.write(descriptor, b"%d\n" % os.getpid())
            yield
        finally:
            os.close(descriptor)

    def _wait(self, descriptor: int, waiting: Callable[[str], None], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        told = False
        while not self._take(descriptor):
            os.lseek(descriptor, 0, os.SEEK_SET)
            holder = printable(os.read(descriptor, 20).strip()) or "unknown"
            if time.monotonic() >= deadline:
                raise HostError(
                    f"another unseal (process {holder}) holds {printable(str(self.path))}",
                    hint="wait until it has ended, then run the command again",
                )
            if not told:
                waiting(f"waiting for another unseal (process {holder}) to end")
                told = True
            time.sleep(_POLL_SECONDS)

    @staticmethod
    def _take(descriptor: int) -> bool:
        try:
            return take_lock(descriptor)
        except OSError as error:
            raise HostError(
                f"the file system of the prefix has no locks: {error.strerror}",
                hint="choose a prefix on a local file system",
            ) from error


def open_kept(path: Path) -> BinaryIO:
    """Open a file of the state for reading; a pipe in its place is not waited for.

    Raises:
        OSError: it cannot be opened, or is a directory.
        HostError: it is a pipe, a device or a socket.
    """
    descriptor = os.open(path, _KEPT_FILE)
    try:
        check_kept(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def check_kept(descriptor: int, path: Path) -> None:
    """Check that what was opened at `path`, in the state, is a file.

    Raises:
        OSError: it is a directory.
        HostError: it is a pipe, a device or a socket.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise HostError(
            f"a pipe or a device stands in the place of a file: {printable(str(path))}",
            hint="see who put it there, and restore the folder of the state from a backup",
        )


def discard(path: Path) -> bool:
    """Remove what is out of the way already, as far as this user may; tell whether it is gone.

    Whoever runs an installed interpreter, root for one, can leave bytecode of his own in the tree.
    That must not keep its owner from the next install.
    """
    if path.is_dir() and not path.is_symlink():
        import shutil

        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return not os.path.lexists(path)


def remove_tree(path: Path) -> None:
    """Remove a file, a link or a tree; its own links are never followed.

    Raises:
        OSError: something in it cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        import shutil

        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
