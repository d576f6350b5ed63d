"""Sticks as they are sold, FAT32 and some of a false size, in a kernel that has vfat and dm."""

import random
import re
import shutil
import subprocess

import pytest

from guest import Guest, guest_folder
from simulator import BundleSimulator, SimArchive

pytestmark = pytest.mark.slow
VFAT = ("fat", "vfat", "nls_cp437", "nls_ascii")
MAPPER = ("dm-mod", "dm-zero")
MIB = 1024 * 1024
MOUNT = "mount -t vfat -o codepage=437,iocharset=ascii"


@pytest.fixture
def folder():
    with guest_folder() as place:
        yield place


@pytest.fixture
def site(folder):
    """A bundle of 90 MiB, and the file of its root."""
    made = BundleSimulator(folder / "bundle")
    for number in (1, 2, 3):
        data = random.Random(number).randbytes(30 * MIB)
        made.add_archive(SimArchive(f"big-{number}.0", (), data=data, format="tar"))
    made.write()
    (folder / "root.json").write_bytes(made.roots[1])
    return made


def need(*programs):
    for program in programs:
        if shutil.which(program) is None and not shutil.which(program, path="/usr/sbin:/sbin"):
            pytest.skip(f"{program} is not installed")


def test_a_fat32_stick(folder, site):
    need("mkfs.vfat", "fsck.vfat")
    guest = Guest(folder, VFAT, 170 * MIB)
    said = guest(
        f"""
        mkfs.vfat -F 32 /run/disk
        mkdir /run/stick; {MOUNT} /run/disk /run/stick; cd {folder}
        write() {{ sealift media write --root root.json --quiet "$@" || echo "code $?"; }}
        timeout -s KILL 10 sealift media write --root root.json bundle /run/stick || true
        ls -A /run/stick
        write bundle /run/stick
        write bundle --name BUNDLE /run/stick
        write bundle --name a:b /run/stick
        write bundle --name end. /run/stick
        write bundle --name aux /run/stick
        ls -A /run/stick
        umount /run/stick; {MOUNT} /run/disk /run/stick
        sealift media check --root root.json --json /run/stick
        write bundle --name second /run/stick
        umount /run/stick
        """
    )
    assert "the medium cannot hold the name a:b: Invalid argument\n" in said
    assert "the name end.: no name ends with a dot or a space" in said
    assert "the name aux: Windows keeps it for a device" in said
    assert '"state": "good"' in said
    assert '"way": "direct"' in said
    assert said.count("code 6") == 4
    assert re.search(r"room: 90\.\d MiB are needed in blocks of \d+ bytes, ", said)
    assert "\nbundle\n{" in said  # and nothing else, when all was written
    checked = subprocess.run(["fsck.vfat", "-n", guest.image], capture_output=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("beyond", "lost"),
    [("zero", 2), ("linear /run/disk 20480", 0)],
    ids=["what is too much is dropped", "what is too much is written over the rest"],
)
def test_a_stick_that_is_smaller_than_it_says(folder, site, beyond, lost):
    """It has 60 MiB and says 100, and the archive with the number `lost` pays for it."""
    need("mkfs.vfat", "dmsetup")
    guest = Guest(folder, (*VFAT, *MAPPER), 100 * MIB)
    said = guest(
        f"""
        mkdir /run/stick
        printf '0 122880 linear /run/disk 0\\n122880 81920 {beyond}\\n' |
            dmsetup create --noudevsync fake
        dmsetup mknodes
        mkfs.vfat -F 32 /dev/mapper/fake
        {MOUNT} /dev/mapper/fake /run/stick
        for run in 1 2; do
            sealift media write --root {folder}/root.json {folder}/bundle /run/stick ||
                echo "code $?"
            ls -A /run/stick
        done
        """
    )
    assert said.count("error: the medium did not keep what was written to it:\n") == 2
    archives = sorted(path for path in site.payload if path.startswith("archives/"))
    assert f"  {archives[lost]}, bytes " in said
    assert said.count("code 6\n.bundle.partial\n") == 2
