"""Which host has what, and which lag behind, from the receipts that they exported."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sealift_bundler.keys import keyid, load_public
from sealift_bundler.trails.continuity import (
    Line,
    check_heads,
    check_signatures,
    join,
    read_heads,
    read_sources,
)
from sealift_bundler.trails.sent import Sent, read_sent
from sealift_installer.trail import Export
from sealift_schemas.receipt import ArchiveIdentity, BundleIdentity, Receipt

_INSTALLING = frozenset({"install", "repair", "rollback", "relocate"})
Place = tuple[int, int]  # epoch and sequence


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be checked: exports, against bundles, heads that were kept, and keys of hosts.

    A head is the path of an export, or the hash itself. Without `bundles` every bundle counts as
    known, without `host_keys` no signature is checked.
    """

    exports: Sequence[Path]
    bundles: Sequence[Path] = ()
    heads: Sequence[str] = ()
    host_keys: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class Installed:
    """What stands on a host by its receipts: since when, and which bundle brought it."""

    archive: ArchiveIdentity
    bundle: BundleIdentity | None
    receipt: int
    clock: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        bundle = None if self.bundle is None else self.bundle.to_json()
        return {
            "archive": self.archive.to_json(),
            "bundle": bundle,
            "receipt": self.receipt,
            "clock": self.clock,
        }


@dataclass(slots=True)
class HostReport:
    """One record: what it says, and what is wrong with it.

    `behind` maps a stream to how many sequences the host lags behind the newest that is known;
    `overrides` are numbers of receipts with one, `refused` those of refused attempts.
    """

    export: Export
    path: str
    keyid: str | None
    installed: Mapping[str, Installed]
    streams: Mapping[str, BundleIdentity]
    overrides: tuple[int, ...]
    refused: tuple[int, ...]
    problems: list[str]
    behind: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "file": self.path,
            **self.export.head.to_json(),
            "keyid": self.keyid,
            "installed": [each.to_json() for _, each in sorted(self.installed.items())],
            "streams": {name: each.to_json() for name, each in sorted(self.streams.items())},
            "behind": self.behind,
            "overrides": list(self.overrides),
            "refused": list(self.refused),
            "problems": self.problems,
        }


@dataclass(frozen=True, slots=True)
class Fleet:
    """All records, the newest bundle of each stream, and what concerns no record by itself."""

    hosts: tuple[HostReport, ...]
    newest: Mapping[str, Place]
    problems: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Tell whether nothing is wrong. A host that lags behind is not wrong."""
        return not self.problems and not any(host.problems for host in self.hosts)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "good": self.good,
            "newest": {
                name: {"epoch": epoch, "sequence": sequence}
                for name, (epoch, sequence) in sorted(self.newest.items())
            },
            "hosts": [host.to_json() for host in self.hosts],
            "problems": list(self.problems),
        }


def examine(question: Question) -> Fleet:
    """Check trails against each other, against the bundles that were sent and the heads kept.

    Raises:
        Untrusted: the chain of a head's file is broken.
        Damaged: a head is none, or a bundle's manifest is none.
        UsageError: a key or a head is none.
        HostError: a file cannot be read.
    """
    keys = {keyid(key): key for key in map(load_public, question.host_keys)}
    sources, broken = read_sources(question.exports)
    lines = join(sources)
    problems = broken + check_heads(lines, *read_heads(question.heads))
    check_signatures(lines, keys)
    sent = read_sent(question.bundles)
    hosts = tuple(_report(line, sent) for line in lines)
    newest = _newest(hosts, sent)
    for host in hosts:
        _measure(host, newest)
    return Fleet(hosts, newest, (*problems, *_forks(hosts, sent)))


def _report(line: Line, sent: Sent) -> HostReport:
    export = line.newest.export
    problems = list(line.problems)
    if sent.manifests:
        problems += (problem for receipt in export.receipts for problem in sent.doubt(receipt))
    return HostReport(
        export=export,
        path=line.newest.path,
        keyid=line.newest.keyid,
        installed=_installed(export.receipts),
        streams=_accepted(export.receipts),
        overrides=tuple(each.number for each in export.receipts if each.overrides),
        refused=tuple(each.number for each in export.receipts if each.action == "refuse"),
        problems=problems,
    )


def _installed(receipts: Sequence[Receipt]) -> dict[str, Installed]:
    found: dict[str, Installed] = {}
    for receipt in receipts:
        archive = receipt.archive
        if archive is None:
            continue
        if receipt.action in _INSTALLING:
            found[archive.name] = Installed(archive, receipt.bundle, receipt.number, receipt.clock)
        elif receipt.action == "uninstall":
            found.pop(archive.name, None)
    return found


def _accepted(receipts: Sequence[Receipt]) -> dict[str, BundleIdentity]:
    """Return the newest bundle of each stream that was accepted."""
    newest: dict[str, BundleIdentity] = {}
    for receipt in receipts:
        bundle = receipt.bundle
        if bundle is None or receipt.action != "install":
            continue
        seen = newest.get(bundle.stream)
        if seen is None or _place(seen) <= _place(bundle):
            newest[bundle.stream] = bundle
    return newest


def _place(bundle: BundleIdentity) -> Place:
    return bundle.epoch, bundle.sequence


def _newest(hosts: Sequence[HostReport], sent: Sent) -> dict[str, Place]:
    newest: dict[str, Place] = {}
    known = [(name, _place(bundle)) for host in hosts for name, bundle in host.streams.items()]
    for stream, place in (*known, *sent.places()):
        newest[stream] = max(place, newest.get(stream, place))
    return newest


def _measure(host: HostReport, newest: Mapping[str, Place]) -> None:
    """Say how far the host is behind in the streams that it follows."""
    for stream, bundle in host.streams.items():
        epoch, sequence = newest[stream]
        # Sequences of two epochs cannot be compared; one that raised it lies between at least.
        behind = sequence - bundle.sequence if epoch == bundle.epoch else max(sequence, 1)
        if behind:
            host.behind[stream] = behind


def _forks(hosts: Sequence[HostReport], sent: Sent) -> Iterator[str]:
    """Yield places of a stream that two bundles claim."""
    claims: dict[tuple[str, Place], set[str]] = {}
    for host in hosts:
        for receipt in host.export.receipts:
            bundle = receipt.bundle
            if bundle is not None:
                claims.setdefault((bundle.stream, _place(bundle)), set()).add(bundle.manifest)
    for manifest, sha256 in sent.manifests.values():
        place = (manifest.stream, (manifest.epoch, manifest.sequence))
        claims.setdefault(place, set()).add(sha256)
    for (stream, (_, sequence)), manifests in sorted(claims.items()):
        if len(manifests) > 1:
            shown = " and ".join(sorted(manifests))
            yield f"two bundles are number {sequence} of stream {stream}: {shown}"
