"""Private keys under a passphrase: PKCS #8 with PBES2, as RFC 8018 describes it.

cryptography's own encryption of PKCS #8 derives the key with 2,048 iterations. Here it is PBKDF2
with HMAC-SHA-256 and 600,000 iterations, so that a guess costs about a tenth of a second. What
comes out is read by cryptography and by `openssl pkey`.
"""

import base64
import os

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

# OWASP's password storage guidance for PBKDF2-HMAC-SHA256.
ITERATIONS = 600_000
_PBES2 = "1.2.840.113549.1.5.13"
_PBKDF2 = "1.2.840.113549.1.5.12"
_HMAC_SHA256 = "1.2.840.113549.2.9"
_AES256_CBC = "2.16.840.1.101.3.4.1.42"
_INTEGER, _OCTETS, _NULL, _OBJECT, _SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
_LONG_FORM = 0x80


def encrypt_private_key(key: bytes, passphrase: bytes, *, iterations: int = ITERATIONS) -> bytes:
    """Return `key`, a PrivateKeyInfo in DER, as PEM of an EncryptedPrivateKeyInfo."""
    salt, vector = os.urandom(16), os.urandom(16)
    derived = PBKDF2HMAC(hashes.SHA256(), 32, salt, iterations).derive(passphrase)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES256(derived), modes.CBC(vector)).encryptor()
    secret = encryptor.update(padder.update(key) + padder.finalize()) + encryptor.finalize()
    derivation = _sequence(
        _object(_PBKDF2),
        _sequence(
            _tagged(_OCTETS, salt),
            _integer(iterations),
            _sequence(_object(_HMAC_SHA256), _tagged(_NULL, b"")),
        ),
    )
    cipher = _sequence(_object(_AES256_CBC), _tagged(_OCTETS, vector))
    algorithm = _sequence(_object(_PBES2), _sequence(derivation, cipher))
    return _pem(_sequence(algorithm, _tagged(_OCTETS, secret)))


def _pem(der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    label = b"ENCRYPTED PRIVATE KEY-----"
    return b"\n".join([b"-----BEGIN " + label, *lines, b"-----END " + label, b""])


def _tagged(tag: int, content: bytes) -> bytes:
    """Return tag, length and content in DER (X.690, section 8.1)."""
    length = len(content)
    if length < _LONG_FORM:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, _LONG_FORM | len(size)]) + size + content


def _sequence(*parts: bytes) -> bytes:
    return _tagged(_SEQUENCE, b"".join(parts))


def _integer(value: int) -> bytes:
    return _tagged(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _object(dotted: str) -> bytes:
    first, second, *rest = (int(number) for number in dotted.split("."))
    content = bytes([40 * first + second])
    for number in rest:
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(_LONG_FORM | number & 0x7F)
        content += bytes(reversed(digits))
    return _tagged(_OBJECT, content)
