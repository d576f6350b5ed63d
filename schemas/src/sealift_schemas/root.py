"""The root: the signed list of keys and thresholds that a target trusts, after TUF's.

Version N+1 is signed by the root thresholds of N and of N+1 (TUF specification, section 5.3).
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from sealift_schemas.lean import dataclass, field
from sealift_schemas.manifest import STREAM
from sealift_schemas.pattern import Pattern
from sealift_schemas.strictjson import (
    SHA256,
    DocumentError,
    Fields,
    check_integer,
    check_text,
    encode,
    parse,
    shorten,
)

FORMAT = 1
PAYLOAD_TYPE = "application/vnd.sealift.root.v1+json"
ROLES = ("root", "release", "builder")
SCHEMES = ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ed25519")
PUBLIC = Pattern(r"[A-Za-z0-9+/]{40,}={0,2}")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key: its scheme and its SubjectPublicKeyInfo in DER."""

    scheme: str
    public: bytes


@dataclass(frozen=True, slots=True)
class Role:
    """Which keys may sign for a role, and how many distinct ones must."""

    keys: tuple[str, ...]
    threshold: int


@dataclass(frozen=True, slots=True)
class StreamRule:
    """The epoch that counts for a stream, and the least sequence that is accepted in it."""

    epoch: int
    min_sequence: int


@dataclass(frozen=True, slots=True)
class Root:
    """One version of the root. Keys are named by the SHA-256 of their SubjectPublicKeyInfo."""

    version: int
    created: str
    keys: Mapping[str, PublicKey]
    roles: Mapping[str, Role]
    schemes: tuple[str, ...] = SCHEMES
    streams: Mapping[str, StreamRule] = field(default_factory=dict)
    withdrawn: tuple[str, ...] = ()
    expires: str | None = None

    @classmethod
    def read(cls, data: bytes, *, what: str, limit: int) -> "Root":
        """Read a root's payload. Nothing here says that it is authentic.

        The key ids are compared with the keys where the keys are loaded, in
        sealift_installer.trust: hashing is not the reader's work.

        Raises:
            DocumentError: it is no root of this format.
        """
        with Fields(parse(data, what=what, limit=limit), what) as fields:
            fields.constant("format", FORMAT)
            root = cls(
                version=fields.integer("version", minimum=1),
                created=fields.time("created"),
                expires=fields.time("expires") if fields.has("expires") else None,
                schemes=fields.items("schemes", _scheme, minimum=1),
                keys=_keys(fields),
                roles=_roles(fields),
                streams=_streams(fields),
                withdrawn=fields.texts("withdrawn", SHA256, "64 lower-case hexadecimal digits"),
            )
        for keyid, key in root.keys.items():
            if key.scheme not in root.schemes:
                where = f"{what}.keys.{keyid}.scheme"
                raise DocumentError(where, "a scheme that this root allows", key.scheme)
        for name, role in root.roles.items():
            unknown = [key for key in role.keys if key not in root.keys]
            if unknown:
                raise DocumentError(f"{what}.roles.{name}", "keys of this root", unknown[0])
        return root

    def to_json(self) -> dict[str, Any]:
        """Return the root as JSON values."""
        expires = {} if self.expires is None else {"expires": self.expires}
        return {
            "format": FORMAT,
            "version": self.version,
            "created": self.created,
            **expires,
            "schemes": list(self.schemes),
            "keys": {
                keyid: {
                    "scheme": key.scheme,
                    "public": base64.b64encode(key.public).decode("ascii"),
                }
                for keyid, key in self.keys.items()
            },
            "roles": {
                name: {"keys": list(role.keys), "threshold": role.threshold}
                for name, role in self.roles.items()
            },
            "streams": {
                name: {"epoch": rule.epoch, "min_sequence": rule.min_sequence}
                for name, rule in self.streams.items()
            },
            "withdrawn": list(self.withdrawn),
        }

    def encode(self) -> bytes:
        """Return the payload that is signed."""
        return encode(self.to_json(), indent=2)


def _scheme(value: object, where: str) -> str:
    if not isinstance(value, str) or value not in SCHEMES:
        raise DocumentError(where, "one of " + ", ".join(SCHEMES), shorten(value))
    return value


def _keys(fields: Fields) -> dict[str, PublicKey]:
    keys = {}
    for keyid, value, place in fields.mapping("keys"):
        check_text(keyid, place, SHA256, "64 lower-case hexadecimal digits")
        with Fields(value, place) as key:
            scheme = key.choice("scheme", SCHEMES)
            text = key.text("public", PUBLIC, "base64 of a SubjectPublicKeyInfo")
            try:
                public = base64.b64decode(text, validate=True)
            except binascii.Error as error:
                raise DocumentError(key.place("public"), "base64", str(error)) from None
            keys[keyid] = PublicKey(scheme, public)
    return keys


def _roles(fields: Fields) -> dict[str, Role]:
    place = fields.place("roles")
    roles = {}
    with Fields(fields.take("roles"), place) as members:
        for name in ROLES:
            with Fields(members.take(name), members.place(name)) as role:
                keys = role.texts("keys", SHA256, "64 lower-case hexadecimal digits")
                if len(set(keys)) != len(keys):
                    role.fail("keys", "each key once", list(keys))
                threshold = role.integer("threshold", minimum=1, maximum=max(len(keys), 1))
                if not keys:
                    role.fail("keys", "at least one key", list(keys))
                roles[name] = Role(keys, threshold)
    return roles


def _streams(fields: Fields) -> dict[str, StreamRule]:
    streams = {}
    for name, value, place in fields.mapping("streams"):
        check_text(name, place, STREAM, "a stream's name")
        with Fields(value, place) as rule:
            streams[name] = StreamRule(
                epoch=check_integer(rule.take("epoch"), rule.place("epoch"), 1),
                min_sequence=check_integer(
                    rule.take("min_sequence"), rule.place("min_sequence"), 0
                ),
            )
    return streams
