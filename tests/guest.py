"""A Linux kernel in a process (User-mode Linux), for file systems and devices that this one lacks.

The guest sees the file system of the host, its /dev apart, and a disk that is an image. Nobody has
to be root for it; what is missing makes a test skip.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from road import PROGRAMS

_MODULES = Path("/usr/lib/uml/modules")
_LOAD = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for path in sys.argv[1:]:
    file = os.open(path, os.O_RDONLY)
    if libc.syscall({number}, file, b"", 0):
        sys.exit(path + ": " + os.strerror(ctypes.get_errno()))
"""
# finit_module(2); User-mode Linux runs on x86_64 alone.
_FINIT_MODULE = 313
_OFF = "import ctypes; ctypes.CDLL(None).reboot(0x4321FEDC)"
_INIT = """#!/bin/sh
exec >"{folder}/out" 2>&1
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
export PATH="{programs}:/usr/sbin:/usr/bin:/sbin:/bin" HOME=/run LC_ALL=C.UTF-8
export PYTHONDONTWRITEBYTECODE=1
"{python}" "{folder}/load.py" {modules} && mknod /run/disk b 98 16 && sh -eu "{folder}/script"
echo "status $?"
sync
"{python}" -c "{off}"
"""


class Guest:
    """A kernel with some modules, and a disk of `size` bytes.

    Args:
        folder: for its files; not below /dev.
        modules: names of kernel modules, each behind what it needs.
        size: of the disk; it is `/run/disk` in the guest, and `image` here.
    """

    def __init__(self, folder: Path, modules: tuple[str, ...], size: int) -> None:
        if sys.platform != "linux" or shutil.which("linux.uml") is None:
            pytest.skip("user-mode-linux is not installed")
        self.folder = folder
        self.image = folder / "image"
        with self.image.open("wb") as file:
            file.truncate(size)
        found = [self._find(name) for name in modules]
        (folder / "load.py").write_text(_LOAD.format(number=_FINIT_MODULE))
        init = _INIT.format(
            folder=folder,
            programs=PROGRAMS,
            python=sys.executable,
            modules=" ".join(f'"{path}"' for path in found),
            off=_OFF,
        )
        (folder / "init").write_text(init)
        (folder / "init").chmod(0o755)

    def __call__(self, script: str) -> str:
        """Boot it, run a shell script as root, and return what that printed; fail if it fails."""
        (self.folder / "script").write_text(script)
        (self.folder / "out").unlink(missing_ok=True)
        boot = subprocess.run(
            [
                *("linux.uml", "mem=768M", "root=none", "rootfstype=hostfs", "rootflags=/", "rw"),
                *(f"ubdb={self.image}", f"init={self.folder / 'init'}"),
                *("con0=null,fd:1", "con=null", "ssl=null"),
            ],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=840,
        )
        if not (self.folder / "out").exists():
            pytest.skip(f"user-mode-linux does not run here: {boot.stdout[-200:]!r}")
        said = (self.folder / "out").read_text("utf-8", "replace")
        assert said.endswith("status 0\n"), said
        return said

    def _find(self, name: str) -> Path:
        path = next(_MODULES.rglob(f"{name}.ko"), None)
        if path is None:
            pytest.skip(f"user-mode-linux has no module {name}")
        return path


@contextmanager
def guest_folder() -> Iterator[Path]:
    """Make a folder that a guest sees: not in memory below /dev, as those of tests may be."""
    with tempfile.TemporaryDirectory(prefix="sealift-guest-", dir="/var/tmp") as folder:
        yield Path(folder)
