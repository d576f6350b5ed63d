"""Names that a file system does not tell apart, and what is done about them.

Some file systems take `A` for `a` (macOS, Windows, exFAT), some one spelling of `é` for another one
(macOS). They are asked in the directory that is to be filled, before it is. Of two files with the
same content one is kept, which answers to both names; what differs is refused. What stands under
another spelling than the index has is recorded, and `settle_entries` says what that makes of an
index: when a tree is written, and whenever it is checked later. (ADR 0017)
"""

import os
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from sealift_installer.errors import HostError, printable
from sealift_schemas.index import Entry
from sealift_schemas.lean import replace

# Whether two names in one directory are one to its file system.
Same = Callable[[str, str], bool]
# A name that has a capital and a composed letter, and what some take for it.
PROBE = ".Sealift-\u00e9"
_OTHERWISE = (".sealift-\u00e9", ".Sealift-e\u0301")
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL


def merges_names(directory: int) -> bool:
    """Tell whether the file system takes some names for others, with PROBE in `directory`."""
    return any(_is_there(directory, name) for name in _OTHERWISE)


def find_merged(entries: Sequence[Entry], directory: int) -> dict[str, str]:
    """Return each installed path that stands in another spelling, and that spelling.

    Args:
        entries: the index of the tree.
        directory: a descriptor of the tree's top, which is empty, and `merges_names`.

    Raises:
        HostError: two different members would be one there.
        OSError: the directory cannot be written.
    """
    merged = _Spellings(lambda one, other: _are_one(directory, one, other)).find(entries)
    _check_merged(entries, merged)
    return merged


def settle_entries(entries: Sequence[Entry], merged: Mapping[str, str]) -> tuple[Entry, ...]:
    """Return the index as it stands on a file system that merges names.

    Args:
        entries: the index, as the bundler wrote it.
        merged: what `find_merged` returned when the tree was written; empty nearly everywhere.
    """
    if not merged:
        return tuple(entries)
    settle = _Settled(merged)
    kept = {str(entry.path) for entry in _standing(entries, settle).values()}
    return tuple(
        _settle_entry(entry, settle, kept)
        for entry in entries
        if entry.member is not None or entry.path in kept
    )


def _settle_entry(entry: Entry, settle: "_Settled", kept: set[str]) -> Entry:
    path = entry.path
    if path is None:
        return entry
    if path not in kept:
        reason = f"one with '{settle(path)}' on this file system"
        return replace(entry, path=None, template=None, kept=None, dropped=reason)
    if entry.type == "hardlink":
        entry = replace(entry, installed_target=settle(entry.link_target))
    return replace(entry, path=settle(path))


def fold_links(links: Mapping[str, str]) -> dict[str, str]:
    """Return links as a file system may see them that does not tell names apart.

    A target leads through a link whatever spelling it has of its name.

    Raises:
        HostError: what two links have in common is all that is known of which one that is.
    """
    folded: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for path, target in links.items():
        key = _fold(path)
        if folded.setdefault(key, _fold(target)) != _fold(target):
            raise _different(spelled[key], path)
        spelled[key] = path
    return folded


def respell(
    found: dict[str, os.stat_result], expected: Iterable[str], tree: bytes
) -> dict[str, os.stat_result]:
    """Return what was found in a tree under the names that are expected there.

    Some file systems list a name otherwise than it was given, all small or decomposed.

    Args:
        found: by the paths that were listed.
        expected: the paths that should be there.
        tree: its top.
    """
    absent = [path for path in expected if path not in found]
    if not absent:
        return found
    known = set(expected)
    listed = {_fold(path): path for path in found if path not in known}
    respelled = dict(found)
    for path in absent:
        other = listed.get(_fold(path))
        if other is None:
            continue
        with suppress(OSError):
            status = os.lstat(tree + b"/" + path.encode())
            if os.path.samestat(status, found[other]):
                respelled[path] = respelled.pop(other)
    return respelled


class _Settled:
    """The path under which a path stands, by the recorded ones."""

    def __init__(self, merged: Mapping[str, str]) -> None:
        self._known = {"": "", **merged}

    def __call__(self, path: str) -> str:
        known = self._known.get(path)
        if known is None:
            folder, slash, name = path.rpartition("/")
            known = self._known[path] = f"{self(folder)}{slash}{name}"
        return known


