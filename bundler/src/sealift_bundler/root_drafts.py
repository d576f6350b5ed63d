"""Drafts of roots: signed by one person after another, published when the thresholds stand.

`root/N.root.draft.json` is the envelope of version N with the signatures that it has so far. It
may be copied to other machines, signed there, and merged. A version is published in the site
alone, by its first complete set of signatures; from then on it never changes.
"""

import fcntl
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sealift_bundler.keys import keyid
from sealift_bundler.roots import list_roots
from sealift_bundler.schema import check_documents
from sealift_bundler.sign.signer import Signer, check_clock, sign_envelope
from sealift_installer.durable import write_durably
from sealift_installer.errors import (
    Damaged,
    HostError,
    Untrusted,
    UsageError,
    documents_damaged,
    host_errors,
    mismatch,
)
from sealift_installer.limits import LIMITS
from sealift_installer.trust.keys import check_key, verify_signature
from sealift_schemas.draft import read_draft as read_document
from sealift_schemas.envelope import Envelope, Signature
from sealift_schemas.root import PAYLOAD_TYPE, Root

NAME = re.compile(r"([1-9][0-9]{0,3})\.root\.draft\.json")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one version asks of a draft's signatures: `threshold` distinct ones of its root keys.

    `signed` and `unsigned` are the ids of those keys.
    """

    version: int
    threshold: int
    signed: tuple[str, ...]
    unsigned: tuple[str, ...]

    @property
    def missing(self) -> int:
        """How many more signatures are needed."""
        return max(self.threshold - len(self.signed), 0)


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft that was read: its signatures verify, as far as their keys are known.

    `previous` is the version before it, from the file beside the draft; None if it is the first
    version or the file is not there.
    """

    path: Path
    envelope: Envelope
    root: Root
    previous: Root | None

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """What each version asks for: the one before first, then the draft's own."""
        roots = [root for root in (self.previous, self.root) if root is not None]
        return tuple(_wanted(root, self.envelope) for root in roots)

    @property
    def complete(self) -> bool:
        """Whether all thresholds stand. False where the version before is not known."""
        known = self.previous is not None or self.root.version == 1
        return known and not any(wanted.missing for wanted in self.wanted)


def draft_path(directory: Path, version: int) -> Path:
    """Return where the draft of a version is kept."""
    return directory / f"{version}.root.draft.json"


def find_draft(directory: Path) -> Path | None:
    """Return the draft of the version that comes next in `directory`, or None.

    Raises:
        HostError: the directory cannot be looked at.
    """
    with host_errors("cannot read the roots"):
        versions = [version for version, _ in list_roots(directory)]
        path = draft_path(directory, max(versions, default=0) + 1)
        return path if path.exists() else None


def create_draft(directory: Path, root: Root, signers: Sequence[Signer] = ()) -> Draft:
    """Write the draft of `root` into `directory`, with the signatures of `signers`.

    Raises:
        UsageError: there is a draft already, or a signer has no say in it.
        RefusedByPolicy: its time is more than a day ahead of the clock.
        HostError: it cannot be written.
    """
    check_clock(root.created, "the root")
    path = draft_path(directory, root.version)
    draft = Draft(path, Envelope(root.encode(), PAYLOAD_TYPE, ()), root, _previous(path, root))
    check_documents("root", [(path.name, draft.envelope.payload)])
    signed = _signed(draft, signers)
    with host_errors("cannot write the draft"):
        directory.mkdir(parents=True, exist_ok=True)
    with hold(directory):
        _refuse_draft(path)
        _write(path, signed.envelope)
    return signed


def read_draft(path: Path) -> Draft:
    """Read the draft at `path`, which may have any name.

    Raises:
        Untrusted: a signature does not verify, or a key has another id than it claims.
        Damaged: it is none, or its root is malformed.
        HostError: it cannot be read.
    """
    with host_errors("cannot read the draft"), path.open("rb") as file:
        data = file.read(LIMITS.root + 1)
    with documents_damaged(str(path)):
        envelope = read_document(data, what=path.name, limit=LIMITS.root)
        root = Root.read(envelope.payload, what=path.name, limit=LIMITS.root)
    for name, key in root.keys.items():
        check_key(name, key)
    draft = Draft(path, envelope, root, _previous(path, root))
    check_signatures(draft, envelope.signatures)
    return draft


def sign_draft(path: Path, signers: Sequence[Signer], output: Path | None = None) -> Draft:
    """Add the signatures of `signers` to the draft at `path`, or write it with them to `output`.

    Raises:
        UsageError: a signer has no say in it.
        RefusedByPolicy: the draft's time is more than a day ahead of the clock.
        Untrusted, Damaged, HostError: as `read_draft`, or it cannot be written.
    """
    place = path if output is None else output
    if output is None and path.exists() and not os.access(path.parent, os.W_OK):
        raise HostError(
            f"the draft cannot be written to: {path}", hint="--output COPY writes a signed copy"
        )
    with hold(place.parent):
        draft = read_draft(path)
        check_clock(draft.root.created, "the root")
        signed = _signed(draft, signers)
        if output is not None and output.exists():
            signed = _merged(signed, read_draft(output))
        _write(place, signed.envelope)
    return replace(signed, path=place)


