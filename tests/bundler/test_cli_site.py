import json
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from sealift_bundler.keys import keyid, load_private, load_public
from sealift_bundler.specfile import read_spec
from workshop import PYTHON, Workshop, digest

SEALIFT = Path(sys.executable).parent / "sealift"


@pytest.fixture
def workshop(tmp_path):
    return Workshop(tmp_path)


@pytest.fixture
def founded(tmp_path):
    return Workshop(tmp_path).found()


def test_init_takes_the_present_directory_where_none_is_named(workshop, capsys):
    assert workshop.sealift("init", cwd=workshop.folder) == 0
    assert (workshop.folder / "sealift.toml").exists()
    assert workshop.sealift("init", cwd=workshop.folder) == 2
    assert "error: there is a site already" in capsys.readouterr().err


def test_quiet_leaves_results_alone(workshop, capsys):
    assert workshop.sealift("init", workshop.site, "--quiet", cwd=workshop.folder) == 0
    assert workshop.sealift("key", "new", "k", "--no-passphrase", "--quiet") == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    public = load_public(workshop.site / "keys" / "k.pub.pem")
    assert shown.out == f"{keyid(public)}  ecdsa-sha2-nistp256\n"


@pytest.mark.parametrize("scheme", ["p256", "p384", "ed25519"])
def test_key_new_and_show_report_as_json(founded, capsys, scheme):
    words = ["--no-passphrase", "--scheme", scheme, "--json"]
    capsys.readouterr()
    assert founded.sealift("key", "new", "other", *words) == 0
    made = json.loads(capsys.readouterr().out)
    assert founded.sealift("key", "show", "other", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["keyid"] == keyid(load_public(founded.site / "keys" / "other.pub.pem"))
    assert made == shown


def test_a_passphrase_comes_from_a_file_or_a_descriptor(founded, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"correct horse\r\nnot this line\n")
    assert founded.sealift("key", "new", "filed", "--passphrase-file", secret) == 0
    load_private(founded.site / "keys" / "filed.key.pem", lambda _: b"correct horse")
    reading, writing = os.pipe()
    os.write(writing, b"battery staple")
    os.close(writing)
    assert founded.sealift("key", "new", "piped", "--passphrase-fd", str(reading)) == 0
    load_private(founded.site / "keys" / "piped.key.pem", lambda _: b"battery staple")


@pytest.mark.parametrize("options", [("file", "fd"), ("file", "none"), ("fd", "none")])
def test_ways_to_a_passphrase_exclude_each_other(founded, tmp_path, capsys, options):
    """A key that somebody meant to encrypt must not be written in the clear."""
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    words = {
        "file": ("--passphrase-file", secret),
        "fd": ("--passphrase-fd", "0"),
        "none": ("--no-passphrase",),
    }
    given = [word for option in options for word in words[option]]
    assert founded.sealift("key", "new", "both", *given) == 2
    assert options[0] in capsys.readouterr().err
    assert not list((founded.site / "keys").glob("both*"))


def test_an_empty_passphrase_is_refused(founded, tmp_path, capsys):
    secret = tmp_path / "secret"
    secret.write_bytes(b"\n")
    assert founded.sealift("key", "new", "empty", "--passphrase-file", secret) == 2
    assert "the passphrase is empty" in capsys.readouterr().err
    assert founded.sealift("key", "new", "empty", "--passphrase-file", tmp_path / "none") == 6
    assert not (founded.site / "keys" / "empty.key.pem").exists()


def test_without_a_terminal_nobody_is_asked(founded):
    done = subprocess.run(
        [SEALIFT, "key", "new", "asked"],
        cwd=founded.site,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "there is no terminal to ask for a passphrase on" in done.stderr
    assert "--no-passphrase" in done.stderr


@pytest.mark.parametrize(("second", "code"), [("secret", 0), ("other", 2)])
def test_on_a_terminal_the_passphrase_is_asked_for_twice(founded, second, code):
    primary, terminal = pty.openpty()
    settings = termios.tcgetattr(terminal)
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, settings)
    command = [SEALIFT, "key", "new", "asked"]
    # In a session of its own it has no terminal but the one on stdin, and asks on stderr.
    with subprocess.Popen(
        command,
        cwd=founded.site,
        stdin=terminal,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        for answer in ("secret", second):
            asked = b""
            # getpass throws away what was typed before it asked.
            while not asked.endswith((b"key: ", b"more: ")):
                asked += process.stderr.read(1) or b"key: "
            os.write(primary, answer.encode() + b"\n")
        process.stderr.read()
    os.close(primary)
    os.close(terminal)
    assert process.returncode == code
    if code == 0:
        load_private(founded.site / "keys" / "asked.key.pem", lambda _: b"secret")


def test_root_init_prints_the_sha256_of_the_file_and_names_the_key(founded, capsys):
    assert founded.sealift("root", "show", "--json") == 0
    out = capsys.readouterr().out
    (version,) = json.loads(out[out.index("[") :])
    assert version["sha256"] == digest(founded.root)
    assert read_spec(founded.spec).keys == ("keys/release.key.pem",)
    assert founded.sealift("root", "show") == 0
    assert f"  sha256 {digest(founded.root)}\n" in capsys.readouterr().out


def test_roots_and_releases_may_have_different_keys(workshop, capsys):
    assert workshop.sealift("init", workshop.site, cwd=workshop.folder) == 0
    for name in ("officer", "deputy", "release"):
        assert workshop.sealift("key", "new", name, "--no-passphrase") == 0
    words = ["--key", "release", "--key", "root=officer", "--key", "root=deputy"]
    capsys.readouterr()
    assert workshop.sealift("root", "init", *words, "--threshold", "root=2", "--json") == 0
    assert json.loads(capsys.readouterr().out)["sha256"] == digest(workshop.root)
    assert workshop.sealift("root", "show", "--json") == 0
    roles = json.loads(capsys.readouterr().out)[0]["roles"]
    assert (roles["root"]["threshold"], len(roles["root"]["keys"])) == (2, 2)
    assert (roles["release"]["threshold"], len(roles["release"]["keys"])) == (1, 1)
    # The officers do not sign bundles.
    assert read_spec(workshop.spec).keys == ("keys/release.key.pem",)


def test_no_hash_is_printed_while_the_threshold_does_not_stand(workshop, capsys):
    assert workshop.sealift("init", workshop.site, cwd=workshop.folder) == 0
    for name in ("a", "b"):
        assert workshop.sealift("key", "new", name, "--no-passphrase") == 0
    (workshop.site / "keys" / "b.key.pem").unlink()
    capsys.readouterr()
    words = ["root", "init", "--key", "a", "--key", "b", "--threshold", "2"]
    assert workshop.sealift(*words) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "it counts for nothing yet" in shown.err
    assert "needs 2 of the root keys of version 1: 1 missing" in shown.err
    assert not workshop.root.exists()
    assert (workshop.site / "root" / "1.root.draft.json").exists()


def test_root_init_without_a_key(workshop, capsys):
    assert workshop.sealift("init", workshop.site, cwd=workshop.folder) == 0
    assert workshop.sealift("root", "init", "--key", "none") == 2
    assert "there is no key: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["cpython@x"], "not a request for a Python"),
        (["cpython@3.13", "--platform", "linux"], "not a platform: 'linux'"),
        (["cpython@3.13", "--sha256", "0" * 64], "--sha256 goes with --url"),
        (["cpython@3.13", "--link", "a=b"], "--link does not go with this kind of source"),
        (["--url", "https://example.org/a.zip"], "--url needs --name and --version"),
        (["--url", "https://example.org/a.zip", "cpython@3"], "are added one by one"),
        ([], "nothing to add"),
        (["installed:/usr/bin/python3", "--platform", "linux-x86_64-gnu"], "this machine's"),
        (["installed:/usr/bin/python3", "--accept-digest", "sha256:0"], "--accept-digest does not"),
    ],
)
def test_add_refuses_what_could_never_be_found(founded, capsys, words, expected):
    before = founded.spec.read_bytes()
    assert founded.sealift("add", *words) == 2
    assert expected in capsys.readouterr().err
    assert founded.spec.read_bytes() == before


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--sha256", "abc", "--sha256 is wrong\n  Expected: 64 lower-case hexadecimal digits"),
        ("--name", "Up", "--name is wrong\n  Expected: a lower-case name"),
        ("--prefix", "relative", "--prefix is wrong\n  Expected: an absolute path"),
        ("--accept-digest", "md5:0", "--accept-digest is wrong\n  Expected: sha256: and 64 digits"),
        ("--link", "novalue", "not NAME=PATH: novalue"),
        ("--strip", "99", "--strip is wrong\n  Expected: an integer from 0 to 16"),
    ],
)
def test_add_says_which_option_is_wrong(founded, capsys, option, value, expected):
    options = {"--name": "a", "--version": "1", "--sha256": "0" * 64, option: value}
    words = [word for pair in options.items() for word in pair]
    assert founded.sealift("add", "--url", "https://example.org/a.zip", *words) == 2
    assert expected in capsys.readouterr().err


