"""What a bundle carries and what would be done with it; nothing is written."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sealift_installer.authenticate import Authenticated
from sealift_schemas.index import Entry
from sealift_schemas.lean import dataclass
from sealift_schemas.manifest import Archive, Manifest


@dataclass(frozen=True, slots=True)
class ArchiveFacts:
    """What the index of one archive says.

    `relocated` maps each file that gets the prefix to the number of places, `rewritten` are files
    that the bundler wrote anew without one, `added` files that no member makes, `kept` and
    `dropped` map paths to reasons.
    """

    archive: Archive
    relocated: Mapping[str, int]
    rewritten: tuple[str, ...]
    added: tuple[str, ...]
    kept: Mapping[str, str]
    dropped: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {
            **self.archive.to_json(),
            "relocated": dict(self.relocated),
            "rewritten": list(self.rewritten),
            "added": list(self.added),
            "kept": dict(self.kept),
            "dropped": dict(self.dropped),
        }


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """What an authentic bundle says of itself; `size` is that of its payload in bytes."""

    manifest: Manifest
    sha256: str
    root_version: int
    signers: tuple[str, ...]
    size: int
    archives: tuple[ArchiveFacts, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        manifest = self.manifest
        return {
            "stream": manifest.stream,
            "epoch": manifest.epoch,
            "sequence": manifest.sequence,
            "created": manifest.created,
            "expires": manifest.expires,
            "generator": manifest.generator,
            "manifest": self.sha256,
            "root_version": self.root_version,
            "signers": list(self.signers),
            "files": len(manifest.files),
            "size": self.size,
            "archives": [facts.to_json() for facts in self.archives],
            "warnings": list(self.warnings),
        }


def inspect(authenticated: Authenticated) -> BundleFacts:
    """Return what the bundle carries.

    Raises:
        Damaged: an index is not what the manifest says.
        HostError: the bundle cannot be read.
    """
    manifest = authenticated.manifest
    return BundleFacts(
        manifest=manifest,
        sha256=authenticated.manifest_sha256,
        root_version=authenticated.root.root.version,
        signers=authenticated.signers,
        size=sum(file.size for file in manifest.files),
        archives=tuple(
            inspect_archive(archive, authenticated.entries(archive))
            for archive in manifest.archives
        ),
        warnings=authenticated.warnings,
    )


def inspect_archive(archive: Archive, entries: Iterable[Entry]) -> ArchiveFacts:
    """Return what an index says about its archive."""
    relocated: dict[str, int] = {}
    kept: dict[str, str] = {}
    dropped: dict[str, str] = {}
    rewritten: list[str] = []
    added: list[str] = []
    for entry in entries:
        path = entry.path or entry.member or ""
        if entry.template is not None and entry.template.places:
            relocated[path] = len(entry.template.places)
        elif entry.template is not None and entry.member is not None:
            rewritten.append(path)
        if entry.member is None:
            added.append(path)
        if entry.kept is not None:
            kept[path] = entry.kept
        if entry.dropped is not None:
            dropped[path] = entry.dropped
    return ArchiveFacts(archive, relocated, tuple(rewritten), tuple(added), kept, dropped)


def count_reasons(reasons: Mapping[str, str]) -> list[tuple[str, int]]:
    """Return each reason with how many paths have it, the most frequent first."""
    return Counter(reasons.values()).most_common()
