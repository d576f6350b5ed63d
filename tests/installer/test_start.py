"""What a command imports decides when it starts: what takes long is not to come back unnoticed."""

import subprocess
import sys
from pathlib import Path

import pytest

from target import Target, tool

# `inspect` comes with `dataclasses`, every compression with `shutil`.
HEAVY = {"dataclasses", "inspect", "shutil", "lzma", "ctypes", "subprocess", "tempfile", "email"}


# What argparse itself takes, from Python 3.14 on also to paint its help, is not ours to save.
PARSER = "import argparse, sys\nif sys.version_info >= (3, 14): import _colorize\nprint(*sys.modules, file=sys.stderr)"
COMMAND = "import sys; from sealift_installer.cli import main\ntry: main(sys.argv[1:])\nfinally: print(*sys.modules, file=sys.stderr)"


def imported(*words: str | Path) -> set[str]:
    """Return the modules that a command has imported when it is done, without argparse's own."""
    return modules_of(COMMAND, *words) - modules_of(PARSER)


def modules_of(code: str, *words: str | Path) -> set[str]:
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("words", [["--help"], ["list", "--help"], ["install", "--help"]])
def test_help_imports_little(words: list[str]):
    modules = imported(*words)
    assert not modules & (HEAVY | {"json", "cryptography", "_hashlib"})


def test_list_imports_little(tmp_path: Path):
    assert not imported("list", "--prefix", tmp_path) & (HEAVY | {"cryptography", "_hashlib"})


def test_verify_imports_what_it_needs(tmp_path: Path):
    target = Target(tmp_path)
    target.trust()
    modules = imported("verify", target.carry(tool()), "--prefix", target.prefix.path)
    assert "cryptography" in modules
    assert not modules & (HEAVY | {"cryptography.x509", "isal", "py7zr", "zipfile", "tarfile"})


def test_an_interrupt_while_modules_are_imported_is_no_traceback():
    """Most of a short command is imports, so that is where Ctrl-C finds it."""
    code = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'sealift_installer.cli.arguments': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from sealift_installer.cli import main\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "list"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "unseal: interrupted\n")
