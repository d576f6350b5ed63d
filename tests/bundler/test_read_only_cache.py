"""A cache that cannot be written: served from while it is whole, and never with what is damaged."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from loopback import Body, LoopbackServer
from road import PROGRAMS
from workshop import Workshop, digest

READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'


def read_only(folder: Path, *words: str | Path) -> list[str | Path]:
    """Return a command for which `folder` is a read-only mount: root cannot write there either."""
    return ["unshare", "-rm", "sh", "-c", READ_ONLY, "sh", folder, *words]


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    words = read_only(tmp_path, "true")
    if shutil.which("unshare") is None or subprocess.run(words, check=False).returncode != 0:
        pytest.skip("read-only mounts in a namespace do not work on this system")
    made = Workshop(tmp_path).found()
    assert made.add_tool() == 0
    assert made.sealift("lock") == 0
    return made


def build(shop: Workshop, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a build for which the cache of the site is a read-only mount."""
    cache = shop.folder / "cache"
    command = read_only(cache, PROGRAMS / "sealift", "build", "--output", shop.folder / "bundle")
    return subprocess.run(
        [*command, *words],
        cwd=shop.site,
        env={**os.environ, **shop.environment},
        capture_output=True,
        text=True,
        check=False,
    )


def cached(shop: Workshop) -> Path:
    """Return the archive in the cache."""
    return shop.folder / "cache" / "archives" / f"{digest(shop.tool)[:9]}-{shop.tool.name}"


def test_a_whole_cache_serves(shop: Workshop) -> None:
    done = build(shop, "--offline")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [(), ("--offline",)])
def test_a_damaged_archive_is_named(shop: Workshop, words: tuple[str, ...]) -> None:
    file = cached(shop)
    file.write_bytes(b"other bytes")
    done = build(shop, *words)
    assert done.returncode == 4
    assert done.stderr.endswith(
        f"error: damaged in the cache, which cannot be written (Read-only file system): {file}\n"
        f"  Expected: sha256 {digest(shop.tool)}\n"
        f"  Computed: sha256 {hashlib.sha256(b'other bytes').hexdigest()}\n"
        "hint: where it can be written, `sealift cache verify --remove` takes the file away;"
        " SEALIFT_CACHE_DIR names another place\n"
    )
    assert not (shop.folder / "bundle").exists()
    assert file.read_bytes() == b"other bytes"


def test_the_hint_leads_on(shop: Workshop) -> None:
    cached(shop).write_bytes(b"other bytes")
    shop.environment["SEALIFT_CACHE_DIR"] = str(shop.folder / "another")
    done = build(shop)
    assert done.returncode == 0, done.stderr
    carried = next((shop.folder / "bundle" / "archives").iterdir())
    assert digest(carried) == digest(shop.tool)


def test_an_archive_that_is_missing(shop: Workshop) -> None:
    cached(shop).unlink()
    done = build(shop)
    assert done.returncode == 6
    assert "error: cannot write the cache: Read-only file system: " in done.stderr
    assert done.stderr.endswith("hint: SEALIFT_CACHE_DIR names another place\n")


def test_damaged_evidence_is_named(shop: Workshop, tmp_path: Path) -> None:
    sums = f"{digest(shop.tool)}  {shop.tool.name}\n".encode()
    (tmp_path / "empty").mkdir()
    with LoopbackServer(tmp_path / "empty") as server:
        server.faults["/sums"] = [Body(sums)]
        spec = shop.spec.read_text().replace('check = "off"', 'check = "require"')
        shop.spec.write_text(
            spec.replace('name = "tool"', f'name = "tool"\nchecksums = "{server.url}/sums"')
        )
        assert shop.sealift("lock") == 0
        file = shop.folder / "cache" / "evidence" / hashlib.sha256(sums).hexdigest()
        file.write_bytes(b"other bytes")
        done = build(shop, "--offline")
        assert done.returncode == 4
        assert (
            f"error: damaged in the cache, which cannot be written (Read-only file system): {file}\n"
            f"  Expected: sha256 {file.name}\n"
            f"  Computed: sha256 {hashlib.sha256(b'other bytes').hexdigest()}\n"
        ) in done.stderr
    shutil.rmtree(file.parent / "answers")
    done = build(shop, "--offline")
    assert done.returncode == 8
    assert (
        "tool-1.0-linux-x86_64-gnu: sums is damaged in the cache and cannot be had" in done.stderr
    )
