"""The commands of the how-to page, as an auditor types them; and the road of a receipt."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from road import PROGRAMS, Site, Target, run, sha256

PAGE = Path(__file__).parents[2] / "docs/how-to/keep-receipts.md"
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("jq", "openssl", "sha256sum"))), reason="jq or openssl is missing"
)


def commands() -> list[str]:
    """Return the commands with stock tools: the chain, the head, the agreement, the beginning."""
    text = PAGE.read_text().partition("## With stock tools")[2]
    return re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)


def by_hand(export, earlier, key):
    """Run all of them in one shell; return the exit code of each and what was printed."""
    script = "".join(f"(\n{block}\n)\n" if "exit 1" in block else block for block in commands())
    return subprocess.run(
        ["bash", "-c", f"set -e -o pipefail\n{script}"],
        env={"PATH": "/usr/bin:/bin", "EXPORT": export, "EARLIER": earlier, "KEY": key},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def road(tmp_path_factory):
    """A site with two bundles, and a target that has both and exported twice."""
    folder = tmp_path_factory.mktemp("receipts")
    site = Site(folder / "site")
    site.without_travelling_installer()
    archive = folder / "tool.tar"
    (folder / "tool").write_text("#!/bin/sh\n")
    subprocess.run(["tar", "-cf", archive, "-C", folder, "tool"], check=True)
    wish = ["add", "--url", archive.as_uri(), "--sha256", sha256(archive)]
    site(*wish, "--name", "tool", "--version", "1.0")
    site("build", "--output", folder / "bundle-1")
    target = Target(folder / "prefix", site)
    public = target("receipts", "key", "new").stdout
    (folder / "host.pub.pem").write_text(public)
    target("install", folder / "bundle-1")
    target("receipts", "export", folder / "first")
    site(*wish, "--name", "other", "--version", "2.0")
    site("build", "--output", folder / "bundle-2")
    target("install", folder / "bundle-2")
    target("receipts", "export", folder / "second")
    return folder, site, target


def test_an_export_is_checked_with_stock_tools(road):
    folder, *_ = road
    done = by_hand(folder / "second", folder / "first", folder / "host.pub.pem")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["Verified", "OK", "true", "true"]


def test_an_export_without_a_signature_as_well(road, tmp_path):
    folder, *_ = road
    for name in ("first", "second"):
        *lines, last = (folder / name).read_bytes().splitlines(keepends=True)
        import base64

        head = base64.b64decode(json.loads(last)["payload"])
        (tmp_path / name).write_bytes(b"".join(lines) + head)
    done = by_hand(tmp_path / "second", tmp_path / "first", "")
    assert (done.returncode, done.stdout.split()) == (0, ["true", "true"])


def lines_of(path):
    return path.read_bytes().splitlines(keepends=True)


FORGERIES = {
    "edited": lambda lines: [lines[0].replace(b"by hand", b"by mail"), *lines[1:]],
    "removed": lambda lines: [*lines[:1], *lines[2:]],
    "exchanged": lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
    "cut": lambda lines: [*lines[:-2], lines[-1]],
    "signature": lambda lines: [*lines[:-1], lines[-1].replace(b'"sig":"ME', b'"sig":"MF')],
}


@pytest.mark.parametrize("name", FORGERIES)
def test_stock_tools_find_a_forgery(road, tmp_path, name):
    folder, *_ = road
    forged = tmp_path / "forged"
    forged.write_bytes(b"".join(FORGERIES[name](lines_of(folder / "second"))))
    done = by_hand(forged, folder / "first", folder / "host.pub.pem")
    assert done.returncode != 0 or "false" in done.stdout


def test_the_connected_side_says_which_host_has_what(road):
    folder, *_ = road
    words = ["receipts", "verify", folder / "second", folder / "first"]
    words += ["--host-key", folder / "host.pub.pem"]
    words += [f"--bundle={folder / name}" for name in ("bundle-1", "bundle-2")]
    done = run(PROGRAMS / "sealift", *words, "--json")
    report = json.loads(done.stdout)
    assert report["good"] is True
    (host,) = report["hosts"]
    assert [each["archive"]["name"] for each in host["installed"]] == ["other-2.0", "tool-1.0"]
    assert host["streams"]["site"]["sequence"] == 2
    done = run(PROGRAMS / "sealift", *words[:2], folder / "first", *words[4:])
    assert "site 1 (1 behind)" in done.stdout
    head = json.loads(run(PROGRAMS / "sealift", *words, "--json").stdout)["hosts"][0]["head"]
    done = run(PROGRAMS / "sealift", *words[:2], folder / "first", "--head", head, check=False)
    assert done.returncode == 3
    assert "a head that no trail has" in done.stdout
    assert "hint: " in done.stderr


def test_the_life_of_a_tree(road):
    """Each command by itself, in an empty network namespace where there is one."""
    folder, _, target = road
    target("check")
    tree = target.prefix / "tools/tool-1.0"
    (tree / "tool").write_text("evil")
    assert target("check", check=False).returncode == 7
    assert target("preflight", folder / "bundle-2").returncode == 0
    target("repair", folder / "bundle-2")
    target("check", "--strict")
    target("uninstall", "other-2.0")
    target("receipts", "verify")
    actions = [
        receipt["action"]
        for receipt in json.loads(target("receipts", "list", "--json").stdout)["receipts"]
    ]
    assert actions == ["trust", "trust", "install", "install", "repair", "uninstall"]
