"""What a target trusts and remembers: a root, and the newest bundle of each stream."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from sealift_installer.trust.roots import TrustedRoot
from sealift_schemas.lean import dataclass, field, replace
from sealift_schemas.manifest import STREAM, Manifest
from sealift_schemas.pattern import Pattern
from sealift_schemas.receipt import FIRST
from sealift_schemas.strictjson import SHA256, DocumentError, Fields, check_text, encode

FORMAT = 1
_VERSION = Pattern(r"[1-9][0-9]{0,6}")


@dataclass(frozen=True, slots=True)
class StreamState:
    """The newest bundle of a stream that was accepted, and its signed time."""

    epoch: int
    sequence: int
    manifest: str
    created: str

    def to_json(self) -> dict[str, Any]:
        """Return the counter as JSON values."""
        return {
            "epoch": self.epoch,
            "sequence": self.sequence,
            "manifest": self.manifest,
            "created": self.created,
        }


@dataclass(frozen=True, slots=True)
class TrustState:
    """What the target trusts. `receipts` counts the lines of the record, `head` is its last hash.

    `last` is the last line itself, empty when there is none. `removed` says that the root is not
    trusted any more and another one has to be imported; the counters stay.
    """

    root: TrustedRoot
    streams: Mapping[str, StreamState] = field(default_factory=dict)
    receipts: int = 0
    head: str = FIRST
    last: bytes = b""
    removed: bool = False

    @property
    def floor(self) -> str:
        """The newest signed time that was accepted: the clock cannot honestly be behind it.

        A stream whose epoch was raised since does not count: after a key was stolen its times
        may be from any year.
        """
        rules = self.root.root.streams
        times = [self.root.root.created]
        for name, stream in self.streams.items():
            if name not in rules or stream.epoch >= rules[name].epoch:
                times.append(stream.created)
        return max(times)

    def with_roots(self, roots: Iterable[TrustedRoot]) -> "TrustState":
        """Return the state with the last of `roots` trusted; the same if there is none."""
        newest = self.root
        for root in roots:
            newest = root
        return replace(self, root=newest)

    def with_bundle(self, manifest: Manifest, manifest_sha256: str) -> "TrustState":
        """Return the state after a bundle was accepted. A counter never goes down by it."""
        accepted = StreamState(manifest.epoch, manifest.sequence, manifest_sha256, manifest.created)
        seen = self.streams.get(manifest.stream)
        if seen is not None and (seen.epoch, seen.sequence) >= (manifest.epoch, manifest.sequence):
            return self
        return replace(self, streams={**self.streams, manifest.stream: accepted})

    @property
    def sha256(self) -> str:
        """The hash of roots and counters, which the receipts carry."""
        return hashlib.sha256(encode(self._trusted())).hexdigest()

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        trusted = self._trusted()
        last = self.last.decode("ascii")
        return encode({**trusted, "receipts": self.receipts, "last": last}, indent=2)

    def _trusted(self) -> dict[str, Any]:
        lineage = self.root.lineage
        return {
            "format": FORMAT,
            **({"removed": True} if self.removed else {}),
            "roots": {str(version): lineage[version] for version in sorted(lineage)},
            "streams": {name: stream.to_json() for name, stream in sorted(self.streams.items())},
        }


def read_lineage(fields: Fields) -> dict[int, str]:
    """Take `roots`: the SHA-256 of each version that was ever trusted."""
    lineage = {}
    for version, sha256, place in fields.mapping("roots"):
        number = int(check_text(version, place, _VERSION, "a version"))
        lineage[number] = check_text(sha256, place, SHA256, "64 hexadecimal digits")
    if not lineage:
        raise DocumentError(fields.place("roots"), "at least one root", "none")
    return lineage


def read_streams(fields: Fields) -> dict[str, StreamState]:
    """Take `streams`: the counter of each stream."""
    streams = {}
    for name, value, place in fields.mapping("streams"):
        check_text(name, place, STREAM, "a stream's name")
        with Fields(value, place) as stream:
            streams[name] = StreamState(
                epoch=stream.integer("epoch", minimum=1),
                sequence=stream.integer("sequence", minimum=1),
                manifest=stream.sha256("manifest"),
                created=stream.time("created"),
            )
    return streams
