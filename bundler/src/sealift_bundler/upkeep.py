"""Upkeep of the cache: what is in it, whether it is whole, and what nobody needs any more.

Nothing here is needed for a build to be right: whatever is served from the cache is compared with
its digest first. It is for people who want their disk back, or doubt it.
"""

import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sealift_bundler.cache import Cache, file_sha256
from sealift_bundler.kept_files import open_kept, read_kept
from sealift_bundler.sources.capture_memo import FOLDER
from sealift_bundler.upstream import store
from sealift_installer.errors import host_errors
from sealift_schemas.lock import Lock

_NAME = re.compile(r"([0-9a-f]{9})-(.+)")
# What is not complete is left alone for this many seconds after somebody wrote to it.
_UNFINISHED = 60 * 60
_FOLDERS = ("partial", "tmp")


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file of the cache, its path relative to it and its size in bytes."""

    name: str
    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a check: how many files and bytes were read, and which are not whole."""

    files: int
    size: int
    damaged: tuple[CachedFile, ...]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What no lock needs, and what stays; sizes in bytes."""

    removed: tuple[CachedFile, ...]
    files: int
    size: int

    @property
    def freed(self) -> int:
        """The bytes of what was removed."""
        return sum(kept.size for kept in self.removed)


def list_archives(cache: Cache) -> list[CachedFile]:
    """Return the archives of the cache by name.

    Raises:
        HostError: it cannot be read.
    """
    archives = (kept for kept in _files(cache, "archives") if _NAME.fullmatch(kept.path.name))
    return [kept for kept in archives if kept.path.is_file()]


def needed_names(locks: Iterable[Lock]) -> dict[str, str]:
    """Return the names in the cache of what the locks carry, each with its SHA-256."""
    names: dict[str, str] = {}
    for lock in locks:
        evidence = (one.sha256 for archive in lock.archives for one in archive.upstream)
        root = None if lock.trusted_root is None else lock.trusted_root.sha256
        names.update((sha256, sha256) for sha256 in (*evidence, root) if sha256 is not None)
        carried = [(one.sha256, one.filename) for one in lock.archives]
        carried += [(one.sha256, one.filename) for one in lock.wheels]
        names.update((f"{sha256[:9]}-{filename}", sha256) for sha256, filename in carried)
    return names


def check_archives(cache: Cache, known: Mapping[str, str], *, remove: bool = False) -> Checked:
    """Read every archive, and all upstream evidence, and compare it with its digest.

    An archive's name has the first nine digits of it; of those in `known` (see `needed_names`) the
    whole is compared. The name of evidence is its digest. With `remove` what is damaged is taken
    away, so that the next build fetches it anew.

    Raises:
        HostError: the cache cannot be read, or not be written.
    """
    damaged: list[CachedFile] = []
    files = size = 0
    archives = [kept for kept in _entries(cache, "archives") if _NAME.fullmatch(kept.path.name)]
    evidence = [kept for kept in _entries(cache, store.FOLDER) if kept.name != store.ANSWERS]
    for kept in [*archives, *evidence]:
        with host_errors("cannot read the cache"):
            try:
                computed = _digest(kept.path)
            except FileNotFoundError:
                # Another process has replaced or removed it since.
                continue
        files, size = files + 1, size + kept.size
        # Nine digits of an archive's digest stand before its name; evidence is named by all.
        stated = known.get(kept.path.name, kept.path.name.partition("-")[0])
        if not computed.startswith(stated):
            damaged.append(kept)
            if remove:
                # At once: a build may soon have put a good one in its place.
                _remove(kept)
    return Checked(files, size, tuple(damaged))


def prune(cache: Cache, needed: Mapping[str, str], *, dry_run: bool = False) -> Pruned:
    """Remove archives and evidence that are not `needed` (see `needed_names`), and leftovers.

    What a later build would go on with stays. The cache must not be in use: see Cache.hold.

    Raises:
        HostError: the cache cannot be read, or not be written.
    """
    archives = [*_files(cache, "archives"), *_files(cache, store.FOLDER)]
    unneeded = [kept for kept in archives if kept.path.name not in needed]
    # What publishers answered is in the evidence, as far as a lock needs it.
    unneeded += _files(cache, store.ANSWERS)
    resumed = frozenset(needed.values())
    unneeded += [
        kept
        for folder in _FOLDERS
        for kept in _unfinished(cache, folder)
        # partial/<sha256> and partial/<sha256>.json
        if kept.path.name.partition(".")[0] not in resumed
    ]
    unneeded += [kept for kept in _files(cache, FOLDER) if _content(kept) not in resumed]
    if not dry_run:
        for kept in unneeded:
            _remove(kept)
    stays = [kept for kept in archives if kept.path.name in needed]
    return Pruned(tuple(unneeded), len(stays), sum(kept.size for kept in stays))


def _content(kept: CachedFile) -> str:
    """Return the SHA-256 that a note about a captured interpreter names."""
    with host_errors("cannot read the cache"):
        return (read_kept(kept.path, 64) or b"").decode("ascii", "replace")


def _unfinished(cache: Cache, folder: str) -> Iterator[CachedFile]:
    oldest = time.time() - _UNFINISHED
    for kept in _files(cache, folder):
        with suppress(FileNotFoundError):
            if kept.path.lstat().st_mtime < oldest:
                yield kept


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, and no digest for what is none."""
    try:
        file = open_kept(path)
    except IsADirectoryError:
        return ""
    except FileNotFoundError:
        if path.is_symlink():
            return ""
        raise
    if file is None:
        return ""
    with file:
        return file_sha256(file)


def _files(cache: Cache, folder: str) -> list[CachedFile]:
    """Return what is in a folder of the cache, but for folders."""
    found = _entries(cache, folder)
    return [kept for kept in found if kept.path.is_symlink() or not kept.path.is_dir()]


def _entries(cache: Cache, folder: str) -> list[CachedFile]:
    found = []
    with host_errors("cannot read the cache"):
        try:
            paths = sorted((cache.directory / folder).iterdir())
        except FileNotFoundError:
            return []
        for path in paths:
            with suppress(FileNotFoundError):
                size = path.stat().st_size if path.is_file() else 0
                found.append(CachedFile(f"{folder}/{path.name}", path, size))
    return found


def _remove(kept: CachedFile) -> None:
    with host_errors("cannot write the cache"):
        if kept.path.is_dir() and not kept.path.is_symlink():
            shutil.rmtree(kept.path)
        else:
            kept.path.unlink(missing_ok=True)
