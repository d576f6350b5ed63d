"""What the host is, and what preflight says of it."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sealift_installer import host, preflight
from sealift_installer.errors import HostError
from sealift_schemas.index import Entry
from sealift_schemas.keys import Platform
from sealift_schemas.manifest import Requirements
from target import Target, tool

linux = pytest.mark.skipif(sys.platform != "linux", reason="the loader's cache is Linux's")
X86_64 = Platform("linux", "x86_64", "gnu")


def archive(tmp_path, **fields):
    return replace(Target(tmp_path).site.add_archive(tool()), **fields)


def test_the_platform_is_one_in_the_words_of_uv():
    here = host.current_platform()
    assert Platform.parse(str(here)) == here


@pytest.mark.parametrize(
    ("platform", "fitting"),
    [
        ("any", True),
        ("linux-x86_64-gnu", True),
        ("linux-x86_64-musl", False),
        ("linux-aarch64-gnu", False),
        ("macos-x86_64-none", False),
        ("linux-x86_64_v4-gnu", False),
    ],
)
def test_what_fits_a_host(platform, fitting, monkeypatch):
    monkeypatch.setattr(host, "_levels_here", lambda: frozenset({"x86_64_v2", "x86_64_v3"}))
    assert host.fits(platform, X86_64) is fitting
    assert host.fits("linux-x86_64_v3-gnu", X86_64)


@linux
def test_a_library_is_found_without_loading_it():
    loaded = Path("/proc/self/maps").read_text()
    known = [name for name in host._cached_libraries() if name.split(".")[0] not in loaded]
    if not known:
        pytest.skip("the loader's cache has nothing that is not loaded")
    found = host.find_library(known[0])
    assert found is not None
    assert found.name == known[0]
    assert known[0].split(".")[0] not in Path("/proc/self/maps").read_text()
    assert host.find_library("libno-such-thing.so.9") is None


@linux
def test_a_library_for_another_architecture_does_not_count(tmp_path, monkeypatch):
    known = host.find_library("libc.so.6")
    if known is None:
        pytest.skip("there is no glibc here")
    data = bytearray(known.read_bytes()[:64])
    (tmp_path / "libforeign.so.1").write_bytes(data)
    # Neither the smoke test nor another user's shell has this variable.
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    assert host.find_library("libforeign.so.1") is None
    monkeypatch.setattr(host, "_DIRECTORIES", (str(tmp_path),))
    assert host.find_library("libforeign.so.1") == tmp_path / "libforeign.so.1"
    data[18] ^= 0xFF  # e_machine
    (tmp_path / "libforeign.so.1").write_bytes(data)
    assert host.find_library("libforeign.so.1") is None
    (tmp_path / "libforeign.so.1").write_text("INPUT(-lc)")
    assert host.find_library("libforeign.so.1") is None


def test_everything_that_is_missing_is_named_at_once(tmp_path):
    needs = Requirements(glibc="9.99", libraries=("libno-such-thing.so.9", "libnor-this.so.1"))
    wanted = archive(tmp_path, requires=needs)
    with pytest.raises(HostError, match="libno-such-thing") as caught:
        preflight.check_host([wanted], tmp_path)
    assert "needs glibc 9.99, this host has" in caught.value.message
    assert "libnor-this.so.1" in caught.value.message


def test_another_platform_is_refused(tmp_path):
    wanted = archive(tmp_path, platform="windows-aarch64-none")
    with pytest.raises(HostError, match=r"tool-1\.0 is for windows-aarch64-none, this host is"):
        preflight.check_host([wanted], tmp_path)


def test_too_little_room_is_said_in_bytes(tmp_path):
    wanted = archive(tmp_path, unpacked=2**60)
    with pytest.raises(HostError, match=rf"bytes free, {2**60 + 6 * 4096 - 4096} are needed"):
        preflight.check_host([wanted], tmp_path / "not" / "there" / "yet")


def test_too_few_inodes_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "room", lambda directory: (2**60, 3))
    with pytest.raises(HostError, match="has room for 3 files, 5 are needed"):
        preflight.check_host([archive(tmp_path)], tmp_path)
    monkeypatch.setattr(preflight, "room", lambda directory: (2**60, None))
    preflight.check_host([archive(tmp_path)], tmp_path)


def test_a_file_in_the_place_of_a_directory_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="file is not a directory"):
        preflight.check_host([archive(tmp_path)], tmp_path / "file" / "prefix")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_write_permission_is_said(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(HostError, match="closed is not writable"):
        preflight.check_host([archive(tmp_path)], closed / "prefix")


@pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no unshare")
@pytest.mark.parametrize(
    ("options", "message"), [("ro", "is not writable"), ("noexec", "mounted noexec")]
)
def test_a_mount_that_cannot_be_used_is_said(tmp_path, options, message):
    script = (
        "import sys; from pathlib import Path\n"
        "from sealift_installer.preflight import check_host\n"
        "from sealift_installer.errors import HostError\n"
        "try: check_host([], Path(sys.argv[1]))\n"
        "except HostError as error: print(error.message)\n"
    )
    mounted = f'mount -t tmpfs -o size=1m,{options} none "$1" && exec "$2" -c "$3" "$1/prefix"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mounted, "sh", tmp_path, sys.executable, script],
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("user namespaces are closed here")
    assert message in done.stdout, done.stderr


def test_paths_that_are_too_long_are_refused(tmp_path):
    entry = Entry("file", "a/" * 40 + "b" * 250, "m", mode="644", size=0, sha256="0" * 64)
    preflight.check_paths([entry], tmp_path)
    with pytest.raises(HostError, match="too long for this file system: bbb"):
        preflight.check_paths([replace(entry, path="b" * 256)], tmp_path)
    deep = tmp_path.joinpath(*["c" * 200] * 19)
    with pytest.raises(HostError, match=r"too long for this file system: a/a/"):
        preflight.check_paths([entry], deep)
