"""What one lock or bundle carries and another does not: added, removed, upgraded, rebuilt."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from sealift_bundler.lock import read_lock
from sealift_bundler.site import LOCK_NAME
from sealift_bundler.upstream.show import find_lost, read_bundle_evidence
from sealift_installer.bundle import MANIFEST, Bundle
from sealift_installer.errors import UsageError, documents_damaged, printable
from sealift_installer.limits import LIMITS
from sealift_schemas.keys import InstallKey
from sealift_schemas.lock import LockedArchive
from sealift_schemas.manifest import Archive, Manifest
from sealift_schemas.upstream import UpstreamEvidence

_WHEELS = "unseal/wheels/"


@dataclass(frozen=True, slots=True)
class Carried:
    """One archive; `line` is what stays the same when a newer version takes its place."""

    name: str
    version: str
    line: str
    sha256: str
    size: int
    upstream: tuple[UpstreamEvidence, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the archive as JSON values."""
        return {
            "name": self.name,
            "version": self.version,
            "sha256": self.sha256,
            "size": self.size,
        }


@dataclass(frozen=True, slots=True)
class Contents:
    """What a lock or a bundle carries.

    Attributes:
        stream: the line of bundles.
        sequence: its counter.
        archives: what is carried for the targets.
        wheels: the size in bytes of each wheel that unseal needs, by SHA-256. Its own are not among
            them: a lock does not have them.
    """

    stream: str
    sequence: int
    archives: tuple[Carried, ...]
    wheels: Mapping[str, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The bytes of archives and wheels."""
        return sum(archive.size for archive in self.archives) + sum(self.wheels.values())


@dataclass(frozen=True, slots=True)
class Difference:
    """How the second differs from the first.

    `upgraded` are pairs of one line with two versions (which may be a downgrade), `rebuilt` pairs
    of one name with two digests, `evidence` of one archive of which its publisher says something
    else.
    """

    first: Contents
    second: Contents
    added: tuple[Carried, ...]
    removed: tuple[Carried, ...]
    upgraded: tuple[tuple[Carried, Carried], ...]
    rebuilt: tuple[tuple[Carried, Carried], ...]
    evidence: tuple[tuple[Carried, Carried], ...] = ()

    @property
    def new_bytes(self) -> int:
        """The bytes of the archives and wheels that the second has and the first has not."""
        new = [*self.added, *(after for _, after in (*self.upgraded, *self.rebuilt))]
        return sum(archive.size for archive in new) + self.new_wheel_bytes

    @property
    def new_wheel_bytes(self) -> int:
        """The bytes of the wheels alone."""
        return sum(
            size for sha256, size in self.second.wheels.items() if sha256 not in self.first.wheels
        )

    @property
    def unconfirmed(self) -> list[tuple[str, list[str]]]:
        """Archives that took the place of others, with what confirmed these and not them."""
        pairs = sorted((*self.upgraded, *self.rebuilt), key=lambda pair: pair[1].name)
        lost = [(new.name, find_lost(old.upstream, new.upstream)) for old, new in pairs]
        return [(name, kinds) for name, kinds in lost if kinds]

    def to_json(self) -> dict[str, Any]:
        """Return the difference as JSON values."""
        return {
            "first": _contents_json(self.first),
            "second": _contents_json(self.second),
            "added": [archive.to_json() for archive in self.added],
            "removed": [archive.to_json() for archive in self.removed],
            "upgraded": [_pair_json(pair) for pair in self.upgraded],
            "rebuilt": [_pair_json(pair) for pair in self.rebuilt],
            "evidence": [_evidence_json(pair) for pair in self.evidence],
            "unconfirmed": [{"name": name, "lost": lost} for name, lost in self.unconfirmed],
            "new_bytes": self.new_bytes,
        }


def read_contents(path: Path) -> Contents:
    """Return what the lock, the site or the bundle at `path` carries.

    Nothing is verified: a bundle's manifest.json is read as it stands.

    Raises:
        UsageError: there is none of them.
        Damaged: a bundle's manifest is malformed.
        HostError: it cannot be read.
    """
    if path.is_dir() and (path / MANIFEST).exists():
        return _bundle_contents(path)
    lock = read_lock(path / LOCK_NAME if path.is_dir() else path)
    if lock is None:
        raise UsageError(
            f"there is no lock and no bundle: {printable(str(path))}",
            hint="name a sealift.lock, a site or a bundle",
        )
    archives = tuple(_carried(one, one.upstream) for one in lock.archives)
    wheels = {wheel.sha256: wheel.size for wheel in lock.wheels}
    return Contents(lock.stream, lock.sequence, archives, wheels)


def compare(first: Contents, second: Contents) -> Difference:
    """Return what has changed from `first` to `second`, each list by name."""
    before = {archive.name: archive for archive in first.archives}
    after = {archive.name: archive for archive in second.archives}
    gone = _by_line(before[name] for name in before.keys() - after.keys())
    new = _by_line(after[name] for name in after.keys() - before.keys())
    upgraded: list[tuple[Carried, Carried]] = []
    for line in sorted(gone.keys() & new.keys()):
        # The newest of both sides belong together; what is left over came or went.
        while gone[line] and new[line]:
            upgraded.append((gone[line].pop(), new[line].pop()))
    both = [(before[name], after[name]) for name in sorted(before.keys() & after.keys())]
    rebuilt = tuple(pair for pair in both if pair[0].sha256 != pair[1].sha256)
    evidence = tuple(
        pair for pair in both if pair not in rebuilt and pair[0].upstream != pair[1].upstream
    )
    return Difference(first, second, _flat(new), _flat(gone), tuple(upgraded), rebuilt, evidence)


def _bundle_contents(path: Path) -> Contents:
    bundle = Bundle(path)
    data = bundle.read(MANIFEST, LIMITS.envelope)
    with documents_damaged(MANIFEST):
        manifest = Manifest.read(data, limit=LIMITS.envelope)
    said = read_bundle_evidence(bundle, manifest)
    archives = tuple(_carried(one, said.get(one.name, ())) for one in manifest.archives)
    wheels = {
        file.sha256: file.size
        for file in manifest.files
        if file.path.startswith(_WHEELS) and not file.path.startswith(f"{_WHEELS}sealift_")
    }
    return Contents(manifest.stream, manifest.sequence, archives, wheels)


def _carried(one: LockedArchive | Archive, upstream: tuple[UpstreamEvidence, ...]) -> Carried:
    line = _line(one.name, one.version)
    return Carried(one.name, one.version, line, one.sha256, one.size, upstream)


def _line(name: str, version: str) -> str:
    """Return the name without the version; of an interpreter with its minor version."""
    try:
        return InstallKey.parse(name).minor_key
    except ValueError:
        return name.replace(f"-{version}", "", 1)


def _by_line(archives: Iterable[Carried]) -> dict[str, list[Carried]]:
    found: defaultdict[str, list[Carried]] = defaultdict(list)
    for archive in sorted(archives, key=lambda archive: (_order(archive.version), archive.name)):
        found[archive.line].append(archive)
    return dict(found)


def _flat(by_line: Mapping[str, Sequence[Carried]]) -> tuple[Carried, ...]:
    archives = (archive for line in by_line.values() for archive in line)
    return tuple(sorted(archives, key=lambda archive: archive.name))


def _order(version: str) -> tuple[bool, Version, str]:
    """Return what versions are sorted by; those of no known scheme come first, as text."""
    try:
        return True, Version(version), ""
    except InvalidVersion:
        return False, Version("0"), version


def _contents_json(contents: Contents) -> dict[str, Any]:
    return {
        "stream": contents.stream,
        "sequence": contents.sequence,
        "archives": len(contents.archives),
        "wheels": len(contents.wheels),
        "bytes": contents.size,
    }


def _evidence_json(pair: tuple[Carried, Carried]) -> dict[str, Any]:
    before, after = ([one.to_json() for one in each.upstream] for each in pair)
    return {"name": pair[1].name, "from": before, "to": after}


def _pair_json(pair: tuple[Carried, Carried]) -> dict[str, Any]:
    return {"from": pair[0].to_json(), "to": pair[1].to_json()}