class _Spellings:
    """Gives each directory and file the spelling that came first."""

    def __init__(self, same: Same) -> None:
        self._same = same
        # Of each directory, by what its names have in common: the spellings that are there.
        self._names: dict[tuple[str, str], list[str]] = {}
        self._known = {"": ""}
        self._merged: dict[str, str] = {}

    def find(self, entries: Iterable[Entry]) -> dict[str, str]:
        for entry in entries:
            if entry.path is not None:
                self._place(entry.path)
        return self._merged

    def _place(self, path: str) -> str:
        known = self._known.get(path)
        if known is not None:
            return known
        folder, slash, name = path.rpartition("/")
        there = self._place(folder)
        names = self._names.setdefault((there, _fold(name)), [])
        spelled = next((one for one in names if one == name or self._same(one, name)), name)
        if spelled not in names:
            names.append(spelled)
        place = self._known[path] = f"{there}{slash}{spelled}"
        if spelled != name:
            self._merged[path] = place
        return place


def _fold(name: str) -> str:
    """Return what all names have in common that any file system could take for this one."""
    import unicodedata

    decomposed = unicodedata.normalize("NFKD", name).casefold()
    return unicodedata.normalize("NFKD", decomposed)


def _standing(entries: Sequence[Entry], settle: _Settled) -> dict[str, Entry]:
    """Return for each path of the tree the entry that stands there: a file before what leads to it."""
    placed = [(settle(entry.path), entry) for entry in entries if entry.path is not None]
    placed.sort(key=lambda pair: _rank(pair[0], pair[1], settle))
    standing: dict[str, Entry] = {}
    for place, entry in placed:
        standing.setdefault(place, entry)
    return standing


def _rank(place: str, entry: Entry, settle: _Settled) -> int:
    if entry.type != "link":
        return int(entry.type == "hardlink")
    # A link to its own twin would lead to itself.
    return 3 if settle(_aim(entry)) == place else 2


def _aim(link: Entry) -> str:
    """Return the path that a link leads to, read as text."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(link.path or ""), link.link_target))


def _check_merged(entries: Sequence[Entry], merged: Mapping[str, str]) -> None:
    settle = _Settled(merged)
    standing = _standing(entries, settle)
    written = {entry.path: entry for entry in entries}
    folders: dict[str, str] = {}
    for entry in entries:
        if entry.path is None:
            continue
        for folder in _folders(entry.path):
            folders.setdefault(settle(folder), folder)
        other = standing[settle(entry.path)]
        if other.path != entry.path and _content(other, written) != _content(entry, written):
            raise _different(str(other.path), entry.path)
    for place, folder in folders.items():
        found = standing.get(place)
        if found is not None and found.type != "directory" and found.path != folder:
            raise _different(str(found.path), folder)


def _folders(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _content(entry: Entry, written: Mapping[str | None, Entry]) -> object:
    """Return what makes two entries the same but for their name, and for being links to it."""
    seen = set()
    while entry.type in {"hardlink", "link"} and entry.path not in seen:
        seen.add(entry.path)
        target = entry.link_target if entry.type == "hardlink" else _aim(entry)
        if target not in written:
            return entry.type, target
        entry = written[target]
    if entry.type != "file":
        return entry.type, entry.path if seen else None
    template = entry.template
    return (entry.mode, template) if template else (entry.mode, entry.size, entry.sha256)


def _different(one: str, other: str) -> HostError:
    return HostError(
        f"this file system does not tell '{printable(one)}' from '{printable(other)}', and they "
        f"are not the same",
        hint="choose with --prefix a directory on a file system that tells them apart",
    )


def _are_one(directory: int, one: str, other: str) -> bool:
    _make(directory, one)
    try:
        return _is_there(directory, other)
    finally:
        os.unlink(one.encode(), dir_fd=directory)


def _make(directory: int, name: str) -> None:
    # Names are UTF-8 in the tree, whatever the locale of this process makes of them.
    os.close(os.open(name.encode(), _NEW_FILE, 0o600, dir_fd=directory))


def _is_there(directory: int, name: str) -> bool:
    try:
        os.stat(name.encode(), dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
