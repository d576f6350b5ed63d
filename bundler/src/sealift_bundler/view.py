"""What is in a bundle, for people and for --json."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealift_bundler.site import clock_time
from sealift_bundler.sizes import show_size
from sealift_bundler.upstream.show import describe, read_bundle_evidence
from sealift_installer.authenticate import Terms, authenticate
from sealift_installer.bundle import ENVELOPE, MANIFEST, Bundle
from sealift_installer.errors import Damaged, documents_damaged, mismatch
from sealift_installer.inspect import ArchiveFacts, count_reasons, inspect_archive
from sealift_installer.limits import LIMITS
from sealift_installer.trust.roots import TrustedRoot
from sealift_installer.trust.state import TrustState
from sealift_schemas.envelope import Envelope
from sealift_schemas.index import Entry, read_lines
from sealift_schemas.manifest import Archive, Manifest
from sealift_schemas.upstream import UpstreamEvidence


@dataclass(frozen=True, slots=True)
class ArchiveView:
    """One archive as its index describes it, in the words of both programs, for people."""

    facts: ArchiveFacts
    upstream: tuple[UpstreamEvidence, ...] = ()

    @property
    def name(self) -> str:
        """The install key, or the tool's directory."""
        return self.facts.archive.name

    def lines(self) -> list[tuple[str, str]]:
        """Return label and text of what people ask about."""
        found = self.facts
        archive = found.archive
        needs = (_glibc(archive), *archive.requires.libraries)
        lines = [
            ("kind", f"{archive.kind}, version {archive.version}, for {archive.platform}"),
            ("from", archive.source.url),
            ("digest", f"{archive.sha256} ({archive.source.digest_source})"),
            ("upstream", describe(self.upstream) if self.upstream else ""),
            ("packed", f"{show_size(archive.size)} as {archive.format}"),
            ("unpacked", f"{show_size(archive.unpacked)} in {archive.members} members"),
            ("needs", ", ".join(filter(None, needs))),
            ("links", ", ".join(sorted(archive.links))),
        ]
        if archive.prefix is not None:
            text = f"{len(found.relocated)} files, the prefix in {sum(found.relocated.values())} "
            text += f"places; {len(found.rewritten)} rewritten without one"
            lines.append(("relocation", f"{text}; built for {archive.prefix}"))
        lines += [
            ("kept", f"{count} files: {reason}") for reason, count in count_reasons(found.kept)
        ]
        return [(label, text) for label, text in lines if text]

    def to_json(self) -> dict[str, Any]:
        """Return the archive as JSON values, with what its publisher says."""
        return {**self.facts.to_json(), "upstream": [one.to_json() for one in self.upstream]}


@dataclass(frozen=True, slots=True)
class BundleView:
    """A bundle's contents. Unless `authentic`, `signers` only claim to have signed."""

    manifest: Manifest
    authentic: bool
    signers: tuple[str, ...]
    archives: tuple[ArchiveView, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the contents as JSON values."""
        manifest = self.manifest
        return {
            "stream": manifest.stream,
            "epoch": manifest.epoch,
            "sequence": manifest.sequence,
            "created": manifest.created,
            "expires": manifest.expires,
            "generator": manifest.generator,
            "verified": self.authentic,
            "signers": list(self.signers),
            "files": len(manifest.files),
            "bytes": sum(file.size for file in manifest.files),
            "archives": [archive.to_json() for archive in self.archives],
        }


def view_bundle(path: Path, root: TrustedRoot | None) -> BundleView:
    """Return what is in the bundle at `path`, authenticated where a root is given.

    Raises:
        Untrusted, RefusedByPolicy: it is not sealed as the root asks for.
        Damaged: a document is missing or malformed.
        HostError: it cannot be read.
    """
    bundle = Bundle(path)
    if root is not None:
        found = authenticate(bundle, TrustState(root), Terms(now=clock_time()))
        said = read_bundle_evidence(bundle, found.manifest)
        views = [
            ArchiveView(inspect_archive(one, found.entries(one)), said.get(one.name, ()))
            for one in found.manifest.archives
        ]
        return BundleView(found.manifest, True, found.signers, tuple(views))  # noqa: FBT003 - a field
    data = bundle.read(MANIFEST, LIMITS.envelope)
    with documents_damaged(MANIFEST):
        manifest = Manifest.read(data, limit=LIMITS.envelope)
    said = read_bundle_evidence(bundle, manifest)
    views = [
        ArchiveView(inspect_archive(one, _entries(bundle, manifest, one)), said.get(one.name, ()))
        for one in manifest.archives
    ]
    return BundleView(manifest, False, _claimed(bundle), tuple(views))  # noqa: FBT003 - a field


def _entries(bundle: Bundle, manifest: Manifest, archive: Archive) -> tuple[Entry, ...]:
    data = bundle.read(archive.index, LIMITS.index)
    expected = next(file.sha256 for file in manifest.files if file.path == archive.index)
    computed = hashlib.sha256(data).hexdigest()
    if computed != expected:
        raise Damaged(mismatch(f"wrong SHA-256: {archive.index}", expected, computed))
    with documents_damaged(archive.index):
        return tuple(read_lines(data, what=archive.index, limit=LIMITS.index))


def _claimed(bundle: Bundle) -> tuple[str, ...]:
    if not (bundle.path / ENVELOPE).exists():
        return ()
    data = bundle.read(ENVELOPE, LIMITS.envelope)
    with documents_damaged(ENVELOPE):
        envelope = Envelope.read(data, what=ENVELOPE, limit=LIMITS.envelope)
    return tuple(signature.keyid for signature in envelope.signatures)


def _glibc(archive: Archive) -> str:
    return "" if archive.requires.glibc is None else f"glibc {archive.requires.glibc}"
