"""What no extractor can go below: hashing, decompressing and writing, each by itself."""

import hashlib
import os
import shutil
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sealift_installer.archives.decompress import find_codec

_STEP = 256 * 1024
_MIB = 1024 * 1024


def measure_limits(archive: Path, scratch: Path, rounds: int) -> dict[str, float]:
    """Return the median seconds of each, in one process without its start."""
    data = archive.read_bytes()
    archive_format = "tar." + archive.name.rpartition(".")[2]
    steps: dict[str, Callable[[], object]] = {
        "hashing the archive (SHA-256)": lambda: hashlib.sha256(data).digest(),
        "decompressing it, nothing kept": lambda: _decompress(archive_format, data),
    }
    with tarfile.open(archive) as packed:
        files = [
            (info.name, file.read())
            for info in packed
            if info.isfile() and (file := packed.extractfile(info)) is not None
        ]
    steps["writing its files, by one process"] = lambda: _write(files, scratch)
    return {name: _median(step, rounds) for name, step in steps.items()}


def _median(step: Callable[[], object], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        kept = step()
        taken.append(time.perf_counter() - started)
        if isinstance(kept, Path):
            shutil.rmtree(kept)
    return statistics.median(taken)


def _decompress(archive_format: str, data: bytes) -> None:
    decoder = find_codec(archive_format).make()
    for start in range(0, len(data), _STEP):
        decoder.decompress(data[start : start + _STEP], _MIB)
        while not (decoder.needs_input or decoder.eof):
            decoder.decompress(b"", _MIB)


def _write(files: list[tuple[str, bytes]], scratch: Path) -> Path:
    """Write the files to a new directory, which is returned to be removed."""
    root = Path(tempfile.mkdtemp(dir=scratch))
    folder, descriptor = "", os.open(root, os.O_RDONLY)
    for name, data in files:
        head, _, last = name.rpartition("/")
        if head != folder:
            os.close(descriptor)
            (root / head).mkdir(parents=True, exist_ok=True)
            folder, descriptor = head, os.open(root / head, os.O_RDONLY)
        file = os.open(last, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=descriptor)
        os.write(file, data)
        os.close(file)
    os.close(descriptor)
    return root
