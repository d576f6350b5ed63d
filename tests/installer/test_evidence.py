"""Evidence of authenticated bundles: accepted as it is, refused when it is anything else."""

import json
from dataclasses import replace
from typing import Any

import pytest

from sealift_installer.errors import Damaged, Untrusted
from sealift_installer.evidence import check_evidence
from sealift_installer.sbom import read_components, read_licence
from sealift_installer.text_evidence import evidence_line
from sealift_schemas.provenance import PATH as PROVENANCE
from sealift_schemas.root import PAYLOAD_TYPE as ROOT_PAYLOAD_TYPE
from sealift_schemas.statement import Named, Subject
from sealift_schemas.upstream import UpstreamEvidence
from sealift_schemas.vsa import CHECKS, POLICY_PATH, Check
from sealift_schemas.vsa import PATH as VSA
from simulator import BundleSimulator, Member, SimArchive, SimKey, small_bundle
from statements import SBOM, SimEvidence

OTHER = "f" * 64


@pytest.fixture
def site(tmp_path) -> BundleSimulator:
    return small_bundle(tmp_path / "bundle")


@pytest.fixture
def evidence(site) -> SimEvidence:
    made = SimEvidence(site)
    # What follows is shown to be refused; this much is accepted.
    check_evidence(made.write().authenticate())
    return made


def refuse(site: BundleSimulator, error: type[Exception], match: str) -> None:
    # The manifest and everything else in the bundle are as they must be.
    authenticated = site.authenticate()
    with pytest.raises(error, match=match):
        check_evidence(authenticated)


def test_good_evidence_is_accepted(evidence):
    found = check_evidence(evidence.write().authenticate())
    assert found.provenance == evidence.provenance()
    assert found.summary == evidence.summary()
    assert found.builders == (evidence.keys[0].keyid,)
    assert (found.sbom, found.licences) == (True, 0)
    assert evidence_line(found) == (
        f"evidence: provenance and VSA by {evidence.keys[0].keyid[:16]}; "
        "every digest named by a catalogue, an index or the spec; SBOM"
    )


def test_a_bundle_may_have_none(site):
    found = check_evidence(site.authenticate())
    assert (found.provenance, found.summary, found.builders) == (None, None, ())
    assert evidence_line(found) == "evidence: none"


@pytest.mark.parametrize("path", [PROVENANCE, VSA])
def test_one_statement_without_the_other(evidence, path):
    evidence.write()
    (evidence.site.path / path).unlink()
    del evidence.site.payload[path]
    found = check_evidence(evidence.site.write().authenticate())
    assert (found.provenance is None, found.summary is None) == (path == PROVENANCE, path == VSA)
    assert found.builders == (evidence.keys[0].keyid,)


def test_evidence_whose_subject_is_something_else(evidence):
    archive = evidence.provenance().subjects[0]
    other = Subject("archives/fffffffff-other.tar.gz", OTHER)
    for path, field in ((PROVENANCE, "subject"), (VSA, "subject")):

        def change(value: dict[str, Any], field: str = field, path: str = path) -> None:
            value[field] = [other.to_json()]
            if path == VSA:
                value["predicate"][CHECKS][0] |= other.to_json()

        refuse(
            evidence.write(change=change, path=path),
            Damaged,
            rf"{path} speaks of something that is not in this bundle: {other.name}",
        )
    changed = replace_subject(evidence, Subject(archive.name, OTHER))
    refuse(changed, Damaged, rf"not in this bundle(?s:.*)Expected: {archive.sha256}")


def replace_subject(evidence: SimEvidence, *subjects: Subject) -> BundleSimulator:
    return evidence.write(provenance=with_fields(evidence.provenance(), subjects=subjects))


def with_fields(statement: Any, **fields: Any) -> Any:
    return replace(statement, **fields)


