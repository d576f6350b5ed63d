"""Runs of media write that are killed: no medium has what looks like a bundle and is none."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from sealift_bundler.cli.main import INTERRUPTED, run
from sealift_bundler.media.check import find_bundles
from sealift_bundler.media.copy import copy_bundles
from sealift_bundler.media.outcome import CopyOptions
from sealift_installer.errors import Damaged, HostError
from simulator import BundleSimulator, SimArchive
from stops import full_at, killed_at
from workshop import tree

PROGRAM = (sys.executable, "-c", "from sealift_bundler.cli import main; main()")


def make(path, size, small):
    site = BundleSimulator(path)
    data = random.Random(5).randbytes(size)
    site.add_archive(SimArchive("big-1.0", (), data=data, format="tar"))
    for number in range(small):
        site.payload[f"templates/{number:064x}"] = bytes([number]) * 5000
    return site.write()


def whole_or_none(site, stick):
    """Check that what is on the medium is the bundle, or nothing that is taken for one."""
    if (stick / "bundle").exists():
        assert tree(stick / "bundle") == tree(site.path)
        return True
    with pytest.raises(Damaged, match="no bundle on the medium"):
        find_bundles(stick)
    assert {path.name for path in stick.iterdir()} <= {".bundle.partial"}
    return False


def sweep(site, stick, step):
    """Kill a run before each of its changes, or every `step`-th, each going on with the last."""
    options = CopyOptions(site.first_root)
    for kills, point in enumerate(range(1, 10_000, step), start=1):
        if not killed_at(point, lambda: copy_bundles([site.path], stick, options)):
            assert whole_or_none(site, stick)
            return kills - 1
        if whole_or_none(site, stick):
            return kills
    raise AssertionError("it never ended")


def test_killed_before_some_of_its_changes(tmp_path):
    site = make(tmp_path / "bundle", 100_000, 3)
    (tmp_path / "stick").mkdir()
    assert sweep(site, tmp_path / "stick", 9) > 5


def test_a_medium_that_is_full_from_some_moment_on(tmp_path):
    """Whatever could not be written, the next run goes on, and nothing is a bundle before."""
    site = make(tmp_path / "bundle", 100_000, 3)
    options = CopyOptions(site.first_root)
    for point in range(1, 10_000, 4):
        stick = tmp_path / f"stick-{point}"
        stick.mkdir()
        said = ""
        try:
            full_at(point, lambda stick=stick: copy_bundles([site.path], stick, options))
        except HostError as error:
            said = error.message
            # The last thing is to sync the directory, when the bundle has its name.
            whole_or_none(site, stick)
            copy_bundles([site.path], stick, options)
        assert whole_or_none(site, stick)
        if not said:
            assert point > 20
            return
        assert said.endswith(("No space left on device", f"{stick}/.bundle.partial"))


def test_an_interrupt_while_modules_are_imported(monkeypatch, capsys):
    """Pythons before 3.12 make an error of their own of it, if it comes while a class is made."""

    def import_something(*_, **__):
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    monkeypatch.setattr(sys.modules[run.__module__], "app", import_something)
    assert run(["media"]) == INTERRUPTED
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_killed_before_each_change_of_a_fresh_run(tmp_path):
    site = make(tmp_path / "bundle", 100_000, 3)
    options = CopyOptions(site.first_root)
    for point in range(1, 10_000):
        stick = tmp_path / f"stick-{point}"
        stick.mkdir()
        killed = killed_at(point, lambda stick=stick: copy_bundles([site.path], stick, options))
        if not whole_or_none(site, stick):
            copy_bundles([site.path], stick, options)
            assert whole_or_none(site, stick)
        if not killed:
            assert point > 30
            return


@pytest.mark.slow
def test_thirty_kills_at_random_moments(tmp_path):
    site = make(tmp_path / "bundle", 60_000_000, 100)
    stick = tmp_path / "stick"
    stick.mkdir()
    root = tmp_path / "root.json"
    root.write_bytes(site.roots[1])
    command = [*PROGRAM, "media", "write", site.path, stick, "--root", root, "--quiet"]

    def start():
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)

    with start() as process:
        begin = time.monotonic()
        assert process.wait() == 0
    duration = time.monotonic() - begin
    assert whole_or_none(site, stick)
    (stick / "bundle").rename(tmp_path / "first")
    moments, resumed = random.Random(9), 0
    for number in range(30):
        resumed += (stick / ".bundle.partial").exists()
        with start() as process:
            try:
                code = process.wait(duration * moments.random())
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT if number % 3 == 1 else signal.SIGKILL)
                code = process.wait()
            said = process.stderr.read()
        # Before the program has begun, Python itself says what became of it.
        assert code in {0, 130, -signal.SIGKILL, -signal.SIGINT} or b"KeyboardInterrupt" in said
        if whole_or_none(site, stick):
            (stick / "bundle").rename(tmp_path / f"done-{number}")
    assert resumed > 3
    subprocess.run(command, check=True, env=os.environ)
    assert whole_or_none(site, stick)
