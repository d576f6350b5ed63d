"""What a bundle says about how it came to be: provenance and verification summary.

Both are in the signed set, so the release keys vouch for their bytes. Here it is checked that they
are what they claim: signed by the role `builder` of the current root, each of the type that its
name is for, about the archives of this bundle and no others. A bundle may have none of them.
"""

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from sealift_installer.authenticate import Authenticated
from sealift_installer.bundle import Bundle
from sealift_installer.chunks import AuthenticatedFile, read_authenticated
from sealift_installer.errors import Damaged, Untrusted, documents_damaged, mismatch, printable
from sealift_installer.trust.dsse import check_type, count_signers
from sealift_schemas.envelope import Envelope, LongEnvelope
from sealift_schemas.lean import dataclass
from sealift_schemas.manifest import PAYLOAD_TYPE, Archive
from sealift_schemas.payload import BundleFile
from sealift_schemas.pieces import split
from sealift_schemas.provenance import PATH as PROVENANCE
from sealift_schemas.provenance import Provenance
from sealift_schemas.statement import Named, Subject
from sealift_schemas.strictjson import DocumentError
from sealift_schemas.vsa import PATH as VSA
from sealift_schemas.vsa import POLICY_PATH, Summary

T_co = TypeVar("T_co", covariant=True)

