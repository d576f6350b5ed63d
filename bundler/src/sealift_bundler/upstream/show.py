"""What publishers say of an archive, for people; and where a bundle says it."""

import hashlib
from collections.abc import Sequence

from sealift_installer.bundle import Bundle
from sealift_installer.errors import Damaged, documents_damaged, mismatch, printable
from sealift_installer.limits import LIMITS
from sealift_schemas.envelope import Envelope
from sealift_schemas.manifest import Manifest
from sealift_schemas.provenance import PATH, Provenance
from sealift_schemas.upstream import UpstreamEvidence

# What a detail ends with where somebody else answered for the publisher.
AT_A_MIRROR = "asked at a mirror"
_SUBJECTS = {
    "checksum-file": "list of digests",
    "release-digest": "digest by GitHub",
    "attestation": "attestation",
    "pep740": "provenance (PEP 740)",
}


def describe(evidence: Sequence[UpstreamEvidence]) -> str:
    """Return one line about the evidence of one archive: what confirms it comes first."""
    if not evidence:
        return "nobody was asked"
    lines = [_describe(one) for one in sorted(evidence, key=lambda one: not one.confirms)]
    if any((one.detail or "").endswith(AT_A_MIRROR) for one in evidence):
        lines.append(AT_A_MIRROR)
    return "; ".join(lines)


def find_lost(before: Sequence[UpstreamEvidence], after: Sequence[UpstreamEvidence]) -> list[str]:
    """Return what confirmed the one archive and does not confirm the other, for people."""
    kinds = {one.kind for one in after if one.confirms}
    lost = (one.kind for one in before if one.confirms and one.kind not in kinds)
    return [_SUBJECTS[kind] for kind in dict.fromkeys(lost)]


def read_bundle_evidence(
    bundle: Bundle, manifest: Manifest
) -> dict[str, tuple[UpstreamEvidence, ...]]:
    """Return by archive what the provenance of a bundle says; nothing where there is none.

    It is the file that the manifest lists; who signed it is not looked at here.

    Raises:
        Damaged: it is malformed, or not that file.
        HostError: it cannot be read.
    """
    listed = next((file for file in manifest.files if file.path == PATH), None)
    if listed is None:
        return {}
    data = bundle.read(PATH, LIMITS.envelope)
    computed = hashlib.sha256(data).hexdigest()
    if computed != listed.sha256:
        raise Damaged(mismatch(f"wrong SHA-256: {PATH}", listed.sha256, computed))
    with documents_damaged(PATH):
        envelope = Envelope.read(data, what=PATH, limit=LIMITS.envelope)
        provenance = Provenance.read(envelope.payload, what=PATH, limit=LIMITS.envelope)
    return {one.name: one.upstream for one in provenance.dependencies if one.kind == "archive"}


def _describe(evidence: UpstreamEvidence) -> str:
    what = _SUBJECTS[evidence.kind]
    told = printable((evidence.detail or "").removesuffix(AT_A_MIRROR).removesuffix("; "))
    detail = f" ({told})" if told else ""
    if evidence.result == "verified":
        return f"{what} verified{detail}"
    if evidence.result == "agrees":
        name = what if evidence.kind == "release-digest" else evidence.name
        return f"agrees with {name or 'the list of digests'}{detail}"
    if evidence.result == "carried":
        return f"{what} carried, not verified{detail}"
    if evidence.result == "absent":
        return f"no {what}{detail}"
    return f"{what} unknown{detail}"
