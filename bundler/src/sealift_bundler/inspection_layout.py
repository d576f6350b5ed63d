"""Where the members of an archive are installed: which folders are taken off, and what is not."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sealift_bundler.inspection_scan import Scanned
from sealift_installer.errors import Damaged
from sealift_schemas.lock import LockedArchive

OUTSIDE = "outside of the folder that is installed"
TOP = "the folder that is taken off"
# The folders of a wheel's .data (the wheel format, "The .data directory"), and where they go.
_DATA = re.compile(
    r"(?P<name>[^/]+?)-[^/]+\.data(?:/(?P<scheme>[^/]*)(?:/(?P<rest>.*))?)?", re.DOTALL
)
_SCHEMES = {"purelib": "", "platlib": "", "data": "", "scripts": "bin/"}


@dataclass(frozen=True, slots=True)
class Layout:
    """Tells where a member is installed.

    `place` takes a name inside of the archive and returns the installed path, "" for the root of
    the installed tree itself, or None for what stands outside of it.
    """

    place: Callable[[str], str | None]


def find_layout(archive: LockedArchive, members: Sequence[Scanned]) -> Layout:
    """Return the layout for `archive`, of which `members` are all.

    An interpreter has one folder at the top; that of a "full" archive of python-build-standalone
    has the interpreter in `install`, beside what it was built from.

    Raises:
        Damaged: an interpreter without the one folder at the top.
    """
    if archive.recipe == "wheel":
        return Layout(_place_wheel)
    if archive.strip is not None:
        count = archive.strip
        return Layout(lambda name: _strip(name, count))
    top = _top(members)
    if archive.recipe == "generic":
        return Layout(lambda name: _strip(name, 0 if top is None else 1))
    if top is None:
        raise Damaged(
            f"{archive.filename}: an interpreter has one folder at its top, this has none"
        )
    folder = f"{top}/install/"
    if archive.recipe == "cpython" and any(member.name.startswith(folder) for member in members):
        return Layout(lambda name: _below(name, folder))
    return Layout(lambda name: _strip(name, 1))


def _top(members: Sequence[Scanned]) -> str | None:
    """Return the one folder that has all members in it, or None."""
    tops = {member.name.split("/", 1)[0] for member in members}
    if len(tops) != 1:
        return None
    top = tops.pop()
    if any(member.name == top and member.type != "directory" for member in members):
        return None
    return top


def _strip(name: str, count: int) -> str | None:
    parts = name.split("/")
    # What is beside the folders that are taken off is refused where it is a file, by the caller.
    return "/".join(parts[count:]) if len(parts) >= count else None


def _below(name: str, folder: str) -> str | None:
    if f"{name}/" == folder:
        return ""
    return name.removeprefix(folder) if name.startswith(folder) else None


def _place_wheel(name: str) -> str | None:
    match = _DATA.fullmatch(name)
    if match is None:
        return name
    scheme, rest = match["scheme"], match["rest"] or ""
    if not scheme:
        return None
    if scheme == "headers":
        return f"include/{match['name']}/{rest}".rstrip("/")
    if scheme not in _SCHEMES:
        return None
    return f"{_SCHEMES[scheme]}{rest}".rstrip("/")
