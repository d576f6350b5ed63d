"""Shared libraries in an archive: which project each is from, by its name, and which version.

The number behind `.so` counts interfaces, so it is no version. Some projects put their version into
their binaries as text, also where they are linked statically; where that is found, it is named.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sealift_bundler.evidence import purl
from sealift_bundler.evidence.findings import Part, word
from sealift_bundler.evidence.limits import EVIDENCE_LIMITS

_UNIX = re.compile(r"lib(?P<stem>[A-Za-z0-9_+.-]+?)(?:\.so(?:\.[0-9.]+)?|(?:\.[0-9.]+)?\.dylib)")
_WINDOWS = re.compile(r"(?P<stem>[A-Za-z0-9_+.-]+)\.dll", re.IGNORECASE)
# What auditwheel and delocate put behind the name of a library that they copy into a wheel.
_MANGLED = re.compile(r"-[0-9a-f]{8}$")
# The interpreters' own libraries are the archive itself.
_INTERPRETER = re.compile(r"(?:python|pypy|pythonvm|graalpy)[0-9._a-z-]*")
# Names of libraries, without `lib` and ending, and the project; a group in it is the version.
_PROJECTS = (
    (r"(?:ssl|crypto)(?:[-_].*)?", "openssl"),
    (r"(?:lib)?(?:ssl|crypto)-[0-9_]+(?:-(?:x64|arm64))?", "openssl"),
    (r"(?:lib)?ffi(?:-[0-9]+)?", "libffi"),
    (r"sqlite3(?:_python)?", "sqlite"),
    (r"bz2(?:-[0-9]+)?", "bzip2"),
    (r"(?:lib)?lzma(?:-[0-9]+)?", "xz"),
    (r"z|zlib1?", "zlib"),
    (r"zstd", "zstd"),
    (r"readline|history", "readline"),
    (r"edit", "libedit"),
    (r"(?:ncurses|tinfo|panel|menu|form)w?t?", "ncurses"),
    (r"uuid", "util-linux"),
    (r"expat", "expat"),
    (r"gdbm(?:_compat)?", "gdbm"),
    (r"db-[0-9.]+|db", "berkeley-db"),
    (r"mpdec(?:\+\+)?", "mpdecimal"),
    (r"tcl(?P<version>[0-9]\.[0-9]+)", "tcl"),
    (r"tk(?P<version>[0-9]\.[0-9]+)", "tk"),
    (r"tcl[0-9]{2}t?|tcl", "tcl"),
    (r"tk[0-9]{2}t?|tk", "tk"),
    (r"X11(?:-xcb)?", "libx11"),
    (r"Xau", "libxau"),
    (r"xcb(?:-.*)?", "libxcb"),
    (r"gcc_s|stdc\+\+|gomp|atomic|quadmath|gfortran", "gcc"),
    (r"vcruntime140(?:_1)?|msvcp140.*", "microsoft-visual-c++-runtime"),
)
# Every interpreter's archive has libraries of its own, a tool's are the tool: of those only the
# known ones are named.
_LITERAL, _PATTERN = 0, 1
_BANNERS: Mapping[str, tuple[bytes, bytes]] = {
    "openssl": (b"OpenSSL ", rb"OpenSSL ([0-9]\.[0-9]+\.[0-9]+[a-z]{0,2}) +[0-9]{1,2} [A-Z][a-z]{2} 20"),
    "zlib": (b"flate ", rb"(?:in|de)flate ([0-9]\.[0-9.]+?)(?:\.f-[\w.-]+)? Copyright"),
    "bzip2": (b", 13-Jul-2019", rb"\b(1\.0\.8), 13-Jul-2019"),
    "expat": (b"expat_", rb"expat_([0-9]+\.[0-9]+\.[0-9]+)\0"),
    "ncurses": (b"ncurses ", rb"ncurses ([0-9]\.[0-9]\.[0-9]{8})\0"),
    "xz": (b"liblzma ", rb"liblzma ([0-9]\.[0-9]+\.[0-9]+)\0"),
}  # fmt: skip
# What programs that only load a library have as well, from its headers, is no proof of it; this is.
_CODE: Mapping[str, bytes] = {"openssl": b'OPENSSLDIR: "'}
# Where the version stands alone it says something in the project's own library only.
_ALONE: Mapping[str, bytes] = {
    "sqlite": rb"\0(3\.[0-9]{1,2}\.[0-9]{1,2})\0",
    "xz": rb"\0(5\.[0-9]{1,2}\.[0-9]{1,2})\0",
    "tcl": rb"\0([89]\.[0-9]{1,2}\.[0-9]{1,2})\0",
    "tk": rb"\0([89]\.[0-9]{1,2}\.[0-9]{1,2})\0",
    "readline": rb"\0([678]\.[0-9])\0",
    "libedit": rb"\0(NetBSD libedit [0-9.]+)\0",
}
# The longest banner, and a little before it.
_OVERLAP = 128
MAGICS = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"MZ")


@dataclass(slots=True)
class _Seen:
    """A project that is in the archive: the places without a version, and those of each version."""

    places: list[str] = field(default_factory=list)
    versions: dict[str, list[str]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)


class Libraries:
    """Collects what the binaries of an archive tell about libraries.

    Args:
        unknown: name libraries of projects that are not known here as well.
    """

    def __init__(self, *, unknown: bool) -> None:
        self._unknown = unknown
        self._seen: dict[str, _Seen] = {}

    def see(self, path: str, pieces: Iterable[bytes]) -> None:
        """Look at a binary, given in pieces, all of which are taken."""
        project, version = identify(path.rpartition("/")[2])
        banners = _Banners(project)
        for piece in pieces:
            banners.feed(piece)
        found = banners.found
        for name, versions in sorted(found.items()):
            for one in sorted(versions):
                self._note(name, path, one)
        if project is None or (project not in _KNOWN and not self._unknown):
            return
        if project not in found:
            self._note(project, path, version)

    def parts(self) -> list[Part]:
        """Return the libraries that were found, sorted by name."""
        return [part for name in sorted(self._seen) for part in self._parts(name)]

    def _note(self, name: str, path: str, version: str | None) -> None:
        limits = EVIDENCE_LIMITS
        if name not in self._seen and len(self._seen) > limits.parts:
            # One more than counts, so that it is seen that there are more.
            return
        seen = self._seen.setdefault(name, _Seen())
        places = seen.places
        if version is not None and len(seen.versions) < limits.places:
            places = seen.versions.setdefault(version, [])
        if len(places) < limits.places and path not in places:
            places.append(path)

    def _parts(self, name: str) -> list[Part]:
        seen = self._seen[name]
        if len(seen.versions) == 1:
            # Of two libraries of one project, one may have no text of its version.
            ((version, places),) = seen.versions.items()
            return [_part(name, version, sorted({*places, *seen.places}))]
        found = [_part(name, version, places) for version, places in sorted(seen.versions.items())]
        return found + ([_part(name, None, seen.places)] if seen.places else [])


def identify(filename: str) -> tuple[str | None, str | None]:
    """Return the project of a shared library by its file's name, and the version that it tells."""
    match = _UNIX.fullmatch(filename) or _WINDOWS.fullmatch(filename)
    if match is None or _INTERPRETER.fullmatch(match["stem"]):
        return None, None
    found = name_project(_MANGLED.sub("", match["stem"]))
    if found[0] is not None:
        return found
    # An unknown .dll may be anything; what begins with lib is a library.
    return (word(f"lib{match['stem']}") if filename.startswith("lib") else None), None


