"""The evidence of bundles as they are built: statements, SBOM, licences, and who signs."""

import hashlib
import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance as ProvenanceForm
from in_toto_attestation.v1.statement_pb2 import Statement
from packageurl import PackageURL

from sealift_bundler.draft import Draft
from sealift_bundler.evidence.book import EvidenceBook
from sealift_bundler.evidence.findings import Findings, LicenceFile, LicencesLeftOut
from sealift_bundler.evidence.statements import (
    Building,
    archive_project,
    make_provenance,
    make_summary,
)
from sealift_bundler.lock import read_lock
from sealift_bundler.runtime_wheels import code_wheels, own_wheels
from sealift_schemas.envelope import Envelope
from sealift_schemas.lock import Lock, LockedArchive, LockedCatalog, LockedWheel
from sealift_schemas.provenance import Provenance
from sealift_schemas.upstream import UpstreamEvidence
from sealift_schemas.vsa import Summary
from workshop import PYTHON, TOOL, TOOL_FILES, Workshop, digest, pack, tree

LIMIT = 1 << 30
PROVENANCE = "evidence/provenance.dsse.json"
VSA = "evidence/vsa.dsse.json"
SBOM = "evidence/sbom.cdx.json"
LICENSED = {
    **TOOL_FILES,
    "tool-1.0/LICENSE": b"Do as you like.\n",
    "tool-1.0/package.json": b'{"name": "tool", "version": "1.0", "license": "MIT"}',
    "tool-1.0/lib/python/a-2.0.dist-info/METADATA": (
        b"Metadata-Version: 2.1\nName: a\nVersion: 2.0\nLicense: BSD or so\n"
    ),
}


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path).found()


@pytest.fixture
def bundle(workshop: Workshop) -> Path:
    workshop.tool.write_bytes(pack(LICENSED))
    workshop.add_tool()
    workshop.add_python()
    return workshop.build()


def statement(bundle: Path, path: str) -> dict[str, Any]:
    envelope = Envelope.read((bundle / path).read_bytes(), what=path, limit=LIMIT)
    value: dict[str, Any] = json.loads(envelope.payload)
    return value


