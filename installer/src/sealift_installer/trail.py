"""A record as a whole: read with its state, exported with its head, read again from an export.

An export is the lines of the record as they are, and behind them the head: by itself, or as the
payload of an envelope that the host's key signed. A file with the head alone is an export as well.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from sealift_installer.errors import Damaged, Untrusted, host_errors, mismatch, printable
from sealift_installer.receipts import TOOL, describe_host, hash_line, read_chain
from sealift_installer.trust.dsse import check_type
from sealift_installer.trust.state import StateStore
from sealift_schemas.envelope import Envelope
from sealift_schemas.head import LIMIT, PAYLOAD_TYPE, Head
from sealift_schemas.lean import dataclass
from sealift_schemas.receipt import LINE_LIMIT, ArchiveIdentity, Receipt
from sealift_schemas.strictjson import DocumentError

# What leaves a tree where the receipt says.
_BRINGING = frozenset({"install", "repair", "rollback", "relocate"})
_ENVELOPE_START = b'{"payload":'
_LONGEST = max(LINE_LIMIT, 2 * LIMIT)


@dataclass(frozen=True, slots=True)
class Trail:
    """A record whose chain holds; `lines` are the bytes of `receipts`.

    `floor` is the newest signed time that the host accepted. `pending` tells that a crash kept the
    end of the last line out of the file; the next run completes it.
    """

    receipts: tuple[Receipt, ...]
    lines: tuple[bytes, ...]
    floor: str
    pending: bool

    def head(self, prefix: str, clock: str) -> Head:
        """Return where it ends."""
        return Head(
            host=describe_host(),
            prefix=printable(prefix),
            receipts=len(self.lines),
            first=hash_line(self.lines[0]),
            head=hash_line(self.lines[-1]),
            clock=clock,
            floor=self.floor,
            tool=TOOL,
        )


@dataclass(frozen=True, slots=True)
class Export:
    """An export whose chain holds and ends with its head; `receipts` is empty for a head alone.

    `hashes` are those of the lines. Nobody has looked at the signatures of `envelope` yet.
    """

    receipts: tuple[Receipt, ...]
    hashes: tuple[str, ...]
    head: Head
    envelope: Envelope | None


def read_trail(store: StateStore) -> Trail:
    """Read the record of this target: all of its chain, against the state. No lock is needed.

    Raises:
        Untrusted: a line was edited, removed, inserted or put elsewhere, or the record does not
            end where the state says.
        HostError: it cannot be read.
    """
    # Without the lock, another run can write meanwhile: then read again.
    while True:
        state = store.load(removed=True)
        found = list(store.log.lines())
        if store.load(removed=True).head == state.head:
            break
    end = found[-1] if len(found) == state.receipts else b""
    pending = end != state.last and len(found) <= state.receipts and state.last.startswith(end)
    if pending:
        found[state.receipts - 1 :] = [state.last]
    chain = list(read_chain(found))
    receipts = tuple(receipt for receipt, _ in chain)
    lines = tuple(line for _, line in chain)
    expected = f"{state.receipts} receipts, the last {state.head}"
    computed = f"{len(lines)} receipts, the last {hash_line(lines[-1])}"
    if computed != expected:
        what = f"the receipts are not those that the state names: {store.log.path}"
        raise Untrusted(mismatch(what, expected, computed), hint="lines were removed or put in")
    return Trail(receipts, lines, state.floor, pending)


def installed_by(receipts: Iterable[Receipt]) -> dict[str, ArchiveIdentity]:
    """Return what is installed by the receipts, by name."""
    found: dict[str, ArchiveIdentity] = {}
    for receipt in receipts:
        if receipt.archive is None:
            continue
        if receipt.action in _BRINGING:
            found[receipt.archive.name] = receipt.archive
        elif receipt.action == "uninstall":
            found.pop(receipt.archive.name, None)
    return found


def read_export(path: Path) -> Export:
    """Read an export, or a head alone.

    Raises:
        Untrusted: its chain is broken, or it does not end with its head.
        Damaged: it is no export.
        HostError: it cannot be read.
    """
    name = printable(str(path))
    lines = list(_lines(path))
    if not lines:
        raise Damaged(f"an empty file, no export of receipts: {name}", hint="copy it again")
    head, envelope = _read_head(lines.pop(), name)
    try:
        chain = list(read_chain(lines))
    except Untrusted as error:
        raise Untrusted(f"{name}: {error.message}", hint=error.hint) from None
    hashes = tuple(hash_line(line) for _, line in chain)
    if hashes:
        expected = f"{head.receipts} receipts, from {head.first} to {head.head}"
        found = f"{len(hashes)} receipts, from {hashes[0]} to {hashes[-1]}"
        if found != expected:
            raise Untrusted(
                mismatch(f"{name}: the receipts are not those of the head", expected, found),
                hint="lines were cut off, or the head is another record's",
            )
    return Export(tuple(receipt for receipt, _ in chain), hashes, head, envelope)


def _lines(path: Path) -> Iterator[bytes]:
    with host_errors("cannot read the export"), path.open("rb") as file:
        while line := file.readline(_LONGEST + 1):
            if not line.endswith(b"\n"):
                raise Damaged(
                    f"the last line is torn, or too long: {printable(str(path))}",
                    hint="copy the export again",
                )
            yield line


def _read_head(line: bytes, name: str) -> tuple[Head, Envelope | None]:
    """Read the last line of an export."""
    what = "the head"
    envelope = None
    try:
        if line.startswith(_ENVELOPE_START):
            envelope = Envelope.read(line, what=what, limit=_LONGEST)
            line = envelope.payload
        head = Head.read(line, what=what)
    except DocumentError as error:
        raise Damaged(
            f"no export of receipts, or one that was cut off: {name}\n  {printable(str(error))}",
            hint="an export ends with its head: unseal receipts export FILE",
        ) from None
    if envelope is not None:
        check_type(envelope, PAYLOAD_TYPE, name)
    if head.encode() != line:
        raise Untrusted(f"{name}: the head is not as unseal writes it", hint="it was edited")
    return head, envelope
