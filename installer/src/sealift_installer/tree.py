"""Writes a new tree, and nothing outside of it.

Every name is opened relative to a directory that is held open, never through a link, and every
file is made anew. Links are made last, so nothing can be written through one. Modes are 0644 and
0755 whatever the umask or a default ACL says; owners and times are those of whoever runs it.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from sealift_installer.archives.members import PathChecker, check_link, check_links, check_path
from sealift_installer.errors import Damaged, printable
from sealift_installer.flush import flush_tree
from sealift_installer.limits import LIMITS, Limits
from sealift_installer.refusals import describe_refusal
from sealift_installer.spellings import PROBE, find_merged, fold_links, merges_names
from sealift_schemas.index import Entry

# Windows has none of these three, and no bundle is opened there (see bundle): this module can be
# imported, that is all.
_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _SAFELY
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY
_MODE = 0o644
_MODE_EXECUTABLE = 0o755
# Archives are sorted by path more or less, so that few directories are in use at a time.
_HELD_DIRECTORIES = 64


class TreeWriter:
    """Writes the tree `root`, which must not exist yet. Use it as a context manager.

    Leaving the context closes it and no more: a tree that is not finished is removed by whoever
    chose its place.

    Args:
        root: the directory to be made; its parent exists.
        limits: of the paths.

    Raises:
        HostError: the directory cannot be made.
    """

    def __init__(self, root: Path, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._check_path = PathChecker(limits).check
        self._name = printable(str(root))
        self._kinds: dict[str, str] = {"": "directory"}
        self._links: dict[str, str] = {}
        self._hardlinks: dict[str, str] = {}
        self._held: dict[str, int] = {}
        self._root = -1
        try:
            root.mkdir(_MODE_EXECUTABLE)
            self._root = os.open(root, _DIRECTORY)
            os.fchmod(self._root, _MODE_EXECUTABLE)
            self._exact, self._merging = self._probe()
        except OSError as error:
            self.close()
            self._fail(error, "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all directories."""
        while self._held:
            os.close(self._held.popitem()[1])
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def find_merged(self, entries: Sequence[Entry]) -> dict[str, str]:
        """Return which paths of an index stand in another spelling here; before any is written.

        Raises:
            HostError: as `spellings.find_merged` says, or the directory cannot be written.
        """
        try:
            return find_merged(entries, self._root) if self._merging else {}
        except OSError as error:
            self._fail(error, "")

    def add_directory(self, path: str) -> None:
        """Make the directory `path` and those above it; one that is there already is fine.

        Raises:
            Damaged: the path is unsafe, or something else has its name.
            HostError: the directory cannot be made.
        """
        check_path(path, self._limits)
        self._directory(path)

    def add_file(self, path: str, data: Iterable[bytes | memoryview], *, executable: bool) -> None:
        """Write `data` to the new file `path`, making the directories above it.

        Raises:
            Damaged: the path is unsafe, or something has its name; whatever `data` raises.
            HostError: the file cannot be written.
        """
        directory, name = self._claim(path, "file")
        mode = _MODE_EXECUTABLE if executable else _MODE
        try:
            file = os.open(name, _NEW_FILE, mode, dir_fd=directory)
        except OSError as error:
            self._fail(error, path)
        try:
            if not self._exact:
                self._set_mode(file, mode, path)
            for piece in data:
                try:
                    written = os.write(file, piece)
                except OSError as error:
                    self._fail(error, path)
                if written != len(piece):
                    self._write(file, piece[written:], path)
        finally:
            os.close(file)

    def add_link(self, path: str, target: str) -> None:
        """Note the symbolic link `path`; `finish` makes it.

        Raises:
            Damaged: path or target is unsafe, or something has its name.
        """
        check_link(path, target, self._limits)
        self._claim(path, "link")
        self._links[path] = target

    def add_hardlink(self, path: str, target: str) -> None:
        """Note that `path` is another name of the file at the installed path `target`.

        Raises:
            Damaged: a path is unsafe, or something has the name.
        """
        check_path(target, self._limits)
        self._claim(path, "hardlink")
        self._hardlinks[path] = target

    def finish(self) -> None:
        """Make the links, and make all of the tree outlast a power cut."""
        self.make_links()
        self.flush()

    def make_links(self) -> None:
        """Make the links. The tree is as it is to be then.

        Raises:
            Damaged: a link leaves the tree, or a hard link is to no file of the tree.
            HostError: a link cannot be made.
        """
        for path, target in self._hardlinks.items():
            self._make_hardlink(path, target)
        check_links(self._links, self._limits)
        if self._merging:
            check_links(fold_links(self._links), self._limits)
        for path, target in self._links.items():
            directory, name = self._place(path)
            try:
                os.symlink(target.encode("utf-8"), name, dir_fd=directory)
            except OSError as error:
                self._fail(error, path)

    def flush(self) -> None:
        """Make all of the tree outlast a power cut.

        Raises:
            HostError: the file system failed to write.
        """
        try:
            flush_tree(self._root)
        except OSError as error:
            self._fail(error, "")

    def _make_hardlink(self, path: str, target: str) -> None:
        # A hard link to a hard link is fine once that one is made, which is in their order.
        kind = self._kinds.get(target)
        if kind != "file":
            raise Damaged(
                f"the hard link '{printable(path)}' is to '{printable(target)}', which is "
                f"{'nothing' if kind is None else f'a {kind}'} in this tree"
            )
        source, source_name = self._place(target)
        # Held apart: looking up the second directory may close the first.
        source = os.dup(source)
        try:
            directory, name = self._place(path)
            os.link(
                source_name,
                name,
                src_dir_fd=source,
                dst_dir_fd=directory,
                follow_symlinks=False,
            )
        except OSError as error:
            self._fail(error, path)
        finally:
            os.close(source)
        self._kinds[path] = "file"

    def _claim(self, path: str, kind: str) -> tuple[int, bytes]:
        """Take the name `path` and return its directory, made where necessary, and last part."""
        self._check_path(path)
        if path in self._kinds:
            raise Damaged(
                f"two members are installed at '{printable(path)}': a {self._kinds[path]} and a "
                f"{kind}"
            )
        head, _, name = path.rpartition("/")
        directory = self._held.get(head)
        if directory is None:
            directory = self._directory(head)
        self._kinds[path] = kind
        return directory, name.encode("utf-8")

    def _place(self, path: str) -> tuple[int, bytes]:
        head, _, name = path.rpartition("/")
        # Names are UTF-8 in the tree, whatever the locale of this process makes of them.
        return self._directory(head), name.encode("utf-8")

    def _directory(self, path: str) -> int:
        """Return a descriptor of the directory `path`, valid until the next one is asked for."""
        if not path:
            return self._root
        descriptor = self._held.get(path)
        if descriptor is not None:
            return descriptor
        parent, name = self._place(path)
        kind = self._kinds.get(path)
        if kind not in {None, "directory"}:
            raise Damaged(f"'{printable(path)}' is a {kind} and has members below it")
        try:
            if kind is None:
                os.mkdir(name, _MODE_EXECUTABLE, dir_fd=parent)
            descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
        except OSError as error:
            self._fail(error, path)
        self._held[path] = descriptor
        if len(self._held) > _HELD_DIRECTORIES:
            os.close(self._held.pop(next(iter(self._held))))
        if kind is None:
            self._kinds[path] = "directory"
            if not self._exact:
                self._set_mode(descriptor, _MODE_EXECUTABLE, path)
        return descriptor

    def _probe(self) -> tuple[bool, bool]:
        """Ask the file system two things.

        Do new files get the modes they are made with, which saves a call for each? The umask and
        a default ACL can only take bits away, and 0644 has none that 0755 lacks. And does it take
        some names for others?
        """
        probe = PROBE.encode()
        file = os.open(probe, _NEW_FILE, _MODE_EXECUTABLE, dir_fd=self._root)
        try:
            exact = os.fstat(file).st_mode & 0o777 == _MODE_EXECUTABLE
            return exact, merges_names(self._root)
        finally:
            os.close(file)
            os.unlink(probe, dir_fd=self._root)

    def _set_mode(self, descriptor: int, mode: int, path: str) -> None:
        try:
            os.fchmod(descriptor, mode)
        except OSError as error:
            self._fail(error, path)

    def _write(self, file: int, piece: bytes | memoryview, path: str) -> None:
        try:
            written = os.write(file, piece)
            while written < len(piece):
                piece = piece[written:]
                written = os.write(file, piece)
        except OSError as error:
            self._fail(error, path)

    def _fail(self, error: OSError, path: str) -> NoReturn:
        raise describe_refusal(error, self._name, path, self._kinds) from error
