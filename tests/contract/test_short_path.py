"""The short path of the design, to the letter: two programs, a server on loopback, small archives."""

import hashlib
import json
import shlex

import pytest

from loopback import LoopbackServer
from road import PROGRAMS, run
from sealift_installer.host import current_platform
from workshop import DATA, PYTHON, TOOL, Workshop, digest

pytestmark = pytest.mark.skipif(
    str(current_platform()) != "linux-x86_64-gnu", reason="the archives are for linux-x86_64-gnu"
)

CONNECTED = """\
sealift init site
cd site
sealift key new release --no-passphrase
sealift root init --key release
sealift add cpython@3.13 --platform linux-x86_64-gnu
sealift add --url URL --sha256 HEX --name tool --version 1.0 --platform linux-x86_64-gnu
sealift build --output ../bundle
"""


@pytest.fixture(scope="module")
def carried(tmp_path_factory):
    """Walk the connected side; return the workshop, and what `root init` printed."""
    workshop = Workshop(tmp_path_factory.mktemp("short path"))
    with LoopbackServer(workshop.served) as server:
        workshop.publish(url=f"{server.url}/{workshop.python.name}")
        environment = {
            "SEALIFT_CACHE_DIR": str(workshop.folder / "cache"),
            "UV_PYTHON_DOWNLOADS_JSON_URL": f"{server.url}/downloads.json",
        }
        place, printed = workshop.folder, ""
        for line in CONNECTED.splitlines():
            words = shlex.split(line.replace("URL", f"{server.url}/{workshop.tool.name}"))
            words = [digest(workshop.tool) if word == "HEX" else word for word in words]
            if words[0] == "cd":
                place /= words[1]
                # unseal's wheels come from an index, which a test does not need.
                with workshop.spec.open("a") as file:
                    file.write("\n[installer]\npythons = []\n")
                continue
            done = run(PROGRAMS / words[0], *words[1:], cwd=place, env=environment)
            printed = done.stdout if words[1] == "root" else printed
    return workshop, printed.strip()


@pytest.fixture(scope="module")
def target(carried, tmp_path_factory):
    """Walk the target's side; return the prefix."""
    workshop, sha256 = carried
    prefix = tmp_path_factory.mktemp("target") / "a prefix"
    bundle = workshop.folder / "bundle"
    root = bundle / "trust" / "root" / "1.root.dsse.json"
    words = ["trust", "import", root, "--sha256", sha256, "--prefix", prefix]
    run(PROGRAMS / "unseal", *words, offline=True)
    run(PROGRAMS / "unseal", "install", bundle, "--prefix", prefix, offline=True)
    return prefix


def test_root_init_prints_the_sha256_of_the_root(carried):
    workshop, printed = carried
    assert printed == hashlib.sha256(workshop.root.read_bytes()).hexdigest()


def test_the_interpreter_stands_and_names_its_place(target):
    home = target / "installs" / PYTHON
    assert (home / "BUILD").read_text() == "20250529"
    assert (home / "bin" / "python").resolve().name == "python3.13"
    answer = json.loads(run(home / "bin" / "python3.13").stdout)
    assert answer["prefix"] == answer["configured"] == str(home.resolve())
    assert "'/install" not in (home / DATA).read_text()


def test_the_tool_runs(target):
    assert run(target / "tools" / TOOL / "bin" / "tool").stdout == "a tool\n"


def test_unseal_lists_what_stands(target):
    listed = run(PROGRAMS / "unseal", "list", "--prefix", target).stdout
    assert PYTHON in listed
    assert TOOL in listed


def test_a_stranger_is_not_trusted(carried, tmp_path):
    workshop, _ = carried
    prefix = tmp_path / "prefix"
    bundle = workshop.folder / "bundle"
    done = run(PROGRAMS / "unseal", "install", bundle, "--prefix", prefix, check=False)
    assert done.returncode == 3
    assert "unseal trust import" in done.stderr
    assert not (prefix / "installs").exists()
