"""Bundles on real file systems, mounted for the test: what they hold, keep, forget and refuse."""

import os
import random
import re
import shutil

import pytest

from filesystems import Disk, mounted_exfat, mounted_ntfs, mounted_tmpfs, remount
from media import on_the_medium
from sealift_bundler.media.check import check_bundle
from sealift_bundler.media.copy import copy_bundles
from sealift_bundler.media.outcome import CopyOptions, System
from sealift_bundler.media.plan import read_facts
from sealift_bundler.media.stage import settle
from sealift_bundler.media.uncached import Way
from sealift_bundler.progress import Progress
from sealift_installer.errors import HostError
from simulator import BundleSimulator, SimArchive
from workshop import tree

BIG = 9_000_000
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A bundle with an archive of three chunks and many small files."""
    rng = random.Random(11)
    made = BundleSimulator(tmp_path_factory.mktemp("site") / "bundle")
    made.add_archive(SimArchive("big-1.0", (), data=rng.randbytes(BIG), format="tar"))
    for number in range(60):
        made.payload[f"templates/{number:064x}"] = rng.randbytes(rng.randrange(3000))
    return made.write()


@pytest.fixture
def options(site):
    return CopyOptions(site.first_root)


def archive_of(place):
    (archive,) = (place / "archives").iterdir()
    return archive


def kept(site, stick):
    """Check what was written with the eyes of `media check`, and byte for byte."""
    found = check_bundle(stick / "bundle", site.first_root, Progress())
    assert found.good, found
    assert tree(stick / "bundle") == tree(site.path)
    assert [path.name for path in stick.glob(".*")] == []
    return found


@pytest.mark.parametrize("kind", ["ext4", "vfat", "exfat", "xfs"])
def test_file_systems_of_the_kernel(site, options, tmp_path, kind):
    """Unplugged and plugged in again, so that nothing is remembered."""
    disk = Disk(tmp_path / kind, kind, 320 * MIB)
    with disk.mounted() as stick:
        copies = copy_bundles([site.path], stick, options)
        assert copies.facts.kind == kind
        assert copies.way == Way.DIRECT
    with disk.mounted() as stick:
        kept(site, stick)


def test_exfat(site, options, tmp_path):
    with mounted_exfat(tmp_path / "exfat") as stick:
        copies = copy_bundles([site.path], stick, options)
        assert copies.facts.kind in {"fuseblk", "fuse.exfat"}
        assert copies.way == Way.DRIVER
        kept(site, stick)
        (stick / "System Volume Information").mkdir()
        # To it this is the same name.
        copies = copy_bundles([site.path], stick, CopyOptions(site.first_root, name="BUNDLE"))
        assert copies.bundles[0].state == "present"
        with pytest.raises(HostError, match="the medium cannot hold the name a:b: "):
            copy_bundles([site.path], stick, CopyOptions(site.first_root, name="a:b"))
        with pytest.raises(HostError, match="no name ends with a dot"):
            copy_bundles([site.path], stick, CopyOptions(site.first_root, name="end."))
        names = {path.name for path in stick.iterdir()}
    assert names == {"bundle", "System Volume Information"}


def test_ntfs(site, options, tmp_path):
    with mounted_ntfs(tmp_path / "ntfs", "windows_names") as stick:
        copy_bundles([site.path], stick, options)
        kept(site, stick)
        with pytest.raises(HostError, match="the medium cannot hold the name nul: "):
            copy_bundles([site.path], stick, CopyOptions(site.first_root, name="nul"))


def test_a_medium_that_changes_names(site, options, tmp_path):
    """This driver shows all names in small letters, so nobody would find README.txt."""
    with mounted_ntfs(tmp_path / "ntfs", "ignore_case") as stick:
        with pytest.raises(HostError, match=r"the name README\.txt: it is stored as readme\.txt"):
            copy_bundles([site.path], stick, options)
        assert [*stick.iterdir()] == []


def flip_on_the_disk(disk, place):
    """Flip a bit of an archive in the image, behind the back of the file system."""
    data = archive_of(place).read_bytes()[5_000_000:5_000_064]
    image = disk.image.read_bytes()
    (at,) = [match.start() for match in re.finditer(re.escape(data), image)]
    with disk.image.open("r+b") as file:
        os.pwrite(file.fileno(), bytes([data[0] ^ 1]), at)


def test_a_bit_that_flips_on_the_disk(site, tmp_path):
    """It is the disk that is read: the page cache still has what was written."""
    disk = Disk(tmp_path / "ext4", "ext4", 64 * MIB)
    seen = []

    def settled(place):
        settle(place)
        archive = archive_of(place)
        archive.read_bytes()  # in the page cache again
        flip_on_the_disk(disk, place)
        seen.append(archive.read_bytes() == archive_of(site.path).read_bytes())

    with disk.mounted() as stick:
        options = CopyOptions(site.first_root, system=System(settle=settled))
        with pytest.raises(HostError, match="bytes 4194304 to 8388607: other bytes"):
            copy_bundles([site.path], stick, options)
        assert seen == [True]
        # Mended by the next run, and found by the check when it flips later on.
        (copied,) = copy_bundles([site.path], stick, CopyOptions(site.first_root)).bundles
        assert copied.written == 4 * MIB
        assert kept(site, stick).way == Way.DIRECT
        flip_on_the_disk(disk, stick / "bundle")
        (fault,) = check_bundle(stick / "bundle", site.first_root, Progress()).faults
        assert (fault.start, fault.end) == (4 * MIB, 8 * MIB)


def test_sectors_that_cannot_be_read(site, options, tmp_path):
    disk = Disk(tmp_path / "ext4", "ext4", 64 * MIB)
    with disk.mounted() as stick:
        copy_bundles([site.path], stick, options)
        archive = archive_of(stick / "bundle")
        # The archive comes last on the disk, and the disk ends in the middle of it.
        (stick / "filler").write_bytes(b"x" * 30 * MIB)
        shutil.copy(archive, stick / "last")
        (stick / "last").replace(archive)
        settle(stick)
        (stick / "filler").unlink()
        at = disk.image.read_bytes().rindex(archive.read_bytes()[5_000_000:5_000_064])
        os.truncate(disk.image, at - at % 4096)
        found = check_bundle(stick / "bundle", site.first_root, Progress())
        (fault,) = found.faults
        assert fault.reason == "Input/output error"
        assert fault.start == 4 * MIB
        assert isinstance(found.error, HostError)
        os.truncate(disk.image, 64 * MIB)


def test_a_disk_that_is_smaller_than_it_says(site, options, tmp_path):
    """The image is larger than what it stands on: a stick with a false size."""
    with mounted_tmpfs(tmp_path / "small", 8 * MIB) as small:
        disk = Disk(small / "disk", "ext4", 64 * MIB)
        with disk.mounted() as stick:
            with pytest.raises(HostError, match=r"cannot write to the medium|did not take"):
                copy_bundles([site.path], stick, options)
            assert not (stick / "bundle").exists()


def test_a_medium_without_room(site, options, tmp_path):
    with mounted_tmpfs(tmp_path / "tmpfs", 8 * MIB) as stick:
        with pytest.raises(HostError, match=r"room: \d\.\d MiB are needed in blocks of 4096"):
            copy_bundles([site.path], stick, options)
        assert [*stick.iterdir()] == []


class After(Progress):
    """Does something when the file of this name was written."""

    def __init__(self, name, action):
        self.name, self.action = name, action

    def finish(self, name, size, *, fetched):
        if name.startswith(self.name):
            self.action()


def during(site, action):
    return CopyOptions(site.first_root, watch=on_the_medium(After("archives/", action)))


def test_a_medium_that_is_filled_by_another(site, options, tmp_path):
    with mounted_tmpfs(tmp_path / "tmpfs", 12 * MIB) as stick:

        def fill():
            free = read_facts(stick).free
            (stick / "filler").write_bytes(b"x" * (free - 40_000))

        with pytest.raises(HostError, match="No space left on device"):
            copy_bundles([site.path], stick, during(site, fill))
        assert sorted(path.name for path in stick.iterdir()) == [".bundle.partial", "filler"]
        # There is no room, and then there is.
        with pytest.raises(HostError, match="room: "):
            copy_bundles([site.path], stick, options)
        (stick / "filler").unlink()
        (copied,) = copy_bundles([site.path], stick, options).bundles
        assert copied.state == "resumed"
        assert copied.written < MIB
        kept(site, stick)


def test_a_medium_without_free_files(site, options, tmp_path):
    folder = tmp_path / "ext4"
    disk = Disk(folder, "ext4", 64 * MIB)
    with disk.mounted() as stick:
        facts = read_facts(stick)
        for number in range(facts.entries - 40):
            (stick / str(number)).touch()
        with pytest.raises(HostError, match=r"files: \d+ are needed, and 40 can be made"):
            copy_bundles([site.path], stick, options)
        assert not (stick / ".bundle.partial").exists()


def test_a_medium_that_becomes_read_only(site, options, tmp_path):
    disk = Disk(tmp_path / "ext4", "ext4", 64 * MIB)
    with disk.mounted() as stick:
        with pytest.raises(HostError, match="Read-only file system"):
            copy_bundles([site.path], stick, during(site, lambda: remount(stick, "ro")))
        assert [path.name for path in stick.glob("*bundle*")] == [".bundle.partial"]
        with pytest.raises(HostError, match="Read-only file system"):
            copy_bundles([site.path], stick, options)
        remount(stick, "rw")
        copy_bundles([site.path], stick, options)
        kept(site, stick)
        remount(stick, "ro")
        kept(site, stick)
        assert copy_bundles([site.path], stick, options).bundles[0].state == "present"
        with pytest.raises(HostError, match="Read-only file system"):
            copy_bundles([site.path], stick, CopyOptions(site.first_root, name="new"))


def test_two_bundles_of_which_one_fits(site, options, tmp_path):
    shutil.copytree(site.path, tmp_path / "other")
    with mounted_tmpfs(tmp_path / "tmpfs", 16 * MIB) as stick:
        with pytest.raises(HostError, match="room: "):
            copy_bundles([site.path, tmp_path / "other"], stick, options)
        assert [*stick.iterdir()] == []