def merge_drafts(path: Path, others: Iterable[Path]) -> Draft:
    """Add the signatures of `others`, copies of the draft at `path`, to it.

    Raises:
        UsageError: another one is no copy of this draft.
        Untrusted: a signature does not verify, or is by a key that has no say.
        Damaged, HostError: one cannot be read or written.
    """
    with hold(path.parent):
        draft = read_draft(path)
        for other in others:
            draft = _merged(draft, read_draft(other))
        _write(path, draft.envelope)
    return draft


def refuse_second(directory: Path) -> None:
    """Check that `directory` has no root and no draft of the first one.

    Raises:
        UsageError: it has.
        HostError: it cannot be looked at.
    """
    with host_errors("cannot read the roots"):
        if list_roots(directory):
            raise UsageError(
                f"there is a root already: {directory}",
                hint="a published version never changes; `sealift root rotate` makes the next one",
            )
    _refuse_draft(draft_path(directory, 1))


@contextmanager
def hold(directory: Path) -> Iterator[None]:
    """Keep other runs from changing drafts in `directory`, so that no signature gets lost."""
    with host_errors("cannot open the folder of the draft"):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Not every medium knows locks. That shall keep nobody from signing.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _refuse_draft(path: Path) -> None:
    if path.exists():
        raise UsageError(
            f"there is a draft already: {path}",
            hint="sign it with `sealift root sign`, or delete the file to start anew",
        )


def _previous(path: Path, root: Root) -> Root | None:
    """Return the version before `root` from the file beside `path`, if it is there."""
    if root.version == 1:
        return None
    file = path.with_name(f"{root.version - 1}.root.dsse.json")
    if not file.exists():
        return None
    with host_errors("cannot read the root"):
        data = file.read_bytes()
    with documents_damaged(str(file)):
        envelope = Envelope.read(data, what=file.name, limit=LIMITS.root)
        previous = Root.read(envelope.payload, what=file.name, limit=LIMITS.root)
    if previous.version != root.version - 1:
        message = f"the file holds another version than its name says: {file}"
        raise Damaged(mismatch(message, root.version - 1, previous.version))
    for name, key in previous.keys.items():
        check_key(name, key)
    return previous


def _wanted(root: Root, envelope: Envelope) -> Wanted:
    role = root.roles["root"]
    by = {signature.keyid for signature in envelope.signatures}
    signed = tuple(key for key in role.keys if key in by)
    return Wanted(
        root.version, role.threshold, signed, tuple(key for key in role.keys if key not in by)
    )


def _signed(draft: Draft, signers: Sequence[Signer]) -> Draft:
    for signer in signers:
        name = keyid(signer.public)
        if not any(name in (*wanted.signed, *wanted.unsigned) for wanted in draft.wanted):
            raise UsageError(
                f"the key has no say in root version {draft.root.version}: {name}",
                hint=_no_say(draft),
            )
    envelope = sign_envelope(
        draft.envelope.payload, PAYLOAD_TYPE, signers, draft.envelope.signatures
    )
    return replace(draft, envelope=envelope)


def _no_say(draft: Draft) -> str:
    before = draft.root.version - 1
    if before and draft.previous is None:
        return f"a root key of version {before} signs where {before}.root.dsse.json lies beside"
    return "the keys of the role `root` sign roots: those of the version before, and its own"


def _merged(draft: Draft, other: Draft) -> Draft:
    if other.envelope.payload != draft.envelope.payload:
        raise UsageError(f"it is no copy of the draft {draft.path}: {other.path}")
    check_signatures(draft, other.envelope.signatures, strangers=False)
    existing = {one.keyid: one for one in draft.envelope.signatures}
    added = [one for one in other.envelope.signatures if one.keyid not in existing]
    envelope = sign_envelope(draft.envelope.payload, PAYLOAD_TYPE, (), (*existing.values(), *added))
    return replace(draft, envelope=envelope)


def check_signatures(
    draft: Draft, signatures: Iterable[Signature], *, strangers: bool = True
) -> None:
    """Check the signatures, and unless `strangers` that all of them are by keys with a say.

    Where the version before is not at hand, a stranger may be one of its keys.

    Raises:
        Untrusted: one does not verify, or is a stranger's.
    """
    strangers = strangers or (draft.previous is None and draft.root.version > 1)
    keys = {**(draft.previous.keys if draft.previous else {}), **draft.root.keys}
    ours = {name for wanted in draft.wanted for name in (*wanted.signed, *wanted.unsigned)}
    data = draft.envelope.signed_bytes
    for one in signatures:
        if one.keyid in keys and not verify_signature(keys[one.keyid], one.signature, data):
            raise Untrusted(f"a signature of {draft.path} does not verify: key {one.keyid}")
        if one.keyid not in ours and not strangers:
            raise Untrusted(
                f"a signature of the draft is by a key that has no say in it: {one.keyid}",
                hint=_no_say(draft),
            )


def _write(path: Path, envelope: Envelope) -> None:
    data = envelope.encode()
    check_documents("draft", [(path.name, data)])
    with host_errors("cannot write the draft"):
        write_durably(path, data)