SBOM = "evidence/sbom.cdx.json"
LICENCES = "evidence/licenses/"
LICENCE_INDEX = f"{LICENCES}INDEX.txt"
# What a statement is for stands in these fields; another value is another thing, not a damaged one.
_TYPE_FIELDS = ("_type", "predicateType", "predicate.buildDefinition.buildType")
_HINT = "the evidence was made for another bundle; ask the site to build this one anew"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence of a bundle, checked. `builders` are the key ids that signed all of it.

    `sbom` tells whether there is one, `licences` how many licence texts there are; both are read
    by sealift_installer.sbom when somebody asks.
    """

    provenance: Provenance | None
    summary: Summary | None
    builders: tuple[str, ...]
    sbom: bool
    licences: int

    def to_json(self) -> dict[str, Any]:
        """Return what is there as JSON values, for a report of a command."""
        summary = self.summary
        return {
            "provenance": self.provenance is not None,
            "summary": summary is not None,
            "levels": [] if summary is None else list(summary.levels),
            "builders": list(self.builders),
            "sbom": self.sbom,
            "licences": self.licences,
        }


class _Reader(Protocol[T_co]):
    def __call__(self, data: bytes | memoryview, *, limit: int, what: str) -> T_co: ...


def check_evidence(authenticated: Authenticated) -> Evidence:
    """Read and check the evidence of an authenticated bundle.

    Raises:
        Untrusted: a statement is not signed as the role `builder` asks for, or is one of another
            type.
        Damaged: a statement is malformed, or about something that is not in this bundle.
        HostError: it cannot be read.
    """
    provenance, builders = _read(authenticated, PROVENANCE, Provenance.read)
    summary, verifiers = _read(authenticated, VSA, Summary.read)
    if provenance is not None:
        _check_provenance(authenticated, provenance)
    else:
        builders = verifiers
    if summary is not None:
        _check_summary(authenticated, summary)
    if provenance is not None and summary is not None:
        # It is one bundle that both speak of, and one who built and verified.
        builders &= verifiers
        _compare(VSA, "resourceUri", provenance.invocation, summary.resource)
        _compare(VSA, "verifier.id", provenance.builder, summary.verifier)
    return Evidence(
        provenance=provenance,
        summary=summary,
        builders=tuple(sorted(builders)),
        sbom=SBOM in authenticated.files,
        licences=sum(
            path.startswith(LICENCES) and path != LICENCE_INDEX for path in authenticated.files
        ),
    )


def subject_name(archive: Archive) -> str:
    """Return what a statement calls an archive: its path, without the number of a part."""
    first = archive.parts[0]
    return first.removesuffix(".001") if len(archive.parts) > 1 else first


def _read(
    authenticated: Authenticated, path: str, read: _Reader[T_co]
) -> tuple[T_co | None, set[str]]:
    """Return the statement at `path` and who signed it, None if there is none."""
    file = authenticated.files.get(path)
    if file is None:
        return None, set()
    limit = authenticated.bundle.limits.envelope
    envelope = _read_envelope(authenticated.bundle, file, limit)
    check_type(envelope, PAYLOAD_TYPE, path)
    signers = count_signers(envelope, authenticated.root.root, "builder", path)
    try:
        statement = read(envelope.payload, limit=limit, what=path)
    except DocumentError as error:
        if error.where.removeprefix(f"{path}.") in _TYPE_FIELDS:
            # Signed by those whom we trust, but for another purpose.
            raise Untrusted(
                f"what was signed is not what {path} is for: {printable(error.where)}\n"
                f"  Expected: {error.expected}\n  Found: {printable(error.found)}"
            ) from None
        with documents_damaged(path):
            raise
    return statement, set(signers.valid)


def _read_envelope(bundle: Bundle, file: BundleFile, limit: int) -> LongEnvelope | Envelope:
    """Read an authenticated envelope; of a long one there is one copy in memory."""
    if file.size <= limit:
        chunks = AuthenticatedFile(bundle, (file,), file.sha256, file.path).chunks()
        pieces = (piece for chunk in chunks for piece in split(chunk))
        found = LongEnvelope.read(pieces, what=file.path)
        if found is not None:
            return found
    data = read_authenticated(bundle, file, limit)
    with documents_damaged(file.path):
        return Envelope.read(data, what=file.path, limit=limit)


def _check_provenance(authenticated: Authenticated, provenance: Provenance) -> None:
    manifest, parameters = authenticated.manifest, provenance.parameters
    _check_subjects(PROVENANCE, provenance.subjects, manifest.archives)
    for name, expected, found in (
        ("stream", manifest.stream, parameters.stream),
        ("sequence", manifest.sequence, parameters.sequence),
        ("epoch", manifest.epoch, provenance.epoch),
        ("created", manifest.created, parameters.created),
        ("expires", manifest.expires, parameters.expires),
    ):
        _compare(PROVENANCE, name, expected, found)
    names = {archive.name: archive.sha256 for archive in manifest.archives}
    fetched = {one.name: one.sha256 for one in provenance.dependencies if one.kind == "archive"}
    if fetched != names or {one.name for one in parameters.archives} != names.keys():
        raise Damaged(f"{PROVENANCE} names other archives than the manifest", hint=_HINT)
    _check_files(authenticated, PROVENANCE, provenance.byproducts)


def _check_summary(authenticated: Authenticated, summary: Summary) -> None:
    _check_subjects(VSA, summary.subjects, authenticated.manifest.archives)
    _compare(VSA, "timeVerified", authenticated.manifest.created, summary.time)
    policy = Named(POLICY_PATH, summary.policy)
    _check_files(authenticated, VSA, (policy, *summary.attestations))


def _check_subjects(path: str, subjects: Iterable[Subject], archives: Iterable[Archive]) -> None:
    """Check that a statement is about the archives of this bundle: all of them, and nothing else."""
    carried = {subject_name(archive): archive.sha256 for archive in archives}
    seen = set()
    for subject in subjects:
        seen.add(subject.name)
        expected = carried.get(subject.name, "an archive of the manifest")
        if expected != subject.sha256:
            name = printable(subject.name)
            what = f"{path} speaks of something that is not in this bundle: {name}"
            raise Damaged(mismatch(what, expected, subject.sha256), hint=_HINT)
    for name in carried:
        if name not in seen:
            raise Damaged(f"{path} does not speak of {name}", hint=_HINT)


def _check_files(authenticated: Authenticated, path: str, named: Iterable[Named]) -> None:
    """Check that files that a statement names are those of the bundle."""
    for one in named:
        file = authenticated.files.get(one.name)
        if file is None:
            raise Damaged(f"{path} names a file that is not in the bundle: {printable(one.name)}")
        if file.sha256 != one.sha256:
            what = f"{path} speaks of another {printable(one.name)}"
            raise Damaged(mismatch(what, file.sha256, one.sha256), hint=_HINT)


def _compare(path: str, name: str, expected: object, found: object) -> None:
    if expected != found:
        what = f"{path} is about another bundle: {name}"
        raise Damaged(mismatch(what, expected, printable(str(found))), hint=_HINT)
