"""The directory on a medium where a bundle is being written, over several runs if need be.

Every name is opened relative to its directory, never through a link: a medium is somebody else's.
"""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sealift_bundler.media.plan import fold, folders, refusal
from sealift_bundler.media.uncached import drop_cache
from sealift_installer.bundle import Bundle
from sealift_installer.chunks import AuthenticatedFile
from sealift_installer.errors import HostError, host_errors, printable
from sealift_installer.flush import flush_tree
from sealift_schemas.payload import CHUNK_SIZE, BundleFile

# So many bytes may be on their way to the medium: more would show as written what is not.
_UNSYNCED = 8 * CHUNK_SIZE
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
# As for what is installed: whoever gets the stick shall be able to read it, whatever the umask.
_FILE_MODE, _DIRECTORY_MODE = 0o644, 0o755
# What drivers say to a name that they cannot store: each has its own word for it.
NAME_ERRORS = {
    errno.EINVAL,
    errno.ENOENT,
    errno.EPERM,
    errno.EILSEQ,
    errno.ENAMETOOLONG,
}
# A file and a directory that are one name.
_ONE_NAME = {errno.EISDIR, errno.ENOTDIR}
_CANNOT = "cannot write to the medium"
_TRIAL = ".name"


class Stage:
    """The directory `place`, which is to hold `files` and nothing else."""

    def __init__(self, place: Path, files: Sequence[BundleFile]) -> None:
        self.place = place
        self._files = {file.path: file.size for file in files}
        self._folders = folders(files)
        self._kinds = dict.fromkeys(self._files, stat.S_IFREG)
        self._kinds |= dict.fromkeys(self._folders, stat.S_IFDIR)

    def clean(self) -> list[int]:
        """Remove what is no file of the bundle; return the sizes of what stays, folders too.

        Raises:
            HostError: it cannot be read or written.
        """
        with host_errors(_CANNOT):
            return list(self._clean(""))

    def try_name(self, name: str) -> None:
        """Check that the medium stores `name`, that of the bundle, as it is.

        Raises:
            HostError: it does not.
        """
        # What a killed run leaves here is none of the bundle's files, and is removed by the next.
        trial = self.place / _TRIAL / name
        reason = "it is stored as another one"
        with host_errors(_CANNOT):
            trial.parent.mkdir()
            try:
                trial.mkdir()
                stored = trial in trial.parent.iterdir()
            except OSError as error:
                if error.errno not in NAME_ERRORS:
                    raise
                stored, reason = False, error.strerror or str(error)
            finally:
                shutil.rmtree(trial.parent)
        if not stored:
            raise name_refusal(name, reason)

    def lay_out(self) -> bool:
        """Make all directories and, empty, all files, so that no name is a surprise later on.

        Returns whether there was anything before.

        Raises:
            HostError: it names what the medium cannot store, or what is one name to it.
        """
        problems: dict[str, str] = {}
        with host_errors(_CANNOT):
            before = any(self.place.iterdir())
            with self._descend("") as top:
                _set_mode(top, _DIRECTORY_MODE)
            for path in self._folders:
                self._try(path, _make_folder, problems)
            for path in self._files:
                self._try(path, _make_file, problems)
            self._find_merged(problems)
        if problems:
            names = (f"the name {printable(path)}: {why}" for path, why in problems.items())
            raise refusal([*names])
        return before

    def write(
        self, source: Bundle, file: BundleFile, chunks: Iterable[int], seen: Callable[[int], None]
    ) -> None:
        """Write some chunks of a file, each authenticated as it is read.

        Args:
            source: the sealed bundle.
            file: as it is listed there.
            chunks: their numbers, ascending.
            seen: is told how many bytes were written by now.

        Raises:
            Damaged: the source is not what it was when it was verified.
            HostError: the medium cannot be written.
        """
        origin = AuthenticatedFile(source, (file,), file.sha256, file.path)
        with self._opened(file.path) as target:
            written = unsynced = 0
            for number in chunks:
                start = number * CHUNK_SIZE
                with origin.seekable() as reader:
                    reader.seek(start)
                    data = reader.read(CHUNK_SIZE)
                with host_errors(f"{_CANNOT}: {file.path}"):
                    _put(target, data, start)
                    written, unsynced = written + len(data), unsynced + len(data)
                    if unsynced >= _UNSYNCED:
                        os.fdatasync(target)
                        unsynced = 0
                seen(written)
            with host_errors(f"{_CANNOT}: {file.path}"):
                _set_time(source, file, target)
                if file.size >= CHUNK_SIZE:
                    os.fsync(target)  # of smaller ones there are many: see `settle`

    @contextmanager
    def _opened(self, path: str) -> Iterator[int]:
        folder, _, name = path.rpartition("/")
        with host_errors(f"{_CANNOT}: {path}"), self._descend(folder) as directory:
            file = os.open(name, _FILE, _FILE_MODE, dir_fd=directory)
        try:
            yield file
        finally:
            os.close(file)

    @contextmanager
    def _descend(self, folder: str) -> Iterator[int]:
        descriptor = os.open(self.place, _DIRECTORY)
        try:
            for name in filter(None, folder.split("/")):
                inner = os.open(name, _DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)

    def _clean(self, folder: str) -> Iterator[int]:
        with os.scandir(self.place / folder) as listed:
            entries = list(listed)
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            status = entry.stat(follow_symlinks=False)
            is_folder = stat.S_ISDIR(status.st_mode)
            # A second name of a file would be written as well. What is too long is written anew,
            # for not every driver cuts a file off.
            ours = is_folder or (
                status.st_nlink == 1 and status.st_size <= self._files.get(path, -1)
            )
            if ours and self._kinds.get(path) == stat.S_IFMT(status.st_mode):
                yield status.st_size
                if is_folder:
                    yield from self._clean(path)
            elif is_folder:
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)  # noqa: PTH108 - an entry of scandir

    def _try(self, path: str, make: Callable[[int, str], None], problems: dict[str, str]) -> None:
        folder, _, name = path.rpartition("/")
        if folder in problems:
            return
        try:
            with self._descend(folder) as directory:
                make(directory, name)
        except OSError as error:
            if error.errno not in NAME_ERRORS | _ONE_NAME:
                raise
            problems[path] = error.strerror or str(error)

    def _find_merged(self, problems: dict[str, str]) -> None:
        """Add the names that do not stand there as they were given."""
        inside: dict[str, set[str]] = {}
        for path in self._kinds:
            inside.setdefault(path.rpartition("/")[0], set()).add(path)
        for folder, paths in inside.items():
            if folder in problems:
                continue
            with self._descend(folder) as directory:
                before = f"{folder}/" if folder else ""
                there = {before + name for name in os.listdir(directory)}  # noqa: PTH208 - a descriptor
            merged = {fold(path): path for path in there}
            for path in sorted(paths - there - problems.keys()):
                stored = printable(merged.get(fold(path), "nothing").rpartition("/")[2])
                problems[path] = f"it is stored as {stored}"


