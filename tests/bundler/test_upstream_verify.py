"""Signatures by publishers: real ones, those of a Sigstore of our own, and forged ones."""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from sealift_bundler.upstream.signers import ExpectedSigner, find_signer, read_claims
from sealift_bundler.upstream.verify import Verification, find_root
from sealift_installer.errors import Untrusted, UsageError
from sealift_schemas.publishers import Publisher
from sigstore_chain import GITHUB, SigstoreChain

FOLDER = Path(__file__).parent / "attestations"
WHEEL = "circleci_sign_publish_example-0.0.1.dev137-py3-none-any.whl"
WHEEL_SHA256 = "8cb34da1e27336f11a2c43f3f9c7433bd76f24f470c904724f06ad7f131d9e9f"
SDIST_SHA256 = "9bb1add04b1b4e182be6b0b80931593f7a291eb49d69b4fd728a5d4cbcdc4bd3"
PROJECT = "https://github.com/trailofbits/pypi-attestations"
OURS = "ab" * 32
REPOSITORY = "https://github.com/acme/tool"
SIGNER = ExpectedSigner(repository=REPOSITORY, issuer=GITHUB)


@cache
def public() -> Verification:
    """Sigstore's public instance, by the keys that the sigstore package has."""
    root = find_root(None)
    assert root is not None
    return Verification(root)


@cache
def chain() -> SigstoreChain:
    return SigstoreChain()


@pytest.fixture
def own(tmp_path: Path) -> Verification:
    return Verification(chain_root(tmp_path))


def chain_root(folder: Path) -> bytes:
    file = folder / "trusted_root.json"
    file.write_bytes(chain().trusted_root)
    root = find_root(file)
    assert root is not None
    return root


@cache
def github_bundle() -> dict[str, Any]:
    """What GitHub's attest action made for a release, as GitHub's API gives it."""
    from pypi_attestations import Attestation

    data = (FOLDER / "github.slsa.attestation").read_bytes()
    bundle: dict[str, Any] = json.loads(Attestation.model_validate_json(data).to_bundle().to_json())
    return bundle


def test_a_real_attestation_by_github() -> None:
    workflow = f"{PROJECT}/.github/workflows/release.yml@refs/tags/v0.0.19"
    for signer in (
        ExpectedSigner(repository=PROJECT, issuer=GITHUB),
        ExpectedSigner(repository=PROJECT.upper().replace("HTTPS://GITHUB.COM", PROJECT[:18])),
        ExpectedSigner(repository=PROJECT, workflow=".github/workflows/release.yml"),
        ExpectedSigner(identity=workflow, issuer=GITHUB),
    ):
        names = public().verify_attestations([github_bundle()], SDIST_SHA256, signer)
        assert names == [workflow]


@pytest.mark.parametrize(
    ("signer", "message"),
    [
        (ExpectedSigner(repository=PROJECT + "s"), "the repository is "),
        (ExpectedSigner(repository=PROJECT, workflow="ci.yml"), "the workflow is "),
        (ExpectedSigner(repository=PROJECT, issuer="https://a.invalid"), "the issuer is "),
        (ExpectedSigner(identity="me@example.invalid"), "the identity is "),
    ],
)
def test_a_real_attestation_by_somebody_else(signer: ExpectedSigner, message: str) -> None:
    with pytest.raises(Untrusted, match=message):
        public().verify_attestations([github_bundle()], SDIST_SHA256, signer)


def test_a_real_provenance_of_a_package() -> None:
    data = (FOLDER / "circleci.provenance").read_bytes()
    names = public().verify_provenance(data, WHEEL, WHEEL_SHA256, None)
    assert names[0].startswith("https://circleci.com/api/v2/projects/fdd9283f")


@pytest.mark.parametrize(
    ("filename", "sha256", "message"),
    [
        (WHEEL, OURS, f"it is about {WHEEL_SHA256}, not about {OURS}"),
        ("other-1.0-py3-none-any.whl", WHEEL_SHA256, "not about other-1.0"),
    ],
)
def test_a_provenance_of_another_file(filename: str, sha256: str, message: str) -> None:
    data = (FOLDER / "circleci.provenance").read_bytes()
    with pytest.raises(Untrusted, match=message):
        public().verify_provenance(data, filename, sha256, None)


