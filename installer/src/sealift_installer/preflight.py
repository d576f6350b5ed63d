"""Can this host take these archives? Asked before anything is written, all answers at once."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from sealift_installer import host
from sealift_installer.archives.members import check_path
from sealift_installer.errors import (
    Damaged,
    HostError,
    UsageError,
    host_errors,
    mismatch,
    printable,
)
from sealift_installer.limits import LIMITS, Limits
from sealift_schemas.index import Entry
from sealift_schemas.keys import KEY, InstallKey
from sealift_schemas.manifest import Archive

# What a directory entry, an inode and half an unfilled block take, at the least, of each member.
_MEMBER_OVERHEAD = 4096


def check_host(archives: Sequence[Archive], directory: Path) -> None:
    """Check platform, glibc, libraries, and room and permission below `directory`.

    Raises:
        HostError: it names everything that is missing.
    """
    problems = [problem for archive in archives for problem in _unmet(archive)]
    problems += _unwritable(directory)
    if not problems:
        problems += _too_small(archives, directory)
    if problems:
        raise HostError(
            "this host cannot take the bundle:" + "".join(f"\n  {text}" for text in problems)
            if len(problems) > 1
            else problems[0]
        )


def check_names(archive: Archive, limits: Limits = LIMITS) -> None:
    """Check what an archive is called, and that what it offers is inside of its tree.

    Raises:
        Damaged: an interpreter's name is no install key or another platform's, a tool's name is
            one, or a path leaves the tree.
    """
    key = KEY.fullmatch(archive.name)
    if archive.kind != "interpreter":
        # What is installed is recorded by name alone.
        if key:
            raise Damaged(f"the manifest calls a tool by an install key: {archive.name}")
    elif key is None:
        raise Damaged(f"the manifest calls an interpreter by no install key: {archive.name}")
    elif key["platform"] != archive.platform:
        what = f"the manifest contradicts itself about the platform of {archive.name}"
        raise Damaged(mismatch(what, key["platform"], archive.platform))
    for path in _offered(archive):
        check_path(path, limits)


def check_apart(bundle: Path, prefix: Path) -> None:
    """Check that the prefix is not in the bundle: nothing is written to a bundle.

    Raises:
        UsageError: it is.
    """
    with host_errors("cannot look at bundle and prefix"):
        inside = bundle.is_dir() and prefix.resolve().is_relative_to(bundle.resolve())
    if inside:
        raise UsageError(
            f"the prefix is inside of the bundle: {printable(str(prefix))}",
            hint="choose another directory with --prefix",
        )


def contested(archives: Sequence[Archive]) -> dict[str, list[str]]:
    """Return the names in `bin/` that several archives want, each with those, in order.

    Interpreters of one minor version are no rivals: their names go through one link, which leads
    to the newest of them.
    """
    wanted: dict[str, dict[str, str]] = {}
    for archive in archives:
        key = KEY.fullmatch(archive.name)
        group = archive.name if key is None else InstallKey.parse(archive.name).minor_key
        for link in archive.links:
            wanted.setdefault(link, {})[group] = archive.name
    return {link: [*groups.values()] for link, groups in wanted.items() if len(groups) > 1}


def check_offered(archive: Archive, tree: Path) -> None:
    """Check that the programs that an archive offers are in its staged tree.

    Raises:
        Damaged: one is not; a link to it would dangle.
    """
    for path in _offered(archive):
        if not (tree / path).is_file():
            raise Damaged(
                f"the manifest offers a program that {archive.name} does not have: "
                f"{printable(path)}"
            )


def check_paths(entries: Sequence[Entry], destination: Path) -> None:
    """Check that every path of an archive can be written, and used, below `destination`.

    Raises:
        HostError: one is longer than this file system or this kernel takes.
    """
    parent = _existing(destination)
    with host_errors(f"cannot ask how long paths may be in {printable(str(parent))}"):
        longest_path = _limit(parent, "PC_PATH_MAX")
        longest_name = _limit(parent, "PC_NAME_MAX")
    room = longest_path - len(os.fsencode(destination)) - 2  # a slash and the final zero byte
    paths = [entry.path for entry in entries if entry.path]
    if max(map(len, paths), default=0) <= min(room, longest_name) and "".join(paths).isascii():
        return  # as nearly all are: none is as long as a name may be
    for entry in entries:
        path = (entry.path or "").encode("utf-8", "surrogateescape")
        if len(path) > room or any(len(name) > longest_name for name in path.split(b"/")):
            raise HostError(
                f"a path is too long for this file system: {printable(path)}\n"
                f"  Below: {printable(str(destination))}",
                hint="choose a shorter directory with --prefix",
            )


def _offered(archive: Archive) -> tuple[str, ...]:
    interpreter = () if archive.interpreter is None else (archive.interpreter,)
    return (*interpreter, *archive.links.values())


def _unmet(archive: Archive) -> list[str]:
    here = host.current_platform()
    if not host.fits(archive.platform, here):
        return [f"{archive.name} is for {archive.platform}, this host is {here}"]
    problems = []
    wanted = archive.requires.glibc
    if wanted is not None:
        found = host.glibc_version()
        if found is None or found < tuple(int(part) for part in wanted.split(".")):
            problems.append(
                f"{archive.name} needs glibc {wanted}, this host has {host.describe(found)}"
            )
    missing = [name for name in archive.requires.libraries if host.find_library(name) is None]
    if missing:
        problems.append(f"{archive.name} needs libraries that are not here: {', '.join(missing)}")
    return problems


def _unwritable(directory: Path) -> list[str]:
    parent = _existing(directory)
    name = printable(str(parent))
    if not parent.is_dir():
        return [f"{name} is not a directory"]
    if not os.access(parent, os.W_OK | os.X_OK):
        return [f"{name} is not writable"]
    flags = os.statvfs(parent).f_flag
    if flags & getattr(os, "ST_NOEXEC", 0):
        return [f"{name} is on a file system mounted noexec: nothing in it could be run"]
    return []


def _too_small(archives: Sequence[Archive], directory: Path) -> list[str]:
    parent = _existing(directory)
    members = sum(archive.members for archive in archives)
    wanted = wanted_room(archives)
    free, inodes = room(parent)
    problems = []
    if free < wanted:
        problems.append(f"{printable(str(parent))} has {free} bytes free, {wanted} are needed")
    if inodes is not None and inodes < members:
        problems.append(
            f"{printable(str(parent))} has room for {inodes} files, {members} are needed"
        )
    return problems


def wanted_room(archives: Sequence[Archive]) -> int:
    """Return how many bytes the archives take when they are installed, at the most."""
    members = sum(archive.members for archive in archives)
    return sum(archive.unpacked for archive in archives) + members * _MEMBER_OVERHEAD


def free_room(directory: Path) -> int:
    """Return the free bytes where `directory` is, or will be."""
    return room(_existing(directory))[0]


def room(directory: Path) -> tuple[int, int | None]:
    """Return the free bytes and inodes of a file system (None: it does not count them)."""
    with host_errors(f"cannot ask how much room there is in {printable(str(directory))}"):
        status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize, status.f_favail if status.f_files else None


def _existing(path: Path) -> Path:
    """Return the nearest of `path` and its parents that is there."""
    while True:
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            path = path.parent
            continue
        except PermissionError:
            return path.parent
        return path


def _limit(path: Path, name: str) -> int:
    try:
        value = os.pathconf(path, name)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return 255
        raise
    return value if value > 0 else 2**31
