"""The first step on a target, as the page in docs/ has it: its shell blocks, word for word."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from road import namespaces_work, sha256
from workshop import Workshop

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "first-step-on-a-target.md"
TOOLS = ("openssl", "sha256sum", "base64", "find")
pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in TOOLS), reason=f"needs {', '.join(TOOLS)}"
)


def blocks():
    """Return the shell blocks of the page: copy, the five checks, and the installation."""
    found = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(found) == 7
    return found


def walk(commands, stick, place, **more):
    """Run the commands in an empty folder, the target's."""
    place.mkdir()
    network = ["unshare", "-rn"] if namespaces_work() else []
    return subprocess.run(
        [*network, "sh", "-euc", "\n".join(commands)],
        cwd=place,
        env={**os.environ, "STICK": str(stick), "HOME": str(place), **more},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def stick(tmp_path_factory):
    """A stick with a bundle and the public key beside it."""
    workshop = Workshop(tmp_path_factory.mktemp("first step")).found()
    workshop.add_tool()
    stick = workshop.folder / "a stick"
    stick.mkdir()
    workshop.build().rename(stick / "bundle")
    shutil.copy(workshop.site / "keys" / "release.pub.pem", stick)
    return stick


def test_the_page_and_the_bundle_have_the_same_commands(stick):
    verify = (stick / "bundle" / "VERIFY.txt").read_text("ascii")
    # What comes behind is on the pages for signatures and for evidence.
    commands = re.findall(r"(?m)^ {4}(\S.*)$", verify.partition("\nEnvelopes: ")[0])
    page = "".join(blocks()[1:6]).replace("release.pub.pem", "NAME.pub.pem")
    assert page.splitlines() == commands


def test_the_checks_pass_on_a_good_bundle(stick, tmp_path):
    done = walk(blocks()[:6], stick, tmp_path / "target")
    assert done.returncode == 0, done.stderr
    identity, verdict = done.stdout.splitlines()
    (signature,) = (stick / "bundle").glob("SHA256SUMS.*.sig")
    assert identity.startswith(signature.name.split(".")[1])
    assert verdict == "Verified OK"
    assert done.stderr == ""


def test_a_key_in_the_bundle_is_an_added_file(stick, tmp_path):
    held = tmp_path / "stick"
    shutil.copytree(stick, held)
    shutil.copy(held / "release.pub.pem", held / "bundle")
    done = walk(blocks()[:6], held, tmp_path / "target")
    assert done.stdout.splitlines()[2:] == ["release.pub.pem"]


def test_a_changed_file_ends_the_checks(stick, tmp_path):
    held = tmp_path / "stick"
    shutil.copytree(stick, held)
    with (held / "bundle" / "README.txt").open("a") as file:
        file.write("One more line.\n")
    done = walk(blocks()[:6], held, tmp_path / "target")
    assert done.returncode != 0
    assert "README.txt: FAILED" in done.stdout


@pytest.mark.skipif(
    "SEALIFT_TEST_REGISTRY" not in os.environ,
    reason="SEALIFT_TEST_REGISTRY is not set: the wheels of unseal come from the package index",
)
def test_the_page_leads_to_an_unseal_that_trusts(tmp_path):
    workshop = Workshop(tmp_path).found(installer=True)
    with workshop.spec.open("a") as file:
        file.write(f'\n[installer]\npythons = ["3.{sys.version_info.minor}"]\n')
    workshop.add_tool()
    workshop.build()
    shutil.copy(workshop.site / "keys" / "release.pub.pem", tmp_path)
    # A namespace makes everyone root, whose prefix would be /opt/sealift.
    install = re.sub(r"(?m)^(~/unseal/.*)$", r'\1 --prefix "$HOME/prefix"', blocks()[6])
    more = {"HEX_FROM_PAPER": sha256(workshop.root), "PYTHON": sys.executable}
    done = walk([*blocks()[:6], install], tmp_path, tmp_path / "target", **more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "root version 1 is trusted from now on" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("good: ")
