import os
import select
import shlex
import shutil
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift_bundler.keys import KeyFiles, create_key, keyid, load_private
from sealift_bundler.sign import FileSigner, sign_checked, sign_envelope
from sealift_bundler.sign.command import CommandSigner, parse_command
from sealift_bundler.sign.references import check_quorum, open_signer, open_signers
from sealift_bundler.site import read_site
from sealift_bundler.specfile import add_keys, read_spec, remove_keys
from sealift_installer.errors import HostError, Untrusted, UsageError
from sealift_installer.trust.keys import verify_signature
from workshop import Workshop

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not installed"
)


@pytest.fixture
def key(tmp_path):
    """Make a key; return its files and its public half."""
    files = KeyFiles.named(tmp_path, "service")
    return files, create_key(files, "p256", None)


def command(folder, program):
    """Return a signer that runs a line of Python."""
    words = shlex.join([sys.executable, "-c", program])
    return CommandSigner.load(f"exec:public=service.pub.pem timeout=60 {words}", folder)


@needs_openssl
@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ("p256", "openssl dgst -sha256 -sign service.key.pem"),
        ("p384", "openssl dgst -sha384 -sign service.key.pem"),
        # Ed25519 takes no stream: openssl wants a file whose size it can see.
        (
            "ed25519",
            "sh -c 'cat > data && openssl pkeyutl -sign -inkey service.key.pem -rawin -in data'",
        ),
    ],
)
def test_a_command_signs(tmp_path, scheme, words):
    public = create_key(KeyFiles.named(tmp_path, "service"), scheme, None)
    signer = CommandSigner.load(f"exec:public=service.pub.pem {words}", tmp_path)
    assert signer.public == public
    data = b"bytes to be signed" * 10_000
    assert verify_signature(public, sign_checked(signer, data), data)


def test_a_command_learns_whose_key_it_is(tmp_path, key):
    _, public = key
    program = (
        "import os; assert os.environ['SEALIFT_KEYID'] == "
        f"{keyid(public)!r}; print(os.environ['SEALIFT_SCHEME'])"
    )
    assert command(tmp_path, program).sign(b"") == f"ecdsa-sha2-nistp256{os.linesep}".encode()


def test_what_a_command_signs_is_verified(tmp_path, key):
    """A signature by another key, or over other bytes, gets into no envelope."""
    other = KeyFiles.named(tmp_path, "other")
    create_key(other, "p256", None)
    signer = command(tmp_path, "print('no signature')")
    with pytest.raises(HostError, match="that its public key does not verify"):
        sign_envelope(b"payload", "type", [signer])
    if shutil.which("openssl"):
        reference = "exec:public=service.pub.pem openssl dgst -sha256 -sign other.key.pem"
        with pytest.raises(HostError, match="does not verify") as caught:
            sign_checked(CommandSigner.load(reference, tmp_path), b"data")
        assert "ECDSA signatures are DER" in caught.value.hint


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("raise SystemExit(3)", "the signer ended with status 3: "),
        ("pass", "the signer gave no signature: "),
        ("print('x' * 5000)", "(?s)is no signature: .*at most 4096 bytes"),
        ("while True: print('x')", "(?s)is no signature: .*at most 4096 bytes"),
    ],
)
def test_a_command_that_does_not_sign(tmp_path, key, program, expected):
    with pytest.raises(HostError, match=expected):
        command(tmp_path, program).sign(b"data")


@pytest.mark.parametrize(
    "program",
    ["import time; time.sleep(60)", "input(); import os; os.close(1); import time; time.sleep(60)"],
)
def test_a_command_has_so_much_time(tmp_path, key, program):
    words = shlex.join([sys.executable, "-c", program])
    signer = CommandSigner.load(f"exec:public=service.pub.pem timeout=1 {words}", tmp_path)
    with pytest.raises(HostError, match="took longer than 1 seconds") as caught:
        signer.sign(b"data\n")
    assert "timeout=SECONDS" in caught.value.hint


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")
@pytest.mark.parametrize("script", ["sleep 600 & wait", "while sleep 600 & do sleep 0.01; done"])
def test_what_a_command_has_started_ends_with_it(tmp_path, key, script):
    """It would hold our stderr open, and `sealift ... 2>&1 | tee` would not end."""
    reader, writer = os.pipe()
    words = shlex.join([sys.executable, "-c", f"import os; os.system({script!r})"])
    signer = CommandSigner.load(f"exec:public=service.pub.pem timeout=2 {words}", tmp_path)
    os.set_inheritable(writer, True)
    popen = subprocess.Popen
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", partial(popen, pass_fds=(writer,)))
        with pytest.raises(HostError, match="took longer than 2 seconds"):
            signer.sign(b"data\n")
    os.close(writer)
    assert select.select([reader], [], [], 60)[0], "somebody still holds the other end"
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_there_is_no_shell(tmp_path, key):
    signer = CommandSigner.load("exec:public=service.pub.pem echo $(id) ; touch made", tmp_path)
    assert signer.sign(b"") == b"$(id) ; touch made\n"
    assert not (tmp_path / "made").exists()


