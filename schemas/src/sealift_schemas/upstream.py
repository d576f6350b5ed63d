"""What an archive's publisher says about it beside its bytes: checksum lists, attestations.

`result` is what became of it: `verified` a signature by the publisher was verified, `agrees` a
digest that the publisher states is ours, `carried` it travels unchecked, `absent` there is none,
`unreachable` nobody could tell. A disagreement is no result: nothing is locked then.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sealift_schemas.lean import dataclass
from sealift_schemas.pattern import Pattern
from sealift_schemas.strictjson import DocumentError, Fields, shorten

# The results that each kind of evidence can have: a digest is compared, a signature is verified.
_NOTHING = ("absent", "unreachable")
_RESULTS: Mapping[str, tuple[str, ...]] = {
    "checksum-file": ("agrees", *_NOTHING),
    "release-digest": ("agrees", *_NOTHING),
    "attestation": ("verified", "carried", *_NOTHING),
    "pep740": ("verified", "carried", *_NOTHING),
}
KINDS = tuple(_RESULTS)
RESULTS = ("verified", "agrees", "carried", "absent", "unreachable")
# These say that the publisher vouches for the bytes that we have.
CONFIRMING = ("verified", "agrees")

# An address that anybody may read: without user, password, query and fragment.
SOURCE = Pattern(r"https?://[^\x00-\x20\x7f@/?#\\]+(?:/[^\x00-\x20\x7f?#\\]*)?")
FILE_NAME = Pattern(r"[A-Za-z0-9_](?:[A-Za-z0-9._+-]{0,118}[A-Za-z0-9_+-])?")
# Printable ASCII, as a certificate's names and our own words are shown.
DETAIL = Pattern(r"[ -~]{1,500}")
FOLDER = "evidence/upstream"
# Sigstore's own keys, one set a line, by which what is carried can be verified.
TRUSTED_ROOT = f"{FOLDER}/trusted_root.jsonl"


@dataclass(frozen=True, slots=True)
class UpstreamEvidence:
    """One piece of evidence about an archive, or that there is none.

    Attributes:
        kind: one of `KINDS`.
        result: one of `RESULTS`.
        source: the address where it was looked for.
        name: of the file that is carried, if one is; `sha256` and `size` (bytes) are its own.
        detail: who signed, or why there is nothing; for people.
    """

    kind: str
    result: str
    source: str
    name: str | None = None
    sha256: str | None = None
    size: int | None = None
    detail: str | None = None

    @property
    def confirms(self) -> bool:
        """Whether the publisher vouches for the bytes that we have."""
        return self.result in CONFIRMING

    def path(self, archive_sha256: str) -> str | None:
        """Return where the file stands in a bundle, for the archive with this digest, or None."""
        return None if self.name is None else f"{FOLDER}/{archive_sha256}/{self.name}"

    @classmethod
    def from_json(cls, value: object, where: str) -> "UpstreamEvidence":
        """Read one item of `upstream`."""
        with Fields(value, where) as fields:
            kind = fields.choice("kind", KINDS)
            result = fields.choice("result", _RESULTS[kind])
            source = fields.text("source", SOURCE, "an address without credentials and query")
            detail = fields.optional_text("detail", DETAIL, "printable ASCII")
            # What only agrees need not travel, and what is not there cannot: then any of the three
            # is an unknown field.
            named = not {"name", "sha256", "size"}.isdisjoint(fields.names)
            has_file = result not in _NOTHING and (named or result != "agrees")
            return cls(
                kind=kind,
                result=result,
                source=source,
                name=fields.text("name", FILE_NAME, "a portable file name") if has_file else None,
                sha256=fields.sha256("sha256") if has_file else None,
                size=fields.integer("size", minimum=1) if has_file else None,
                detail=detail,
            )

    def to_json(self) -> dict[str, Any]:
        """Return the evidence as JSON values."""
        values = {
            "kind": self.kind,
            "result": self.result,
            "source": self.source,
            "name": self.name,
            "sha256": self.sha256,
            "size": self.size,
            "detail": self.detail,
        }
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class TrustedRootFile:
    """The trusted root that a bundle carries; `size` is in bytes."""

    sha256: str
    size: int

    @classmethod
    def from_json(cls, value: object, where: str) -> "TrustedRootFile":
        """Read `trusted_root` of a lock."""
        with Fields(value, where) as fields:
            return cls(fields.sha256("sha256"), fields.integer("size", minimum=1))

    def to_json(self) -> dict[str, Any]:
        """Return the file as JSON values."""
        return {"sha256": self.sha256, "size": self.size}


def read_evidence(fields: Fields, name: str) -> tuple[UpstreamEvidence, ...]:
    """Take the array `name`; two of its files never have one name, on any file system.

    Raises:
        DocumentError: it is not what the schema describes.
    """
    found = fields.items(name, UpstreamEvidence.from_json)
    _check_distinct((one.name for one in found if one.name is not None), fields.place(name))
    return found


def _check_distinct(names: Iterable[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise DocumentError(where, "names that differ by more than case", shorten(name))
        seen.add(name.lower())
