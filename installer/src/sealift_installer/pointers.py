"""One name that leads to a program: a link, or a wrapper that starts it by its own path.

A name is replaced in one step, and only where it is ours: a link or a wrapper into this prefix.
"""

import os
import re
from pathlib import Path

from sealift_installer.durable import make_directory, write_durably
from sealift_installer.errors import HostError, host_errors, printable
from sealift_installer.prefix import Prefix
from sealift_installer.records import Record

_QUOTE = rb"'\''"
# The whole of a wrapper but the path, which stands in single quotes.
_WRAPPER = b"#!/bin/sh\nexec '%s' \"$@\"\n"
_WRAPPER_PATTERN = rb"#!/bin/sh\nexec '([^\n]*)' \"\$@\"\n"
_WRAPPER_LIMIT = 16 * 1024


def read_link(path: Path) -> Path | None:
    """Return what the link at `path` leads to, or None where there is none."""
    return path.readlink() if path.is_symlink() else None


def read_wrapper(path: Path) -> Path | None:
    """Return what the wrapper at `path` starts, or None where it is no wrapper of ours.

    Raises:
        OSError: it cannot be read.
    """
    if path.is_symlink() or not path.is_file():
        return None
    with path.open("rb") as file:
        data = file.read(_WRAPPER_LIMIT)
    match = re.fullmatch(_WRAPPER_PATTERN, data)
    if match is None:
        return None
    target = Path(os.fsdecode(match[1].replace(_QUOTE, b"'")))
    return target if render_wrapper(target) == data else None


def render_wrapper(target: Path) -> bytes:
    """Return the bytes of a wrapper that starts `target`."""
    return _WRAPPER % os.fsencode(target).replace(b"'", _QUOTE)


def replace_name(
    prefix: Prefix, record: Record, path: Path, target: Path, *, wrapped: bool = False
) -> None:
    """Make the link or wrapper at `path`, in one step, where nothing of somebody else stands.

    Raises:
        HostError: something does, or the disk refuses.
    """
    with host_errors("cannot make a link"):
        if (read_wrapper(path) if wrapped else read_link(path)) == target:
            return
        check_ours(prefix, path)
        put_name(prefix, record, path, target, wrapped=wrapped)


def put_name(prefix: Prefix, record: Record, path: Path, target: Path, *, wrapped: bool) -> None:
    """Make the link or wrapper at `path` in one step, whatever is there.

    Raises:
        OSError: the disk refuses.
    """
    make_directory(path.parent, prefix.path)
    # What a kill leaves there, the next run removes.
    temporary = prefix.new_staging(record.kind, path.name)
    if wrapped:
        write_durably(temporary, render_wrapper(target), mode=0o755)
    else:
        temporary.symlink_to(target)
    temporary.replace(path)


def check_ours(prefix: Prefix, path: Path) -> None:
    """Refuse to touch anything but a link or a wrapper to this prefix's own trees.

    Raises:
        HostError: something else stands at `path`.
    """
    with host_errors("cannot look at a link"):
        target = read_link(path) or read_wrapper(path)
        if target is None and not path.exists():
            return
        if target is not None and is_inside(prefix, target):
            return
        moved = target is not None and not target.exists()
    raise HostError(
        f"{printable(str(path))} is there already, and it is no link into this prefix",
        hint="if the prefix was moved: unseal relocate KEY, for each that unseal list shows; "
        "else move it away and run the command again"
        if moved
        else "move it away and run the command again",
    )


def is_inside(prefix: Prefix, target: Path) -> bool:
    """Tell whether `target` is in one of the prefix's trees, be the prefix reached by a link."""
    parents = (prefix.parent("interpreter"), prefix.parent("tool"))
    if any(parent in target.parents for parent in parents):
        return True
    real = target.resolve()
    return any(parent.resolve() in real.parents for parent in parents)