def test_evidence_that_leaves_an_archive_out(tmp_path):
    site = small_bundle(tmp_path / "bundle")
    site.add_archive(SimArchive("other-1.0", (Member("file", b"x"),)))
    evidence = SimEvidence(site)
    check_evidence(evidence.write().authenticate())
    first, second = evidence.subjects()
    site = replace_subject(evidence, first)
    refuse(site, Damaged, f"{PROVENANCE} does not speak of {second.name}")
    summary = with_fields(evidence.summary(), checks=evidence.summary().checks[1:])
    refuse(evidence.write(summary=summary), Damaged, f"{VSA} does not speak of {first.name}")


def test_an_archive_in_parts_is_one_subject(tmp_path):
    site = BundleSimulator(tmp_path / "bundle")
    site.add_archive(SimArchive("big-1.0", (Member("file", b"x" * 99),), part_size=64))
    evidence = SimEvidence(site)
    assert not evidence.subjects()[0].name.endswith(".001")
    assert check_evidence(evidence.write().authenticate()).provenance is not None


@pytest.mark.parametrize("who", ["release", "root", "stranger"])
def test_only_builders_sign_evidence(evidence, who):
    site = evidence.site
    keys = {"release": site.release_keys, "root": site.root_keys, "stranger": [SimKey()]}[who]
    evidence.signing = keys
    refuse(evidence.write(), Untrusted, f"too few signatures of {PROVENANCE} by keys(?s:.*)builder")


def test_a_builder_signs_no_manifest(evidence):
    site = evidence.write()
    site.signing_keys = evidence.keys
    with pytest.raises(Untrusted, match=r"too few signatures of manifest(?s:.*)release"):
        site.write().authenticate()


def test_two_builders_are_needed_where_the_root_says_so(site):
    evidence = SimEvidence(site, keys=[SimKey(), SimKey()], threshold=2)
    check_evidence(evidence.write().authenticate())
    evidence.signing = evidence.keys[:1]
    refuse(evidence.write(), Untrusted, r"Expected: 2 distinct keys(?s:.*)Computed: 1")
    # The second signature is by the first key again.
    evidence.signing = [evidence.keys[0], evidence.keys[0]]
    refuse(evidence.write(), Untrusted, r"Expected: 2 distinct keys(?s:.*)Computed: 1")


def test_a_builder_who_was_removed_counts_no_more(evidence):
    site = evidence.write()
    newer = SimKey()
    root = site.next_root()
    builder = replace(root.roles["builder"], keys=(newer.keyid,))
    keys = {name: key for name, key in root.keys.items() if name != evidence.keys[0].keyid} | {
        newer.keyid: newer.public_key
    }
    site.add_root(
        replace(root, keys=keys, roles={**root.roles, "builder": builder}), site.root_keys
    )
    refuse(site.write(), Untrusted, f"{PROVENANCE} by keys that root version 2 trusts for builder")


def test_a_wrong_signature_is_not_passed_over(evidence):
    evidence.write()
    path = evidence.site.payload
    envelope = json.loads(path[PROVENANCE])
    envelope["signatures"][0]["sig"] = json.loads(path[VSA])["signatures"][0]["sig"]
    path[PROVENANCE] = json.dumps(envelope, separators=(",", ":")).encode() + b"\n"
    refuse(evidence.site.write(), Untrusted, f"a signature of {PROVENANCE} does not verify")


def test_statements_in_each_others_place(evidence):
    payload = evidence.site.payload
    evidence.write()
    payload[PROVENANCE], payload[VSA] = payload[VSA], payload[PROVENANCE]
    refuse(
        evidence.site.write(),
        Untrusted,
        rf"not what {PROVENANCE} is for: \S+predicateType(?s:.*)slsa",
    )


def test_a_manifest_in_the_place_of_a_statement(evidence):
    evidence.write()
    evidence.put(PROVENANCE, evidence.site.manifest().encode())
    refuse(evidence.site.write(), Untrusted, f"not what {PROVENANCE} is for")


