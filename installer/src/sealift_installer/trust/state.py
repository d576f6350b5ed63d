"""What this target trusts and has accepted: roots, and a counter for each stream.

The state is one small file, replaced by a rename; the receipts are a file that only grows. They
are written in this order, so that a crash between the two loses nothing: the state names the
SHA-256 of the last receipt and carries its line, and whoever writes next completes the record.
Each receipt carries the SHA-256 of the state that it leaves, so that neither can be edited, or put
back to an older one, without the other.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from sealift_installer.durable import make_directory, sync_directory, write_durably
from sealift_installer.errors import HostError, Untrusted, host_errors, mismatch, printable
from sealift_installer.limits import LIMITS, Limits
from sealift_installer.prefix import open_kept
from sealift_installer.presence import exists
from sealift_installer.receipts import Event, ReceiptLog, hash_line
from sealift_installer.trust.roots import TrustedRoot, read_first_root
from sealift_installer.trust.trusted import (
    FORMAT,
    StreamState,
    TrustState,
    read_lineage,
    read_streams,
)
from sealift_schemas.lean import replace
from sealift_schemas.receipt import LINE_LIMIT, Receipt
from sealift_schemas.strictjson import DocumentError, Fields, parse

__all__ = ["StateStore", "StreamState", "TrustState"]

_LIMIT = 16 * 1024 * 1024
_HINT = (
    "restore the folder of the state from a backup; or move it away and import the root anew, "
    "which forgets which bundles were accepted"
)
_IMPORT = (
    "get the first root and its SHA-256 from the site, by hand, then: "
    "unseal trust import FILE --sha256 HEX"
)


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
            return exists(self._file)

    def load(self, *, removed: bool = False) -> TrustState:
        """Return the state, in agreement with the receipts. Nothing is written.

        With `removed` also one whose root is not trusted any more.

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
        if state.removed and not removed:
            raise Untrusted(
                f"this target trusts no root any more, it was removed: {self._file}", hint=_IMPORT
            )
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
        _check_readable(line)
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
        self._complete(self.load(removed=True))

    def _read_state(self) -> bytes:
        with host_errors("cannot read the state"):
            try:
                with open_kept(self._file) as file:
                    return file.read(_LIMIT + 1)
            except FileNotFoundError:
                pass
        if self.log.exists():
            raise Untrusted(f"the state is gone, but not its receipts: {self._file}", hint=_HINT)
        raise Untrusted(
            f"this target trusts no root yet: {self._file} does not exist",
            hint=_IMPORT,
        )

    def _decode(self, data: bytes) -> TrustState:
        """Read the state; it is this program's own file, so all faults mean that it was edited."""
        what = "the state"
        try:
            with Fields(parse(data, what=what, limit=_LIMIT), what) as fields:
                fields.constant("format", FORMAT)
                removed = fields.has("removed")
                if removed and not fields.flag("removed"):
                    fields.fail("removed", "true, where it is there", found=False)
                lineage = read_lineage(fields)
                streams = read_streams(fields)
                receipts = fields.integer("receipts", minimum=1)
                last = fields.text("last").encode("ascii", "replace")
            receipt = Receipt.read(last, what="the last receipt")
        except DocumentError as error:
            message = f"the state is malformed: {self._file}: {printable(str(error))}"
            raise Untrusted(message, hint=_HINT) from None
        root = self._read_root(lineage)
        state = TrustState(root, streams, receipts, hash_line(last), last, removed)
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
        if not self.exists() and not self.log.exists() and state.receipts == 0:
            return
        stored = self.load(removed=True)
        if stored.head != state.head:
            raise HostError("the state was changed by somebody else meanwhile")
        tail = self.log.read_tail()
        missing = self._missing(stored, tail.head, tail.torn)
        if missing:
            self.log.append(missing)

    def _read_root(self, lineage: Mapping[int, str]) -> TrustedRoot:
        version = max(lineage)
        path = self.directory / _stored_name(version)
        with host_errors("cannot read the trusted root"):
            try:
                with open_kept(path) as file:
                    data = file.read(self._limits.root + 1)
            except FileNotFoundError:
                raise Untrusted(f"the stored root is gone: {path}", hint=_HINT) from None
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
        if not _is_kept(path, newest.envelope):
            write_durably(path, newest.envelope)
            sync_directory(self.directory)


def _is_kept(path: Path, data: bytes) -> bool:
    """Tell whether a file has just these bytes."""
    try:
        with open_kept(path) as file:
            return file.read(len(data) + 1) == data
    except FileNotFoundError:
        return False


def _check_readable(line: bytes) -> None:
    """Check that a receipt can be read again: else it would be the last one of its prefix.

    Raises:
        HostError: it cannot, for its length, or for what this host says: a clock past 9999.
    """
    if len(line) > LINE_LIMIT:
        raise HostError("a receipt would be too long")
    try:
        Receipt.read(line, what="the receipt")
    except DocumentError as error:
        raise HostError(
            f"no receipt can be written: {printable(str(error))}",
            hint="mend what is named, such as the clock, and run the command again",
        ) from None


def _stored_name(version: int) -> str:
    return f"roots/{version}.root.dsse.json"
