"""Compares a tree with the index that it was made from, the prefix taken out again.

Nothing is followed and nothing is run: links are compared as links, files are read, and what is
there beyond the index is listed.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from errno import ELOOP, ENOTDIR
from pathlib import Path

from sealift_installer.errors import host_errors, printable
from sealift_installer.limits import LIMITS, Limits
from sealift_installer.relocation import recover
from sealift_installer.spellings import respell
from sealift_schemas.index import Entry
from sealift_schemas.lean import dataclass

_PIECE = 1024 * 1024
_OPEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_MODES = {"644": 0o644, "755": 0o755}
_DIRECTORY_MODE = 0o755
_UV_MARKER = b"[externally-managed]"
_MARKER_LIMIT = 4096
_BYTECODE = "__pycache__"


@dataclass(frozen=True, slots=True)
class Difference:
    """One path that is not as the index has it: "missing", "added" or "changed", and how."""

    path: str
    what: str
    detail: str

    def to_json(self) -> dict[str, str]:
        """Return it as JSON values."""
        return {"path": self.path, "what": self.what, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs, and what differs without harm: what uv and a running Python do to a tree."""

    drift: tuple[Difference, ...]
    tolerated: tuple[Difference, ...]


def compare(
    tree: Path, entries: Sequence[Entry], prefix: str, limits: Limits = LIMITS
) -> Comparison:
    """Compare the tree at `tree`, into which `prefix` was put, with its index.

    Raises:
        HostError: something in it cannot be read.
    """
    expected = {entry.path: entry for entry in entries if entry.path is not None}
    directories = {
        path[:place] for path in expected for place in range(len(path)) if path[place] == "/"
    } | {path for path, entry in expected.items() if entry.type == "directory"}
    with host_errors(f"cannot read the installed tree {printable(str(tree))}"):
        known = directories | expected.keys()
        found = respell(dict(_walk(os.fsencode(tree), "")), known, os.fsencode(tree))
        look = _Look(os.fsencode(tree), expected, prefix, limits)
        differences = [*_directories(found, directories)]
        for path, entry in expected.items():
            if entry.type == "directory":
                continue
            status = found.get(path)
            if status is None:
                differences.append(Difference(path, "missing", _kind(entry)))
                continue
            detail = look.at(path, entry, status)
            if detail:
                differences.append(Difference(path, "changed", detail))
        differences += (
            Difference(path, "added", _describe(status))
            for path, status in found.items()
            if path not in known
        )
        return _part(tree, differences)


