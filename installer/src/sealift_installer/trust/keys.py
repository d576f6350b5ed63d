"""Public keys and the one place where a signature is verified.

cryptography is imported here alone, and late: it is the slowest import of the program.
"""

import hashlib
from typing import TYPE_CHECKING

from sealift_installer.errors import Untrusted
from sealift_schemas.root import PublicKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

# Curve and hash of the ECDSA schemes, as cryptography names them.
_ECDSA = {
    "ecdsa-sha2-nistp256": ("secp256r1", "SHA256"),
    "ecdsa-sha2-nistp384": ("secp384r1", "SHA384"),
}


def compute_keyid(public: bytes) -> str:
    """Return the key id: the SHA-256 of the SubjectPublicKeyInfo in DER, in hexadecimal."""
    return hashlib.sha256(public).hexdigest()


def check_key(keyid: str, key: PublicKey) -> None:
    """Check that the key id is that of the key, and that the key is one of its scheme.

    A key has one encoding: a second one of the same key (a compressed point, say) would have a
    second id and count twice towards a threshold.

    Raises:
        Untrusted: it is not.
    """
    computed = compute_keyid(key.public)
    if computed != keyid:
        raise Untrusted(
            f"a key has another id than it claims\n  Expected: {keyid}\n  Computed: {computed}"
        )
    from cryptography.hazmat.primitives import serialization

    loaded = _load(key)
    canonical = loaded.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    if canonical != key.public:
        raise Untrusted(f"key {keyid[:16]} is not in the canonical encoding")


def verify_signature(key: PublicKey, signature: bytes, data: bytes) -> bool:
    """Tell whether `signature` is one by `key` over `data`, with the scheme of the key.

    ECDSA signatures are DER, over SHA-256 for P-256 and SHA-384 for P-384 (FIPS 186-5), Ed25519
    ones are the 64 bytes of RFC 8032.

    Raises:
        Untrusted: the key is not one of its scheme.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    loaded = _load(key)
    try:
        if isinstance(loaded, ec.EllipticCurvePublicKey):
            hash_name = _ECDSA[key.scheme][1]
            loaded.verify(signature, data, ec.ECDSA(getattr(hashes, hash_name)()))
        else:
            loaded.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _load(key: PublicKey) -> "EllipticCurvePublicKey | Ed25519PublicKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        loaded = load_der_public_key(key.public)
    except (ValueError, UnsupportedAlgorithm):
        raise Untrusted(f"not a public key that this program knows: {key.scheme}") from None
    if isinstance(loaded, ec.EllipticCurvePublicKey) and key.scheme in _ECDSA:
        if loaded.curve.name == _ECDSA[key.scheme][0]:
            return loaded
    elif isinstance(loaded, ed25519.Ed25519PublicKey) and key.scheme == "ed25519":
        return loaded
    raise Untrusted(f"a key is not one of its scheme, {key.scheme}")