def sbom(bundle: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((bundle / SBOM).read_bytes())
    return value


def walk(components: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for each in components for one in (each, *walk(each.get("components", [])))]


def check_official_schema(value: dict[str, Any]) -> None:
    """Check an SBOM against the schemas of CycloneDX, which come with its library."""
    folder = files("cyclonedx") / "schema" / "_res"
    official = {
        name: json.loads((folder / f"{name}.SNAPSHOT.schema.json").read_bytes())
        for name in ("bom-1.6", "spdx", "jsf-0.82")
    }
    named = [
        (f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json", official[name])
        for name in ("spdx", "jsf-0.82")
    ]
    validator = jsonschema_rs.validator_for(
        official["bom-1.6"], registry=jsonschema_rs.Registry(named), validate_formats=True
    )
    assert [error.message for error in validator.iter_errors(value)] == []


def locked(**changes: Any) -> LockedArchive:
    archive = LockedArchive(
        name="tool-1.0",
        kind="tool",
        source="url",
        request="https://user:secret@example.invalid/a/tool.tar.gz?key=secret",
        version="1.0",
        platform="any",
        url="https://user:secret@example.invalid/a/tool.tar.gz?key=secret#secret",
        filename="tool.tar.gz",
        format="tar.gz",
        sha256="a" * 64,
        size=10,
        digest_source="spec",
        recipe="generic",
    )
    return replace(archive, **changes)


def lock_of(*archives: LockedArchive, **changes: Any) -> Lock:
    return Lock("site", 3, "2026-01-31T09:00:00Z", "0" * 64, archives, **changes)


def test_the_provenance_says_what_was_asked_for_and_what_was_found(workshop, bundle):
    value = statement(bundle, PROVENANCE)
    assert value["predicateType"] == "https://slsa.dev/provenance/v1"
    assert [(one["name"], one["digest"]["sha256"]) for one in value["subject"]] == [
        (f"archives/{digest(path)[:9]}-{name}", digest(path))
        for path, name in sorted(
            [
                (workshop.tool, "tool-1.0.tar.gz"),
                (workshop.python, "cpython-3.13.3-install_only.tar.gz"),
            ],
            key=lambda one: digest(one[0]),
        )
    ]
    for one in value["subject"]:
        assert digest(bundle / one["name"]) == one["digest"]["sha256"]
    definition = value["predicate"]["buildDefinition"]
    parameters = definition["externalParameters"]
    assert parameters["lock"] == digest(workshop.lock)
    assert parameters["spec"] == read_lock(workshop.lock).spec
    assert [one["name"] for one in parameters["archives"]] == [PYTHON, TOOL]
    assert parameters["archives"][0]["request"] == "cpython@3.13"
    notes = {one["name"]: one["annotations"] for one in definition["resolvedDependencies"]}
    assert notes[PYTHON]["digestSource"] == "catalog"
    assert notes[TOOL]["digestSource"] == "spec"
    assert notes["downloads.json"] == {"kind": "catalog"}


def test_every_time_is_that_of_the_lock(workshop, bundle):
    created = read_lock(workshop.lock).created
    provenance, summary = statement(bundle, PROVENANCE), statement(bundle, VSA)
    assert provenance["predicate"]["runDetails"]["metadata"]["startedOn"] == created
    assert "finishedOn" not in provenance["predicate"]["runDetails"]["metadata"]
    assert summary["predicate"]["timeVerified"] == created
    assert sbom(bundle)["metadata"]["timestamp"] == created


def test_in_totos_own_readers_take_the_statements(bundle):
    provenance = statement(bundle, PROVENANCE)
    for value in (provenance, statement(bundle, VSA)):
        read = ParseDict(value, Statement())
        assert len(read.subject) == 2
    read = ParseDict(provenance["predicate"], ProvenanceForm())
    assert read.build_definition.build_type == "https://sealift.invalid/build-type/v1"
    assert len(read.build_definition.resolved_dependencies) == 3


def test_the_code_that_built_is_named_by_what_can_be_made_again(bundle):
    code = statement(bundle, PROVENANCE)["predicate"]["runDetails"]["builder"]
    made = dict(code_wheels("2023-11-14T22:13:20Z"))
    assert {one["name"]: one["digest"]["sha256"] for one in code["builderDependencies"]} == {
        name: hashlib.sha256(data).hexdigest() for name, data in made.items()
    }


def test_no_path_and_no_secret_of_the_connected_machine(workshop, bundle):
    for path, data in tree(bundle / "evidence").items():
        assert str(workshop.folder).encode() not in data, path
    wheel = LockedWheel("a-1.0-py3-none-any.whl", "https://u:secret@example.invalid/a", "b" * 64, 1)
    catalog = LockedCatalog("https://u:secret@example.invalid/list.json?secret", "c" * 64)
    local = LockedCatalog("/home/secret/list.json", "d" * 64)
    building = Building(lock_of(locked(), wheels=(wheel,), catalogs=(catalog, local)), 1)
    provenance = make_provenance(building, {})
    assert b"secret" not in provenance.encode()
    archive, _, first, second = provenance.dependencies
    assert archive.location == "https://example.invalid/a/tool.tar.gz"
    assert archive.uri.startswith("pkg:generic/tool@1.0?checksum=sha256:aaaa")
    assert first.uri == "https://example.invalid/list.json"
    assert second.uri == "https://site.invalid/list.json"
    assert Provenance.read(provenance.encode(), limit=LIMIT) == provenance


UPSTREAM = {
    result: UpstreamEvidence(
        kind,
        result,
        "https://example.invalid/evidence",
        *(("proof.json", "e" * 64, 5) if file else ()),
    )
    for kind, result, file in (
        ("attestation", "verified", True),
        ("checksum-file", "agrees", True),
        ("pep740", "carried", True),
        ("attestation", "absent", False),
        ("release-digest", "unreachable", False),
    )
}
NOTHING, MATCHED, AGREES, SIGNED = (
    "SLSA_BUILD_LEVEL_UNEVALUATED",
    "SEALIFT_DIGEST_MATCHED",
    "SEALIFT_UPSTREAM_AGREES",
    "SEALIFT_UPSTREAM_SIGNED",
)


@pytest.mark.parametrize(
    ("source", "results", "levels"),
    [
        ("catalog", (), (NOTHING, MATCHED)),
        ("index", ("absent",), (NOTHING, MATCHED)),
        ("accepted", (), (NOTHING,)),
        ("captured", (), (NOTHING,)),
        ("accepted", ("verified",), (NOTHING, AGREES, SIGNED)),
        ("spec", ("agrees",), (NOTHING, MATCHED, AGREES)),
        ("spec", ("carried", "unreachable"), (NOTHING, MATCHED)),
        ("spec", ("unreachable", "verified"), (NOTHING, MATCHED, AGREES, SIGNED)),
    ],
)
def test_no_more_is_claimed_than_was_checked(source, results, levels):
    upstream = tuple(UPSTREAM[result] for result in results)
    archive = locked(digest_source=source, upstream=upstream)
    summary = make_summary(Building(lock_of(archive), 1))
    assert summary.levels == levels
    assert Summary.read(summary.encode(), limit=LIMIT) == summary
    used = [result for result in results if result in {"verified", "agrees"}]
    assert len(summary.attestations) == len(used)
    # One archive of which less is known lowers what is said of all.
    other = locked(name="other-1.0", sha256="b" * 64, digest_source="accepted")
    assert make_summary(Building(lock_of(archive, other), 1)).levels == (NOTHING,)


def test_the_policy_of_the_summary_is_in_the_bundle(bundle):
    policy = statement(bundle, VSA)["predicate"]["policy"]
    assert digest(bundle / policy["name"]) == policy["digest"]["sha256"]
    text = (bundle / policy["name"]).read_text("ascii")
    for level in (NOTHING, MATCHED, AGREES, SIGNED):
        assert f"\n{level}\n" in text
    assert max(map(len, text.splitlines())) <= 81


def test_the_sbom_follows_the_official_schema(bundle):
    value = sbom(bundle)
    check_official_schema(value)
    components = walk(value["components"])
    references = [one["bom-ref"] for one in components]
    assert len(set(references)) == len(references)
    for one in components:
        if "purl" in one:
            assert PackageURL.from_string(one["purl"]).to_string() == one["purl"]
    named = {one["ref"] for one in value["dependencies"]}
    assert named == {value["metadata"]["component"]["bom-ref"], *references[:1], references[1]}
    assert [one["aggregate"] for one in value["compositions"]] == ["complete", "incomplete"]


def test_the_official_schema_would_tell(bundle):
    value = sbom(bundle)
    value["components"][0]["hashes"][0]["content"] = "no digest"
    with pytest.raises(AssertionError, match="no digest"):
        check_official_schema(value)


def test_the_components_of_an_archive(workshop, bundle):
    python, tool = sbom(bundle)["components"]
    assert (python["type"], python["name"], python["version"]) == ("platform", "cpython", "3.13.3")
    assert python["cpe"] == "cpe:2.3:a:python:python:3.13.3:*:*:*:*:*:*:*"
    assert (tool["type"], tool["name"], tool["version"]) == ("application", "tool", "1.0")
    assert tool["hashes"] == [{"alg": "SHA-256", "content": digest(workshop.tool)}]
    inside = {one["purl"]: one["licenses"] for one in tool["components"]}
    assert inside == {
        "pkg:pypi/a@2.0": [{"license": {"name": "BSD or so", "acknowledgement": "declared"}}],
        "pkg:npm/tool@1.0": [{"expression": "MIT", "acknowledgement": "declared"}],
    }
    places = [one["evidence"]["occurrences"][0]["location"] for one in tool["components"]]
    assert places == ["tool-1.0/lib/python/a-2.0.dist-info/METADATA", "tool-1.0/package.json"]


def test_the_sbom_has_a_line_for_each_archive(bundle):
    lines = (bundle / SBOM).read_text("ascii").splitlines()
    assert [json.loads(line.rstrip(","))["bom-ref"] for line in lines[2:4]] == [
        f"archive:{PYTHON}",
        f"archive:{TOOL}",
    ]


def test_licence_texts_are_found_from_the_sbom_and_from_the_index(bundle):
    licence = sbom(bundle)["components"][1]["evidence"]["licenses"][0]["license"]
    assert licence["name"] == "tool-1.0/LICENSE"
    text = bundle / "evidence" / licence["url"]
    assert text.read_bytes() == b"Do as you like.\n"
    line = f"{digest(text)}  {TOOL}  tool-1.0/LICENSE"
    assert line in (bundle / "evidence/licenses/INDEX.txt").read_text("utf-8").splitlines()


def test_archives_with_the_same_bytes_are_one_subject(workshop):
    workshop.add_tool()
    text = workshop.spec.read_text().replace("linux-x86_64-gnu", "linux-x86_64-musl", 1)
    workshop.spec.write_text(text)
    workshop.add_tool()
    bundle = workshop.build()
    assert len(statement(bundle, PROVENANCE)["subject"]) == 1
    assert len(statement(bundle, VSA)["predicate"]["https://sealift.invalid/checks/v1"]) == 1
    assert len(sbom(bundle)["components"]) == 2
    check_official_schema(sbom(bundle))


def test_without_keys_sbom_and_licences_are_there_and_one_line_says_what_is_not(workshop, capsys):
    workshop.tool.write_bytes(pack(LICENSED))
    workshop.add_tool()
    (workshop.site / "keys" / "release.key.pem").unlink()
    bundle = workshop.build("--unsigned")
    names = {path.split("/")[0] for path in tree(bundle / "evidence")}
    assert names == {"sbom.cdx.json", "licenses"}
    shown = capsys.readouterr().err
    assert "there is no key" not in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("left out")]
    assert line == (
        "left out: provenance and VSA, for the role builder asks for 1 key of root version 1 and "
        "none can sign here; name them in [signing] builders"
    )


def test_an_unsigned_bundle_has_signed_evidence_where_a_builder_is_at_hand(workshop, capsys):
    workshop.add_tool()
    bundle = workshop.build("--unsigned")
    assert (bundle / PROVENANCE).exists()
    assert not (bundle / "manifest.dsse.json").exists()
    assert "left out" not in capsys.readouterr().err
    assert workshop.sealift("sign", bundle, "--key", "release") == 0
    assert workshop.sealift("seal", bundle) == 0
    assert "provenance and VSA by " in capsys.readouterr().out


def apart(folder: Path, *words: str) -> Workshop:
    """Return a workshop whose role `builder` has keys of its own."""
    workshop = Workshop(folder)
    assert workshop.sealift("init", workshop.site, cwd=folder) == 0
    for name in ("release", "one", "two"):
        assert workshop.sealift("key", "new", name, "--no-passphrase") == 0
    builders = ("--key", "builder=one", "--key", "builder=two")
    assert workshop.sealift("root", "init", "--key", "release", *builders, *words) == 0
    with workshop.spec.open("a") as file:
        file.write("\n[installer]\npythons = []\n")
    workshop.add_tool()
    return workshop


def sign_with(workshop: Workshop, *names: str) -> None:
    """Name the builders of the spec."""
    lines = [
        line
        for line in workshop.spec.read_text().splitlines()
        if not line.startswith(("builders", "keys ="))
    ]
    at = lines.index("[signing]") + 1
    listed = ", ".join(f'"keys/{name}.key.pem"' for name in names)
    lines[at:at] = ['keys = ["keys/release.key.pem"]', f"builders = [{listed}]"]
    workshop.spec.write_text("\n".join(lines) + "\n")


def keyid(workshop: Workshop, name: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert workshop.sealift("key", "show", name) == 0
    return capsys.readouterr().out.split()[0]


def test_the_builder_is_a_role_of_its_own(tmp_path, capsys):
    workshop = apart(tmp_path)
    sign_with(workshop, "two")
    bundle = workshop.build()
    envelope = Envelope.read((bundle / PROVENANCE).read_bytes(), what="envelope", limit=LIMIT)
    two = keyid(workshop, "two", capsys)
    assert [signature.keyid for signature in envelope.signatures] == [two]
    assert workshop.sealift("verify", bundle, "--json") == 0
    assert json.loads(capsys.readouterr().out)["evidence"]["builders"] == [two]
    # A release key is no builder here.
    sign_with(workshop, "release")
    bundle = workshop.build(name="again")
    assert not (bundle / PROVENANCE).exists()
    assert "left out: provenance and VSA" in capsys.readouterr().err


def test_two_builders_are_needed_where_the_root_says_so(tmp_path, capsys):
    workshop = apart(tmp_path, "--threshold", "builder=2")
    sign_with(workshop, "one")
    bundle = workshop.build(name="first")
    assert not (bundle / VSA).exists()
    assert "asks for 2 keys of root version 1 and 1 can sign here" in capsys.readouterr().err
    sign_with(workshop, "one", "two")
    bundle = workshop.build()
    envelope = Envelope.read((bundle / VSA).read_bytes(), what="envelope", limit=LIMIT)
    assert len(envelope.signatures) == 2


def test_a_builder_whose_key_is_missing_costs_no_download(tmp_path, capsys):
    workshop = apart(tmp_path)
    sign_with(workshop, "two")
    (workshop.site / "keys" / "two.key.pem").unlink()
    assert workshop.sealift("build", "--output", tmp_path / "bundle") == 2
    assert "there is no key" in capsys.readouterr().err
    assert not workshop.lock.exists()


def test_a_bundle_without_archives_has_no_statements(workshop, capsys):
    bundle = workshop.build()
    assert set(tree(bundle / "evidence")) == {"sbom.cdx.json"}
    check_official_schema(sbom(bundle))
    assert "left out" not in capsys.readouterr().err


def test_the_wheels_of_unseal_are_in_the_sbom(tmp_path):
    lock = lock_of()
    wheels = dict(own_wheels(lock.created)) | {"broken-1.0-py3-none-any.whl": b"no zip"}
    draft = Draft(tmp_path, lock)
    book = EvidenceBook(draft, Building(lock, 1))
    book.add_wheels(wheels)
    book.finish(())
    value = sbom(tmp_path)
    check_official_schema(value)
    broken, installer, _ = value["components"]
    assert installer["purl"].startswith("pkg:pypi/sealift-installer@")
    assert installer["licenses"] == [{"expression": "Apache-2.0", "acknowledgement": "declared"}]
    filename = installer["bom-ref"].removeprefix("wheel:")
    assert installer["hashes"][0]["content"] == hashlib.sha256(wheels[filename]).hexdigest()
    reasons = [one["value"] for one in broken["properties"] if one["name"] == "sealift:left-out"]
    assert reasons == ["not to be read as a wheel"]


def test_a_licence_that_is_too_large_is_named_in_the_index(workshop):
    text = b"All rights reserved.\n" * 250_000
    workshop.tool = workshop.serve("tool-1.0.tar.gz", {**TOOL_FILES, "tool-1.0/LICENSE": text})
    workshop.add_tool()
    lines = (workshop.build() / "evidence/licenses/INDEX.txt").read_text("utf-8").splitlines()
    assert lines[-1] == f"too large  {TOOL}  tool-1.0/LICENSE"
    assert lines[5:7] == [
        "Not in this folder are these files, which are licences by their names. Taken are at most",
        "4 MiB of one text, 32 MiB and 4096 files of one archive. Each line: why it was left out;",
    ]


def test_an_index_of_what_is_left_out_counts_what_it_does_not_name(tmp_path):
    name = "a\x1b[31m/LICENSE"
    left_out = LicencesLeftOut(((name, "too many"),), 7)
    draft = Draft(tmp_path, lock_of(locked()))
    book = EvidenceBook(draft, Building(lock_of(locked()), 1))
    book.add_archive(locked(), Findings(licences_left_out=left_out))
    book.finish(())
    lines = (tmp_path / "evidence/licenses/INDEX.txt").read_text("utf-8").splitlines()
    archive = locked().name
    assert lines[-2:] == [
        rf"too many  {archive}  a\x1b[31m/LICENSE",
        f"7 more  {archive}  not named here",
    ]


def test_what_archives_hold_cannot_break_the_documents(tmp_path):
    path = 'a"b<script>\u202e\ud800\x1b[31m/LICENSE'.encode("utf-8", "surrogatepass")
    name = path.decode("utf-8", "surrogateescape")
    sha256 = hashlib.sha256(b"text").hexdigest()
    findings = Findings(
        licences=(LicenceFile(name, sha256, 4),), texts={sha256: b"text"}, left_out=(name,)
    )
    draft = Draft(tmp_path, lock_of(locked()))
    book = EvidenceBook(draft, Building(lock_of(locked()), 1))
    book.add_archive(locked(), findings)
    book.finish(())
    check_official_schema(sbom(tmp_path))
    index = (tmp_path / "evidence/licenses/INDEX.txt").read_text("utf-8")
    assert "\x1b" not in index
    assert "\u202e" not in index


@pytest.mark.parametrize(
    ("changes", "project"),
    [
        ({}, "tool"),
        ({"name": "a-tool-1.0-linux-x86_64-gnu", "platform": "linux-x86_64-gnu"}, "a-tool"),
        ({"name": "tool-1.0rc1", "version": "1.0RC1"}, "tool"),
        ({"name": "graalpy-3.11.0-linux-x86_64-gnu", "kind": "interpreter"}, "graalpy"),
    ],
)
def test_what_an_archive_is(changes, project):
    assert archive_project(locked(**changes)) == project
