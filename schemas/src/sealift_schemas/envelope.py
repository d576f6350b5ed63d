"""DSSE envelopes: https://github.com/secure-systems-lab/dsse, version 1.

Only the syntax; who signed is decided by sealift_installer.trust. An envelope equals its canonical
re-encoding, so that there is one byte sequence for each (base64 has spare bits, JSON has spaces).
"""

import base64
import binascii
import io
from collections.abc import Iterable, Iterator

from sealift_schemas.lean import dataclass, replace
from sealift_schemas.pattern import Pattern
from sealift_schemas.strictjson import SHA256, DocumentError, Fields, encode, parse

# The decoder counts the padding. A pattern that did would cost 40 times the memory of the payload.
BASE64 = Pattern(r"[A-Za-z0-9+/]*={0,2}")
# From so many bytes on the payload is not given to the parser.
_LARGE = 256 * 1024
# Bytes that are written at a time: three of them are four digits.
_STEP = 3 * 64 * 1024
_BEFORE_PAYLOAD = b'{"payload":"'


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
            written = _read_written(data, what, least)
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
        return _pieces(self.payload, self.payload_type, self.signatures)

    @property
    def signed_bytes(self) -> bytes:
        """What a signature covers: DSSE's pre-authentication encoding of type and payload."""
        return pre_authentication_encoding(self.payload_type, self.payload)


@dataclass(frozen=True, slots=True)
class LongEnvelope:
    """An envelope whose payload is megabytes: there is one copy of it, in the bytes that are signed.

    `size` is that of the payload, which stands at their end.
    """

    signed_bytes: bytes | bytearray
    size: int
    payload_type: str
    signatures: tuple[Signature, ...] = ()

    @classmethod
    def around(
        cls, payload_type: str, size: int, pieces: Iterable[bytes | memoryview]
    ) -> "LongEnvelope":
        """Return an envelope without signatures around a payload of `size` bytes, in pieces.

        Raises:
            ValueError: they are more or fewer bytes.
        """
        signed = io.BytesIO()
        start = signed.write(_before_signed(payload_type, size))
        signed.writelines(pieces)
        if signed.tell() != start + size:
            raise ValueError("not the size that was announced")
        return cls(signed.getvalue(), size, payload_type)

    @classmethod
    def read(
        cls, pieces: Iterable[bytes | memoryview], *, what: str, least: int = 1
    ) -> "LongEnvelope | None":
        """Read an envelope in its canonical encoding from its bytes, which come in pieces.

        The payload is cut out and decoded by itself. What is left is an envelope of an empty one.

        Returns None if it takes `Envelope.read` to say what it is.
        """
        reading = _Reading()
        try:
            for piece in pieces:
                reading.add(piece)
            rest = Envelope.read(reading.finish(), what=what, limit=_LARGE, least=least)
        except (binascii.Error, DocumentError):
            return None
        payload = reading.payload
        size = len(payload)
        payload[:0] = _before_signed(rest.payload_type, size)
        return cls(payload, size, rest.payload_type, rest.signatures)

    @property
    def payload(self) -> memoryview:
        """The payload."""
        return memoryview(self.signed_bytes)[len(self.signed_bytes) - self.size :]

    def pieces(self) -> Iterator[bytes]:
        """Yield the canonical encoding, as `Envelope.pieces` does."""
        return _pieces(self.payload, self.payload_type, self.signatures)

    def signed_by(self, signatures: Iterable[Signature]) -> "LongEnvelope":
        """Return the envelope with these signatures and no others."""
        return replace(self, signatures=tuple(signatures))


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return `DSSEv1 LEN(type) type LEN(payload) payload`, lengths in bytes (DSSE protocol)."""
    return b"".join((_before_signed(payload_type, len(payload)), payload))


def _before_signed(payload_type: str, size: int) -> bytes:
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d " % (len(kind), kind, size)


def _pieces(
    payload: bytes | memoryview, payload_type: str, signatures: Iterable[Signature]
) -> Iterator[bytes]:
    rest = {
        "payloadType": payload_type,
        "signatures": [
            {
                "keyid": signature.keyid,
                "sig": base64.b64encode(signature.signature).decode("ascii"),
            }
            for signature in signatures
        ],
    }
    yield _BEFORE_PAYLOAD
    # Base64 stands in JSON as it is.
    for start in range(0, len(payload), _STEP):
        yield base64.b64encode(memoryview(payload)[start : start + _STEP])
    yield b'",'
    yield encode(rest)[1:]


class _Reading:
    """An envelope that is read piece by piece: the payload, decoded, and what is not decoded yet."""

    def __init__(self) -> None:
        self.payload = bytearray()
        self._left = b""
        self._began = self._ended = False

    def add(self, piece: bytes | memoryview) -> None:
        """Take the next bytes.

        Raises:
            binascii.Error: they cannot be what comes next.
        """
        self._left += piece
        if not self._began:
            if len(self._left) < len(_BEFORE_PAYLOAD):
                return
            if not self._left.startswith(_BEFORE_PAYLOAD):
                raise binascii.Error
            self._left = self._left[len(_BEFORE_PAYLOAD) :]
            self._began = True
        if not self._ended:
            self._decode()
        elif len(self._left) > _LARGE:
            raise binascii.Error

    def finish(self) -> bytes:
        """Return the same envelope without the payload.

        Raises:
            binascii.Error: it does not end as an envelope does.
        """
        if not self._ended:
            raise binascii.Error
        return _BEFORE_PAYLOAD + self._left

    def _decode(self) -> None:
        end = self._left.find(b'"')
        self._ended = end >= 0
        # The last four digits are left until it is known that they are the last.
        end = end if self._ended else max(len(self._left) - 1, 0) // 4 * 4
        text = self._left[:end]
        decoded = binascii.a2b_base64(text, strict_mode=True)
        if self._ended:
            # Bits to spare are in the last four digits.
            last = decoded[-(len(decoded) % 3 or 3) :]
            if not text or binascii.b2a_base64(last, newline=False) != text[-4:]:
                raise binascii.Error
        elif len(decoded) != end // 4 * 3:
            raise binascii.Error
        self.payload += decoded
        self._left = self._left[end:]


def _read_written(data: bytes, what: str, least: int) -> Envelope | None:
    """Read a large envelope in its canonical encoding; None: it takes the parser to say what it is."""
    view = memoryview(data)
    pieces = (view[start : start + _STEP] for start in range(0, len(data), _STEP))
    found = LongEnvelope.read(pieces, what=what, least=least)
    if found is None:
        return None
    return Envelope(bytes(found.payload), found.payload_type, found.signatures)


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
