"""The fuzzer's targets take their seeds and what was found before; a crash ends a run with 1."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from fuzz.targets import LONGEST, TARGETS

RUN = Path(__file__).with_name("run.py")


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_its_seeds(name):
    seeds = list(TARGETS[name].seeds())
    assert any(len(seed) <= LONGEST for seed in seeds)
    for seed in {seed for seed in seeds if len(seed) <= LONGEST}:
        TARGETS[name].run(seed)
        TARGETS[name].run(seed[: len(seed) // 2])


@pytest.mark.skipif(find_spec("atheris") is None, reason="there is no atheris here")
def test_a_crash_is_a_failure(tmp_path):
    words = [sys.executable, RUN, "--seconds", "5", "--choice", "1", "--keep", tmp_path]
    words += ["broken", "prefix"]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)  # noqa: PLW1510 - it fails
    assert done.returncode == 1, done.stderr
    assert "FAILED  broken" in done.stdout
    assert "IndexError: found" in done.stdout
    assert "ok      prefix" in done.stdout
    assert [path.read_bytes()[:2] for path in (tmp_path / "finds/broken").iterdir()] == [b"\1\2"]


def test_an_unknown_target_is_named():
    done = subprocess.run([sys.executable, RUN, "tra"], capture_output=True, text=True, check=False)
    if find_spec("atheris") is None:
        assert "not fuzzed: there is no atheris" in done.stdout
    else:
        assert "no target tra" in done.stderr
