import shutil
import stat
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP521R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from sealift_bundler.keys import (
    SHORT_NAMES,
    KeyFiles,
    create_key,
    describe,
    keyid,
    load_private,
    load_public,
)
from sealift_bundler.pkcs8 import ITERATIONS
from sealift_bundler.sign import FileSigner, sign_envelope
from sealift_installer.errors import HostError, UsageError
from sealift_installer.trust.keys import check_key, verify_signature

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not installed"
)


@pytest.fixture
def files(tmp_path):
    return KeyFiles.named(tmp_path / "keys", "release")


@pytest.mark.parametrize("scheme", SHORT_NAMES)
def test_a_key_signs_what_the_installer_verifies(files, scheme):
    public = create_key(files, scheme, None)
    check_key(keyid(public), public)
    signer = FileSigner.load(files.private)
    signature = signer.sign(b"data")
    assert load_public(files.public) == public == signer.public
    assert verify_signature(public, signature, b"data")
    assert not verify_signature(public, signature, b"date")
    assert signer.sign(b"data") == signature  # deterministic, so that bundles reproduce


def test_the_private_file_is_private(files):
    create_key(files, "p256", None)
    assert stat.S_IMODE(files.private.stat().st_mode) == 0o600


def test_nothing_is_overwritten(files):
    create_key(files, "p256", None)
    before = files.private.read_bytes()
    with pytest.raises(UsageError, match="a key of this name exists"):
        create_key(files, "p256", None)
    files.private.unlink()
    with pytest.raises(UsageError, match=r"a key of this name exists: .*release\.pub\.pem"):
        create_key(files, "p256", None)
    assert before


@pytest.mark.parametrize("scheme", SHORT_NAMES)
def test_a_passphrase_is_asked_for_and_needed(files, scheme):
    public = create_key(files, scheme, b"correct horse", iterations=1000)
    asked = []

    def ask(what):
        asked.append(what)
        return b"correct horse"

    assert describe(load_private(files.private, ask)) == public
    assert asked == [f"Passphrase of {files.private}"]
    with pytest.raises(UsageError, match="wrong passphrase, or not a PEM private key"):
        load_private(files.private, lambda _: b"wrong")
    with pytest.raises(HostError, match="needs a passphrase and there is no terminal"):
        load_private(files.private)


@needs_openssl
def test_openssl_reads_an_encrypted_key_and_shows_what_a_guess_costs(files):
    public = create_key(files, "p256", b"secret")
    done = subprocess.run(
        ["openssl", "pkey", "-in", files.private, "-passin", "pass:secret", "-pubout"],
        capture_output=True,
        check=True,
    )
    assert done.stdout == files.public.read_bytes()
    shown = subprocess.run(
        ["openssl", "asn1parse", "-in", files.private], capture_output=True, check=True, text=True
    ).stdout
    assert "hmacWithSHA256" in shown
    assert "aes-256-cbc" in shown
    assert f"{ITERATIONS:X}".zfill(6) in shown
    assert describe(load_private(files.private, lambda _: b"secret")) == public


@needs_openssl
def test_the_fingerprint_is_the_one_that_openssl_gives(files):
    public = create_key(files, "p384", None)
    done = subprocess.run(
        ["sh", "-c", f"openssl pkey -pubin -in '{files.public}' -outform DER | sha256sum"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.split()[0] == keyid(public)


def test_a_key_that_is_missing(files):
    with pytest.raises(UsageError, match="there is no key") as caught:
        load_private(files.private)
    assert caught.value.hint == "make one: sealift key new NAME"


def test_what_is_no_key(tmp_path):
    path = tmp_path / "x.key.pem"
    path.write_bytes(b"not a key")
    with pytest.raises(UsageError, match="not a PEM key"):
        load_private(path)
    with pytest.raises(UsageError, match="cannot load the public key"):
        load_public(path)


def test_a_key_that_cannot_be_read(tmp_path):
    with pytest.raises(HostError, match="cannot read the key"):
        load_private(tmp_path)


def test_a_curve_that_is_not_supported(tmp_path):
    key = generate_private_key(SECP521R1())
    path = tmp_path / "x.key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(UsageError, match="a curve other than P-256 and P-384"):
        load_private(path)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path.write_bytes(public)
    with pytest.raises(UsageError, match="a curve other than P-256 and P-384"):
        load_public(path)


def test_an_unknown_scheme(files):
    with pytest.raises(UsageError, match="unknown scheme: rsa"):
        create_key(files, "rsa", None)
    assert not files.private.exists()


def test_the_order_of_signing_leaves_no_trace(tmp_path):
    signers = []
    for name in ("a", "b"):
        files = KeyFiles.named(tmp_path, name)
        create_key(files, "p256", None)
        signers.append(FileSigner.load(files.private))
    at_once = sign_envelope(b"payload", "type", signers)
    first = sign_envelope(b"payload", "type", signers[1:])
    assert sign_envelope(b"payload", "type", signers[:1], first.signatures) == at_once
    assert sign_envelope(b"payload", "type", signers, at_once.signatures) == at_once
