"""The key of this host: it signs the head of the receipts, and nothing else.

It is made here and stays here, in `state/host.key.pem` (PKCS#8 in PEM, mode 0600), as openssl makes
and reads it. It says which host a head comes from. It does not keep an administrator of the host
from writing the record anew: for that a head must be kept where the host cannot reach it.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sealift_installer.durable import make_directory, write_durably
from sealift_installer.errors import HostError, UsageError, host_errors, printable
from sealift_installer.prefix import open_kept
from sealift_installer.trust.keys import compute_keyid
from sealift_schemas.envelope import Envelope, Signature, pre_authentication_encoding
from sealift_schemas.head import PAYLOAD_TYPE, Head
from sealift_schemas.lean import dataclass

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NAME = "host.key.pem"
SCHEMES = ("p256", "p384", "ed25519")
_MODE = 0o600
_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class HostKey:
    """A key pair; `public` is the SubjectPublicKeyInfo in DER, `pem` the same for people."""

    private: "EllipticCurvePrivateKey | Ed25519PrivateKey"
    public: bytes
    pem: str

    @property
    def keyid(self) -> str:
        """The key id, as everywhere: the SHA-256 of the SubjectPublicKeyInfo."""
        return compute_keyid(self.public)

    def sign(self, head: Head) -> Envelope:
        """Return the envelope of a head with this host's signature."""
        payload = head.encode()
        signature = _sign(self.private, pre_authentication_encoding(PAYLOAD_TYPE, payload))
        return Envelope(payload, PAYLOAD_TYPE, (Signature(self.keyid, signature),))


def create_host_key(state: Path, scheme: str = "p256") -> HostKey:
    """Make the key of this host in the directory of the state. The caller holds the lock.

    Raises:
        UsageError: there is one already.
        HostError: it cannot be written.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    path = state / NAME
    with host_errors("cannot look for the key of this host"):
        if os.path.lexists(path):
            raise UsageError(
                f"this host has a key already: {printable(str(path))}",
                hint="move it away to make another one, and say so to those who check the receipts",
            )
    if scheme == "ed25519":
        private: EllipticCurvePrivateKey | Ed25519PrivateKey = ed25519.Ed25519PrivateKey.generate()
    else:
        curve = ec.SECP384R1() if scheme == "p384" else ec.SECP256R1()
        private = ec.generate_private_key(curve)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with host_errors("cannot write the key of this host"):
        make_directory(state, state)
        write_durably(path, pem, mode=_MODE)
    return _pair(private)


def load_host_key(state: Path) -> HostKey | None:
    """Return the key of this host, or None where it has none.

    Raises:
        HostError: it cannot be read, is no key, or others can read it as well.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = state / NAME
    with host_errors("cannot read the key of this host"):
        try:
            with open_kept(path) as file:
                mode = os.fstat(file.fileno()).st_mode
                data = file.read(_LIMIT)
        except FileNotFoundError:
            return None
        except PermissionError:
            raise HostError(
                f"only who owns the key of this host may use it: {printable(str(path))}",
                hint="unseal receipts export --unsigned writes an export without it",
            ) from None
    if os.name == "posix" and mode & 0o077:
        raise HostError(
            f"others can read the key of this host: {printable(str(path))}, mode {mode & 0o777:04o}",
            hint="make a new one: whoever copied this one can sign in the name of the host",
        )
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):
        private = load_pem_private_key(data, password=None)
        if isinstance(private, ed25519.Ed25519PrivateKey) or (
            isinstance(private, ec.EllipticCurvePrivateKey)
            and private.curve.name in {"secp256r1", "secp384r1"}
        ):
            return _pair(private)
    raise HostError(
        f"not a key that unseal knows: {printable(str(path))}",
        hint="P-256, P-384 or Ed25519, PKCS#8 in PEM without a passphrase",
    )


def _pair(private: "EllipticCurvePrivateKey | Ed25519PrivateKey") -> HostKey:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = private.public_key()
    kind = PublicFormat.SubjectPublicKeyInfo
    pem = public.public_bytes(Encoding.PEM, kind).decode("ascii")
    return HostKey(private, public.public_bytes(Encoding.DER, kind), pem)


def _sign(private: "EllipticCurvePrivateKey | Ed25519PrivateKey", data: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    if not isinstance(private, ec.EllipticCurvePrivateKey):
        return private.sign(data)
    # FIPS 186-5 pairs the curve with a hash of its strength, as the scheme of a signer's key does.
    strength = hashes.SHA384() if private.curve.name == "secp384r1" else hashes.SHA256()
    return private.sign(data, ec.ECDSA(strength))
