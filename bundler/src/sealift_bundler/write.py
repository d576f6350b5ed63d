"""Where a bundle is written: beside its final place, and renamed at the end.

So there is a whole bundle or none.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sealift_installer.errors import UsageError, host_errors

_PARTIAL = ".partial"
# What somebody wrote to this many seconds ago may be the start of a run, and is not looked at.
_RECENT = 60 * 60


def check_output(output: Path) -> None:
    """Check that a bundle can be written to `output`: a new or empty directory.

    Raises:
        UsageError: it is something else, or the root of a volume.
        HostError: it cannot be looked at.
    """
    with host_errors("cannot write the bundle"):
        if os.path.ismount(output):
            raise UsageError(
                f"a bundle is a directory, not the root of a volume: {output}",
                hint=f"name a folder on it: {output / 'bundle'}",
            )
        if output.is_symlink() or (output.exists() and not output.is_dir()):
            raise UsageError(f"not a directory: {output}")
        if output.is_dir() and any(output.iterdir()):
            raise UsageError(f"the directory is not empty: {output}", hint="name a new one")


@contextmanager
def staged(output: Path, *, resume: bool = False) -> Iterator[Path]:
    """Make a directory beside `output`; on success it is renamed to `output`, else removed.

    What a killed run has left there is removed first. With `resume` both stay as they are: what is
    there is gone through by whoever fills it, and left for the next run where that fails.

    Raises:
        UsageError: `output` is no new or empty directory, or another run writes to it.
        HostError: it cannot be written.
    """
    output = output.absolute()
    if output.name in {"", ".."}:
        output = output.resolve()
    check_output(output)
    place = output.with_name(f".{output.name}{_PARTIAL}")
    with host_errors("cannot write the bundle"):
        output.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _claim(place, resume=resume)
    try:
        yield place
        with host_errors("cannot put the bundle in place"):
            place.replace(output)
    finally:
        if not resume:
            shutil.rmtree(place, ignore_errors=True)
        else:
            with suppress(OSError):
                place.rmdir()  # where nothing was written there is nothing to go on with
        os.close(descriptor)


def find_leftovers(place: Path) -> list[Path]:
    """Return the directories beside `place` in which runs were killed that wrote other bundles.

    One that somebody writes to, or that belongs to somebody else, is none.
    """
    found = []
    with suppress(OSError):
        for other in sorted(place.parent.iterdir()):
            named = other.name.startswith(".") and other.name.endswith(_PARTIAL)
            if named and other != place and _is_abandoned(other):
                found.append(other)
    return found


def _is_abandoned(place: Path) -> bool:
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or status.st_mtime > time.time() - _RECENT:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def _claim(place: Path, *, resume: bool) -> int:
    """Make the directory, or take over an old one, and return a descriptor that locks it."""
    try:
        place.mkdir()
        found = False
    except FileExistsError:
        found = True
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        # Whose the files of a stick are depends on how it was mounted.
        _lock(descriptor, place, found=found and not resume)
        _check_same(descriptor, place)
        for old in () if resume else place.iterdir():
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor: int, place: Path, *, found: bool) -> None:
    if found and os.fstat(descriptor).st_uid != os.geteuid():
        raise UsageError(f"this belongs to somebody else: {place}", hint="name another output")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"another sealift is writing this bundle: {place}") from None


def _check_same(descriptor: int, place: Path) -> None:
    """Check that `place` is what was locked: the run that had it may have put it in place since."""
    try:
        same = os.path.samestat(os.fstat(descriptor), place.stat(follow_symlinks=False))
    except FileNotFoundError:
        same = False
    if not same:
        raise UsageError(f"another sealift was writing this bundle: {place}")
