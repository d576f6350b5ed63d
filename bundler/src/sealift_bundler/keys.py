"""Signing keys in files: made, encrypted, loaded, described.

`keys/NAME.key.pem` is the private key (PKCS #8, mode 0600), `keys/NAME.pub.pem` its public half.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from sealift_bundler.pkcs8 import ITERATIONS, encrypt_private_key
from sealift_installer.errors import HostError, UsageError, host_errors, printable
from sealift_installer.trust.keys import compute_keyid
from sealift_schemas.root import PublicKey

# The names of the schemes on the command line.
SHORT_NAMES = ("p256", "p384", "ed25519")
PRIVATE_SUFFIX = ".key.pem"
PUBLIC_SUFFIX = ".pub.pem"
# A PEM file of a key has a few hundred bytes.
LIMIT = 64 * 1024

PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey
# Asked for a secret, which is named to a person: `Passphrase of keys/release.key.pem`.
AskSecret = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Where a key is kept."""

    private: Path
    public: Path

    @classmethod
    def named(cls, directory: Path, name: str) -> "KeyFiles":
        """Return the files of the key `name` in `directory`."""
        return cls(directory / f"{name}{PRIVATE_SUFFIX}", directory / f"{name}{PUBLIC_SUFFIX}")


def create_key(
    files: KeyFiles, scheme: str, passphrase: bytes | None, *, iterations: int = ITERATIONS
) -> PublicKey:
    """Make a key and write both files; nothing that exists is overwritten.

    Args:
        files: where.
        scheme: one of `SHORT_NAMES`.
        passphrase: what encrypts the private key, or None to leave it plain.
        iterations: of PBKDF2.

    Raises:
        UsageError: a key of that name exists.
        HostError: the files cannot be written.
    """
    if files.private == files.public:
        raise UsageError(
            f"a new key is two files: {files.private}",
            hint=f"name it NAME{PRIVATE_SUFFIX}, or plainly NAME",
        )
    key = _generate(scheme)
    if passphrase is None:
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    else:
        plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        private = encrypt_private_key(plain, passphrase, iterations=iterations)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with host_errors("cannot write the key"):
        files.private.parent.mkdir(parents=True, exist_ok=True)
        for path in (files.private, files.public):
            if path.exists():
                raise UsageError(f"a key of this name exists: {path}")
        write_new(files.private, private, 0o600)
        try:
            write_new(files.public, public, 0o644)
        except OSError:
            files.private.unlink()
            raise
    return describe(key)


def load_private(path: Path, ask: AskSecret | None = None) -> PrivateKey:
    """Load the private key at `path`; `ask` is called if it needs a passphrase.

    Raises:
        UsageError: it is missing, no key of a known scheme, or the passphrase is wrong.
        HostError: it cannot be read, or it needs a passphrase and nobody can be asked.
    """
    data = _read_key(path)
    passphrase = None
    if b"ENCRYPTED" in data:
        if ask is None:
            raise HostError(
                f"the key needs a passphrase and there is no terminal to ask on: {path}",
                hint="give it with --passphrase-file or --passphrase-fd",
            )
        passphrase = ask(f"Passphrase of {path}")
    try:
        key = load_pem_private_key(data, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        reason = "wrong passphrase, or not a PEM private key" if passphrase else "not a PEM key"
        raise UsageError(f"cannot load the private key: {reason}: {path}") from None
    if isinstance(key, EllipticCurvePrivateKey | Ed25519PrivateKey):
        describe(key)
        return key
    raise UsageError(f"not an ECDSA P-256, ECDSA P-384 or Ed25519 key: {path}")


def load_public(path: Path) -> PublicKey:
    """Load the public key at `path`.

    Raises:
        UsageError: it is missing or no key of a known scheme.
        HostError: it cannot be read.
    """
    try:
        key = load_pem_public_key(_read_key(path))
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"cannot load the public key: not a PEM key: {path}") from None
    if isinstance(key, EllipticCurvePublicKey | Ed25519PublicKey):
        return describe_public(key)
    raise UsageError(f"not an ECDSA P-256, ECDSA P-384 or Ed25519 key: {path}")


def describe(key: PrivateKey) -> PublicKey:
    """Return the public half of `key`.

    Raises:
        UsageError: it is on a curve that is not supported.
    """
    return describe_public(key.public_key())


def public_pem(key: PublicKey) -> bytes:
    """Return the key in PEM, as `openssl pkey -pubin` reads it."""
    loaded = load_der_public_key(key.public)
    return loaded.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def keyid(key: PublicKey) -> str:
    """Return the key's id: the SHA-256 of its SubjectPublicKeyInfo, 64 hexadecimal digits."""
    return compute_keyid(key.public)


def _generate(scheme: str) -> PrivateKey:
    match scheme:
        case "p256":
            return generate_private_key(SECP256R1())
        case "p384":
            return generate_private_key(SECP384R1())
        case "ed25519":
            return Ed25519PrivateKey.generate()
        case _:
            hint = "one of " + ", ".join(SHORT_NAMES)
            raise UsageError(f"unknown scheme: {printable(scheme)}", hint=hint)


def describe_public(key: EllipticCurvePublicKey | Ed25519PublicKey) -> PublicKey:
    """Return a public key as a root holds it.

    Raises:
        UsageError: it is on a curve that is not supported.
    """
    if isinstance(key, Ed25519PublicKey):
        scheme = "ed25519"
    else:
        scheme = {"secp256r1": "ecdsa-sha2-nistp256", "secp384r1": "ecdsa-sha2-nistp384"}.get(
            key.curve.name, ""
        )
    if not scheme:
        raise UsageError("the key is on a curve other than P-256 and P-384")
    return PublicKey(scheme, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _read_key(path: Path) -> bytes:
    with host_errors("cannot read the key"):
        try:
            with path.open("rb") as file:
                return file.read(LIMIT)
        except FileNotFoundError:
            raise UsageError(
                f"there is no key: {path}", hint="make one: sealift key new NAME"
            ) from None


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that must not exist; none is left if it cannot be written whole.

    Raises:
        OSError: it exists, or cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            # A root that is published must not outlive its key.
            os.fsync(descriptor)
    except OSError:
        # Half a file, from a full disk, would stand in the way of the next try.
        path.unlink()
        raise