def test_another_payload_type(evidence):
    evidence.payload_type = ROOT_PAYLOAD_TYPE
    refuse(evidence.write(), Untrusted, f"wrong type of the payload of {PROVENANCE}")


def test_another_build_type(evidence):
    def change(value: dict[str, Any]) -> None:
        value["predicate"]["buildDefinition"]["buildType"] = "https://example.invalid/build"

    refuse(evidence.write(change=change), Untrusted, r"buildType(?s:.*)Found: .*example.invalid")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stream", "other"),
        ("sequence", 2),
        ("created", "2026-01-30T09:00:00Z"),
        ("expires", "2036-01-30T09:00:00Z"),
    ],
)
def test_the_evidence_of_another_bundle(evidence, name, value):
    provenance = evidence.provenance()
    parameters = with_fields(provenance.parameters, **{name: value})
    site = evidence.write(provenance=with_fields(provenance, parameters=parameters))
    refuse(site, Damaged, rf"{PROVENANCE} is about another bundle: {name}(?s:.*)Computed: {value}")


def test_the_evidence_of_another_epoch(evidence):
    provenance = with_fields(evidence.provenance(), epoch=2)
    refuse(evidence.write(provenance=provenance), Damaged, "about another bundle: epoch")


def test_two_statements_about_different_bundles(evidence):
    summary = with_fields(evidence.summary(), resource="https://site.invalid/another")
    refuse(evidence.write(summary=summary), Damaged, "about another bundle: resourceUri")
    summary = with_fields(evidence.summary(), verifier="https://other.invalid/builder")
    refuse(evidence.write(summary=summary), Damaged, "about another bundle: verifier.id")
    summary = with_fields(evidence.summary(), time="2025-01-31T09:00:00Z")
    refuse(evidence.write(summary=summary), Damaged, "about another bundle: timeVerified")


def test_downloads_that_are_not_those_of_the_manifest(evidence):
    provenance = evidence.provenance()
    (only,) = provenance.dependencies
    for dependencies in ((), (with_fields(only, sha256=OTHER),), (with_fields(only, name="b"),)):
        site = evidence.write(provenance=with_fields(provenance, dependencies=dependencies))
        refuse(site, Damaged, f"{PROVENANCE} names other archives than the manifest")


def test_files_that_are_not_those_of_the_bundle(evidence):
    provenance = evidence.provenance()
    for named, match in (
        (Named(SBOM, OTHER), rf"{PROVENANCE} speaks of another {SBOM}"),
        (Named("evidence/none", OTHER), "names a file that is not in the bundle: evidence/none"),
    ):
        site = evidence.write(provenance=with_fields(provenance, byproducts=(named,)))
        refuse(site, Damaged, match)
    site = evidence.write(summary=with_fields(evidence.summary(), policy=OTHER))
    refuse(site, Damaged, f"{VSA} speaks of another {POLICY_PATH}")


def test_publishers_files_that_a_summary_names_must_be_there(evidence):
    (subject,) = evidence.subjects()
    data = b"signed by the publisher"
    one = UpstreamEvidence(
        "attestation", "verified", "https://example.invalid/a", "a.json", OTHER, len(data)
    )
    path = one.path(subject.sha256)
    assert path is not None
    evidence.upstream = (one,)
    refuse(evidence.write(), Damaged, f"names a file that is not in the bundle: {path}")
    evidence.site.payload[path] = data
    refuse(evidence.write(), Damaged, f"{VSA} speaks of another {path}")
    good = with_fields(one, sha256=evidence.named(path).sha256)
    evidence.upstream = (good,)
    found = check_evidence(evidence.write().authenticate())
    assert found.summary is not None
    assert found.summary.levels[-1] == "SEALIFT_UPSTREAM_SIGNED"


