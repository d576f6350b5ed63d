"""Links to what is installed: the minor-version link as uv keeps it, and names in `bin/`.

Links are absolute, as uv's are: an interpreter that is started through a relative one would carry
`..` in its prefix.

Some interpreters take the directory of a link for their own when they make a virtual environment
(see smoke.needs_wrapper). Their names in `bin/` are wrappers: scripts of two lines that start them
by their own path.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sealift_installer.durable import remove_durably
from sealift_installer.errors import host_errors
from sealift_installer.pointers import (
    check_ours,
    is_inside,
    put_name,
    read_link,
    read_wrapper,
    replace_name,
)
from sealift_installer.prefix import Prefix
from sealift_installer.records import Record
from sealift_schemas.keys import InstallKey

if TYPE_CHECKING:
    from sealift_installer.made import Names

# What is made in `bin/`: nothing, symbolic links, or wrappers for the interpreter and links for the
# other programs.
LinkStyle = Literal["none", "symlink", "wrapper"]
LINK_STYLES: tuple[LinkStyle, ...] = ("none", "symlink", "wrapper")
_NONE = (-1, -1, -1)
_PRERELEASE = {"a": 0, "b": 1, "rc": 2, "": 3}


def check_links(prefix: Prefix, record: Record, *, link: bool) -> None:
    """Check that the links of `record` can be made, before anything is.

    Raises:
        HostError: something that is not ours stands where a link goes.
    """
    wanted = list(_bin_targets(prefix, record)) if link else []
    minor = _minor(prefix, record)
    for path in [*([minor] if minor else []), *wanted]:
        check_ours(prefix, path)


def make_links(prefix: Prefix, record: Record, style: LinkStyle) -> tuple[Path, ...]:
    """Make the minor-version link of an interpreter and what `style` asks for in `bin/`.

    Returns:
        The names in `bin/`.

    Raises:
        HostError: something that is not ours stands where a link goes, or the disk refuses.
    """
    minor = _minor(prefix, record)
    if minor is not None:
        highest = _highest(prefix, record)
        replace_name(prefix, record, minor, highest)
    if style == "none":
        return ()
    targets = _bin_targets(prefix, record)
    for path, target in targets.items():
        tree = prefix.destination(record.kind, record.name)
        program = tree / record.links[path.name]
        wrapped = style == "wrapper" and _is_interpreter(prefix, record, program)
        replace_name(prefix, record, path, target, wrapped=wrapped)
        _note(prefix, record, path, target, wrapped=wrapped)
    return tuple(targets)


def activate_links(prefix: Prefix, record: Record, style: LinkStyle) -> tuple[Path, ...]:
    """Make the names in `bin/` lead to this tree itself, the names without a version as well.

    Returns:
        The names in `bin/`.

    Raises:
        HostError: something that is not ours stands where a link goes, or the disk refuses.
    """
    targets = activated(prefix, record)
    for path in targets:
        check_ours(prefix, path)
    for path, target in targets.items():
        wrapped = style == "wrapper" and _is_interpreter(prefix, record, target)
        replace_name(prefix, record, path, target, wrapped=wrapped)
        _note(prefix, record, path, target, wrapped=wrapped)
    return tuple(targets)


def activation(record: Record) -> dict[str, str]:
    """Return the names in `bin/` that `activate` makes, and the programs of the tree behind them.

    The interpreter of python3.13t is python3 and python as well, that of pypy3.11 pypy3 and pypy.
    """
    names = dict(record.links)
    if record.interpreter is not None:
        match = re.fullmatch(r"([a-z]+)(\d+)(\.\d+)?t?", Path(record.interpreter).name)
        if match:
            names |= dict.fromkeys([match[1] + match[2], match[1]], record.interpreter)
    return names


def activated(prefix: Prefix, record: Record) -> dict[Path, Path]:
    """Return the links that `activate` makes, and what they lead to."""
    tree = prefix.destination(record.kind, record.name)
    return {prefix.bin / name: tree / path for name, path in activation(record).items()}


def check_activation(prefix: Prefix, record: Record) -> None:
    """Check that the links of `activate` can be made, before anything is.

    Raises:
        HostError: something that is not ours stands where a link goes.
    """
    for path in activated(prefix, record):
        check_ours(prefix, path)


def linked(prefix: Prefix, record: Record) -> LinkStyle:
    """Tell whether there are names in `bin/` for this tree, and of which style.

    Raises:
        HostError: they cannot be looked at.
    """
    targets = set(_bin_targets(prefix, record).values())
    style: LinkStyle = "none"
    with host_errors("cannot look at a link"):
        for name in record.links:
            path = prefix.bin / name
            if read_wrapper(path) in targets:
                return "wrapper"
            if read_link(path) in targets:
                style = "symlink"
    return style


def move_links(prefix: Prefix, record: Record) -> None:
    """Let the links that lead to this tree in a former prefix, where it is no more, lead to it.

    Raises:
        HostError: the disk refuses.
    """
    minor = _minor(prefix, record)
    names = {record.name, *([] if minor is None else [minor.name])}
    parent = prefix.parent(record.kind)
    with host_errors("cannot make a link"):
        found = sorted(prefix.bin.iterdir()) if prefix.bin.is_dir() else []
        for path in [*([] if minor is None else [minor]), *found]:
            wrapped = read_wrapper(path)
            target = read_link(path) or wrapped
            if target is None or target.exists() or parent in target.parents:
                continue
            for former in (target, *target.parents):
                if former.name in names and former.parent.name == parent.name:
                    moved = parent / former.name / target.relative_to(former)
                    put_name(prefix, record, path, moved, wrapped=wrapped is not None)
                    break


def remove_links(prefix: Prefix, record: Record) -> None:
    """Remove the links of a tree that is gone; the minor-version link leads to the next one.

    Raises:
        HostError: the disk refuses.
    """
    gone = prefix.destination(record.kind, record.name)
    minor = _minor(prefix, record)
    heir = None
    with host_errors("cannot remove a link"):
        if minor is not None and minor.is_symlink() and is_inside(prefix, minor.readlink()):
            highest = _highest(prefix, record)
            if highest == gone:
                remove_durably(minor)
            else:
                replace_name(prefix, record, minor, highest)
                heir = highest.name
    remove_dangling(prefix, record)
    _names(prefix).forget(record.name, heir)


def remove_dangling(prefix: Prefix, record: Record) -> None:
    """Remove the names in `bin/` for programs that the tree of `record` does not have any more.

    Raises:
        HostError: the disk refuses.
    """
    minor = _minor(prefix, record)
    bases = {prefix.destination(record.kind, record.name), *([] if minor is None else [minor])}
    with host_errors("cannot remove a link"):
        for path in sorted(prefix.bin.iterdir()) if prefix.bin.is_dir() else ():
            target = read_link(path) or read_wrapper(path)
            if target is not None and not target.exists() and bases & set(target.parents):
                remove_durably(path)
                _names(prefix).drop(path)


def _note(prefix: Prefix, record: Record, path: Path, target: Path, *, wrapped: bool) -> None:
    with host_errors("cannot keep what was made in bin/"):
        _names(prefix).note(path, record.name, target, wrapper=wrapped)


def _names(prefix: Prefix) -> "Names":
    # What only looks at a prefix does not need it.
    from sealift_installer.made import Names

    return Names(prefix)


def _is_interpreter(prefix: Prefix, record: Record, program: Path) -> bool:
    """Tell whether `program` is the tree's interpreter, be it by another name."""
    tree = prefix.destination(record.kind, record.name)
    with host_errors("cannot look at an installed program"):
        return record.interpreter is not None and program.samefile(tree / record.interpreter)


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
    path = prefix.destination(record.kind, record.name)
    with host_errors("cannot look for other patch versions"):
        best = _order(mine) if path.is_dir() else _NONE  # it is gone when it was uninstalled
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
