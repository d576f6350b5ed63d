"""The place on a medium where a bundle is to stand: what is there, and what it can be called."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from sealift_bundler.media.check import is_bundle
from sealift_bundler.media.outcome import CopyOptions
from sealift_bundler.media.plan import Carried
from sealift_installer.bundle import MANIFEST, Bundle
from sealift_installer.errors import (
    SealiftError,
    UsageError,
    host_errors,
    mismatch,
    printable,
)


def check_directory(directory: Path, bundles: Sequence[Path], options: CopyOptions) -> None:
    """Check that there is a directory to write to, which is no bundle and is in none.

    Raises:
        UsageError: there is not, or the name that was given is none.
        HostError: it cannot be looked at.
    """
    if not directory.is_dir():
        # It is not made: a stick that is not mounted would be written to the disk below it.
        raise UsageError(f"there is no such directory: {directory}", hint="is the medium mounted?")
    if options.name is not None:
        if len(bundles) > 1:
            raise UsageError("--name is for one bundle")
        if "/" in options.name or options.name in {"", ".", ".."}:
            raise UsageError(f"not a plain name: {printable(options.name)}")
    with host_errors("cannot look at the medium"):
        place = directory.resolve()
        around = next((each for each in (place, *place.parents) if is_bundle(each)), None)
        if around is not None:
            raise UsageError(
                f"a bundle is no place for another one: {around}",
                hint="name the directory beside it",
            )
        for path in bundles:
            if path.exists() and path.stat().st_dev == directory.stat().st_dev:
                options.report(
                    f"warning: {directory} is on the same file system as {path}: is the medium "
                    "mounted there?"
                )


def is_present(carried: Carried, target: Path) -> bool:
    """Tell whether the bundle is there already.

    Raises:
        UsageError: something else is.
    """
    with host_errors("cannot look at the medium"):
        if not carried.name or not os.path.lexists(target):
            return False
        if target.exists() and target.samefile(carried.path):
            raise UsageError(
                f"the bundle stands there: {target}", hint="sealift media check reads it"
            )
        if not target.is_dir() or target.is_symlink() or not is_bundle(target):
            return False  # what it is instead is told by whoever claims the name
    ours, theirs = carried.verified.authenticated.manifest_sha256, _manifest_sha256(target)
    if ours != theirs:
        raise UsageError(
            mismatch(f"another bundle has this name on the medium: {target}", ours, theirs),
            hint="remove that one, or give this one another name with --name",
        )
    return True


def _manifest_sha256(target: Path) -> str:
    bundle = Bundle(target)
    try:
        return hashlib.sha256(bundle.read(MANIFEST, bundle.limits.envelope)).hexdigest()
    except SealiftError as error:
        return error.message.partition("\n")[0]
