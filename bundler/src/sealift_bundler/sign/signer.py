"""A signer, and envelopes signed by several of them."""

from collections.abc import Iterable
from typing import Protocol

from sealift_bundler.keys import keyid
from sealift_schemas.envelope import Envelope, Signature, pre_authentication_encoding
from sealift_schemas.root import PublicKey


class Signer(Protocol):
    """Something that holds a private key, in a file or behind a device."""

    @property
    def public(self) -> PublicKey:
        """The public half."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Return the signature over `data`: DER for ECDSA, 64 bytes for Ed25519."""
        ...


def sign_envelope(
    payload: bytes,
    payload_type: str,
    signers: Iterable[Signer],
    existing: Iterable[Signature] = (),
) -> Envelope:
    """Return an envelope around `payload` with the signatures of `signers` and `existing` ones.

    They are sorted by key id, one for each key, so that the order of signing leaves no trace.
    """
    data = pre_authentication_encoding(payload_type, payload)
    signatures = {signature.keyid: signature for signature in existing}
    for signer in signers:
        name = keyid(signer.public)
        signatures[name] = Signature(name, signer.sign(data))
    return Envelope(payload, payload_type, tuple(signatures[name] for name in sorted(signatures)))
