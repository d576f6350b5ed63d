"""Roots and envelopes with openssl, jq and securesystemslib: VERIFY.txt and the page in docs/."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sealift_bundler.keys import keyid, load_public
from sealift_bundler.paper import verify_text
from sealift_schemas.envelope import Envelope
from workshop import Workshop, digest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "check-signatures-by-hand.md"
KEYS = {"p256": "alice", "p384": "bob", "ed25519": "carol"}
needs_tools = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("openssl", "jq", "sha256sum", "base64")),
    reason="openssl, jq or the GNU core utilities are not installed",
)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """A bundle with two roots, all signed by a key of each scheme."""
    workshop = Workshop(tmp_path_factory.mktemp("stock"))
    assert workshop.sealift("init", workshop.site, cwd=workshop.folder) == 0
    for scheme, name in KEYS.items():
        assert workshop.sealift("key", "new", name, "--no-passphrase", "--scheme", scheme) == 0
    words = [word for name in KEYS.values() for word in ("--key", name)]
    assert workshop.sealift("root", "init", *words, "--threshold", "3") == 0
    assert workshop.sealift("root", "rotate", "--min-sequence", "1", *words) == 0
    with workshop.spec.open("a") as file:
        file.write("\n[installer]\npythons = []\n")
    assert workshop.add_tool() == 0
    return workshop, workshop.build()


@pytest.fixture
def bundle(sealed, tmp_path):
    workshop, bundle = sealed
    for name in KEYS.values():
        shutil.copy(workshop.site / "keys" / f"{name}.pub.pem", tmp_path)
    return shutil.copytree(bundle, tmp_path / "bundle")


def paper_steps():
    """Return the commands of VERIFY.txt by the sign of their step."""
    text = verify_text().decode("ascii")
    parts = re.split(r"(?m)^([1-9]|[A-Z])\. ", text)[1:]
    return {
        sign: "\n".join(re.findall(r"(?m)^ {4}(.*\S)$", part.partition("\n   With")[0]))
        for sign, part in zip(parts[::2], parts[1::2], strict=True)
    }


def page_blocks():
    return re.findall(r"(?ms)^```sh\n(.*?)^```$", PAGE.read_text("utf-8"))


def other_schemes():
    """Return what VERIFY.txt says in step B for keys other than P-256."""
    text = verify_text().decode("ascii").partition("B. ")[2].partition("C. ")[0]
    return dict(re.findall(r"(?m)^ {3}(P-384|Ed25519): +(\S.*)$", text))


def script(scheme, envelope):
    """Return steps 1, A and B for a key of `scheme` and an envelope, as a person would do them."""
    steps = paper_steps()
    whole = "\n".join((steps["1"], steps["A"], steps["B"]))
    last = steps["B"].splitlines()[-1]
    names = {"p384": "P-384", "ed25519": "Ed25519"}
    if scheme in names:
        whole = whole.replace(last, other_schemes()[names[scheme]])
    whole = whole.replace("../NAME.pub.pem", f"../{KEYS[scheme]}.pub.pem")
    return whole.replace("ENVELOPE=manifest.dsse.json", f"ENVELOPE={envelope}")


def shell(text, bundle, shell="sh"):
    return subprocess.run(
        [shell, "-c", text], cwd=bundle, capture_output=True, text=True, check=False
    )


ENVELOPES = ["manifest.dsse.json", "trust/root/1.root.dsse.json", "trust/root/2.root.dsse.json"]


@needs_tools
@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("scheme", KEYS)
def test_openssl_verifies_each_signature_of_an_envelope(bundle, scheme, envelope):
    done = shell(script(scheme, envelope), bundle)
    assert done.returncode == 0, done.stderr
    assert "Verified OK" in done.stdout or "Signature Verified Successfully" in done.stdout
    ids = {keyid(load_public(bundle.parent / f"{name}.pub.pem")) for name in KEYS.values()}
    assert ids <= set(done.stdout.split())


@needs_tools
@pytest.mark.parametrize("scheme", KEYS)
def test_openssl_refuses_another_payload(bundle, scheme):
    path = bundle / ENVELOPES[1]
    whole = Envelope.read(path.read_bytes(), what="root", limit=1 << 20)
    payload = whole.payload.replace(b'"threshold": 3', b'"threshold": 1')
    path.write_bytes(Envelope(payload, whole.payload_type, whole.signatures).encode())
    assert shell(script(scheme, ENVELOPES[1]), bundle).returncode != 0


@needs_tools
@pytest.mark.parametrize("scheme", KEYS)
def test_openssl_refuses_another_type(bundle, scheme):
    path = bundle / ENVELOPES[1]
    whole = Envelope.read(path.read_bytes(), what="root", limit=1 << 20)
    path.write_bytes(Envelope(whole.payload, "application/json", whole.signatures).encode())
    assert shell(script(scheme, ENVELOPES[1]), bundle).returncode != 0


@needs_tools
def test_a_root_is_read_and_its_keys_are_files(bundle, sealed):
    steps = paper_steps()
    done = shell("\n".join(steps[sign] for sign in "1ACD").replace("NAME.pub", "alice.pub"), bundle)
    assert done.returncode == 0, done.stderr
    assert f"{digest(bundle / ENVELOPES[1])}  {ENVELOPES[1]}\n" in done.stdout
    said = done.stdout[done.stdout.index("{") : done.stdout.rindex("}") + 1]
    root = json.loads(said)
    assert root["version"] == 1
    assert root["roles"]["release"]["threshold"] == 3
    names = {keyid(load_public(bundle.parent / f"{name}.pub.pem")) for name in KEYS.values()}
    assert {f"{name}.pub.pem" for name in names} <= set(done.stdout.split())


@needs_tools
def test_the_keys_of_a_root_verify_the_next_version(bundle):
    """Steps C and D give the key of version 1 that steps A and B verify version 2 with."""
    steps = paper_steps()
    name = keyid(load_public(bundle.parent / "alice.pub.pem"))
    again = "\n".join((steps["A"], steps["B"])).replace("manifest.dsse", "trust/root/2.root.dsse")
    again = again.replace("WORK=$(mktemp -d)\n", "")
    first = "\n".join(steps[sign] for sign in "1ACD").replace("NAME.pub", "alice.pub")
    done = shell(f'{first}\nKEY="$WORK/{name}.pub.pem"\nID={name}\n{again}', bundle)
    assert done.stdout.endswith("Verified OK\n"), done.stderr


@needs_tools
def test_the_blocks_of_the_page_run_as_they_stand(bundle):
    shutil.copy(bundle.parent / "alice.pub.pem", bundle.parent / "release.pub.pem")
    done = shell("set -e\n" + "".join(page_blocks()), bundle)
    assert done.returncode == 0, done.stderr
    assert "Verified OK\n" in done.stdout


def test_the_page_says_what_the_paper_says():
    steps = paper_steps()
    fences = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", PAGE.read_text("utf-8"))
    said = [*page_blocks()[1:], *(text for kind, text in fences if not kind)]
    assert said == [*(f"{steps[sign]}\n" for sign in "ABCD"), f"{other_schemes()['Ed25519']}\n"]


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_securesystemslib_counts_three_signers(bundle, envelope):
    dsse = pytest.importorskip("securesystemslib.dsse")
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey

    keys = [
        SSlibKey.from_crypto(
            load_pem_public_key((bundle.parent / f"{name}.pub.pem").read_bytes()),
            keyid=keyid(load_public(bundle.parent / f"{name}.pub.pem")),
        )
        for name in KEYS.values()
    ]
    values = json.loads((bundle / envelope).read_bytes())
    # It takes apart what it is given.
    accepted = dsse.Envelope.from_dict(json.loads(json.dumps(values))).verify(keys, threshold=3)
    assert set(accepted) == {key.keyid for key in keys}
    values["payload"] = values["payload"].replace("A", "B", 1)
    with pytest.raises(VerificationError, match="Accepted signatures do not match"):
        dsse.Envelope.from_dict(values).verify(keys, threshold=1)
