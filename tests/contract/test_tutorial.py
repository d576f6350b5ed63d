"""The tutorial, word for word: its shell blocks, run one after the other in an empty directory."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from road import PROGRAMS, namespaces_work

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial" / "first-bundle.md"


@pytest.mark.skipif(
    "SEALIFT_TEST_REGISTRY" not in os.environ,
    reason="SEALIFT_TEST_REGISTRY is not set: the tutorial fetches from the package index",
)
@pytest.mark.skipif(not namespaces_work(), reason="unshare -rn does not work on this system")
def test_the_tutorial_works_word_for_word(tmp_path):
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 10
    script = tmp_path / "tutorial.sh"
    script.write_text("set -eu\n" + "\n".join(blocks), "utf-8")
    lab = tmp_path / "lab"
    lab.mkdir()
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(script)],
        cwd=lab,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=840,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{lab}/prefix/installs/cpython-" in done.stdout
    assert "ruff 0.14.0" in done.stdout
    assert done.stdout.endswith("exit code 4\n")
    assert "archives/" in done.stderr
