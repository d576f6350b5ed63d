"""Links to what is installed: the minor-version link as uv keeps it, and names in `bin/`.

Links are absolute, as uv's are: an interpreter that is started through a relative one would carry
`..` in its prefix. A link is replaced in one step, and only where it is ours.
"""

import re
from pathlib import Path

from sealift_installer.errors import HostError, host_errors, printable
from sealift_installer.prefix import Prefix
from sealift_installer.records import Record
from sealift_schemas.keys import InstallKey

_PRERELEASE = {"a": 0, "b": 1, "rc": 2, "": 3}


def check_links(prefix: Prefix, record: Record, *, link: bool) -> None:
    """Check that the links of `record` can be made, before anything is.

    Raises:
        HostError: something that is not ours stands where a link goes.
    """
    wanted = list(_bin_targets(prefix, record)) if link else []
    minor = _minor(prefix, record)
    for path in [*([minor] if minor else []), *wanted]:
        _check_ours(prefix, path)


def make_links(prefix: Prefix, record: Record, *, link: bool) -> tuple[Path, ...]:
    """Make the minor-version link of an interpreter and, with `link`, the names in `bin/`.

    Returns:
        The links in `bin/`.

    Raises:
        HostError: something that is not ours stands where a link goes, or the disk refuses.
    """
    minor = _minor(prefix, record)
    if minor is not None:
        highest = _highest(prefix, record)
        _replace(prefix, record, minor, highest)
    if not link:
        return ()
    targets = _bin_targets(prefix, record)
    for path, target in targets.items():
        _replace(prefix, record, path, target)
    return tuple(targets)


def _minor(prefix: Prefix, record: Record) -> Path | None:
    """Return where the minor-version link goes. uv makes one for CPython alone."""
    if record.kind != "interpreter" or not record.name.startswith("cpython-"):
        return None
    return prefix.parent(record.kind) / InstallKey.parse(record.name).minor_key


def _bin_targets(prefix: Prefix, record: Record) -> dict[Path, Path]:
    """Return the names in `bin/` and what they point to, through the minor-version link."""
    base = _minor(prefix, record) or prefix.destination(record.kind, record.name)
    return {prefix.bin / name: base / path for name, path in record.links.items()}


def _highest(prefix: Prefix, record: Record) -> Path:
    """Return the highest patch version that stands there; uv's own installs count too."""
    mine = InstallKey.parse(record.name)
    best, path = _order(mine), prefix.destination(record.kind, record.name)
    with host_errors("cannot look for other patch versions"):
        for candidate in prefix.parent(record.kind).iterdir():
            try:
                key = InstallKey.parse(candidate.name)
            except ValueError:
                continue
            same = key.minor_key == mine.minor_key
            if same and _order(key) > best and candidate.is_dir() and not candidate.is_symlink():
                best, path = _order(key), candidate
    return path


def _order(key: InstallKey) -> tuple[int, int, int]:
    match = re.fullmatch(r"\d+\.\d+\.(\d+)(a|b|rc|)(\d*)", key.version)
    if match is None:  # the grammar of keys is stricter
        raise ValueError(f"not a version: {key.version}")
    return int(match[1]), _PRERELEASE[match[2]], int(match[3] or 0)


def _replace(prefix: Prefix, record: Record, path: Path, target: Path) -> None:
    with host_errors("cannot make a link"):
        if path.is_symlink() and path.readlink() == target:
            return
        _check_ours(prefix, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # What a kill leaves there, the next run removes.
        temporary = prefix.new_staging(record.kind, path.name)
        temporary.symlink_to(target)
        temporary.replace(path)


def _check_ours(prefix: Prefix, path: Path) -> None:
    """Refuse to touch anything but a link into this prefix's own trees."""
    with host_errors("cannot look at a link"):
        if path.is_symlink():
            target = str(path.readlink())
            parents = (prefix.parent("interpreter"), prefix.parent("tool"))
            if any(target.startswith(f"{parent}/") for parent in parents):
                return
        elif not path.exists():
            return
    raise HostError(
        f"{printable(str(path))} is there already, and it is no link into this prefix",
        hint="move it away and run the command again",
    )
