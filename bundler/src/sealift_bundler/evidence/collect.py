"""Looks at an archive's members as they are read, and keeps what SBOM and licences need.

One pass: the bytes come from the inspection that makes the index. Names and contents are anybody's:
nothing here fails because of them, what cannot be read is left out.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from sealift_bundler.evidence import purl
from sealift_bundler.evidence.findings import Findings, LicenceFile, Licensing, Part
from sealift_bundler.evidence.libraries import MAGICS, Libraries
from sealift_bundler.evidence.licensing import Unread, holds_licence, is_python_licence
from sealift_bundler.evidence.limits import EVIDENCE_LIMITS, EvidenceLimits
from sealift_bundler.evidence.metadata import read_distribution, read_package, read_vendored
from sealift_bundler.evidence.nested import read_wheel
from sealift_bundler.evidence.standalone import read_standalone
from sealift_installer.errors import printable
from sealift_schemas.lock import LockedArchive

_VENDORED = ("vendor.txt", "vendored.txt")
_DISTRIBUTION = {".dist-info": "METADATA", ".egg-info": "PKG-INFO"}


class Collector:
    """Takes the files of one archive and says at the end what was found.

    Args:
        archive: the archive, or None for a wheel inside of one.
        inside: what stands before the names of a wheel's members.
        limits: how much is looked at.
    """

    def __init__(
        self,
        archive: LockedArchive | None,
        inside: str = "",
        limits: EvidenceLimits = EVIDENCE_LIMITS,
    ) -> None:
        self._recipe = "wheel" if archive is None else archive.recipe
        self._inside = inside
        self._limits = limits
        self._licences: list[LicenceFile] = []
        self._texts: dict[str, bytes] = {}
        self._held = 0
        self._own: Part | None = None
        self._parts: list[Part] = []
        interpreter = archive is not None and archive.kind == "interpreter"
        self._libraries = Libraries(unknown=interpreter)
        self._left_out: list[str] = []
        self._unread = Unread(limits.places)

    def see(self, name: str, data: bytes) -> None:
        """Look at a file of the archive that is held as a whole."""
        if data.startswith(MAGICS):
            self._libraries.see(self._inside + name, (data,))
            return
        if holds_licence(name):
            self._keep(name, data)
        folder, _, base = name.rpartition("/")
        metadata = len(data) <= self._limits.metadata
        if any(folder.endswith(end) and base == file for end, file in _DISTRIBUTION.items()):
            self._add_distribution(name, data) if metadata else self._leave(name, "too large")
        elif base in _VENDORED and folder.endswith("_vendor") and metadata:
            self._add(read_vendored(data, self._inside + name))
        elif base == "package.json" and metadata and _is_package(folder):
            package = read_package(data, self._inside + name)
            self._add([] if package is None else [package])
        elif base == "PYTHON.json" and "/" not in folder and self._recipe == "cpython":
            self._add_standalone(name, data)
        elif base.endswith(".whl") and folder.endswith("/_bundled"):
            self._add_wheel(name, data)

    def see_large(self, name: str, pieces: Iterable[bytes]) -> None:
        """Look at a file that is too large to be held, a piece at a time; all are taken."""
        whole = iter(pieces)
        first = next(whole, b"")
        if first.startswith(MAGICS):
            self._libraries.see(self._inside + name, _before(first, whole))
            return
        for _ in whole:
            pass
        if holds_licence(name):
            self._leave_licence(name, "too large")

    def findings(self, *left_out: str) -> Findings:
        """Return what was found in all that was seen; `left_out` is added to what was not taken."""
        libraries = self._libraries.parts()
        parts = sorted(
            _merged([*self._parts, *libraries]),
            key=lambda part: (part.name.lower(), part.version or "", part.places),
        )
        if len(parts) > self._limits.parts:
            self._left_out.append(f"{len(parts) - self._limits.parts} more components")
        return Findings(
            licences=tuple(sorted(self._licences, key=lambda one: one.path)),
            texts=self._texts,
            own=self._own,
            parts=tuple(parts[: self._limits.parts]),
            left_out=(*self._left_out, *left_out),
            licences_left_out=self._unread.all(),
        )

    def _keep(self, name: str, data: bytes) -> None:
        limits = self._limits
        if b"\0" in data:
            self._leave_licence(name, "no text")
        elif len(data) > limits.licence:
            self._leave_licence(name, "too large")
        elif len(self._licences) >= limits.licence_files:
            self._leave_licence(name, "too many")
        elif data.strip():
            sha256 = hashlib.sha256(data).hexdigest()
            if sha256 not in self._texts and self._held + len(data) > limits.licences:
                self._leave_licence(name, "too large together")
                return
            if self._texts.setdefault(sha256, data) is data:
                self._held += len(data)
            self._licences.append(LicenceFile(self._inside + name, sha256, len(data)))
            if self._recipe == "cpython" and self._own is None and is_python_licence(data):
                self._own = Part(
                    name="cpython",
                    found="the text of its licence",
                    places=(self._inside + name,),
                    licensing=Licensing("Python-2.0", concluded=True),
                )

    def _add_distribution(self, name: str, data: bytes) -> None:
        part = read_distribution(data, self._inside + name)
        if part is None:
            self._leave(name, "not to be read")
        elif self._recipe == "wheel" and name.count("/") == 1:
            # What a wheel says about itself.
            self._own = part
        else:
            self._add([part])

    def _add_standalone(self, name: str, data: bytes) -> None:
        if len(data) > self._limits.standalone:
            self._leave(name, "too large")
            return
        own, libraries = read_standalone(data, self._inside + name)
        self._own = own or self._own
        self._add(libraries)

    def _add_wheel(self, name: str, data: bytes) -> None:
        """Look into a wheel that an interpreter carries, as ensurepip does."""
        path = self._inside + name
        inner = Collector(None, f"{path}!/", self._limits)
        reason = read_wheel(name, data, inner.see, inner.see_large)
        if reason:
            self._leave(name, reason)
        found = inner.findings()
        filename = name.rpartition("/")[2]
        sha256 = hashlib.sha256(data).hexdigest()
        project, _, rest = filename.partition("-")
        version = rest.partition("-")[0] or None
        known = found.own or Part(name=project, version=version, found="", places=())
        part = replace(
            known,
            purl=purl.pypi(known.name, known.version, filename),
            sha256=sha256,
            places=(path,),
            found="a wheel in the archive",
            parts=found.parts,
        )
        self._add([part])
        self._left_out += found.left_out
        self._unread.add_all(found.licences_left_out)
        for licence in found.licences:
            text = found.texts[licence.sha256]
            if licence.sha256 in self._texts or self._held + len(text) <= self._limits.licences:
                if self._texts.setdefault(licence.sha256, text) is text:
                    self._held += len(text)
                self._licences.append(licence)
            else:
                self._leave_licence(licence.path.removeprefix(self._inside), "too large together")

    def _add(self, parts: list[Part]) -> None:
        # One more than counts, so that it is seen that there are more.
        self._parts += parts[: max(self._limits.parts + 1 - len(self._parts), 0)]

    def _leave_licence(self, name: str, reason: str) -> None:
        self._leave(name, reason)
        self._unread.add(self._inside + name, reason)

    def _leave(self, name: str, reason: str) -> None:
        if len(self._left_out) < self._limits.places:
            self._left_out.append(f"{printable((self._inside + name)[:300])}: {reason}")


def _is_package(folder: str) -> bool:
    """Tell whether a package.json in `folder` is that of the archive or of an installed package."""
    parts = folder.split("/")
    if len(parts) <= 1:
        return True
    above = parts[-3] if parts[-2].startswith("@") and len(parts) > 2 else parts[-2]  # noqa: PLR2004
    return above == "node_modules"


def _before(first: bytes, rest: Iterable[bytes]) -> Iterable[bytes]:
    yield first
    yield from rest


def _merged(parts: list[Part]) -> list[Part]:
    """Return `parts` with one for each package URL, or name and version, and all their places.

    A library that upstream's metadata names without a version is the one whose version was found.
    """
    found: dict[tuple[str, str | None], Part] = {}
    versions: dict[str, str | None] = {}
    for part in sorted(parts, key=lambda one: one.version is None):
        # Those with a version come first.
        versions.setdefault(part.name, part.version)
        key = (part.name, part.version or versions[part.name])
        first = found.get(key)
        if first is None or first.sha256 != part.sha256 or first.parts != part.parts:
            found[key if first is None else (f"{part.name}\0{part.places}", part.version)] = part
            continue
        found[key] = replace(
            first,
            places=(*first.places, *(one for one in part.places if one not in first.places))[
                : EVIDENCE_LIMITS.places
            ],
            licensing=first.licensing or part.licensing,
            author=first.author or part.author,
        )
    return list(found.values())
