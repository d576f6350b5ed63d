"""`unseal` with odd callers: closed, full and broken streams, empty and absurd words."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sealift_installer import cli
from sealift_installer.errors import UsageError
from simulator import Member, SimArchive
from target import Target, content, tool

UNSEAL = [sys.executable, "-m", "sealift_installer"]
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")


@pytest.fixture
def target(tmp_path):
    made = Target(tmp_path)
    made.carry(tool())
    made.trust()
    return made


def install(target, redirection):
    words = f'exec "$@" {redirection}'
    command = [*UNSEAL, "install", str(target.site.path), "--prefix", str(target.prefix.path)]
    return subprocess.run(
        ["/bin/sh", "-c", words, "sh", *command], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_go_nowhere(target, closed):
    done = install(target, closed)
    assert (done.returncode, done.stderr) == (0, "")
    assert (done.stdout == "") == (">&-" in closed.replace("2>&-", ""))
    assert content(target.tree())["bin/tool"] == (b"#!/bin/sh\necho one\n", 0o755)


@needs_full
def test_a_result_that_cannot_be_printed_is_said(target):
    done = install(target, ">/dev/full")
    assert done.returncode == 6
    assert done.stderr == "unseal: cannot write the output: No space left on device\n"
    assert target.tree().is_dir()


@needs_full
def test_an_error_keeps_its_exit_code_where_nobody_is_told(target):
    (target.site.path / "README.txt").unlink()
    assert install(target, "2>/dev/full").returncode == 4


def test_a_reader_of_warnings_that_goes_away_stops_nothing(target):
    target.site.write_file(".DS_Store", b"")  # a warning comes before the install
    reading, writing = os.pipe()
    os.close(reading)
    command = [*UNSEAL, "install", str(target.site.path), "--prefix", str(target.prefix.path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=writing, check=False)
    os.close(writing)
    assert done.returncode == 0
    assert target.tree().is_dir()


@pytest.mark.parametrize(
    "words", [["list", "--prefix", ""], ["verify", ""], ["trust", "import", "", "--sha256", "0"]]
)
def test_an_empty_path_is_not_the_current_directory(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(words)
    assert "it is empty; the current directory is called ." in capsys.readouterr().err


def test_a_path_that_is_too_long_is_no_defect(target, capsys):
    prefix = str(target.path / ("a" * 300))
    assert cli.main(["install", str(target.site.path), "--prefix", prefix]) == 6
    assert "cannot look for the state: File name too long" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "reason"), [(MemoryError(), "not enough memory"),
                                               (OSError(5, "I/O", "x\n"), r"I/O: 'x\n'")])  # fmt: skip
def test_what_the_system_refuses_is_no_defect(target, capsys, monkeypatch, error, reason):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr("sealift_installer.verify.verify_files", refuse)
    prefix = ["--prefix", str(target.prefix.path)]
    assert cli.main(["verify", str(target.site.path), *prefix]) == 6
    assert capsys.readouterr().err == f"unseal: the operating system refuses: {reason}\n"


@pytest.mark.parametrize("reason", ["x" * 2001, "x" * 300_000, "\udcff"])
def test_a_reason_that_no_receipt_can_hold_is_refused_before_anything(target, reason):
    target.install()
    old = target.site.path
    target.carry(tool(content=b"two\n"))
    target.install()
    with pytest.raises(UsageError, match="the reason of --allow-downgrade is"):
        target.install(old, allow_downgrade=reason)
    assert target.install(old, allow_downgrade="é" * 2000).exit_code == 0
    assert target.receipts()[-1].overrides == {"allow_downgrade": "é" * 2000}


def test_an_interrupt_while_the_words_are_read(capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sealift_installer.cli.entry.parse", interrupt)
    assert cli.main(["list"]) == 130
    assert capsys.readouterr().err == "unseal: interrupted; the next run cleans up\n"


def test_a_prefix_that_nothing_can_be_installed_to_trusts_nobody(target, capsys):
    root = str(target.path / "1.root.dsse.json")
    prefix = target.path / "new\nline"
    words = ["trust", "import", root, "--sha256", target.root_sha256, "--prefix", str(prefix)]
    assert cli.main(words) == 6
    assert "control character" in capsys.readouterr().err
    assert not prefix.exists()


def test_a_name_of_the_caller_is_cut(target, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "\x1b" * 100_000)
    target.install()
    user = target.receipts()[-1].user
    assert len(user) < 1100
    assert json.dumps(user).isascii()


def test_names_are_utf8_whatever_the_locale_says(target):
    name = "é/ü\U0001f600"
    link = Member("ö", type="link", target=name)
    twin = Member("ä", type="hardlink", target=name)
    archive = SimArchive("odd-1.0", (Member(name, b"x"), link, twin), format="tar")
    command = [*UNSEAL, "install", target.carry(archive), "--prefix", target.prefix.path]
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        command, env={**os.environ, **ascii_only}, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    tree = target.tree("odd-1.0")
    assert (tree / name).read_bytes() == (tree / "ö").read_bytes() == b"x"
    assert (tree / "ä").samefile(tree / name)
    assert content(target.tree("odd-1.0")).keys() == {"é", name, "ö", "ä"}
