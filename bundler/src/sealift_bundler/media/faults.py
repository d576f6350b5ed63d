"""What is wrong with files on a medium, chunk by chunk: all of it, not only the first."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from sealift_bundler.media.uncached import UncachedBundle
from sealift_bundler.progress import Progress
from sealift_installer.bundle import Bundle
from sealift_installer.chunks import AuthenticatedFile
from sealift_installer.errors import Damaged, HostError, SealiftError, printable
from sealift_schemas.payload import CHUNK_SIZE, BundleFile

OTHER, SHORT, LONG, MISSING = "other bytes", "cut short", "too long", "missing"
NO_FILE, UNLISTED = "not a regular file", "not listed in the manifest"
# What is wrong with the bytes; every other reason is the operating system's, which cannot read them.
KINDS = frozenset({OTHER, SHORT, LONG, MISSING, NO_FILE, UNLISTED})


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a file from byte `start` to before byte `end`: `reason`, for people."""

    path: str
    start: int
    end: int
    reason: str

    def __str__(self) -> str:
        """Return the fault as a line."""
        where = f", bytes {self.start} to {self.end - 1}" if self.end > self.start else ""
        return f"{printable(self.path)}{where}: {self.reason}"

    @property
    def chunks(self) -> range:
        """The numbers of the chunks that it is in."""
        return range(self.start // CHUNK_SIZE, -(-self.end // CHUNK_SIZE))

    def to_json(self) -> dict[str, Any]:
        """Return the fault as JSON values; `first` and `last` are null where no bytes are named."""
        named = self.end > self.start
        return {
            "path": self.path,
            "first": self.start if named else None,
            "last": self.end - 1 if named else None,
            "reason": self.reason,
        }


def find_faults(
    bundle: UncachedBundle, files: Sequence[BundleFile], watch: Progress, within: str = ""
) -> list[Fault]:
    """Read `files` and return what is wrong with them, neighbouring chunks as one.

    Args:
        bundle: where.
        files: as they must be.
        watch: is told of each file, by its path behind `within`.
        within: what stands before a path, where there are several bundles.

    Raises:
        HostError: the medium is gone.
    """
    found: list[Fault] = []
    with watch:
        watch.expect(len(files), sum(file.size for file in files))
        for file in files:
            found += _merge(_find(bundle, file, watch, within + file.path))
            watch.finish(within + file.path, file.size, fetched=False)
    return found


def _find(bundle: Bundle, file: BundleFile, watch: Progress, name: str) -> Iterator[Fault]:
    try:
        with bundle.open(file.path) as opened:
            size = os.fstat(opened.fileno()).st_size
    except Damaged as error:
        reason = MISSING if error.message.startswith(MISSING) else NO_FILE
        yield Fault(file.path, 0, file.size, reason)
        return
    except HostError as error:
        _check_there(bundle.path, error)
        yield Fault(file.path, 0, file.size, error.message)
        return
    source = AuthenticatedFile(bundle, (file,), file.sha256, file.path)
    for start in range(0, file.size, CHUNK_SIZE):
        wrong = _read_chunk(source, start // CHUNK_SIZE)
        end = min(start + CHUNK_SIZE, file.size)
        if isinstance(wrong, HostError):
            _check_there(bundle.path, wrong)
            yield Fault(file.path, start, end, wrong.message.rpartition(": ")[2])
        elif wrong is not None:
            yield Fault(file.path, start, end, OTHER if size >= end else SHORT)
        if len(file.chunks) > 1:
            watch.show(name, end, file.size)
    if size > file.size:
        yield Fault(file.path, file.size, size, LONG)


def _read_chunk(source: AuthenticatedFile, number: int) -> SealiftError | None:
    """Read a chunk; return what is wrong with it, if anything is."""
    try:
        with source.seekable() as reader:
            reader.seek(number * CHUNK_SIZE)
            reader.read(1)  # of a chunk that was authenticated as a whole
    except SealiftError as error:
        return error
    return None


def _merge(faults: Iterator[Fault]) -> Iterator[Fault]:
    """Yield faults of one file, those that follow each other for one reason as one."""
    for reason, group in groupby(faults, lambda fault: fault.reason):
        start, end, path = -1, -1, ""
        for fault in group:
            if fault.start != end:
                if path:
                    yield Fault(path, start, end, reason)
                start, path = fault.start, fault.path
            end = fault.end
        yield Fault(path, start, end, reason)


def _check_there(path: Path, error: HostError) -> None:
    """Check that the medium is there still: one that was pulled out has no faults to be listed."""
    try:
        path.stat()
        next(path.iterdir(), None)
    except OSError:
        raise HostError(f"the medium is gone, or cannot be read any more: {path}") from error
