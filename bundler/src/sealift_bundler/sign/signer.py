"""A signer, and envelopes signed by several of them."""

import time
from collections.abc import Iterable
from typing import Protocol

from sealift_bundler.keys import keyid
from sealift_bundler.site import format_time
from sealift_installer.errors import RefusedByPolicy
from sealift_schemas.envelope import Envelope, Signature, pre_authentication_encoding
from sealift_schemas.root import PublicKey

_DAY = 24 * 60 * 60


class Signer(Protocol):
    """Something that holds a private key, in a file or behind a device."""

    @property
    def public(self) -> PublicKey:
        """The public half."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Return the signature over `data`: DER for ECDSA, 64 bytes for Ed25519."""
        ...


def check_clock(created: str, what: str) -> None:
    """Refuse to sign a time more than a day ahead of this machine's clock.

    Targets take the newest signed time for the least that the present can be; with one from the
    far future they would take all honest times after it for too old.

    Raises:
        RefusedByPolicy: it is.
    """
    if created > format_time(int(time.time()) + _DAY):
        raise RefusedByPolicy(
            f"the time of {what} is more than a day ahead of the clock: {created}",
            hint="check the clock of this machine, and SOURCE_DATE_EPOCH",
        )


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
