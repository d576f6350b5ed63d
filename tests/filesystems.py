"""Real file systems of other kinds, mounted for a test: those of Windows and of cameras.

NTFS and exFAT are drivers in user space (ntfs-3g, exfat-fuse), so that they can be had on any Linux
where one is root. NTFS is mounted as Windows sees it: names that differ by case alone are one. What
the kernel itself knows is mounted from an image, several times if need be.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_SIZE = 200 * 1024 * 1024


@contextmanager
def mounted_ntfs(folder: Path, options: str = "permissions,ignore_case") -> Iterator[Path]:
    """Mount an NTFS that takes `A` for `a`, with modes and links; skip where it cannot be."""
    _need("lowntfs-3g", "mkfs.ntfs")
    image = _image(folder)
    _run("mkfs.ntfs", "-F", "-Q", "-q", image)
    with _mount(folder, "lowntfs-3g", "-o", options, image) as place:
        yield place


@contextmanager
def mounted_exfat(folder: Path) -> Iterator[Path]:
    """Mount an exFAT: no modes, no links, one spelling of each name; skip where it cannot be."""
    _need("mount.exfat-fuse", "mkfs.exfat", "losetup")
    image = _image(folder)
    _run("mkfs.exfat", image)
    device = subprocess.run(
        ["losetup", "--find", "--show", image], capture_output=True, text=True, check=False
    )
    if device.returncode:
        pytest.skip(f"no loop device can be had: {device.stderr.strip()}")
    try:
        with _mount(folder, "mount.exfat-fuse", device.stdout.strip()) as place:
            yield place
    finally:
        _run("losetup", "--detach", device.stdout.strip())


class Disk:
    """An image with a file system that the kernel may know, such as ext4 or vfat; skips elsewhere.

    Args:
        folder: for the image and where it is mounted; it is made.
        kind: of file system.
        size: of the image, in bytes.
    """

    def __init__(self, folder: Path, kind: str, size: int = _SIZE) -> None:
        _need(f"mkfs.{kind}")
        known = Path("/proc/filesystems").read_text("utf-8").split()
        if kind not in known:
            pytest.skip(f"this kernel has no {kind}")
        self.folder = folder
        self.image = _image(folder, size)
        _run(f"mkfs.{kind}", self.image)

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        """Mount it."""
        with _mount(self.folder, "mount", "-o", "loop", self.image) as place:
            yield place


@contextmanager
def mounted_tmpfs(folder: Path, size: int) -> Iterator[Path]:
    """Mount a file system in memory that holds `size` bytes."""
    _need("mount")
    folder.mkdir(parents=True, exist_ok=True)
    with _mount(folder, "mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs") as place:
        yield place


def remount(place: Path, option: str) -> None:
    """Mount what is mounted at `place` with another option, such as `ro`."""
    _run("mount", "-o", f"remount,{option}", place)


@contextmanager
def _mount(folder: Path, *command: str | Path) -> Iterator[Path]:
    place = folder / "mounted"
    place.mkdir(exist_ok=True)
    done = subprocess.run([*command, place], capture_output=True, text=True, check=False)
    if done.returncode or not os.path.ismount(place):
        pytest.skip(f"{command[0]} cannot mount here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        _run("umount", place)


def _need(*programs: str) -> None:
    if os.geteuid():
        pytest.skip("only root may mount")
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def _image(folder: Path, size: int = _SIZE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / "image"
    with image.open("wb") as file:
        file.truncate(size)
    return image


def _run(*command: str | Path) -> None:
    subprocess.run(command, capture_output=True, check=True)