def test_the_spec_names_another_publisher_than_the_index() -> None:
    data = (FOLDER / "circleci.provenance").read_bytes()
    signer = ExpectedSigner(repository=REPOSITORY, issuer=GITHUB)
    with pytest.raises(Untrusted, match="the issuer is "):
        public().verify_provenance(data, WHEEL, WHEEL_SHA256, signer)


def test_the_index_names_another_publisher_than_the_certificate() -> None:
    provenance = json.loads((FOLDER / "circleci.provenance").read_bytes())
    publisher = {"kind": "GitHub", "repository": "acme/tool", "workflow": "release.yml"}
    provenance["attestation_bundles"][0]["publisher"] = publisher
    with pytest.raises(Untrusted, match="OIDCIssuerV2 does not match"):
        public().verify_provenance(json.dumps(provenance).encode(), WHEEL, WHEEL_SHA256, None)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"version":1,"attestation_bundles":[]}', b"\xff\xfe", b"[" * 9999]
)
def test_what_is_no_provenance(data: bytes) -> None:
    with pytest.raises(Untrusted, match=r"validation error|no attestation"):
        public().verify_provenance(data, WHEEL, WHEEL_SHA256, None)


def test_an_attestation_of_our_own_sigstore(own: Verification) -> None:
    bundle = chain().attest(OURS, REPOSITORY)
    names = own.verify_attestations([bundle], OURS, SIGNER)
    assert names == [f"{REPOSITORY}/.github/workflows/release.yml@refs/tags/v1"]
    # The public instance knows nothing of it, nor ours of the public one.
    with pytest.raises(Untrusted, match="certificate chain"):
        public().verify_attestations([bundle], OURS, SIGNER)
    with pytest.raises(Untrusted, match="certificate chain"):
        own.verify_attestations([github_bundle()], SDIST_SHA256, SIGNER)


def test_of_two_trusted_roots_the_one_counts_that_knows_the_signer(tmp_path: Path) -> None:
    file = tmp_path / "trusted_root.jsonl"
    file.write_bytes((find_root(None) or b"") + chain_root(tmp_path))
    root = find_root(file)
    assert root is not None
    both = Verification(root)
    assert both.verify_attestations([chain().attest(OURS, REPOSITORY)], OURS, SIGNER)
    assert both.verify_attestations([github_bundle()], SDIST_SHA256, ExpectedSigner(PROJECT))
    stranger = [chain().attest(OURS, "https://github.com/mallory/tool")]
    with pytest.raises(Untrusted, match="the repository is "):
        both.verify_attestations(stranger, OURS, SIGNER)


def altered(change: str) -> dict[str, Any]:
    """Return an attestation with one thing changed that no signature may survive."""
    bundle = copy.deepcopy(chain().attest(OURS, REPOSITORY))
    other = chain().attest("cd" * 32, REPOSITORY)
    material, entry = (
        bundle["verificationMaterial"],
        bundle["verificationMaterial"]["tlogEntries"][0],
    )
    if change == "the payload":
        bundle["dsseEnvelope"]["payload"] = other["dsseEnvelope"]["payload"]
    elif change == "the signature":
        bundle["dsseEnvelope"]["signatures"] = other["dsseEnvelope"]["signatures"]
    elif change == "the certificate":
        material["certificate"] = other["verificationMaterial"]["certificate"]
    elif change == "the log entry":
        material["tlogEntries"] = other["verificationMaterial"]["tlogEntries"]
    elif change == "no log entry":
        material["tlogEntries"] = []
    elif change == "no promise":
        del entry["inclusionPromise"]
    elif change == "a later time":
        entry["integratedTime"] = str(int(entry["integratedTime"]) + 3600)
    elif change == "the checkpoint":
        entry["inclusionProof"]["checkpoint"] = other["verificationMaterial"]["tlogEntries"][0][
            "inclusionProof"
        ]["checkpoint"]
    elif change == "two signatures":
        bundle["dsseEnvelope"]["signatures"] += other["dsseEnvelope"]["signatures"]
    else:
        bundle["mediaType"] = "application/json"
    return bundle


