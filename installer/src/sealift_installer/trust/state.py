"""What this target trusts and has accepted: roots, and a counter for each stream.

The state is one small file, replaced by a rename; the receipts are a file that only grows. They
are written in this order, so that a crash between the two loses nothing: the state names the
SHA-256 of the last receipt and carries its line, and whoever writes next completes the record.
Each receipt carries the SHA-256 of the state that it leaves, so that neither can be edited, or put
back to an older one, without the other.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sealift_installer.durable import make_directory, sync_directory, write_durably
from sealift_installer.errors import HostError, Untrusted, host_errors, mismatch, printable
from sealift_installer.limits import LIMITS, Limits
from sealift_installer.receipts import (
    Event,
    ReceiptLog,
    hash_line,
)
from sealift_installer.trust.roots import TrustedRoot, read_first_root
from sealift_schemas.manifest import STREAM, Manifest
from sealift_schemas.pattern import Pattern
from sealift_schemas.receipt import FIRST, LINE_LIMIT, Receipt
from sealift_schemas.strictjson import SHA256, DocumentError, Fields, check_text, encode, parse

FORMAT = 1
_LIMIT = 16 * 1024 * 1024
_VERSION = Pattern(r"[1-9][0-9]{0,6}")
_HINT = (
    "restore the folder of the state from a backup; or move it away and import the root anew, "
    "which forgets which bundles were accepted"
)


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

    `last` is the last line itself, empty when there is none.
    """

    root: TrustedRoot
    streams: Mapping[str, StreamState] = field(default_factory=dict)
    receipts: int = 0
    head: str = FIRST
    last: bytes = b""

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
            "roots": {str(version): lineage[version] for version in sorted(lineage)},
            "streams": {name: stream.to_json() for name, stream in sorted(self.streams.items())},
        }


