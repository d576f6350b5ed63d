"""The verification summary (VSA): what was verified about each archive before it was carried.

https://slsa.dev/spec/v1.1/verification_summary, with what it has no field for in one field of our
own, named by a URI as that page asks for. What the levels of our own mean is in
docs/reference/build-type.md. It is the payload of evidence/vsa.dsse.json.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sealift_schemas.lean import dataclass
from sealift_schemas.manifest import DIGEST_SOURCES, VERSION
from sealift_schemas.payload import BUNDLE_PATH
from sealift_schemas.pieces import Lists, write_pieces
from sealift_schemas.statement import (
    URI,
    Named,
    Subject,
    read_digest,
    read_statement,
    write_statement,
)
from sealift_schemas.strictjson import DocumentError, Fields, shorten
from sealift_schemas.upstream import UpstreamEvidence, read_evidence

PATH = "evidence/vsa.dsse.json"
PREDICATE_TYPE = "https://slsa.dev/verification_summary/v1"
CHECKS = "https://sealift.invalid/checks/v1"
POLICY = "https://sealift.invalid/policy/v1"
POLICY_PATH = "evidence/policy.txt"
SLSA_VERSION = "1.1"
# What can be claimed. The first says that no claim is made about how an archive was built.
LEVELS = (
    "SLSA_BUILD_LEVEL_UNEVALUATED",
    "SEALIFT_DIGEST_MATCHED",
    "SEALIFT_UPSTREAM_AGREES",
    "SEALIFT_UPSTREAM_SIGNED",
)
# Digests that somebody other than this site named: the others are what the site found or made.
NAMED_ELSEWHERE = ("catalog", "index", "spec")


@dataclass(frozen=True, slots=True)
class Check:
    """What was compared for one archive: its digest with that of `digest_source`, and `upstream`."""

    name: str
    sha256: str
    digest_source: str
    upstream: tuple[UpstreamEvidence, ...] = ()

    @property
    def levels(self) -> tuple[str, ...]:
        """What may be claimed about this archive: no more than was checked."""
        results = {one.result for one in self.upstream}
        met = (
            True,
            self.digest_source in NAMED_ELSEWHERE,
            bool(results & {"verified", "agrees"}),
            "verified" in results,
        )
        return tuple(level for level, holds in zip(LEVELS, met, strict=True) if holds)

    @classmethod
    def from_json(cls, value: object, where: str) -> "Check":
        """Read one entry of our own field."""
        with Fields(value, where) as fields:
            return cls(
                name=fields.text("name", BUNDLE_PATH, "a portable relative path"),
                sha256=read_digest(fields),
                digest_source=fields.choice("digestSource", DIGEST_SOURCES),
                upstream=read_evidence(fields, "upstream"),
            )

    def to_json(self) -> dict[str, Any]:
        """Return the check as JSON values."""
        return {
            "name": self.name,
            "digest": {"sha256": self.sha256},
            "digestSource": self.digest_source,
            "upstream": [one.to_json() for one in self.upstream],
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole statement. `policy` is the SHA-256 of evidence/policy.txt.

    The result is always that the policy holds: of archives for which it does not, there is no
    bundle. The levels are those that hold for every archive.
    """

    verifier: str
    version: str
    time: str
    resource: str
    policy: str
    checks: Sequence[Check]

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """The archives, as the statement names them."""
        return tuple(Subject(check.name, check.sha256) for check in self.checks)

    @property
    def levels(self) -> tuple[str, ...]:
        """What holds for every archive."""
        common = set(LEVELS).intersection(*(check.levels for check in self.checks))
        return tuple(level for level in LEVELS if level in common)

    @property
    def attestations(self) -> tuple[Named, ...]:
        """The statements by publishers that were used, and that travel, by their path."""
        used = {
            path: Named(path, one.sha256, one.source)
            for check in self.checks
            for one in check.upstream
            if one.confirms and one.sha256 is not None
            if (path := one.path(check.sha256)) is not None
        }
        return tuple(used[path] for path in sorted(used))

    @classmethod
    def read(cls, data: bytes | memoryview, *, limit: int, what: str = "vsa") -> "Summary":
        """Read the payload's bytes. Nothing here says that they are authentic.

        Raises:
            DocumentError: they are no summary, or one that claims other than its checks say.
        """
        lists: Lists = {("predicate", CHECKS): Check.from_json}
        subjects, (summary, levels, attestations) = read_statement(
            data, PREDICATE_TYPE, _parts, lists=lists, what=what, limit=limit
        )
        if subjects != summary.subjects:
            raise DocumentError(f"{what}.subject", "the archives of the checks", "others")
        due = summary.levels
        if levels != due:
            place = f"{what}.predicate.verifiedLevels"
            raise DocumentError(place, ", ".join(due), shorten(levels))
        if attestations != summary.attestations:
            place = f"{what}.predicate.inputAttestations"
            raise DocumentError(place, "the attestations of the checks", "others")
        return summary

    def to_json(self, collect: Callable[[Iterator[Any]], Any] = list) -> dict[str, Any]:
        """Return the statement as JSON values; `collect` makes its long lists."""
        predicate = {
            "verifier": {"id": self.verifier, "version": {"sealift": self.version}},
            "timeVerified": self.time,
            "resourceUri": self.resource,
            "policy": Named(POLICY_PATH, self.policy, POLICY).to_json(),
            "inputAttestations": [one.to_json() for one in self.attestations],
            "verificationResult": "PASSED",
            "verifiedLevels": list(self.levels),
            "slsaVersion": SLSA_VERSION,
            CHECKS: collect(check.to_json() for check in self.checks),
        }
        subjects = (Subject(check.name, check.sha256) for check in self.checks)
        return write_statement(subjects, PREDICATE_TYPE, predicate, collect)

    def encode(self) -> bytes:
        """Return the bytes that are signed: indented, so that people can read them."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """Yield what `encode` returns, archive by archive."""
        return write_pieces(self.to_json(iter), indent=2)


def _parts(value: object, where: str) -> tuple[Summary, tuple[str, ...], tuple[Named, ...]]:
    with Fields(value, where) as fields:
        with Fields(fields.take("verifier"), fields.place("verifier")) as verifier:
            name = verifier.text("id", URI, "an absolute URI")
            with Fields(verifier.take("version"), verifier.place("version")) as versions:
                version = versions.text("sealift", VERSION, "a version")
        time = fields.time("timeVerified")
        resource = fields.text("resourceUri", URI, "an absolute URI")
        with Fields(fields.take("policy"), fields.place("policy")) as policy:
            policy.constant("name", POLICY_PATH)
            policy.constant("uri", POLICY)
            digest = read_digest(policy)
        attestations = fields.items("inputAttestations", Named.from_json)
        fields.constant("verificationResult", "PASSED")
        levels = fields.items("verifiedLevels", _level)
        fields.constant("slsaVersion", SLSA_VERSION)
        checks = fields.items(CHECKS, Check.from_json, minimum=1)
    return Summary(name, version, time, resource, digest, checks), levels, attestations


def _level(value: object, where: str) -> str:
    if not isinstance(value, str) or value not in LEVELS:
        raise DocumentError(where, "one of " + ", ".join(LEVELS), shorten(value))
    return value
