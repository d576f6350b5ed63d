"""Signing a bundle that was written: the manifest's envelope, and SHA256SUMS beside it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from sealift_bundler.keys import keyid
from sealift_bundler.schema import check_documents
from sealift_bundler.sign.signer import Signer, check_clock, sign_checked, sign_envelope
from sealift_installer.bundle import CHECKSUMS, ENVELOPE, MANIFEST, Bundle, signature_name
from sealift_installer.errors import (
    Damaged,
    documents_damaged,
    host_errors,
    mismatch,
)
from sealift_installer.limits import LIMITS
from sealift_installer.trust.coverage import write_checksums
from sealift_schemas.envelope import Envelope, Signature
from sealift_schemas.manifest import PAYLOAD_TYPE, Manifest


def sign_bundle(path: Path, signers: Sequence[Signer]) -> tuple[str, ...]:
    """Add the signatures of `signers` to the bundle at `path`; return the ids of all its signers.

    What is signed is read first: a manifest that is malformed, or does not fit its SHA256SUMS,
    gets no signature. The payload's bytes are compared by `seal`, not here.

    Raises:
        Damaged: the manifest, SHA256SUMS or the envelope that is there is not what it must be.
        RefusedByPolicy: the bundle bears a time more than a day ahead of the clock.
        HostError: the bundle cannot be read or written.
    """
    bundle = Bundle(path)
    data = bundle.read(MANIFEST, LIMITS.envelope)
    check_documents("manifest", [(MANIFEST, data)])
    with documents_damaged(MANIFEST):
        manifest = Manifest.read(data, limit=LIMITS.envelope)
    check_clock(manifest.created, "the bundle")
    sums = write_checksums(manifest, hashlib.sha256(data).hexdigest())
    if bundle.read(CHECKSUMS, LIMITS.checksums) != sums:
        raise Damaged(f"{CHECKSUMS} does not say what {MANIFEST} says: {path}")
    envelope = sign_envelope(data, PAYLOAD_TYPE, signers, _existing(bundle, data))
    for signer in signers:
        _replace(path / signature_name(keyid(signer.public)), sign_checked(signer, sums))
    _replace(path / ENVELOPE, envelope.encode())
    return tuple(signature.keyid for signature in envelope.signatures)


def _existing(bundle: Bundle, payload: bytes) -> tuple[Signature, ...]:
    if not (bundle.path / ENVELOPE).exists():
        return ()
    data = bundle.read(ENVELOPE, LIMITS.envelope)
    with documents_damaged(ENVELOPE):
        envelope = Envelope.read(data, what=ENVELOPE, limit=LIMITS.envelope)
    if envelope.payload_type != PAYLOAD_TYPE:
        what = f"the envelope is of another type: {ENVELOPE}"
        raise Damaged(mismatch(what, PAYLOAD_TYPE, envelope.payload_type))
    if envelope.payload != payload:
        raise Damaged(f"the signed manifest is not {MANIFEST}: {bundle.path}")
    return envelope.signatures


def _replace(path: Path, data: bytes) -> None:
    new = path.with_name(f".{path.name}.new")
    with host_errors("cannot write the signature"):
        try:
            new.write_bytes(data)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
