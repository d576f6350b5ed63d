"""What signers leave in a bundle that are killed while they write: it would be refused as unlisted."""

from contextlib import suppress
from pathlib import Path

from sealift_bundler.sign.bundle import hold
from sealift_installer.bundle import is_unfinished
from sealift_installer.errors import host_errors


def remove_leftovers(place: Path) -> tuple[str, ...]:
    """Remove unfinished signatures from a bundle, or from what `sign --output` wrote.

    Where nobody can tell whether somebody is still writing them, they stay; and so they do where
    nothing can be removed.

    Returns:
        The names of the files that were removed.

    Raises:
        HostError: the directory cannot be read.
    """
    removed = []
    with hold(place) as alone, host_errors("cannot read the bundle"):
        found = [path for path in place.iterdir() if is_unfinished(path.name)] if alone else []
        for path in sorted(found):
            with suppress(OSError):
                path.unlink()
                removed.append(path.name)
    return tuple(removed)