def name_project(stem: str) -> tuple[str | None, str | None]:
    """Return the project of the library `-lSTEM`, and the version that its name tells."""
    for pattern, project in _PROJECTS:
        match = re.fullmatch(pattern, stem)
        if match is not None:
            return project, match.groupdict().get("version")
    return None, None


_KNOWN = frozenset(project for _, project in _PROJECTS)


def _part(name: str, version: str | None, places: list[str]) -> Part:
    return Part(
        name=name,
        version=version,
        purl=purl.generic(name, version) if name in _KNOWN else None,
        places=tuple(places[: EVIDENCE_LIMITS.places]),
        found="the name of a library, or a version in a binary",
    )


class _Banners:
    """Finds the versions that libraries put into binaries, across the borders of pieces."""

    def __init__(self, project: str | None) -> None:
        self._texts: dict[str, set[str]] = {}
        self._alone = {} if project is None else {project: _ALONE.get(project)}
        self._project = project
        self._code: set[str] = set()
        self._seam = b""

    @property
    def found(self) -> dict[str, set[str]]:
        """The versions by project, of those whose code is in the binary."""
        return {
            project: versions
            for project, versions in self._texts.items()
            if project == self._project or project not in _CODE or project in self._code
        }

    def feed(self, piece: bytes) -> None:
        data = self._seam + piece
        for project, (literal, pattern) in _BANNERS.items():
            # Looking for the literal first is many times as fast.
            start = data.find(literal)
            while start >= 0:
                match = re.compile(pattern).search(data, max(start - 16, 0), start + _OVERLAP)
                if match is not None:
                    self._texts.setdefault(project, set()).add(match[1].decode("ascii"))
                    break
                start = data.find(literal, start + 1)
        self._code |= {project for project, mark in _CODE.items() if mark in data}
        for project, alone in self._alone.items():
            versions = [] if alone is None else re.findall(alone, data)
            if project not in self._texts and versions:
                self._texts[project] = {min(versions, key=data.index).decode("ascii")}
        self._seam = data[-_OVERLAP:]
