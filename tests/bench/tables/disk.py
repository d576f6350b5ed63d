"""One archive installed to a disk: what it costs that ours outlasts a power cut."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archives import big_archive
from delivered import deliver
from extractors import bundle, make_cases
from measure import ROUNDS, measure, row
from page import how, uv_version

from road import run

# On tmpfs there is no disk to wait for.
_MEMORY = {"tmpfs", "ramfs"}


def table(scratch: Path) -> str:
    """Bundle in memory, install to the disk, and return the part of the page."""
    archive = big_archive("cpython-*-install_only_stripped.tar.gz")
    bundled = bundle(scratch / "bundled", [archive])
    with _disk() as (folder, kind):
        cases = make_cases(bundled, scratch)
        measure(cases, folder, keep=True)
        described = how(folder, ROUNDS, uv_version(), python=deliver().version).replace(
            "the temporary directory's file system", kind
        )
    reference = next(case for case in cases if "uv" in case.name)
    rows = "\n".join(row(case, reference) for case in cases)
    return TEMPLATE.format(how=described, rows=rows)


@contextmanager
def _disk() -> Iterator[tuple[Path, str]]:
    """Make a folder on a disk, and say what file system it has; all is removed at the end.

    Its subfolders are spread over the disk where ext4 can (chattr +T): next to files that were
    removed lately others are made ten times slower.
    """
    place = Path(os.environ.get("SEALIFT_BENCH_DISK", "/var/tmp"))
    kind = run("stat", "--file-system", "--format", "%T", place).stdout.strip()
    if kind in _MEMORY:
        raise SystemExit("make bench: SEALIFT_BENCH_DISK names no folder on a disk")
    folder = Path(tempfile.mkdtemp(dir=place))
    try:
        subprocess.run(["chattr", "+T", folder], capture_output=True, check=False)
        yield folder, "ext4" if kind == "ext2/ext3" else kind
    finally:
        shutil.rmtree(folder)


TEMPLATE = """
## On a disk

The CPython .tar.gz again, from a bundle in memory to a disk; every run into a new directory, \
removed when all are done, with everything written before each. `unseal install` ends when the \
tree, its record and the receipt are on the medium: one `syncfs` before the rename that publishes, \
and a sync of each small file of its state. No other one here waits for the medium, so their \
times end while the kernel is still writing. {how}

| command | median, s | range, s | CPU, s | wall, against uv |
| --- | --- | --- | --- | --- |
{rows}
"""
