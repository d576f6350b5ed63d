"""The big archives that are measured on."""

import os
import sys
from pathlib import Path


def big_archive(pattern: str) -> Path:
    """Return the first archive whose name fits; without any the measuring ends."""
    return big_archives(pattern)[0]


def big_archives(pattern: str) -> list[Path]:
    """Return the archives whose names fit, of the folder that SEALIFT_TEST_ARCHIVES names."""
    folder = os.environ.get("SEALIFT_TEST_ARCHIVES")
    if folder is None:
        sys.exit(
            "make bench: SEALIFT_TEST_ARCHIVES names no folder with the archives to measure on"
        )
    found = sorted(Path(folder).glob(pattern))
    if not found:
        sys.exit(f"make bench: no {pattern} in {folder}")
    return found
