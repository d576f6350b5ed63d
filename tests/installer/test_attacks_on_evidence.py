"""Attacks on the evidence that a bundle carries, and what a policy asks of it."""

import hashlib
import json

import pytest

from attacks import Field
from sealift_installer import admission
from sealift_schemas import provenance, vsa
from sealift_schemas.manifest import PAYLOAD_TYPE
from sealift_schemas.root import Role
from sealift_schemas.strictjson import encode
from simulator import SimKey, seal

VSA = "evidence/vsa.dsse.json"
RULES = b"What is checked before a bundle is sealed.\n"


class Witnessed(Field):
    """A site whose bundles carry a verification summary, signed by a builder key."""

    def __init__(self, path, capsys):
        super().__init__(path, capsys)
        self.builder = SimKey()
        newest = self.site.next_root()
        keys = {**newest.keys, self.builder.keyid: self.builder.public_key}
        roles = {**newest.roles, "builder": Role((self.builder.keyid,), 1)}
        self.site.add_root(self.site.next_root(keys=keys, roles=roles), self.site.root_keys)
        self.witness()

    def witness(self, signer=None, **changes):
        """Carry the summary, with `changes` to its statement, and seal the bundle."""
        statement = {**self.summary(), **changes}
        envelope = seal(encode(statement), PAYLOAD_TYPE, [signer or self.builder])
        self.site.payload["evidence/policy.txt"] = RULES
        self.site.payload[VSA] = envelope.encode()
        self.site.write()

    def summary(self):
        site = self.site
        subjects = [
            {"name": archive.parts[0], "digest": {"sha256": archive.sha256}}
            for archive in site.archives
        ]
        rules = hashlib.sha256(RULES).hexdigest()
        return {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": subjects,
            "predicateType": "https://slsa.dev/verification_summary/v1",
            "predicate": {
                "verifier": {"id": "https://site.invalid/builder", "version": {"sealift": "1"}},
                "timeVerified": site.created,
                "resourceUri": "https://site.invalid/sealift/bundle/site/1/1",
                "policy": {
                    "name": "evidence/policy.txt",
                    "uri": "https://sealift.invalid/policy/v1",
                    "digest": {"sha256": rules},
                },
                "inputAttestations": [],
                "verificationResult": "PASSED",
                "verifiedLevels": ["SLSA_BUILD_LEVEL_UNEVALUATED", "SEALIFT_DIGEST_MATCHED"],
                "slsaVersion": "1.1",
                "https://sealift.invalid/checks/v1": [
                    {**subject, "digestSource": "spec", "upstream": []} for subject in subjects
                ],
            },
        }

    def obey(self, **rules):
        policy = self.prefix / "state" / "policy.json"
        policy.write_text(json.dumps({"format": 1, **rules}))
        policy.chmod(0o644)  # whatever the umask


@pytest.fixture
def field(tmp_path, capsys):
    field = Witnessed(tmp_path, capsys)
    field.accepted()
    return field


@pytest.mark.parametrize(
    ("name", "sha256"),
    [("archives/0badc0ffe-other.tar", None), (None, "0" * 64), ("README.txt", None)],
)
def test_evidence_whose_subject_is_something_else(field, name, sha256):
    """It is signed by the builder, and about another archive than the bundle has."""
    archive = field.site.archives[0]
    subject = {
        "name": name or archive.parts[0],
        "digest": {"sha256": sha256 or archive.sha256},
    }
    checks = [{**subject, "digestSource": "spec", "upstream": []}]
    predicate = {**field.summary()["predicate"], "https://sealift.invalid/checks/v1": checks}
    field.witness(subject=[subject], predicate=predicate)
    field.refused(4, r"evidence/vsa.dsse.json speaks of something that is not in this", roots=1)


def test_evidence_of_another_bundle(field):
    """An honest summary of the bundle before, with the same archive in it."""
    older = field.site.payload[VSA]
    field.site.created = "2026-03-01T00:00:00Z"
    field.carry()
    field.witness()
    field.accepted()
    field.site.payload[VSA] = older
    field.site.write()
    field.refused(4, r"evidence/vsa.dsse.json is about another bundle: timeVerified", roots=1)


def test_evidence_by_another_role(field):
    """A release key says which bytes count; it does not say how they came to be."""
    field.witness(signer=field.site.release_keys[0])
    field.refused(3, r"too few signatures of evidence/vsa.dsse.json .* for builder", roots=1)


def test_evidence_of_another_type(field):
    predicate = "https://in-toto.io/attestation/test-result/v0.1"
    field.witness(predicateType=predicate)
    field.refused(3, r"what was signed is not what evidence/vsa.dsse.json is for", roots=1)


def test_evidence_that_is_left_out(field):
    field.obey(evidence=["vsa"])
    assert field.unseal("verify", field.site.path)[0] == 0
    for name in (VSA, "evidence/policy.txt"):
        del field.site.payload[name]
        (field.site.path / name).unlink()
    field.site.write()
    field.accepted()
    field.refused(5, r"the bundle carries no vsa, which the policy .*policy.json asks for", roots=1)


@pytest.mark.parametrize("kind", ["provenance", "sbom"])
def test_a_policy_that_asks_for_other_evidence(field, kind):
    field.obey(evidence=[kind])
    field.refused(5, f"the bundle carries no {kind}, which the policy", roots=1)


def test_a_policy_that_asks_for_more_builders(field):
    field.obey(evidence=["vsa"], thresholds={"builder": 2})
    field.refused(5, r"too few signatures of the evidence for builder.*2 distinct keys", roots=1)


def test_the_paths_are_those_of_the_readers():
    assert {provenance.PATH, vsa.PATH} == admission._STATEMENTS
