"""A real CPython, over which a real uv has gone, is still what was sealed."""

import os
import shutil
from pathlib import Path

import pytest

from loopback import LoopbackServer
from road import ARCHIVES, PROGRAMS, Site, Target, catalogue, needs_archives, run, sha256

pytestmark = [pytest.mark.archives, needs_archives]
ARCHIVE = "cpython-3.11.2+20261122-x86_64-unknown-linux-gnu-install_only_stripped.tar.zst"
KEY = "cpython-3.11.2-linux-x86_64-gnu"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uv")
    with LoopbackServer(tmp_path_factory.mktemp("served")) as server:
        archive = Path(ARCHIVES or "") / ARCHIVE
        (server.directory / ARCHIVE).symlink_to(archive)
        url = f"{server.url}/{ARCHIVE.replace('+', '%2B')}"
        entries = {"cpython-3.11.2": (url, sha256(archive), "20261122")}
        (folder / "downloads.json").write_text(catalogue(entries))
        site = Site(
            folder / "site", {"UV_PYTHON_DOWNLOADS_JSON_URL": str(folder / "downloads.json")}
        )
        site.without_travelling_installer()
        site("add", "cpython@3.11", "--platform", "linux-x86_64-gnu")
        site("build", "--output", folder / "bundle")
    target = Target(folder / "prefix", site)
    target("install", folder / "bundle", "--link")
    return folder, target


def uv(folder, prefix, *words):
    env = {
        "UV_PYTHON_INSTALL_DIR": str(prefix / "installs"),
        "UV_PYTHON_CACHE_DIR": str(folder / "bundle/archives"),
        "UV_PYTHON_DOWNLOADS_JSON_URL": str(folder / "bundle/python-downloads.json"),
        "UV_CACHE_DIR": str(folder / "uv"),
        "XDG_BIN_HOME": str(folder / "uv-bin"),
        "UV_OFFLINE": "1",
        "PATH": os.environ["PATH"],
    }
    return run(PROGRAMS / "uv", *words, env=env)


def test_uv_goes_over_the_tree(place):
    folder, target = place
    assert "tolerated" not in target("check").stdout
    uv(folder, target.prefix, "python", "install", KEY)
    uv(folder, target.prefix, "venv", "-q", "--managed-python", "--python", "3.11", folder / "v")
    run(folder / "v/bin/python", "-c", "import json, sqlite3")
    done = target("check")
    assert "as it was sealed" in done.stdout
    (tolerated,) = (line for line in done.stdout.splitlines() if "tolerated: " in line)
    assert "lib/python3.11/EXTERNALLY-MANAGED by uv" in tolerated
    assert target("check", "--strict", check=False).returncode == 7


def test_the_prefix_moves(place):
    folder, target = place
    moved = folder / "moved to"
    shutil.copytree(target.prefix, moved, symlinks=True)
    unseal = PROGRAMS / "unseal"
    hidden = folder / "hidden"
    target.prefix.rename(hidden)
    try:
        assert run(unseal, "check", "--prefix", moved, check=False).returncode == 7
        run(unseal, "relocate", KEY, "--prefix", moved)
        run(unseal, "check", "--prefix", moved)
        run(unseal, "activate", KEY, "--prefix", moved)
        question = "import sys, sysconfig; print(sys.prefix, sysconfig.get_config_var('LIBDIR'))"
        home = moved / "installs" / KEY
        assert run(moved / "bin/python", "-c", question).stdout == f"{home} {home}/lib\n"
    finally:
        hidden.rename(target.prefix)