ALTERED = {
    "the payload": "invalid signature",
    "the signature": "invalid signature",
    "the certificate": "invalid signature",
    "the log entry": "log entry payload hash does not match",
    "no log entry": "expected exactly one log entry",
    "no promise": "must contain an inclusion promise",
    "a later time": "not valid at validation time",
    "the checkpoint": "invalid log entry",
    "two signatures": "exactly one signature",
    "the media type": "failed to load bundle",
}


@pytest.mark.parametrize("change", ALTERED)
def test_an_altered_attestation(own: Verification, change: str) -> None:
    with pytest.raises(Untrusted, match=ALTERED[change]):
        own.verify_attestations([altered(change)], OURS, SIGNER)


def test_one_bad_attestation_is_not_made_good_by_another(own: Verification) -> None:
    good = chain().attest(OURS, REPOSITORY)
    for bad in (altered("the signature"), chain().attest("cd" * 32, REPOSITORY), {}, {"a": [1]}):
        with pytest.raises(Untrusted, match=r"invalid signature|it is about|failed to load"):
            own.verify_attestations([good, bad], OURS, SIGNER)


def test_what_github_itself_says_of_a_release_is_not_by_who_built_it(own: Verification) -> None:
    predicate = "https://in-toto.io/attestation/release/v0.1"
    release = chain().attest(OURS, "https://github.com/other/one", predicate=predicate)
    assert own.verify_attestations([release], OURS, SIGNER) == []
    names = own.verify_attestations([release, chain().attest(OURS, REPOSITORY)], OURS, SIGNER)
    assert len(names) == 1


@pytest.mark.parametrize("statement", [{}, [], {"subject": "x"}, {"subject": [{"digest": 1}]}])
def test_a_signed_statement_about_nothing(own: Verification, statement: Any) -> None:
    bundle = chain().sign_statement(statement, REPOSITORY, ".github/workflows/release.yml")
    with pytest.raises(Untrusted, match=r"in-toto statement|subjects|it is about "):
        own.verify_attestations([bundle], OURS, SIGNER)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"mediaType": 1}', '{"mediaType": "x"}'])
def test_what_is_no_trusted_root(tmp_path: Path, text: str) -> None:
    file = tmp_path / "root.json"
    file.write_text(text)
    with pytest.raises(UsageError, match="not a trusted root of Sigstore"):
        find_root(file)


def test_a_trusted_root_that_is_not_there_or_useless(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="that is not there"):
        find_root(tmp_path / "none.json")
    empty = {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}
    with pytest.raises(UsageError, match="the trusted root cannot be used"):
        Verification(json.dumps(empty).encode()).verify_attestations(
            [chain().attest(OURS, REPOSITORY)], OURS, SIGNER
        )


def test_whose_signature_is_asked_for() -> None:
    pbs = "https://github.com/astral-sh/python-build-standalone"
    url = f"{pbs}/releases/download/1/a.tar.gz"
    assert find_signer((), url=url, repository=pbs) == ExpectedSigner(pbs, issuer=GITHUB)
    assert find_signer((), url="https://a.invalid/b") is None
    general = Publisher(prefix="https://github.com/", identity="someone@example.invalid")
    special = Publisher(prefix=f"{pbs}/", repository=REPOSITORY, workflow="a.yml")
    package = Publisher(package="Some_Package", repository="https://gitlab.com/a/b")
    publishers = (special, general, package)
    assert find_signer(publishers, url=url) == ExpectedSigner(REPOSITORY, None, "a.yml", GITHUB)
    other = find_signer(publishers, url="https://github.com/a/b/releases/download/1/c")
    assert other == ExpectedSigner(identity="someone@example.invalid")
    found = find_signer(publishers, url="https://a.invalid/c.whl", package="some-package")
    assert found == ExpectedSigner("https://gitlab.com/a/b", issuer="https://gitlab.com")


def test_what_a_certificate_claims_is_read_as_pypi_attestations_reads_it() -> None:
    from pypi_attestations import Attestation

    data = (FOLDER / "github.slsa.attestation").read_bytes()
    attestation = Attestation.model_validate_json(data)
    certificate = x509.load_der_x509_certificate(attestation.verification_material.certificate)
    claims = read_claims(certificate)
    theirs = attestation.certificate_claims
    assert theirs.items() <= claims.items()
    assert len(theirs) > 10
