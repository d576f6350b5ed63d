"""Where this user may start no process and no thread (RLIMIT_NPROC, which root is exempt from)."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealift_installer.check import check
from sealift_installer.cores import count_cores
from target import Target, python, tool

# A user of this process alone: what other tests start at the same time would be counted too.
NOBODY = 61000 + os.getpid() % 4000
# Enough for processes, in two archives, and for threads that hash.
LARGE = bytes(range(256)) * (17 * 4096)
# It answers the smoke test and starts nothing for that.
FRUGAL = """#!/bin/sh
cd ..
read -r configured <lib/prefix
printf '{"implementation": "%s", "version": "%s", "prefix": "%s", "configured": "%s"}' \\
    {implementation} {version} "$PWD" "$configured"
"""
# Of root's powers, what it takes to read the checkout and the Python that runs the tests.
POWERS = "-all,+dac_override,+dac_read_search"
AS_NOBODY = (
    *("setpriv", f"--reuid={NOBODY}", "--clear-groups"),
    *(f"--{kind}={POWERS}" for kind in ("inh-caps", "ambient-caps", "bounding-set")),
)
SCARCE = (*(AS_NOBODY if os.geteuid() == 0 else ()), "prlimit")
UNSEAL = (sys.executable, "-m", "sealift_installer")


def run(*words: str | Path, most: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a program of a user that has no more than so many processes."""
    command = [*SCARCE, f"--nproc={most}", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)


def can_be_scarce() -> bool:
    if not all(map(shutil.which, ("setpriv", "prlimit"))):
        return False
    starts, forks = (run(sys.executable, "-c", code) for code in ("pass", "import os; os.fork()"))
    return starts.returncode == 0 != forks.returncode


pytestmark = pytest.mark.skipif(not can_be_scarce(), reason="processes cannot be made scarce here")


@pytest.fixture
def target() -> Iterator[Target]:
    """A target of that user, in a directory that it can reach."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        target = Target(Path(name))
        target.trust()
        target.carry(tool("a-1.0", LARGE), python(script=FRUGAL), tool("b-1.0", LARGE + b"b"))
        if os.geteuid() == 0:
            for path in (target.path, *target.path.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        yield target


def test_archives_are_installed_one_after_the_other(target: Target):
    done = run(*UNSEAL, "install", target.site.path, "--prefix", target.prefix.path)
    assert done.returncode == 6
    if count_cores() > 1:  # with one none is asked for
        warning = "no other process can be had: Resource temporarily unavailable"
        assert f"warning: {warning}; one archive is installed after the other\n" in done.stderr
    assert "cannot be started: Resource temporarily unavailable\nhint: may this" in done.stderr
    assert done.stdout.count(": installed,") == 2
    assert target.leftovers() == []
    assert check(target.prefix.path).exit_code == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="what else this user has started counts as well")
@pytest.mark.parametrize("most", [2, 3, 4])
def test_processes_that_leave_none_to_an_interpreter_are_done_without(target: Target, most: int):
    words = ("install", target.site.path, "--prefix", target.prefix.path)
    done = run(*UNSEAL, *words, most=most)
    assert (done.returncode, done.stdout.count(": installed,")) == (0, 3), done.stderr
    assert target.leftovers() == []


def test_a_bundle_is_verified_by_one_thread(target: Target):
    done = run(*UNSEAL, "verify", target.site.path, "--prefix", target.prefix.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 archives" in done.stdout
    part = next((target.site.path / "archives").glob("*b-1.0*"))
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    done = run(*UNSEAL, "verify", target.site.path, "--prefix", target.prefix.path)
    assert done.returncode == 4
    assert "wrong SHA-256" in done.stderr