class StateStore:
    """The state and the receipts in one directory. The caller holds the lock of the prefix.

    Args:
        directory: `P/state`; holds trust.json, roots/N.root.dsse.json and receipts.jsonl.
    """

    def __init__(self, directory: Path, limits: Limits = LIMITS) -> None:
        self.directory = directory
        self.log = ReceiptLog(directory / "receipts.jsonl")
        self._file = directory / "trust.json"
        self._limits = limits

    def exists(self) -> bool:
        """Tell whether a root was imported."""
        with host_errors("cannot look for the state"):
            return self._file.exists()

    def load(self) -> TrustState:
        """Return the state, in agreement with the receipts. Nothing is written.

        Raises:
            Untrusted: there is no root, or state and receipts contradict each other.
            HostError: the state cannot be read.
        """
        # Without the lock, a writer can stand between its two writes: then look again.
        while True:
            data = self._read_state()
            tail = self.log.read_tail()
            if self._read_state() == data:
                break
        state = self._decode(data)
        self._missing(state, tail.head, tail.torn)
        return state

    def record(self, state: TrustState, event: Event) -> TrustState:
        """Write `state` together with the receipt of how it came about; return it with that.

        `state` descends from what `load` returned last, or is the first one.

        Raises:
            HostError: it cannot be written, or somebody else wrote in between.
            Untrusted: state and receipts on disk contradict each other.
        """
        self._complete(state)
        number = state.receipts + 1
        line = event.receipt(number, state.head, state.floor, state.sha256).encode()
        if len(line) > LINE_LIMIT:
            raise HostError("a receipt would be too long")
        after = replace(state, receipts=number, head=hash_line(line), last=line)
        with host_errors("cannot write the state"):
            self._write_roots(state.root)
            write_durably(self._file, after.encode())
        self.log.append(line)
        return after

    def complete(self) -> None:
        """Append to the record what a crash kept out of it, if anything.

        Raises:
            HostError: it cannot be written.
            Untrusted: there is no root, or state and receipts contradict each other.
        """
        self._complete(self.load())

    def _read_state(self) -> bytes:
        with host_errors("cannot read the state"):
            try:
                with self._file.open("rb") as file:
                    return file.read(_LIMIT + 1)
            except FileNotFoundError:
                pass
        if self.log.path.exists():
            raise Untrusted(f"the state is gone, but not its receipts: {self._file}", hint=_HINT)
        raise Untrusted(
            f"this target trusts no root yet: {self._file} does not exist",
            hint="get the first root and its SHA-256 from the site, by hand, then: "
            "unseal trust import FILE --sha256 HEX",
        )

    def _decode(self, data: bytes) -> TrustState:
        """Read the state; it is this program's own file, so all faults mean that it was edited."""
        what = "the state"
        try:
            with Fields(parse(data, what=what, limit=_LIMIT), what) as fields:
                fields.constant("format", FORMAT)
                lineage = _lineage(fields)
                streams = _streams(fields)
                receipts = fields.integer("receipts", minimum=1)
                last = fields.text("last").encode("ascii", "replace")
            receipt = Receipt.read(last, what="the last receipt")
        except DocumentError as error:
            message = f"the state is malformed: {self._file}: {printable(str(error))}"
            raise Untrusted(message, hint=_HINT) from None
        state = TrustState(self._read_root(lineage), streams, receipts, hash_line(last), last)
        if receipt.number != receipts or receipt.state != state.sha256:
            raise Untrusted(
                mismatch(
                    f"the state is not what its last receipt says: {self._file}",
                    f"receipt {receipt.number}, state {receipt.state}",
                    f"receipt {receipts}, state {state.sha256}",
                ),
                hint=_HINT,
            )
        return state

    def _missing(self, state: TrustState, head: str, torn: bytes) -> bytes:
        """Return what the record lacks of the last line: nothing, or all of it, or its end."""
        if head == state.head and not torn:
            return b""
        previous = Receipt.read(state.last, what="the last receipt").previous
        if head == previous and state.last.startswith(torn):
            return state.last[len(torn) :]
        found = f"{head}, and {len(torn)} bytes behind it" if torn else head
        what = f"the receipts do not end where the state says: {self.log.path}"
        raise Untrusted(mismatch(what, state.head, found), hint=_HINT)

    def _complete(self, state: TrustState) -> None:
        """Check that `state` descends from what is on disk, and complete the record."""
        with host_errors("cannot make the folder of the state"):
            make_directory(self.directory, self.directory)
        if not self.exists() and not self.log.path.exists() and state.receipts == 0:
            return
        stored = self.load()
        if stored.head != state.head:
            raise HostError("the state was changed by somebody else meanwhile")
        tail = self.log.read_tail()
        missing = self._missing(stored, tail.head, tail.torn)
        if missing:
            self.log.append(missing)

    def _read_root(self, lineage: Mapping[int, str]) -> TrustedRoot:
        version = max(lineage)
        path = self.directory / _stored_name(version)
        with host_errors("cannot read the trusted root"), path.open("rb") as file:
            data = file.read(self._limits.root + 1)
        computed = hashlib.sha256(data).hexdigest()
        if computed != lineage[version]:
            message = f"the stored root was changed: {path}"
            raise Untrusted(mismatch(message, lineage[version], computed), hint=_HINT)
        trusted = read_first_root(data, computed, self._limits)
        if trusted.root.version != version:
            message = f"the stored root has another version: {path}"
            raise Untrusted(mismatch(message, version, trusted.root.version), hint=_HINT)
        return replace(trusted, lineage=lineage)

    def _write_roots(self, newest: TrustedRoot) -> None:
        path = self.directory / _stored_name(newest.root.version)
        make_directory(path.parent, self.directory)
        if not path.exists() or path.read_bytes() != newest.envelope:
            write_durably(path, newest.envelope)
            sync_directory(self.directory)


def _stored_name(version: int) -> str:
    return f"roots/{version}.root.dsse.json"


def _lineage(fields: Fields) -> dict[int, str]:
    lineage = {}
    for version, sha256, place in fields.mapping("roots"):
        number = int(check_text(version, place, _VERSION, "a version"))
        lineage[number] = check_text(sha256, place, SHA256, "64 hexadecimal digits")
    if not lineage:
        raise DocumentError(fields.place("roots"), "at least one root", "none")
    return lineage


def _streams(fields: Fields) -> dict[str, StreamState]:
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
