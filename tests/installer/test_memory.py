"""What an install holds in memory does not grow with the archive: measured by the kernel."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from simulator import Member, SimArchive
from target import Target

MIB = 1024 * 1024
# Files of 2 MiB, half of it packed: more than may wait to be written, and than the chunks that are
# kept of an archive in which a reader jumps.
SMALL, LARGE = 18, 72
MEASURE = """
import sys
from sealift_installer.cli import main
code = main(sys.argv[1:])
lines = open("/proc/self/status").read().splitlines()
peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
print(code, peak * 1024)
"""


def peak(place: Path, archive_format: str, count: int) -> int:
    """Return the most bytes in memory while `count` files of 2 MiB are installed."""
    place.mkdir()
    choose = random.Random(1)
    members = tuple(
        Member(f"data/{number}", choose.randbytes(MIB) + bytes(MIB)) for number in range(count)
    )
    target = Target(place)
    bundle = target.carry(SimArchive("data-1.0", members, format=archive_format))
    target.trust()
    words = ["install", "--quiet", "--prefix", target.prefix.path, bundle]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, words)],
        capture_output=True,
        text=True,
        check=True,
    )
    code, most = done.stdout.split()[-2:]
    assert code == "0"
    assert len(list((target.prefix.path / "tools/data-1.0/data").iterdir())) == count
    return int(most)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("archive_format", ["tar.gz", "zip"])
def test_the_peak_is_the_same_for_a_larger_archive(tmp_path: Path, archive_format: str):
    small, large = (peak(tmp_path / f"{count}", archive_format, count) for count in (SMALL, LARGE))
    # Of 108 MiB more, nothing is held. How many blocks wait to be written varies, up to 8 MiB, and
    # so does whether a chunk is freed before the next is read.
    assert large - small < 32 * MIB
