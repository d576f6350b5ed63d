"""A Sigstore of our own: an authority, a log of certificates, a log of signatures, and signers.

What it makes has the shape of what GitHub's attest action makes, and is verified by the real
sigstore library against `trusted_root`. The keys are made anew; nothing here is secret.
"""

import base64
import hashlib
import json
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

GITHUB = "https://token.actions.githubusercontent.com"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
_SCT_LIST = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_CLAIM = "1.3.6.1.4.1.57264.1."
_TIME = datetime(2025, 6, 1, 12, 0, tzinfo=UTC)


class SigstoreChain:
    """One authority with its logs."""

    def __init__(self) -> None:
        self._authority, self._certificates, self._signatures = (
            ec.generate_private_key(ec.SECP256R1()) for _ in range(3)
        )
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a sigstore of our own")])
        key = self._authority.public_key()
        self._root = (
            x509.CertificateBuilder(name, name, key, x509.random_serial_number())
            .not_valid_before(_TIME - timedelta(days=1))
            .not_valid_after(_TIME + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
            .add_extension(_usage(sign=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .sign(self._authority, hashes.SHA256())
        )

    @property
    def trusted_root(self) -> bytes:
        """The keys, as Sigstore publishes its own."""
        start = {"start": "2021-01-01T00:00:00Z"}
        authority = {
            "subject": {"organization": "none", "commonName": "a sigstore of our own"},
            "uri": "https://authority.invalid",
            "certChain": {"certificates": [{"rawBytes": _b64(_der(self._root))}]},
            "validFor": start,
        }
        return json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [_log(self._signatures)],
                "certificateAuthorities": [authority],
                "ctlogs": [_log(self._certificates)],
                "timestampAuthorities": [],
            },
            indent=2,
        ).encode()

    def attest(
        self,
        sha256: str,
        repository: str,
        *,
        workflow: str = ".github/workflows/release.yml",
        predicate: str = "https://slsa.dev/provenance/v1",
        name: str = "the archive",
    ) -> dict[str, Any]:
        """Return a bundle by a repository's workflow at GitHub about the file with this digest."""
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": name, "digest": {"sha256": sha256}}],
            "predicateType": predicate,
            "predicate": {},
        }
        return self.sign_statement(statement, repository, workflow)

    def sign_statement(self, statement: Any, repository: str, workflow: str) -> dict[str, Any]:
        """Return a bundle with the statement."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certify(key, repository, f"{repository}/{workflow}@refs/tags/v1")
        payload = json.dumps(statement).encode()
        message = b"DSSEv1 %d %s %d %s" % (
            len(PAYLOAD_TYPE),
            PAYLOAD_TYPE.encode(),
            len(payload),
            payload,
        )
        signature = _sign(key, message)
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": _b64(_der(certificate))},
                "tlogEntries": [self._log_entry(payload, signature, certificate)],
            },
            "dsseEnvelope": {
                "payload": _b64(payload),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": _b64(signature)}],
            },
        }

    def _certify(
        self, key: ec.EllipticCurvePrivateKey, repository: str, workflow: str
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self._root.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_TIME)
            .not_valid_after(_TIME + timedelta(minutes=10))
            .add_extension(_usage(sign=True), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._authority.public_key()),
                critical=False,
            )
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(workflow)]),
                critical=True,
            )
        )
        reference = workflow.rpartition("@")[2]
        claims = {8: GITHUB, 12: repository, 14: reference, 18: workflow}
        for number, value in claims.items():
            text = value.encode()
            data = bytes([0x0C, len(text)]) if len(text) < 0x80 else bytes([0x0C, 0x81, len(text)])
            claim = x509.UnrecognizedExtension(ObjectIdentifier(f"{_CLAIM}{number}"), data + text)
            builder = builder.add_extension(claim, critical=False)
        before = builder.sign(self._authority, hashes.SHA256())
        stamped = x509.UnrecognizedExtension(_SCT_LIST, self._stamp(before))
        return builder.add_extension(stamped, critical=False).sign(self._authority, hashes.SHA256())

    def _stamp(self, certificate: x509.Certificate) -> bytes:
        """Return a list of one signed certificate timestamp, RFC 6962 section 3.2."""
        issuer = hashlib.sha256(_spki(self._authority)).digest()
        body = certificate.tbs_certificate_bytes
        time = struct.pack("!Q", int(_TIME.timestamp() * 1000))
        signed = b"\x00\x00" + time + b"\x00\x01" + issuer + len(body).to_bytes(3, "big") + body
        signature = _sign(self._certificates, signed + b"\x00\x00")
        log = hashlib.sha256(_spki(self._certificates)).digest()
        stamp = b"\x00" + log + time + b"\x00\x00\x04\x03" + _sized(signature)
        listed = _sized(_sized(stamp))
        return (
            bytes([0x04, len(listed)]) + listed
            if len(listed) < 0x80
            else (bytes([0x04, 0x81, len(listed)]) + listed)
        )

    def _log_entry(
        self, payload: bytes, signature: bytes, certificate: x509.Certificate
    ) -> dict[str, Any]:
        """Return the entry of a log that has this one alone."""
        body = json.dumps(
            {
                "apiVersion": "0.0.1",
                "kind": "dsse",
                "spec": {
                    "envelopeHash": {"algorithm": "sha256", "value": "0" * 64},
                    "payloadHash": {
                        "algorithm": "sha256",
                        "value": hashlib.sha256(payload).hexdigest(),
                    },
                    "signatures": [
                        {
                            "signature": _b64(signature),
                            "verifier": _b64(certificate.public_bytes(serialization.Encoding.PEM)),
                        }
                    ],
                },
            },
            separators=(",", ":"),
        ).encode()
        log = hashlib.sha256(_spki(self._signatures)).digest()
        leaf = hashlib.sha256(b"\x00" + body).digest()
        time = int(_TIME.timestamp()) + 1
        promised = {"body": _b64(body), "integratedTime": time, "logID": log.hex(), "logIndex": 0}
        promise = json.dumps(promised, sort_keys=True, separators=(",", ":")).encode()
        note = f"log.invalid\n1\n{_b64(leaf)}\n"
        noted = _b64(log[:4] + _sign(self._signatures, note.encode()))
        return {
            "logIndex": "0",
            "logId": {"keyId": _b64(log)},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(time),
            "inclusionPromise": {"signedEntryTimestamp": _b64(_sign(self._signatures, promise))},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": _b64(leaf),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": f"{note}\n\N{EM DASH} log.invalid {noted}\n"},
            },
            "canonicalizedBody": _b64(body),
        }


def _usage(*, sign: bool) -> x509.KeyUsage:
    no = dict.fromkeys(
        (
            *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("encipher_only", "decipher_only"),
        ),
        False,
    )
    return x509.KeyUsage(digital_signature=sign, key_cert_sign=not sign, crl_sign=not sign, **no)


def _log(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    return {
        "baseUrl": "https://log.invalid",
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": _b64(_spki(key)),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": {"start": "2021-01-01T00:00:00Z"},
        },
        "logId": {"keyId": _b64(hashlib.sha256(_spki(key)).digest())},
    }


def _sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def _spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