@pytest.mark.parametrize("levels", [["SEALIFT_UPSTREAM_SIGNED"], [], ["SLSA_BUILD_LEVEL_3"]])
def test_a_summary_that_claims_other_than_it_checked(evidence, levels):
    def change(value: dict[str, Any]) -> None:
        value["predicate"]["verifiedLevels"] = levels

    refuse(evidence.write(change=change, path=VSA), Damaged, rf"{VSA} is malformed(?s:.*)verified")


def test_a_failed_verification_is_no_evidence(evidence):
    def change(value: dict[str, Any]) -> None:
        value["predicate"]["verificationResult"] = "FAILED"

    refuse(evidence.write(change=change, path=VSA), Damaged, "verificationResult")


def test_malformed_statements(evidence):
    evidence.write()
    for payload in (b"{}", b"", b"[" * 100, b'{"_type": "a", "_type": "b"}', b"\xff"):
        evidence.put(VSA, payload)
        refuse(evidence.site.write(), Damaged, f"{VSA} is malformed")
    evidence.site.payload[VSA] = b"no envelope"
    refuse(evidence.site.write(), Damaged, f"{VSA} is malformed")


def test_a_statement_that_was_exchanged_on_the_stick(evidence):
    site = evidence.write()
    authenticated = site.authenticate()
    site.flip_bit(PROVENANCE, 30)
    with pytest.raises(Damaged, match=f"wrong SHA-256: {PROVENANCE}"):
        check_evidence(authenticated)


COMPONENT = {
    "type": "library",
    "bom-ref": "a",
    "name": "a",
    "version": "1",
    "purl": "pkg:generic/a@1",
    "supplier": {"name": "someone"},
    "licenses": [{"expression": "MIT"}, {"license": {"name": "own"}}, {"license": {"id": "X"}}],
    "evidence": {
        "occurrences": [{"location": "a/METADATA"}],
        "licenses": [{"license": {"name": "LICENSE", "url": "licenses/00.txt"}}],
    },
    "components": [{"type": "library", "bom-ref": "b", "name": "b"}],
}


def test_the_sbom_is_read_for_reports(evidence):
    document = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [COMPONENT]}
    evidence.site.payload[SBOM] = json.dumps(document).encode()
    evidence.site.payload["evidence/licenses/00.txt"] = b"free"
    authenticated = evidence.write().authenticate()
    assert check_evidence(authenticated).licences == 1
    (component,) = read_components(authenticated)
    assert [one.name for one in component.walk()] == ["a", "b"]
    assert component.licences == ("MIT", "own", "X")
    assert (component.supplier, component.places) == ("someone", ("a/METADATA",))
    (text,) = component.texts
    assert text.path == "LICENSE"
    assert read_licence(authenticated, text.sha256) == b"free"
    assert read_licence(authenticated, "../README") is None


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[]", "is no SBOM of CycloneDX"),
        ('{"bomFormat": "SPDX"}', "is no SBOM of CycloneDX"),
        ('{"bomFormat": "CycloneDX", "specVersion": "1.4"}', "is not of CycloneDX 1.6"),
        ("{", "is malformed"),
    ],
)
def test_what_is_no_sbom(evidence, text, match):
    evidence.site.payload[SBOM] = text.encode()
    authenticated = evidence.write().authenticate()
    with pytest.raises(Damaged, match=match):
        read_components(authenticated)


def test_an_sbom_of_odd_shape_says_nothing(evidence):
    odd = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "components": [1, {"name": 2, "licenses": [3, {"license": 4}], "evidence": [], "x": 1}],
    }
    evidence.site.payload[SBOM] = json.dumps(odd).encode()
    (component,) = read_components(evidence.write().authenticate())
    assert (component.name, component.licences, component.parts) == ("", (), ())


def test_a_bundle_without_sbom_has_no_components(site):
    assert read_components(site.authenticate()) == ()


def test_the_levels_of_a_check_are_its_own():
    assert Check("archives/a", OTHER, "accepted").levels == ("SLSA_BUILD_LEVEL_UNEVALUATED",)