def _make_folder(directory: int, name: str) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, _DIRECTORY_MODE, dir_fd=directory)
    _make(name, _DIRECTORY, _DIRECTORY_MODE, directory)


def _make_file(directory: int, name: str) -> None:
    _make(name, _FILE, _FILE_MODE, directory)


def _make(name: str, flags: int, mode: int, directory: int) -> None:
    descriptor = os.open(name, flags, mode, dir_fd=directory)
    try:
        _set_mode(descriptor, mode)
    finally:
        os.close(descriptor)


def _set_mode(descriptor: int, mode: int) -> None:
    with suppress(OSError):  # FAT has no modes
        os.fchmod(descriptor, mode)


def name_refusal(name: str, reason: str) -> HostError:
    """Return the error for a bundle whose name the medium does not store."""
    return HostError(
        f"the medium cannot hold the name {printable(name)}: {reason}",
        hint="--name gives the bundle another name there",
    )


def settle(place: Path) -> None:
    """Have all that was written below `place` reach the medium, and forget it here.

    Raises:
        HostError: the medium failed to take it.
    """
    with host_errors("the medium did not take what was written"):
        root = os.open(place, _DIRECTORY)
        try:
            flush_tree(root)
            for _, _, names, directory in os.fwalk(dir_fd=root):
                for name in names:
                    _settle_file(name, directory)
                os.fsync(directory)
        finally:
            os.close(root)


def _settle_file(name: str, directory: int) -> None:
    # Without O_NONBLOCK, opening a FIFO would wait for a writer.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    file = os.open(name, flags, dir_fd=directory)
    try:
        os.fsync(file)
        drop_cache(file)
    finally:
        os.close(file)


def _put(file: int, data: bytes, start: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(file, view, start)
        view, start = view[count:], start + count


def _set_time(source: Bundle, file: BundleFile, target: int) -> None:
    """Give the copy the time of its source. Media that know no such time keep their own."""
    with source.open(file.path) as opened:
        status = os.fstat(opened.fileno())
    with suppress(OSError):
        os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))
