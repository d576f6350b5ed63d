"""A real interpreter's bundle on an exFAT stick, and a prefix on a file system like Windows'."""

import json
from pathlib import Path

import pytest

from filesystems import mounted_exfat, mounted_ntfs
from road import ARCHIVES, Site, Target, catalogue, needs_archives, run, sha256

pytestmark = needs_archives
KEY = "cpython-3.11.2-linux-x86_64-gnu"


@pytest.fixture(scope="module")
def carried(tmp_path_factory):
    """A site, and its bundle of the CPython archive."""
    folder = tmp_path_factory.mktemp("carried")
    (archive,) = Path(ARCHIVES or "").glob("cpython-*.tar.zst")
    entry = (archive.as_uri().replace("+", "%2B"), sha256(archive), "20261122")
    (folder / "downloads.json").write_text(catalogue({"cpython-3.11.2": entry}))
    site = Site(folder / "site", {"UV_PYTHON_DOWNLOADS_JSON_URL": str(folder / "downloads.json")})
    site.without_travelling_installer()
    site("add", "cpython@3.11", "--platform", "linux-x86_64-gnu")
    site("build", "--output", folder / "bundle")
    return site, folder / "bundle"


def test_a_bundle_on_an_exfat_stick(carried, tmp_path):
    site, bundle = carried
    with mounted_exfat(tmp_path / "exfat") as stick:
        (stick / "System Volume Information").mkdir()
        site("media", "write", bundle, stick)
        target = Target(tmp_path / "prefix", site)
        target("verify", stick / "bundle")
        target("install", stick / "bundle")
        target("verify", stick / "bundle")
    program = tmp_path / "prefix" / "installs" / KEY / "bin" / "python3.11"
    assert run(program, "-c", "print(6 * 7)").stdout == "42\n"


def test_a_prefix_that_does_not_tell_capitals_from_small_letters(carried, tmp_path):
    """CPython's terminfo has entries whose names differ by case alone: they are twins."""
    site, bundle = carried
    with mounted_ntfs(tmp_path / "ntfs") as place:
        target = Target(place / "prefix", site)
        target("install", bundle)
        program = place / "prefix" / "installs" / KEY / "bin" / "python3.11"
        assert run(program, "-B", "-c", "import ssl, sqlite3; print(6 * 7)").stdout == "42\n"
        record = json.loads((place / "prefix" / "state" / "installs" / f"{KEY}.json").read_text())
        assert record["merged"]["share/terminfo/2/2621a"] == "share/terminfo/2/2621A"
        # The index as it stands here is what a check compares the tree with.
        target("check", KEY)
        kept = place / "prefix" / "installs" / KEY / "share/terminfo/n/ncr260vt300wpp"
        kept.write_bytes(kept.read_bytes() + b"x")
        assert target("check", KEY, check=False).returncode == 7
        again = target("install", bundle)
        assert "there already" in again.stdout
