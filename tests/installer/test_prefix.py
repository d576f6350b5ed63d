"""The directory that everything is installed to: modes, the lock, other operating systems."""

import os
import subprocess
import sys

import pytest

from sealift_installer import cli
from sealift_installer.errors import HostError
from sealift_installer.prefix import Prefix
from target import Target, python, tool


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_modes_in_a_prefix_do_not_depend_on_the_umask(tmp_path, umask):
    target = Target(tmp_path, "above/prefix")
    before = os.umask(umask)
    try:
        target.carry(tool(), python())
        target.trust()
        assert target.install(link=True).exit_code == 0
        target.carry(tool(content=b"two\n"), python())
        assert target.install(link=True).exit_code == 0
    finally:
        os.umask(before)
    top = target.prefix.path
    for path in (top, *top.rglob("*")):
        mode = path.lstat().st_mode & 0o777
        if path.is_symlink() or "tools" in path.parts or "installs" in path.parts:
            continue
        if path.name != "lock":
            assert mode == (0o755 if path.is_dir() else 0o644), path
    assert (top / "installs").stat().st_mode & 0o777 == 0o755
    # What is above is the caller's: the umask holds there, and nobody else may write.
    assert top.parent.stat().st_mode & 0o777 == 0o755 & ~umask


def test_a_prefix_that_everybody_can_write_to_is_warned_of(tmp_path, capsys):
    target = Target(tmp_path)
    target.carry(tool())
    target.trust()
    words = ["install", str(target.site.path), "--prefix", str(target.prefix.path)]
    assert cli.main(words) == 0
    assert capsys.readouterr().err == ""
    target.prefix.path.chmod(0o1777)
    target.prefix.state.chmod(0o777)
    assert cli.main(words) == 0
    said = capsys.readouterr().err
    for path in (target.prefix.path, target.prefix.state):
        assert f"warning: everybody can write to {path}, and so change its trust\n" in said


def test_the_lock_is_not_taken_through_a_link(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("do not empty me")
    prefix = Prefix(tmp_path / "prefix")
    prefix.state.mkdir(parents=True)
    (prefix.state / "lock").symlink_to(precious)
    with (
        pytest.raises(HostError, match="cannot lock the prefix: Too many levels"),
        prefix.lock(print),
    ):
        pass
    assert precious.read_text() == "do not empty me"


@pytest.mark.parametrize("kind", ["tools", "installs"])
def test_a_staging_directory_that_is_a_link_is_not_emptied(tmp_path, kind):
    target = Target(tmp_path)
    target.carry(tool())
    target.trust()
    precious = tmp_path / "elsewhere" / "precious"
    precious.mkdir(parents=True)
    staging = target.prefix.path / kind / ".staging"
    staging.parent.mkdir()
    staging.symlink_to(precious.parent)
    with pytest.raises(HostError, match="the staging directory is a link"):
        target.install()
    assert precious.is_dir()
    staging.unlink()
    assert target.install().exit_code == 0


def test_a_full_disk_does_not_keep_the_lock(tmp_path, monkeypatch):
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, os.strerror(28))

    prefix = Prefix(tmp_path)
    monkeypatch.setattr(os, "write", full)
    with prefix.lock(print):
        monkeypatch.undo()
        assert (prefix.state / "lock").read_bytes() == b""


# A stand-in for Windows as far as it can be had elsewhere: no fcntl, no pwd, and msvcrt.locking as
# its documentation has it.
WINDOWS = """
import asyncio, errno, platform, subprocess, os, sys, types
held = []
def locking(descriptor, mode, count):
    assert (mode, count) == (2, 1)
    assert os.lseek(descriptor, 0, os.SEEK_CUR) == 2**30
    if held:
        raise OSError(held[0], "held")
    held.append(errno.EACCES)
sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=2)
sys.modules["fcntl"] = sys.modules["pwd"] = None
for name in ("O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC", "fchmod"):
    delattr(os, name)
os.supports_dir_fd.clear()
sys.platform = "win32"
import sealift_installer.install, sealift_installer.first_root
from sealift_installer.bundle import Bundle
from sealift_installer.errors import HostError
from sealift_installer.prefix import Prefix
from pathlib import Path
prefix = Prefix(Path(sys.argv[1]))
with prefix.lock(print):
    assert held == [errno.EACCES]
    try:
        with prefix.lock(print, seconds=0):
            raise AssertionError
    except HostError as error:
        assert f"another unseal (process {os.getpid()}) holds" in error.message
held[:] = [errno.EINVAL]
try:
    with prefix.lock(print):
        raise AssertionError
except HostError as error:
    assert "has no locks" in error.message
try:
    Bundle(Path(sys.argv[1])).read("x", 1)
except HostError as error:
    print(error.message)
"""


def test_the_branch_for_windows_locks_and_says_what_it_cannot(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WINDOWS, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.startswith("this system cannot open a file relative to a directory")
