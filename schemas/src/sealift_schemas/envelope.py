"""DSSE envelopes: https://github.com/secure-systems-lab/dsse, version 1.

Only the syntax; who signed is decided by sealift_installer.trust. An envelope equals its canonical
re-encoding, so that there is one byte sequence for each (base64 has spare bits, JSON has spaces).
"""

import base64
import binascii
from collections.abc import Iterator

from sealift_schemas.lean import dataclass
from sealift_schemas.pattern import Pattern
from sealift_schemas.strictjson import SHA256, DocumentError, Fields, encode, parse

# The decoder counts the padding. A pattern that did would cost 40 times the memory of the payload.
BASE64 = Pattern(r"[A-Za-z0-9+/]*={0,2}")
# From so many bytes on the payload is not given to the parser.
_LARGE = 256 * 1024
# Bytes that are written at a time: three of them are four digits.
_STEP = 3 * 64 * 1024
_BEFORE_PAYLOAD, _BEHIND_PAYLOAD = b'{"payload":"', b'","payloadType":'


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature: the claimed key id (SHA-256 of the SubjectPublicKeyInfo) and its bytes."""

    keyid: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, its type and the signatures over both."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]

    @classmethod
    def read(cls, data: bytes, *, what: str, limit: int, least: int = 1) -> "Envelope":
        """Read an envelope of at most `limit` bytes with at least `least` signatures.

        Raises:
            DocumentError: it is none, or not in its canonical encoding.
        """
        if _LARGE < len(data) <= limit:
            written = _read_written(data, what)
            if written is not None:
                return written
        with Fields(parse(data, what=what, limit=limit), what) as fields:
            # No pattern here: decoding and encoding again is as strict, and quick with megabytes.
            payload = _bytes(fields.text("payload"), fields.place("payload"))
            payload_type = fields.text("payloadType")
            signatures = fields.items("signatures", _signature, minimum=least)
        envelope = cls(payload, payload_type, signatures)
        if envelope.encode() != data:
            raise DocumentError(what, "the canonical encoding of the envelope", "another one")
        return envelope

    def encode(self) -> bytes:
        """Return the canonical encoding: one line, so that sed can take it apart."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """Yield what `encode` returns, so that a large payload is not held in base64 as well."""
        rest = {
            "payloadType": self.payload_type,
            "signatures": [
                {
                    "keyid": signature.keyid,
                    "sig": base64.b64encode(signature.signature).decode("ascii"),
                }
                for signature in self.signatures
            ],
        }
        yield b'{"payload":"'
        # Base64 stands in JSON as it is.
        for start in range(0, len(self.payload), _STEP):
            yield base64.b64encode(memoryview(self.payload)[start : start + _STEP])
        yield b'",'
        yield encode(rest)[1:]

    @property
    def signed_bytes(self) -> bytes:
        """What a signature covers: DSSE's pre-authentication encoding of type and payload."""
        return pre_authentication_encoding(self.payload_type, self.payload)


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return `DSSEv1 LEN(type) type LEN(payload) payload`, lengths in bytes (DSSE protocol)."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _read_written(data: bytes, what: str) -> Envelope | None:
    """Read a large envelope in its canonical encoding; None: it takes the parser to say what it is.

    The payload is cut out and decoded by itself. What is left is an envelope of an empty payload.
    """
    end = data.find(_BEHIND_PAYLOAD)
    if end < 0 or not data.startswith(_BEFORE_PAYLOAD):
        return None
    text = memoryview(data)[len(_BEFORE_PAYLOAD) : end]
    try:
        payload = binascii.a2b_base64(text, strict_mode=True)
        rest = Envelope.read(_BEFORE_PAYLOAD + data[end:], what=what, limit=_LARGE)
    except (binascii.Error, DocumentError):
        return None
    # The bits to spare are in the last four digits.
    if (
        not text
        or binascii.b2a_base64(payload[-(len(payload) % 3 or 3) :], newline=False) != text[-4:]
    ):
        return None
    return Envelope(payload, rest.payload_type, rest.signatures)


def _signature(value: object, where: str) -> Signature:
    with Fields(value, where) as fields:
        return Signature(
            keyid=fields.text("keyid", SHA256, "64 lower-case hexadecimal digits"),
            signature=_bytes(fields.text("sig", BASE64, "base64"), fields.place("sig")),
        )


def _bytes(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise DocumentError(where, "base64", str(error)) from None
