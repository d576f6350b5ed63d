"""Sealing: a bundle is called sealed when the installer's own verification accepts it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sealift_bundler.progress import Progress
from sealift_bundler.schema import check_documents
from sealift_bundler.schema_pieces import Pieces
from sealift_bundler.site import clock_time
from sealift_installer.authenticate import Authenticated, Terms, authenticate
from sealift_installer.bundle import ENVELOPE, MANIFEST, Bundle, root_name
from sealift_installer.errors import documents_damaged, host_errors
from sealift_installer.evidence import Evidence, check_evidence
from sealift_installer.limits import LIMITS
from sealift_installer.preflight import check_names
from sealift_installer.trust.dsse import read_envelope
from sealift_installer.trust.roots import TrustedRoot, read_first_root
from sealift_installer.trust.state import TrustState
from sealift_installer.verify import VerifyReport, verify_files
from sealift_schemas import provenance, vsa
from sealift_schemas.index import Entry
from sealift_schemas.lean import replace
from sealift_schemas.manifest import Manifest
from sealift_schemas.pieces import STEP, split


@dataclass(frozen=True, slots=True)
class Verified:
    """A bundle that was authenticated and read as a whole.

    The provenance is left without what it says of each archive and download.
    """

    authenticated: Authenticated
    report: VerifyReport
    evidence: Evidence


def verify_bundle(path: Path, root: TrustedRoot, watch: Progress | None = None) -> Verified:
    """Verify the bundle at `path` as a target would that trusts `root` and has seen no bundle.

    Args:
        path: the bundle.
        root: whom to trust.
        watch: is told of each file that is read.

    Raises:
        Untrusted: it is not signed as the root asks for.
        Damaged: a file is missing, was added or differs; a document is malformed.
        RefusedByPolicy: it has expired or was withdrawn.
        HostError: it cannot be read.
    """
    authenticated = authenticate(Bundle(path), TrustState(root), Terms(now=clock_time()))
    evidence = _without_lists(check_evidence(authenticated))
    if watch is None:
        return Verified(authenticated, verify_files(authenticated), evidence)
    with watch:
        seen = _Seen(watch, authenticated.manifest)
        return Verified(authenticated, verify_files(authenticated, seen), evidence)


def seal_bundle(path: Path, root: TrustedRoot) -> Verified:
    """Verify the bundle, and check its documents against their JSON Schemas as well.

    Raises:
        Untrusted, Damaged, RefusedByPolicy, HostError: as `verify_bundle`.
    """
    verified = verify_bundle(path, root)
    bundle = verified.authenticated.bundle
    check_documents("manifest", [(MANIFEST, _pieces(bundle, MANIFEST))])
    check_documents("envelope", [(ENVELOPE, _pieces(bundle, ENVELOPE))])
    roots = [root_name(version) for version in bundle.root_versions()]
    check_documents("envelope", [(name, bundle.read(name, LIMITS.root)) for name in roots])
    payloads = [(name, read_envelope(bundle, name, LIMITS.root).payload) for name in roots]
    check_documents("root", [(name, bytes(payload)) for name, payload in payloads])
    for archive in verified.authenticated.manifest.archives:
        check_names(archive)
        lines = _shapes(verified.authenticated.entries(archive))
        check_documents("index", [(archive.index, entry.encode()) for entry in lines])
    _check_statements(verified)
    return verified


def read_trusted_root(data: bytes, sha256: str) -> TrustedRoot:
    """Return the root in `data`, a file with this SHA-256; its own threshold must stand.

    Raises:
        Untrusted: it does not, or the SHA-256 is another one.
        Damaged: it is no root.
    """
    with documents_damaged("the root"):
        return read_first_root(data, sha256)


class _Seen:
    """Tells a Progress how much of each file was read; an archive in parts counts as one."""

    def __init__(self, watch: Progress, manifest: Manifest) -> None:
        self._watch = watch
        self._sizes = {file.path: file.size for file in manifest.files}
        for archive in manifest.archives:
            for part in archive.parts[1:]:
                self._sizes.pop(part, None)
            self._sizes[archive.parts[0]] = archive.size
        self._left = dict(self._sizes)
        watch.expect(len(self._sizes), sum(self._sizes.values()))

    def __call__(self, name: str, size: int) -> None:
        left = self._left[name] = self._left[name] - size
        total = self._sizes[name]
        if left > 0:
            self._watch.show(name, total - left, total)
        else:
            self._watch.finish(name, total, fetched=False)


def _without_lists(evidence: Evidence) -> Evidence:
    """Return the evidence for a build that has much to do yet: it was checked, item by item."""
    made = evidence.provenance
    if made is None:
        return evidence
    parameters = replace(made.parameters, archives=())
    made = replace(made, subjects=(), dependencies=(), parameters=parameters)
    return replace(evidence, provenance=made)


def _check_statements(verified: Verified) -> None:
    """Check the evidence that is signed, envelope and payload, against its schemas."""
    bundle, evidence = verified.authenticated.bundle, verified.evidence
    for schema, path, statement in (
        ("provenance", provenance.PATH, evidence.provenance),
        ("vsa", vsa.PATH, evidence.summary),
    ):
        if statement is not None:
            check_documents("envelope", [(path, _pieces(bundle, path))])
            envelope = read_envelope(bundle, path, LIMITS.envelope)
            check_documents(schema, [(path, partial(split, envelope.payload))])
            del envelope  # of a long one there shall be no other in memory


def _pieces(bundle: Bundle, name: str) -> Pieces:
    """Return what reads a long document of the bundle piece by piece."""

    def read() -> Iterator[bytes]:
        with bundle.open(name) as file, host_errors(f"cannot read {name} in the bundle"):
            while data := file.read(STEP):
                yield data

    return read


def _shapes(entries: tuple[Entry, ...]) -> list[Entry]:
    """Return one line of each shape.

    The strict reader has read them all; jsonschema would take half a minute for 200,000 lines, and
    what it can tell about the second line of a shape, it has told about the first.
    """
    by_shape = {(entry.type, *sorted(entry.to_json())): entry for entry in reversed(entries)}
    return list(by_shape.values())