def test_add_knows_the_four_kinds(founded):
    platforms = ["--platform", "linux-x86_64-gnu", "--platform", "linux-aarch64-gnu"]
    assert founded.sealift("add", "3.13", "pypy@3.11", *platforms) == 0
    assert founded.sealift("add", "pypi:ruff==0.9.0", *platforms) == 0
    assert founded.sealift("add", "installed:/usr/bin/python3") == 0
    assert founded.add_tool() == 0
    spec = read_spec(founded.spec)
    assert [wanted.request for wanted in spec.python] == ["3.13", "pypy@3.11"]
    assert spec.python[1].platforms == ("linux-x86_64-gnu", "linux-aarch64-gnu")
    assert spec.package[0].request == "ruff==0.9.0"
    assert spec.installed[0].path == "/usr/bin/python3"
    assert spec.url[0].links == {"tool": "bin/tool"}


def test_search_shows_what_a_request_matches(founded, capsys):
    capsys.readouterr()
    assert founded.sealift("search", "3.13", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["key"], found["sha256"]) == (PYTHON, digest(founded.python))
    assert founded.sealift("search", "3.13") == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["KEY", "BUILD", "DIGEST", "URL"]
    assert row.split() == [PYTHON, "20250529", "sha256", founded.python.as_uri()]


