"""Signing with a key that does not leave its token or HSM, through PKCS #11 (the extra `hsm`)."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealift_bundler.keys import AskSecret, describe_public
from sealift_bundler.sign.pkcs11_uri import TokenUri, parse_uri
from sealift_installer.errors import HostError, UsageError, host_errors, printable
from sealift_schemas.root import PublicKey

if TYPE_CHECKING:
    import pkcs11
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

# The module where a URI names none; OpenSSL's providers and engines look there too.
MODULE_VARIABLE = "PKCS11_MODULE_PATH"
_LONGEST_PIN = 4096
_HASHES = {"ecdsa-sha2-nistp256": hashlib.sha256, "ecdsa-sha2-nistp384": hashlib.sha384}
# CKA_EC_PARAMS: the curve's object identifier in DER, or for Ed25519 its name (PKCS #11 v3.0,
# section 2.3.5, which tokens follow in one way or the other).
_CURVES = {
    bytes.fromhex("06082a8648ce3d030107"): "SECP256R1",
    bytes.fromhex("06052b81040022"): "SECP384R1",
    bytes.fromhex("06032b6570"): "ed25519",
    b"\x13\x0cedwards25519": "ed25519",
    bytes.fromhex("06092b06010401da470f01"): "ed25519",
}


@dataclass(frozen=True, slots=True)
class _Login:
    """A session in which the user is logged in, and the PIN for keys that want it each time."""

    session: "pkcs11.Session"
    pin: str | None


# A token has one login for the whole process: a second signer on it does not ask again.
_logins: dict[tuple[str, int], _Login] = {}


class TokenSigner:
    """Signs with a private key on a token. Its ECDSA signatures differ from time to time."""

    def __init__(self, key: Any, public: PublicKey, pin: str | None) -> None:
        self._key = key
        self._public = public
        self._pin = pin

    @classmethod
    def load(cls, text: str, ask: AskSecret | None = None) -> "TokenSigner":
        """Log in to the token that the URI `text` names and find the key.

        Raises:
            UsageError: the URI is none, or fits no token or no key, or several.
            HostError: python-pkcs11 is not installed, the module cannot be loaded, the token
                refuses the PIN, or it needs one and nobody can be asked.
        """
        uri = parse_uri(text)
        pkcs11 = _import_pkcs11()
        try:
            login = _log_in(pkcs11, _find_token(pkcs11, uri, text), uri, ask)
            key = _find_key(pkcs11, login.session, uri, text)
            public = _read_public(pkcs11, login.session, key)
            always = _attribute(pkcs11, key, "ALWAYS_AUTHENTICATE")
        except pkcs11.PKCS11Error as error:
            raise HostError(f"{_described(error)}: {printable(text)}") from None
        return cls(key, public, login.pin if always else None)

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return self._public

    def sign(self, data: bytes) -> bytes:
        """Return the signature over `data`: DER for ECDSA, 64 bytes for Ed25519.

        ECDSA tokens sign a hash that is made here, which every token can.

        Raises:
            HostError: the token does not sign.
        """
        import pkcs11
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

        hashing = _HASHES.get(self._public.scheme)
        message = data if hashing is None else hashing(data).digest()
        mechanism = pkcs11.Mechanism.EDDSA if hashing is None else pkcs11.Mechanism.ECDSA
        more = {} if self._pin is None else {"pin": self._pin}
        try:
            raw: bytes = self._key.sign(message, mechanism=mechanism, **more)
        except pkcs11.PKCS11Error as error:
            raise HostError(f"the token did not sign: {_described(error)}") from None
        if hashing is None:
            return raw
        half = len(raw) // 2
        numbers = int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
        return encode_dss_signature(*numbers)


def _import_pkcs11() -> Any:
    try:
        import pkcs11
    except ImportError:
        raise HostError(
            "signing with a token needs python-pkcs11, which is not installed",
            hint="pip install 'sealift[hsm]', or in a checkout: pip install './bundler[hsm]'",
        ) from None
    return pkcs11


def _find_token(pkcs11: Any, uri: TokenUri, text: str) -> Any:
    module = uri.module or (Path(os.environ.get(MODULE_VARIABLE, "")))
    if module == Path():
        raise UsageError(
            f"no PKCS #11 module is named: {printable(text)}",
            hint=f"add ?module-path=/PATH/TO/MODULE.so, or set {MODULE_VARIABLE}",
        )
    with host_errors("cannot load the PKCS #11 module"):
        # The loader's own message does not say that a file is missing.
        module.stat()
    try:
        library = pkcs11.lib(str(module))
    except (RuntimeError, OSError) as error:  # PKCS11Error is the first
        raise HostError(f"cannot load the PKCS #11 module: {printable(str(error))}") from None
    found = []
    for slot in library.get_slots(token_present=True):
        try:
            token = slot.get_token()
        except (pkcs11.TokenNotPresent, pkcs11.TokenNotRecognised):
            continue
        if _fits(slot, token, uri.token):
            found.append(token)
    if len(found) != 1:
        what = "no token is" if not found else f"{len(found)} tokens are"
        raise UsageError(
            f"{what} what the URI names: {printable(text)}",
            hint="`pkcs11-tool --module MODULE -L` lists them; token= and serial= tell them apart",
        )
    return found[0]


def _fits(slot: Any, token: Any, wanted: dict[str, str]) -> bool:
    has = {
        "token": token.label,
        "serial": token.serial.decode("ascii", "replace"),
        "manufacturer": token.manufacturer_id,
        "model": token.model,
        "slot-id": str(slot.slot_id),
        "slot-description": slot.slot_description,
    }
    return all(has[name].strip() == value.strip() for name, value in wanted.items())


def _log_in(pkcs11: Any, token: Any, uri: TokenUri, ask: AskSecret | None) -> _Login:
    place = (str(uri.module), token.slot.slot_id)
    if place in _logins:
        return _logins[place]
    pin: Any = None
    if pkcs11.TokenFlag.PROTECTED_AUTHENTICATION_PATH in token.flags:
        # The PIN is typed at the token itself.
        pin = pkcs11.PROTECTED_AUTH
    elif pkcs11.TokenFlag.LOGIN_REQUIRED in token.flags:
        pin = _pin(token, uri, ask)
        if not pin:
            # The token would count it as a wrong one.
            raise UsageError(f"the PIN of the token {printable(token.label)} is empty")
    try:
        session = token.open(user_pin=pin)
    except pkcs11.PinIncorrect:
        raise UsageError(
            f"wrong PIN of the token {printable(token.label)}",
            hint="a token locks itself after a few wrong ones",
        ) from None
    login = _logins[place] = _Login(session, pin if isinstance(pin, str) else None)
    return login


def _pin(token: Any, uri: TokenUri, ask: AskSecret | None) -> str:
    label = printable(token.label)
    if uri.pin_source is not None:
        with host_errors("cannot read the PIN"), uri.pin_source.open("rb") as file:
            secret = file.readline(_LONGEST_PIN).rstrip(b"\r\n")
    elif ask is not None:
        secret = ask(f"PIN of the token {label}")
    else:
        raise HostError(
            f"the token {label} needs a PIN and there is no terminal to ask on",
            hint="give it with --passphrase-file or --passphrase-fd, or by pin-source in the URI",
        )
    try:
        return secret.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"the PIN of the token {label} is not UTF-8") from None


def _find_key(pkcs11: Any, session: Any, uri: TokenUri, text: str) -> Any:
    names = pkcs11.Attribute
    wanted: dict[Any, Any] = {names.CLASS: pkcs11.ObjectClass.PRIVATE_KEY}
    if uri.label is not None:
        wanted[names.LABEL] = uri.label
    if uri.identifier is not None:
        wanted[names.ID] = uri.identifier
    found = list(session.get_objects(wanted))
    if len(found) != 1:
        what = "no private key" if not found else f"{len(found)} private keys"
        raise UsageError(
            f"{what} of the token fit the URI: {printable(text)}",
            hint="`pkcs11-tool --module MODULE --login -O` lists them; object= and id= name one",
        )
    return found[0]


def _read_public(pkcs11: Any, session: Any, key: Any) -> PublicKey:
    """Return the public half from the public key or the certificate that stands beside the key."""
    names, kinds = pkcs11.Attribute, pkcs11.ObjectClass
    identifier = _attribute(pkcs11, key, "ID")
    same = {names.ID: identifier} if identifier else {names.LABEL: key.label}
    for public in session.get_objects({names.CLASS: kinds.PUBLIC_KEY, **same}):
        return _point(_attribute(pkcs11, public, "EC_PARAMS"), public[names.EC_POINT])
    for certificate in session.get_objects({names.CLASS: kinds.CERTIFICATE, **same}):
        return _certified(certificate[names.VALUE])
    raise UsageError(
        f"the token has no public key and no certificate for {printable(key.label or '')}",
        hint="write the public key to the token with the id of the private one",
    )


def _point(parameters: bytes | None, encoded: bytes) -> PublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    # CKA_EC_POINT is a DER octet string; some tokens hand out what is in it.
    octets = 4
    point = encoded[2:] if encoded[:1] == bytes([octets]) and encoded[1] == len(encoded) - 2 else (
        encoded
    )  # fmt: skip
    curve = _CURVES.get(parameters or b"")
    loaded: EllipticCurvePublicKey | Ed25519PublicKey
    try:
        if curve == "ed25519":
            loaded = ed25519.Ed25519PublicKey.from_public_bytes(point)
        elif curve is not None:
            loaded = ec.EllipticCurvePublicKey.from_encoded_point(getattr(ec, curve)(), point)
        else:
            raise UsageError("the key of the token is not ECDSA P-256, ECDSA P-384 or Ed25519")
    except ValueError:
        raise UsageError("the token's public key is not a point of its curve") from None
    return describe_public(loaded)


def _certified(der: bytes) -> PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.x509 import load_der_x509_certificate

    try:
        key = load_der_x509_certificate(der).public_key()
    except ValueError:
        raise UsageError("the certificate on the token cannot be read") from None
    if isinstance(key, EllipticCurvePublicKey | Ed25519PublicKey):
        return describe_public(key)
    raise UsageError("the key of the token is not ECDSA P-256, ECDSA P-384 or Ed25519")


def _attribute(pkcs11: Any, item: Any, name: str) -> Any:
    """Return an attribute of an object, or None where the token does not know it."""
    try:
        return item[getattr(pkcs11.Attribute, name)]
    except (pkcs11.AttributeTypeInvalid, pkcs11.AttributeSensitive, KeyError):
        return None


def _described(error: Exception) -> str:
    """Return what a token said: its errors are named by their classes."""
    text = f" ({printable(str(error))})" if str(error) else ""
    return f"the token said {type(error).__name__}{text}"