def test_a_command_that_is_not_there(tmp_path, key):
    signer = CommandSigner.load("exec:public=service.pub.pem no-such-command", tmp_path)
    with pytest.raises(HostError, match="cannot run the signer no-such-command"):
        signer.sign(b"data")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("exec:", "it lacks a command"),
        ("exec:public=a", "it lacks a command"),
        ("exec:sign", "it lacks public=FILE"),
        ("exec:public= sign", "it lacks public=FILE"),
        ("exec:public=a public=b sign", "public twice"),
        ("exec:public=a timeout=0 sign", "timeout= from 1 to 3600"),
        ("exec:public=a timeout=3601 sign", "timeout= from 1 to 3600"),
        ("exec:public=a timeout=x sign", "timeout= from 1 to 3600"),
        ("exec:public=a 'sign", "No closing quotation"),
    ],
)
def test_what_is_no_command(text, expected):
    with pytest.raises(UsageError, match=expected) as caught:
        parse_command(text)
    assert caught.value.hint.startswith("exec:public=FILE")


def test_words_after_the_command_are_its_own():
    read = parse_command("exec:timeout=9 public=k.pub.pem sign 'two words' timeout=1 public=x")
    assert read.words == ("sign", "two words", "timeout=1", "public=x")
    assert (str(read.public), read.timeout) == ("k.pub.pem", 9)


@pytest.fixture
def site(tmp_path):
    """A site with the keys a, b and c: a and b release, c builds."""
    workshop = Workshop(tmp_path)
    assert workshop.sealift("init", workshop.site, cwd=tmp_path) == 0
    for name in ("a", "b", "c"):
        assert workshop.sealift("key", "new", name, "--no-passphrase") == 0
    return workshop


def names(workshop, signers):
    """Return the names of the keys of `signers`."""
    known = {
        keyid(FileSigner(load_private(path)).public): path.name.removesuffix(".key.pem")
        for path in sorted((workshop.site / "keys").glob("*.key.pem"))
    }
    return [known[keyid(signer.public)] for signer in signers]


def test_release_and_builder_have_signers_of_their_own(site):
    words = ["--key", "release=a", "--key", "release=b", "--key", "root=a", "--key", "builder=c"]
    assert site.sealift("root", "init", *words) == 0
    spec = read_spec(site.spec)
    assert spec.keys == ("keys/a.key.pem", "keys/b.key.pem")
    assert spec.builders == ("keys/c.key.pem",)
    read = read_site(site.site)
    assert names(site, open_signers(read, "release", None)) == ["a", "b"]
    assert names(site, open_signers(read, "builder", None)) == ["c"]


def test_without_builders_those_keys_build_that_the_root_has_as_builders(site):
    words = ["--key", "a", "--key", "b", "--key", "builder=b"]
    assert site.sealift("root", "init", *words) == 0
    assert read_spec(site.spec).builders == ()
    assert names(site, open_signers(read_site(site.site), "builder", None)) == ["b"]


def test_a_site_without_keys_has_no_signers(site):
    read = read_site(site.site)
    assert open_signers(read, "release", None) == open_signers(read, "builder", None) == ()


def test_references_of_every_kind(site, tmp_path):
    read = read_site(site.site)
    by_name = open_signer("a", read.directory, None)
    by_path = open_signer(str(read.directory / "keys" / "a.key.pem"), read.directory, None)
    assert by_name.public == by_path.public
    reference = "exec:public=keys/a.pub.pem sign-it"
    assert open_signer(reference, read.directory, None).public == by_name.public
    with pytest.raises(UsageError, match=r"there is no key: .*none\.key\.pem"):
        open_signer("none", read.directory, None)


def test_a_build_that_could_not_be_sealed_is_told_at_once(site, capsys):
    words = ["--key", "a", "--key", "b", "--threshold", "2"]
    assert site.sealift("root", "init", *words) == 0
    remove_keys(site.spec, ["keys/b.key.pem"])
    read = read_site(site.site)
    signers = open_signers(read, "release", None)
    with pytest.raises(Untrusted, match=r"too few signers in .*sealift\.toml for root version 1"):
        check_quorum(read, [*signers, *signers])
    assert site.sealift("build", "--output", site.folder / "bundle") == 3
    shown = capsys.readouterr().err
    assert "Expected: 2 distinct release keys\n  Computed: 1" in shown
    assert "hint: build --unsigned, then `sealift sign`" in shown
    assert not (site.folder / "bundle").exists()


def test_signers_leave_the_spec_one_by_one(site):
    spec = site.spec
    add_keys(spec, ["a", "b"])
    add_keys(spec, ["c"], "builders")
    spec.write_text(spec.read_text() + "# the end\n")
    remove_keys(spec, ["a", "none"])
    remove_keys(spec, ["c"], "builders")
    assert (read_spec(spec).keys, read_spec(spec).builders) == (("b",), ())
    assert spec.read_text().endswith("# the end\n")


@given(st.text(alphabet="public=timeout 0123456789'\"\\ab\udcff", max_size=40))
def test_any_text_is_a_command_or_a_usage_error(text):
    with suppress(UsageError):
        assert parse_command(f"exec:{text}").words
