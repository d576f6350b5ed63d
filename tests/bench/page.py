"""docs/benchmarks.md: its measured parts stand between marks, and each is written by itself.

A part NAME is what stands between `<!-- bench:NAME -->` and `<!-- end -->`. All else is written by
hand.
"""

import datetime as dt
import os
import platform
import re
import tempfile
from pathlib import Path

from road import PROGRAMS, run

HERE = Path(__file__).resolve().parents[2]
PAGE = HERE / "docs" / "benchmarks.md"
MEMORY = Path("/dev/shm")


def write_part(name: str, text: str) -> None:
    """Put the part `name` of the page in place; a new one comes before the last heading."""
    page = PAGE.read_text("utf-8")
    part = f"<!-- bench:{name} -->\n{text.strip()}\n<!-- end -->"
    old = re.compile(rf"<!-- bench:{name} -->.*?<!-- end -->", re.DOTALL)
    if old.search(page):
        page = old.sub(lambda _: part, page)
    else:
        start = page.rindex("\n## ") + 1
        page = f"{page[:start]}{part}\n\n{page[start:]}"
    PAGE.write_text(page, encoding="utf-8")


def scratch_directory() -> "tempfile.TemporaryDirectory[str]":
    """Return a new directory, in memory where there is a tmpfs."""
    return tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)


def how(scratch: Path, rounds: int, *programs: str, python: str = "") -> str:
    """Say when, how often, where and with what versions was measured.

    `python` is the version that ran what was measured; without it, the one that runs this.
    """
    where = "tmpfs" if scratch.is_relative_to(MEMORY) else "the temporary directory's file system"
    machine = f"Linux {platform.machine()}, {os.cpu_count()} cores"
    versions = ", ".join([f"Python {python or platform.python_version()}", *programs])
    times = (
        "one round"
        if rounds == 1
        else f"{rounds} rounds, each command once a round in rotating order"
    )
    return (
        f"Measured on {dt.datetime.now(dt.UTC):%Y-%m-%d}: {times}, on {where}, caches warm. "
        f"{machine}, {versions}."
    )


def uv_version() -> str:
    """Return uv's name and version."""
    return f"uv {run(PROGRAMS / 'uv', '--version').stdout.split()[1]}"