def _walk(root: bytes, below: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every path below `root` and what it is; links are not followed.

    Names are UTF-8 in a tree, whatever the locale makes of them.
    """
    with os.scandir(_path(root, below)) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        name = entry.name.decode("utf-8", "surrogateescape")
        path = f"{below}/{name}" if below else name
        yield path, entry.stat(follow_symlinks=False)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(root, path)


def _path(root: bytes, below: str) -> bytes:
    return b"%b/%b" % (root, below.encode("utf-8", "surrogateescape"))


def _directories(
    found: Mapping[str, os.stat_result], directories: set[str]
) -> Iterator[Difference]:
    for path in sorted(directories):
        status = found.get(path)
        if status is None:
            yield Difference(path, "missing", "a directory")
        elif not stat.S_ISDIR(status.st_mode):
            yield Difference(path, "changed", f"{_describe(status)}, not a directory")
        elif status.st_mode & 0o777 != _DIRECTORY_MODE:
            # A directory may inherit the set-group-id bit from where the prefix stands.
            yield Difference(path, "changed", _modes(_DIRECTORY_MODE, status.st_mode & 0o777))


class _Look:
    """Looks at one path after the other.

    Args:
        tree: where the tree stands.
        expected: the index by installed path, for hard links.
        prefix: what was put into the templates.
        limits: of a file that was made of a template.
    """

    def __init__(
        self, tree: bytes, expected: Mapping[str, Entry], prefix: str, limits: Limits
    ) -> None:
        self._tree = tree
        self._expected = expected
        self._prefix = prefix
        self._limits = limits

    def at(self, path: str, entry: Entry, status: os.stat_result) -> str | None:
        """Return how `path` differs, or None."""
        if entry.type == "link":
            return self._link(path, entry, status)
        seen = set()
        while entry.type == "hardlink" and entry.link_target not in seen:
            seen.add(entry.link_target)
            entry = self._expected.get(entry.link_target, entry)
        if not stat.S_ISREG(status.st_mode):
            return f"{_describe(status)}, not a file"
        mode = stat.S_IMODE(status.st_mode)
        if mode != _MODES.get(entry.mode or ""):
            return _modes(_MODES.get(entry.mode or "", 0), mode)
        if entry.template is None:
            return self._plain(path, entry, status)
        return self._relocated(path, entry, status)

    def _link(self, path: str, entry: Entry, status: os.stat_result) -> str | None:
        if not stat.S_ISLNK(status.st_mode):
            return f"{_describe(status)}, not a link"
        data = os.readlink(_path(self._tree, path))  # noqa: PTH115 - bytes, as names are UTF-8
        target = data.decode("utf-8", "surrogateescape")
        if target == entry.link_target:
            return None
        return f"leads to {target}, not to {entry.link_target}"

    def _plain(self, path: str, entry: Entry, status: os.stat_result) -> str | None:
        if status.st_size != entry.size:
            return f"{status.st_size} bytes, not {entry.size}"
        computed = hashlib.sha256()
        for piece in self._read(path):
            computed.update(piece)
        if computed.hexdigest() == entry.sha256:
            return None
        return f"sha256 {computed.hexdigest()}, not {entry.sha256}"

    def _relocated(self, path: str, entry: Entry, status: os.stat_result) -> str | None:
        template = entry.template
        assert template is not None, "the caller looked"
        # Six bytes for a character is the most that an escaping makes of one, three at a time.
        room = len(template.places) * len(os.fsencode(self._prefix)) * 6**3
        if status.st_size > template.size + room:
            return f"{status.st_size} bytes, far more than its template's {template.size}"
        recovered = recover(b"".join(self._read(path)), template.places, self._prefix)
        if recovered is None:
            return f"no longer names the prefix where it did: {self._prefix}"
        computed = hashlib.sha256(recovered).hexdigest()
        if computed == template.sha256:
            return None
        without = "without its prefix " if template.places else ""
        return f"{without}sha256 {computed}, not {template.sha256}"

    def _read(self, path: str) -> Iterator[bytes]:
        try:
            descriptor = os.open(_path(self._tree, path), _OPEN)
        except OSError as error:
            if error.errno in {ELOOP, ENOTDIR}:  # it became a link since it was looked at
                return
            raise
        try:
            while piece := os.read(descriptor, _PIECE):
                yield piece
        finally:
            os.close(descriptor)


def _part(tree: Path, differences: Sequence[Difference]) -> Comparison:
    """Part what is drift from what uv and a running Python leave in a tree."""
    drift: list[Difference] = []
    tolerated: list[Difference] = []
    for each in differences:
        (tolerated if _is_tolerated(tree, each) else drift).append(each)
    return Comparison(tuple(drift), tuple(tolerated))


def _is_tolerated(tree: Path, difference: Difference) -> bool:
    head, _, name = difference.path.rpartition("/")
    if difference.what == "added":
        if name == _BYTECODE:
            return difference.detail == "a directory"
        inside = head.rpartition("/")[2] == _BYTECODE
        return inside and name.endswith(".pyc") and difference.detail == "a file"
    if name == "EXTERNALLY-MANAGED" and not difference.detail.startswith("mode "):
        path = tree / difference.path
        if path.is_symlink() or not path.is_file():
            return False
        with path.open("rb") as file:
            data = file.read(_MARKER_LIMIT + 1)
        return data.startswith(_UV_MARKER) and len(data) <= _MARKER_LIMIT
    return False


def _kind(entry: Entry) -> str:
    return {"link": "a link", "hardlink": "a file"}.get(entry.type, "a file")


def _describe(status: os.stat_result) -> str:
    if stat.S_ISDIR(status.st_mode):
        return "a directory"
    if stat.S_ISLNK(status.st_mode):
        return "a link"
    return "a file" if stat.S_ISREG(status.st_mode) else "a device, socket or pipe"


def _modes(expected: int, computed: int) -> str:
    return f"mode {computed:04o}, not {expected:04o}"
