"""The real .7z, from an address to an installed tree, beside the .tar.gz of the same files."""

import os
from pathlib import Path
from urllib.parse import quote

import pytest

from road import ARCHIVES, Site, Target, needs_archives, sha256

pytestmark = [pytest.mark.archives, needs_archives]

NAME = "cpython-3.11.2+20261122-x86_64-unknown-linux-gnu-install_only_stripped"


def described(root: Path) -> dict[str, tuple[int, str]]:
    """Return mode and SHA-256, or a link's target, of everything in a tree but directories."""
    return {
        path.relative_to(root).as_posix(): (0, str(path.readlink()))
        if path.is_symlink()
        else (path.stat().st_mode, sha256(path))
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_the_real_7z_gives_the_same_tree_as_the_tar(tmp_path):
    site = Site(tmp_path / "site")
    site.without_travelling_installer()
    for ending in ("7z", "tar.gz"):
        file = Path(ARCHIVES or "") / f"{NAME}.{ending}"
        what = ["--url", f"file://{quote(str(file))}", "--sha256", sha256(file)]
        site("add", *what, "--name", ending.replace(".", ""), "--version", "1")
    site("build", "--output", tmp_path / "bundle")
    target = Target(tmp_path / "prefix", site)
    target("install", tmp_path / "bundle")
    tools = target.prefix / "tools"
    seven, tar = (described(next(tools.glob(f"{name}-1*"))) for name in ("7z", "targz"))
    assert len(seven) > 4900
    assert seven == tar
    assert os.access(next(tools.glob("7z-1*")) / "bin" / "python3.11", os.X_OK)
