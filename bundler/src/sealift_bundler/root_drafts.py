"""Drafts of roots: signed by one person after another, published when the thresholds stand.

`root/N.root.draft.json` is the envelope of version N with the signatures that it has so far. It
may be copied to other machines, signed there, and merged. A version is published in the site
alone, by its first complete set of signatures; from then on it never changes.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from sealift_bundler.keys import keyid
from sealift_bundler.root_draft_file import (
    Draft,
    check_signatures,
    draft_path,
    find_previous,
    no_say,
    read_draft,
)
from sealift_bundler.roots import list_roots
from sealift_bundler.schema import check_documents
from sealift_bundler.sign.signer import Signer, check_clock, sign_envelope
from sealift_installer.durable import write_durably
from sealift_installer.errors import Damaged, HostError, UsageError, host_errors
from sealift_schemas.envelope import Envelope
from sealift_schemas.root import PAYLOAD_TYPE, Root


def create_draft(directory: Path, root: Root, signers: Sequence[Signer] = ()) -> Draft:
    """Write the draft of `root` into `directory`, with the signatures of `signers`.

    Raises:
        UsageError: there is a draft already, or a signer has no say in it.
        RefusedByPolicy: its time is more than a day ahead of the clock.
        HostError: it cannot be written.
    """
    check_clock(root.created, "the root")
    path = draft_path(directory, root.version)
    draft = Draft(path, Envelope(root.encode(), PAYLOAD_TYPE, ()), root, find_previous(path, root))
    check_documents("root", [(path.name, draft.envelope.payload)])
    signed = _signed(draft, signers)
    with host_errors("cannot write the draft"):
        directory.mkdir(parents=True, exist_ok=True)
    with hold(directory):
        _refuse_draft(path)
        _write(path, signed.envelope)
    return signed


def sign_draft(shown: Draft, signers: Sequence[Signer], output: Path | None = None) -> Draft:
    """Add the signatures of `signers` to a draft, or write it with them to `output`.

    Args:
        shown: the draft as its signers have seen it. Its file may have got signatures since.
        signers: whose signatures are made.
        output: a file for the signed copy; the draft is then only read.

    Raises:
        UsageError: a signer has no say in it.
        Damaged: the file is another draft by now.
        RefusedByPolicy: the draft's time is more than a day ahead of the clock.
        Untrusted, Damaged, HostError: as `read_draft`, or it cannot be written.
    """
    path = shown.path
    place = path if output is None else output
    if output is None and path.exists() and not os.access(path.parent, os.W_OK):
        raise HostError(
            f"the draft cannot be written to: {path}", hint="--output COPY writes a signed copy"
        )
    with hold(place.parent):
        draft = read_draft(path)
        if draft.envelope.payload != shown.envelope.payload:
            raise Damaged(
                f"the draft has changed since it was shown: {path}",
                hint="nothing was signed; look at it again with `sealift root show FILE`",
            )
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


def _signed(draft: Draft, signers: Sequence[Signer]) -> Draft:
    for signer in signers:
        name = keyid(signer.public)
        if not any(name in (*wanted.signed, *wanted.unsigned) for wanted in draft.wanted):
            raise UsageError(
                f"the key has no say in root version {draft.root.version}: {name}",
                hint=no_say(draft),
            )
    envelope = sign_envelope(
        draft.envelope.payload, PAYLOAD_TYPE, signers, draft.envelope.signatures
    )
    return replace(draft, envelope=envelope)


def _merged(draft: Draft, other: Draft) -> Draft:
    if other.envelope.payload != draft.envelope.payload:
        raise UsageError(f"it is no copy of the draft {draft.path}: {other.path}")
    check_signatures(draft, other.envelope.signatures, strangers=False)
    existing = {one.keyid: one for one in draft.envelope.signatures}
    added = [one for one in other.envelope.signatures if one.keyid not in existing]
    envelope = sign_envelope(draft.envelope.payload, PAYLOAD_TYPE, (), (*existing.values(), *added))
    return replace(draft, envelope=envelope)


def _write(path: Path, envelope: Envelope) -> None:
    data = envelope.encode()
    check_documents("draft", [(path.name, data)])
    with host_errors("cannot write the draft"):
        write_durably(path, data)
