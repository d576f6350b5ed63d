"""Signing with keys on a token: SoftHSM2, in a folder of its own."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from road import PROGRAMS, run
from sealift_bundler.sign.pkcs11_uri import TokenUri, parse_uri
from sealift_installer.errors import UsageError
from sealift_schemas.envelope import Envelope

MODULES = [
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/lib64/pkcs11/libsofthsm2.so"),
    Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"),
    Path("/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"),
]
MODULE = next((path for path in MODULES if path.exists()), None)
pkcs11 = pytest.importorskip("pkcs11", reason="python-pkcs11 (the extra hsm) is not installed")
needs_softhsm = pytest.mark.skipif(
    MODULE is None or shutil.which("softhsm2-util") is None, reason="SoftHSM2 is not installed"
)
PIN = "1234"
# SoftHSM makes its keys in a process of its own: a module keeps the configuration it first saw.
MAKE_KEYS = """
import sys
import pkcs11
from pkcs11.util.ec import encode_named_curve_parameters

token = pkcs11.lib(sys.argv[1]).get_token(token_label="sealift")
curves = {"release": "secp256r1", "root": "secp384r1"}
with token.open(rw=True, user_pin="1234") as session:
    for number, (label, curve) in enumerate(curves.items(), start=1):
        session.create_domain_parameters(
            pkcs11.KeyType.EC,
            {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(curve)},
            local=True,
        ).generate_keypair(store=True, label=label, id=bytes([number]))
    parameters = {pkcs11.Attribute.EC_PARAMS: b"\\x13\\x0cedwards25519"}
    session.create_domain_parameters(
        pkcs11.KeyType.EC_EDWARDS, parameters, local=True
    ).generate_keypair(
        mechanism=pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN, store=True, label="ed", id=b"\\x03"
    )
    session.create_domain_parameters(
        pkcs11.KeyType.EC,
        {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp521r1")},
        local=True,
    ).generate_keypair(store=True, label="large", id=b"\\x04")
    for _ in range(2):
        session.create_domain_parameters(
            pkcs11.KeyType.EC,
            {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")},
            local=True,
        ).generate_keypair(store=True, label="twins", id=b"\\x05")
    for key in session.get_objects({pkcs11.Attribute.LABEL: "twins"}):
        if key.object_class == pkcs11.ObjectClass.PUBLIC_KEY:
            key.destroy()
"""


class Token:
    """A token of SoftHSM with a P-256 key `release`, a P-384 key `root` and an Ed25519 key `ed`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tokens").mkdir()
        configuration = folder / "softhsm2.conf"
        configuration.write_text(
            f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n"
            "log.level = ERROR\n"
        )
        self.environment = {
            "SOFTHSM2_CONF": str(configuration),
            "SEALIFT_CACHE_DIR": str(folder / "cache"),
        }
        self.pin = folder / "pin"
        self.pin.write_text(f"{PIN}\n")
        words = ["--init-token", "--free", "--label", "sealift", "--so-pin", "4321", "--pin", PIN]
        run("softhsm2-util", *words, env=self.environment)
        run(sys.executable, "-c", MAKE_KEYS, str(MODULE), env=self.environment)

    def uri(self, label: str, *query: str) -> str:
        """Return the URI of a key."""
        return f"pkcs11:token=sealift;object={label}?" + "&".join((f"module-path={MODULE}", *query))

    def sealift(
        self, *words: str | Path, pin: bool = True, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `sealift`, with the PIN or with nobody to ask."""
        more = ["--passphrase-file", self.pin] if pin else []
        return run(
            PROGRAMS / "sealift",
            *words,
            *more,
            cwd=cwd or self.folder,
            env=self.environment,
            check=False,
        )


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    return Token(tmp_path_factory.mktemp("token"))


@needs_softhsm
@pytest.mark.parametrize(
    ("label", "scheme"),
    [("release", "ecdsa-sha2-nistp256"), ("root", "ecdsa-sha2-nistp384"), ("ed", "ed25519")],
)
def test_the_public_key_is_read_from_the_token(token, tmp_path, label, scheme):
    shown = token.sealift("key", "show", token.uri(label))
    assert shown.returncode == 0, shown.stderr
    name, said = shown.stdout.split()
    assert said == scheme
    pem = token.sealift("key", "show", token.uri(label), "--pem")
    (tmp_path / "hsm.pub.pem").write_text(pem.stdout)
    again = run(PROGRAMS / "sealift", "key", "show", str(tmp_path / "hsm.pub.pem"), cwd=tmp_path)
    assert again.stdout.split() == [name, scheme]


@needs_softhsm
def test_a_site_whose_keys_are_on_a_token(token, tmp_path):
    """Root and bundle are signed by the token, the build finds the PIN by itself, unseal agrees."""
    site = tmp_path / "site"
    assert token.sealift("init", site, pin=False).returncode == 0
    with (site / "sealift.toml").open("a") as file:
        file.write("[installer]\npythons = []\n")
    keys = [f"root={token.uri('root')}", f"root={token.uri('ed')}", token.uri("release")]
    words = [word for key in keys for word in ("--key", key)]
    made = token.sealift("root", "init", *words, "--threshold", "root=2", cwd=site)
    assert made.returncode == 0, made.stderr
    assert f'keys = ["{token.uri("release")}"]' in (site / "sealift.toml").read_text()
    bundle = tmp_path / "bundle"
    built = token.sealift("build", "--output", bundle, cwd=site)
    assert built.returncode == 0, built.stderr
    root = site / "root" / "1.root.dsse.json"
    prefix = tmp_path / "prefix"
    sha256 = made.stdout.strip()
    run(PROGRAMS / "unseal", "trust", "import", root, "--sha256", sha256, "--prefix", prefix)
    run(PROGRAMS / "unseal", "verify", bundle, "--prefix", prefix)


@needs_softhsm
def test_signing_a_bundle_takes_the_pin_from_where_the_uri_says(token, tmp_path):
    site = tmp_path / "site"
    token.sealift("init", site, pin=False)
    with (site / "sealift.toml").open("a") as file:
        file.write("[installer]\npythons = []\n")
    uri = token.uri("release", f"pin-source=file:{token.pin}")
    assert token.sealift("root", "init", "--key", uri, pin=False, cwd=site).returncode == 0
    bundle = tmp_path / "bundle"
    done = token.sealift("build", "--unsigned", "--output", bundle, pin=False, cwd=site)
    assert done.returncode == 0, done.stderr
    signed = token.sealift("sign", bundle, "--key", uri, pin=False, cwd=tmp_path)
    assert signed.returncode == 0, signed.stderr
    data = (bundle / "manifest.dsse.json").read_bytes()
    envelope = Envelope.read(data, what="envelope", limit=1 << 30)
    assert [one.keyid for one in envelope.signatures] == signed.stdout.split()
    assert token.sealift("seal", bundle, pin=False, cwd=site).returncode == 0


@needs_softhsm
@pytest.mark.parametrize(
    ("uri", "code", "expected"),
    [
        ("token=other;object=release?module-path=M", 2, "no token is what the URI names"),
        ("token=sealift;serial=0;object=release?module-path=M", 2, "no token is what the URI"),
        ("token=sealift;object=other?module-path=M", 2, "no private key of the token fit the URI"),
        ("token=sealift;object=release;id=%02?module-path=M", 2, "no private key of the token"),
        ("token=sealift;object=twins?module-path=M", 2, "2 private keys of the token fit the URI"),
        ("token=sealift;object=large?module-path=M", 2, "is not ECDSA P-256, ECDSA P-384 or"),
        ("token=sealift;object=release", 2, "no PKCS #11 module is named"),
        ("token=sealift;object=release?module-path=/none.so", 6, "cannot load the PKCS #11 module"),
        ("token=sealift;object=release?module-path=/bin/sh", 6, "cannot load the PKCS #11 module"),
        ("token=sealift;object=release?module-path=M&pin-source=/none", 6, "cannot read the PIN"),
        ("token=sealift;object=release?module-path=M&pin-source=/dev/null", 2, "the PIN of the"),
    ],
)
def test_what_does_not_lead_to_one_key(token, uri, code, expected):
    words = ["key", "show", "pkcs11:" + uri.replace("=M", f"={MODULE}")]
    done = token.sealift(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert f"error: {expected}" in done.stderr or expected in done.stderr.splitlines()[0]


@needs_softhsm
def test_a_wrong_pin_and_nobody_to_ask(token, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text("0000\n")
    done = token.sealift("key", "show", token.uri("release"), "--passphrase-file", wrong, pin=False)
    assert done.returncode == 2
    assert "wrong PIN of the token sealift" in done.stderr
    # Without a terminal: run gives no stdin that is one.
    environment = {**os.environ, **token.environment}
    done = subprocess.run(
        [PROGRAMS / "sealift", "key", "show", token.uri("release")],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 6
    assert "needs a PIN and there is no terminal to ask on" in done.stderr


@needs_softhsm
def test_the_module_may_come_from_the_environment(token):
    token.environment["PKCS11_MODULE_PATH"] = str(MODULE)
    try:
        done = token.sealift("key", "show", "pkcs11:token=sealift;id=%02")
    finally:
        del token.environment["PKCS11_MODULE_PATH"]
    assert done.stdout.split()[1] == "ecdsa-sha2-nistp384"


def test_without_the_extra_it_says_how_to_get_it(tmp_path):
    code = (
        "import sys; sys.modules['pkcs11'] = None\n"
        "from sealift_bundler.cli.main import run\n"
        "sys.exit(run(['key', 'show', 'pkcs11:object=a?module-path=/m.so']))"
    )
    done = run(sys.executable, "-c", code, cwd=tmp_path, check=False)
    assert done.returncode == 6
    assert "needs python-pkcs11, which is not installed" in done.stderr
    assert "hint: pip install 'sealift[hsm]'" in done.stderr


def test_a_uri_is_read_as_rfc_7512_says():
    text = (
        "pkcs11:token=The%20Software%20PKCS%2311;serial=0a;manufacturer=M;model=1.0;slot-id=3;"
        "object=my%3bkey;id=%69%95%3e;type=private;x-vendor=1"
        "?module-path=/usr/lib/m.so&pin-source=file:///etc/pin%20file"
    )
    read = parse_uri(text)
    assert read == TokenUri(
        token={
            "token": "The Software PKCS#11",
            "serial": "0a",
            "manufacturer": "M",
            "model": "1.0",
            "slot-id": "3",
        },
        label="my;key",
        identifier=b"i\x95>",
        module=Path("/usr/lib/m.so"),
        pin_source=Path("/etc/pin file"),
    )


@pytest.mark.parametrize(
    "source", ["/a/pin", "file:/a/pin", "file:///a/pin", "file://localhost/a/pin"]
)
def test_ways_to_name_the_file_of_a_pin(source):
    assert parse_uri(f"pkcs11:object=a?pin-source={source}").pin_source == Path("/a/pin")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pkcs11:", "object=LABEL or id"),
        ("pkcs11:token=a", "object=LABEL or id"),
        ("pkcs11:object=a;object=b", "each attribute once"),
        ("pkcs11:object", "NAME=VALUE"),
        ("pkcs11:object=100%", "with % as %25"),
        ("pkcs11:object=a?module-path=%00", "UTF-8 without NUL as the module-path"),
        ("pkcs11:object=%ff", "UTF-8 without NUL as the object"),
        ("pkcs11:object=\udcff", "UTF-8 without NUL as the object"),
        ("pkcs11:object=a;colour=red", "(?s)one of token, serial.*Found: colour"),
        ("pkcs11:object=a;type=public", "type=private"),
        ("pkcs11:object=a?module-name=m", "one of module-path, pin-source"),
        ("pkcs11:object=a?pin-source=|command", "pin-source=file:/PATH"),
        ("pkcs11:object=a?pin-value=1234", "leave pin-value out of the pkcs11 URI"),
        ("pkcs11:object=a;pin-value=1234", "leave pin-value out of the pkcs11 URI"),
        ("pkcs11:object=a?PIN-VALUE=1234%", "leave pin-value out of the pkcs11 URI"),
        ("pkcs11:object=a?pin-source=1234", "pin-source=file:/PATH"),
        ("pkcs11:object=a?pin-source=file:1234%", "with % as %25"),
        ("pkcs11:object=a;pin=1234", "(?s)one of token, serial.*Found: pin"),
    ],
)
def test_what_is_no_uri_of_a_key(text, expected):
    with pytest.raises(UsageError, match=expected) as caught:
        parse_uri(text)
    assert "1234" not in caught.value.message


@given(st.text(alphabet="pkcs11:object=id?module-path&pin-source;token%0aF/x\0\udcff", max_size=60))
def test_any_text_is_a_uri_or_a_usage_error(text):
    with suppress(UsageError):
        assert parse_uri(f"pkcs11:object=a{text}").label.startswith("a")
