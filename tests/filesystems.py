"""Real file systems of other kinds, mounted for a test: those of Windows and of cameras.

Both are drivers in user space (ntfs-3g, exfat-fuse), so that they can be had on any Linux where one
is root. NTFS is mounted as Windows sees it: names that differ by case alone are one.
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
def mounted_ntfs(folder: Path) -> Iterator[Path]:
    """Mount an NTFS that takes `A` for `a`, with modes and links; skip where it cannot be."""
    _need("lowntfs-3g", "mkfs.ntfs")
    image = _image(folder)
    _run("mkfs.ntfs", "-F", "-Q", "-q", image)
    with _mount(folder, "lowntfs-3g", "-o", "permissions,ignore_case", image) as place:
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


@contextmanager
def _mount(folder: Path, *command: str | Path) -> Iterator[Path]:
    place = folder / "mounted"
    place.mkdir()
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


def _image(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / "image"
    with image.open("wb") as file:
        file.truncate(_SIZE)
    return image


def _run(*command: str | Path) -> None:
    subprocess.run(command, capture_output=True, check=True)
