"""Names in `bin/` as they are, beside what was made: which are not that any more, and made anew."""

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from sealift_installer.errors import host_errors
from sealift_installer.made import Made, Names
from sealift_installer.pointers import (
    check_ours,
    put_name,
    read_link,
    read_wrapper,
    replace_name,
)
from sealift_installer.prefix import Prefix
from sealift_installer.records import Record


def find_changed(prefix: Prefix, trees: Collection[str]) -> Iterator[tuple[Made, str]]:
    """Yield which names that were made for `trees` are not as they were made, and what they are.

    A name that is gone is "". One whose program is gone is not asked for: its tree says so.

    Raises:
        HostError: they cannot be looked at.
    """
    names = Names(prefix)
    for made in names.all():
        with host_errors("cannot look at a name in bin/"):
            if made.tree not in trees or not names.target(made).exists():
                continue
            path = prefix.bin / made.name
            found = read_wrapper(path) if made.wrapper else read_link(path)
            if found is not None and names.is_met(made, found):
                continue
            other = read_link(path) or read_wrapper(path)
            if other is not None:
                yield made, f"{'a link' if path.is_symlink() else 'a script'} to {other}"
            else:
                yield made, "something that is not ours" if os.path.lexists(path) else ""


def check_names(prefix: Prefix, names: Iterable[Made]) -> None:
    """Check that names can be made anew, before one is.

    Raises:
        HostError: something that is not ours stands in the place of one.
    """
    for made in names:
        path = prefix.bin / made.name
        if not _was_moved(path, made):
            check_ours(prefix, path)


def make_names(prefix: Prefix, names: Iterable[tuple[Made, Record]]) -> None:
    """Make names anew, as they were made for these trees.

    Raises:
        HostError: something that is not ours stands in the place of one, or the disk refuses.
    """
    for made, record in names:
        path, target = prefix.bin / made.name, Names(prefix).target(made)
        make = put_name if _was_moved(path, made) else replace_name
        with host_errors("cannot make a name in bin/"):
            make(prefix, record, path, target, wrapped=made.wrapper)


def _was_moved(path: Path, made: Made) -> bool:
    """Tell whether a name leads to where its tree stood before the prefix was moved."""
    with host_errors("cannot look at a name in bin/"):
        found = read_link(path) or read_wrapper(path)
        return (
            found is not None
            and found.as_posix().endswith(f"/{made.target}")
            and not found.exists()
        )
