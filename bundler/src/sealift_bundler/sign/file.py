"""Signing with a private key from a file."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384

from sealift_bundler.keys import AskSecret, PrivateKey, describe, load_private
from sealift_schemas.root import PublicKey

P384_BITS = 384


class FileSigner:
    """Signs with a key in memory. ECDSA is deterministic (RFC 6979), so that bundles reproduce."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key
        self._public = describe(key)

    @classmethod
    def load(cls, path: Path, ask: AskSecret | None = None) -> "FileSigner":
        """Load the key at `path`.

        Raises:
            UsageError: it is missing, no key of a known scheme, or the passphrase is wrong.
            HostError: it cannot be read, or it needs a passphrase and nobody can be asked.
        """
        return cls(load_private(path, ask))

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return self._public

    def sign(self, data: bytes) -> bytes:
        """Return the signature over `data`: DER for ECDSA, 64 bytes for Ed25519."""
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(data)
        # FIPS 186-5: a hash at least as strong as the curve.
        digest = SHA384() if self._key.curve.key_size == P384_BITS else SHA256()
        return self._key.sign(data, ECDSA(digest, deterministic_signing=True))
