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


# SubjectPublicKeyInfo in DER up to the key itself, and the length of the whole: RFC 5480 (an
# uncompressed point follows, which begins with 4) and RFC 8410.
_CANONICAL = {
    "ecdsa-sha2-nistp256": ("3059301306072a8648ce3d020106082a8648ce3d03010703420004", 91),
    "ecdsa-sha2-nistp384": ("3076301006072a8648ce3d020106052b8104002203620004", 120),
    "ed25519": ("302a300506032b6570032100", 44),
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
    loaded = _load(key)
    if _is_canonical(key):
        return
    from cryptography.hazmat.primitives import serialization

    canonical = loaded.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    if canonical != key.public:
        raise Untrusted(f"key {keyid[:16]} is not in the canonical encoding")


def verify_signature(key: PublicKey, signature: bytes, data: bytes | bytearray) -> bool:
    """Tell whether `signature` is one by `key` over `data`, with the scheme of the key.

    ECDSA signatures are DER, over SHA-256 for P-256 and SHA-384 for P-384 (FIPS 186-5), Ed25519
    ones are the 64 bytes of RFC 8032.

    Raises:
        Untrusted: the key is not one of its scheme.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    class Ecdsa(ec.ECDSA):
        """ECDSA without the question if the library can sign deterministically.

        It is asked of every new `ECDSA`, and takes as long to import as all that verifies.
        """

        def __init__(self, algorithm: hashes.HashAlgorithm) -> None:
            self._chosen = algorithm

        @property
        def algorithm(self) -> hashes.HashAlgorithm:
            return self._chosen

        @property
        def deterministic_signing(self) -> bool:
            return False

    loaded = _load(key)
    try:
        if isinstance(loaded, ec.EllipticCurvePublicKey):
            hash_name = _ECDSA[key.scheme][1]
            loaded.verify(signature, data, Ecdsa(getattr(hashes, hash_name)()))
        else:
            loaded.verify(signature, data)
    except InvalidSignature:
        return False
    return True


# The class of each curve, and the length of an uncompressed point on it.
_CURVES = {"ecdsa-sha2-nistp256": ("SECP256R1", 65), "ecdsa-sha2-nistp384": ("SECP384R1", 97)}


def _is_canonical(key: PublicKey) -> bool:
    """Tell whether the key stands in the one encoding that its scheme has here."""
    head, size = _CANONICAL[key.scheme]
    return len(key.public) == size and key.public.startswith(bytes.fromhex(head))


def _load(key: PublicKey) -> "EllipticCurvePublicKey | Ed25519PublicKey":
    if key.scheme in _CANONICAL and _is_canonical(key):
        return _load_canonical(key)
    return _load_any(key)


def _load_canonical(key: PublicKey) -> "EllipticCurvePublicKey | Ed25519PublicKey":
    """Load a key whose encoding is known, without the library's readers of every other one.

    Those take more than twice as long to import as all that verifies.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    size = _CANONICAL[key.scheme][1]
    try:
        if key.scheme == "ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(key.public[-32:])
        curve, length = _CURVES[key.scheme]
        point = key.public[size - length :]
        return ec.EllipticCurvePublicKey.from_encoded_point(getattr(ec, curve)(), point)
    except (ValueError, UnsupportedAlgorithm):
        raise Untrusted(f"not a public key that this program knows: {key.scheme}") from None


def _load_any(key: PublicKey) -> "EllipticCurvePublicKey | Ed25519PublicKey":
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
