"""What a report tells, gathered before anything is drawn."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from sealift_installer.authenticate import Authenticated
from sealift_installer.bundle import Bundle, root_name
from sealift_installer.errors import documents_damaged
from sealift_installer.evidence import Evidence
from sealift_installer.inspect import ArchiveFacts, count_reasons, inspect_archive
from sealift_installer.records import Record
from sealift_installer.sbom import Component
from sealift_installer.verify import VerifyReport
from sealift_schemas.envelope import Envelope
from sealift_schemas.head import Head
from sealift_schemas.index import Entry
from sealift_schemas.lean import dataclass
from sealift_schemas.manifest import Archive, Manifest
from sealift_schemas.receipt import Receipt
from sealift_schemas.root import Root
from sealift_schemas.upstream import UpstreamEvidence


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """One archive: counts of what its index does with it, and what its publisher says.

    `places` is how often the prefix is put in, in `relocated` files; `rewritten` files were made
    anew without one; `kept` and `dropped` are reasons with how many files have them.
    """

    archive: Archive
    relocated: int
    places: int
    rewritten: int
    added: int
    kept: tuple[tuple[str, int], ...]
    dropped: tuple[tuple[str, int], ...]
    upstream: tuple[UpstreamEvidence, ...]


@dataclass(frozen=True, slots=True)
class RootReport:
    """One version of the root, the SHA-256 of its file, and whose signatures it bears."""

    root: Root
    sha256: str
    signers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seal:
    """Who sealed the bundle: what only an authenticated bundle can say.

    `report` is there if every byte was read and compared.
    """

    manifest: str
    signers: tuple[str, ...]
    evidence: Evidence
    report: VerifyReport | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BundleReport:
    """A bundle. `seal` is None in the page that travels inside of it: that is written before."""

    manifest: Manifest
    archives: Sequence[ArchiveReport]
    roots: tuple[RootReport, ...]
    components: Sequence[Component]
    seal: Seal | None = None


@dataclass(frozen=True, slots=True)
class Installed:
    """What stands under the prefix, and whether its directory is there."""

    record: Record
    there: bool


@dataclass(frozen=True, slots=True)
class TargetReport:
    """What was done on a target: its record, whose chain holds, and what is installed."""

    head: Head
    receipts: tuple[Receipt, ...]
    installed: tuple[Installed, ...]


def describe_archive(
    archive: Archive, entries: Iterable[Entry], upstream: Sequence[UpstreamEvidence]
) -> ArchiveReport:
    """Return what a report says about an archive with this index."""
    facts: ArchiveFacts = inspect_archive(archive, entries)
    return ArchiveReport(
        archive=archive,
        relocated=len(facts.relocated),
        places=sum(facts.relocated.values()),
        rewritten=len(facts.rewritten),
        added=len(facts.added),
        kept=tuple(count_reasons(facts.kept)),
        dropped=tuple(count_reasons(facts.dropped)),
        upstream=tuple(upstream),
    )


def describe_bundle(
    authenticated: Authenticated,
    evidence: Evidence,
    components: Sequence[Component],
    report: VerifyReport | None,
) -> BundleReport:
    """Return what a report says about an authenticated bundle.

    Raises:
        Damaged: an index or a root is not what it must be.
        HostError: the bundle cannot be read.
    """
    upstream = _upstream(evidence)
    return BundleReport(
        manifest=authenticated.manifest,
        archives=tuple(
            describe_archive(
                archive, authenticated.entries(archive), upstream.get(archive.sha256, ())
            )
            for archive in authenticated.manifest.archives
        ),
        roots=_roots(authenticated),
        components=components,
        seal=Seal(
            manifest=authenticated.manifest_sha256,
            signers=authenticated.signers,
            evidence=evidence,
            report=report,
            warnings=authenticated.warnings,
        ),
    )


def read_root_report(data: bytes, what: str, limit: int) -> RootReport:
    """Return what a report says about a root; nothing here says that it is authentic.

    Raises:
        Damaged: it is no root.
    """
    with documents_damaged(what):
        envelope = Envelope.read(data, what=what, limit=limit)
        root = Root.read(envelope.payload, what=what, limit=limit)
    sha256 = hashlib.sha256(data).hexdigest()
    return RootReport(root, sha256, tuple(one.keyid for one in envelope.signatures))


def _roots(authenticated: Authenticated) -> tuple[RootReport, ...]:
    """Return the versions that are trusted here, of those that travel in the bundle."""
    bundle: Bundle = authenticated.bundle
    lineage = authenticated.root.lineage
    found = []
    for version in bundle.root_versions():
        name = root_name(version)
        one = read_root_report(bundle.read(name, bundle.limits.root), name, bundle.limits.root)
        if lineage.get(version) == one.sha256:
            found.append(one)
    return tuple(found)


def _upstream(evidence: Evidence) -> Mapping[str, tuple[UpstreamEvidence, ...]]:
    """Return by digest what publishers say, as the verification summary has it."""
    if evidence.summary is None:
        return {}
    return {check.sha256: check.upstream for check in evidence.summary.checks}
