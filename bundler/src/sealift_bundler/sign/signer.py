"""A signer, and envelopes signed by several of them."""

import time
from collections.abc import Iterable
from typing import Protocol

from sealift_bundler.keys import keyid
from sealift_bundler.site import format_time
from sealift_installer.errors import HostError, RefusedByPolicy
from sealift_installer.trust.keys import verify_signature
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


def sign_checked(signer: Signer, data: bytes) -> bytes:
    """Return the signature of `signer` over `data`, which its public key verifies.

    A token that was swapped, or a command that signs something else, shall not get a signature
    into a file.

    Raises:
        HostError: the signer cannot sign, or what it gave does not verify.
    """
    signature = signer.sign(data)
    if not verify_signature(signer.public, signature, data):
        raise HostError(
            "a signer gave a signature that its public key does not verify: "
            f"{keyid(signer.public)} ({signer.public.scheme})",
            hint="ECDSA signatures are DER, over SHA-256 for P-256 and SHA-384 for P-384; "
            "Ed25519 ones are 64 bytes",
        )
    return signature


def sign_envelope(
    payload: bytes,
    payload_type: str,
    signers: Iterable[Signer],
    existing: Iterable[Signature] = (),
) -> Envelope:
    """Return an envelope around `payload` with the signatures of `signers` and `existing` ones.

    Raises:
        HostError: a signer cannot sign, or what it gave does not verify.
    """
    data = pre_authentication_encoding(payload_type, payload)
    return Envelope(payload, payload_type, make_signatures(data, signers, existing))


def make_signatures(
    data: bytes | bytearray, signers: Iterable[Signer], existing: Iterable[Signature] = ()
) -> tuple[Signature, ...]:
    """Return the signatures of `signers` over `data`, and `existing` ones: one for each key.

    They are sorted by key id, so that the order of signing leaves no trace.

    Raises:
        HostError: a signer cannot sign, or what it gave does not verify.
    """
    signatures = {signature.keyid: signature for signature in existing}
    for signer in signers:
        name = keyid(signer.public)
        # Not every token takes what can be changed.
        given = data if isinstance(data, bytes) else bytes(data)
        signatures[name] = Signature(name, sign_checked(signer, given))
    return tuple(signatures[name] for name in sorted(signatures))