def test_search_needs_no_site(workshop, capsys):
    assert workshop.sealift("search", "3.13", cwd=workshop.folder) == 0
    assert PYTHON in capsys.readouterr().out


@pytest.mark.parametrize("words", [["3.12"], ["3.13", "--platform", "linux-aarch64-gnu"]])
def test_search_for_what_there_is_not(founded, capsys, words):
    assert founded.sealift("search", *words) == 2
    assert "the catalogue has no" in capsys.readouterr().err


def test_outside_of_a_site(workshop, capsys):
    assert workshop.sealift("lock", cwd=workshop.folder) == 2
    assert "hint: make a site: sealift init DIR" in capsys.readouterr().err


def test_a_site_may_be_named(founded, capsys):
    capsys.readouterr()
    assert founded.sealift("key", "show", "release", "--site", "site", cwd=founded.folder) == 0
    assert "ecdsa" in capsys.readouterr().out


def test_a_spec_that_breaks_its_schema(founded, capsys):
    founded.spec.write_text(founded.spec.read_text().replace("format = 1", "format = 7"))
    assert founded.sealift("lock") == 2
    shown = capsys.readouterr().err
    assert f"{founded.spec}, line 2: format\n  Expected: 1\n  Found: 7\n" in shown


def test_usage_and_version(workshop, capsys):
    assert workshop.sealift("--version", cwd=workshop.folder) == 0
    assert capsys.readouterr().out == "sealift 0.1.0\n"
    assert workshop.sealift("no-such-command", cwd=workshop.folder) == 2
    assert workshop.sealift("build", "--no-such-option", cwd=workshop.folder) == 2
    assert workshop.sealift("--help", cwd=workshop.folder) == 0


def test_too_little_memory_is_no_defect(founded, capsys, monkeypatch):
    def hungry(*words: object) -> None:
        raise MemoryError

    monkeypatch.setattr("sealift_bundler.roots.read_roots", hungry)
    assert founded.sealift("root", "show") == 6
    assert capsys.readouterr().err == "error: not enough memory\n"


def test_a_defect_is_no_traceback(founded, capsys, monkeypatch):
    def broken(*words: object) -> None:
        raise ZeroDivisionError("what\x1b[31m")

    monkeypatch.setattr("sealift_bundler.roots.read_roots", broken)
    assert founded.sealift("root", "show") == 1
    shown = capsys.readouterr().err
    assert "a defect of sealift: ZeroDivisionError: what\\x1b[31m" in shown
    assert "SEALIFT_DEBUG=1" in shown
    founded.environment["SEALIFT_DEBUG"] = "1"
    with pytest.raises(ZeroDivisionError, match="what"):
        founded.sealift("root", "show")


@pytest.mark.parametrize("lines", [1, 10_000])
def test_whoever_reads_the_output_may_go(lines):
    code = f"""
import sys
from sealift_bundler.cli import main
from sealift_bundler.cli.main import app

def show() -> None:
    sys.stdin.read()
    for _ in range({lines}):
        print("one line of the output")

app.command()(show)
sys.argv[1:] = ["show"]
main()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == ""
    # The code that a shell shows for a program that SIGPIPE has ended.
    assert process.returncode == 141
