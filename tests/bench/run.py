"""Measure `unseal install` against its counterparts: `make bench`.

Every round runs each command once, in an order that rotates, each into a directory of its own on
tmpfs, so that neither a cold cache nor a busy minute favours one of them. docs/benchmarks.md gets
medians and ratios, with the date and the versions.
"""

import datetime as dt
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from road import PROGRAMS, Site, catalogue, run, sha256

HERE = Path(__file__).resolve().parents[2]
PAGE = HERE / "docs" / "benchmarks.md"
ROUNDS = int(os.environ.get("SEALIFT_BENCH_ROUNDS", "11"))
KEY = "cpython-3.11.2-linux-x86_64-gnu"


@dataclass
class Case:
    """One command: how it is started in a fresh directory, and what its runs took (seconds)."""

    name: str
    command: Callable[[Path], tuple[list[str], dict[str, str]]]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def main() -> None:
    """Build one bundle, run the rounds, write the page."""
    folder = os.environ.get("SEALIFT_TEST_ARCHIVES")
    if folder is None:
        sys.exit(
            "make bench: SEALIFT_TEST_ARCHIVES names no folder with the archives to measure on"
        )
    archive = next(Path(folder).glob("cpython-*-install_only_stripped.tar.gz"))
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        scratch = Path(name)
        bundle, site = build(scratch, archive)
        cases = make_cases(bundle, site, archive)
        measure(cases, scratch)
        page = render(cases, archive, on_tmpfs=scratch.is_relative_to(memory))
    PAGE.write_text(page, encoding="utf-8")
    print(page)


def build(scratch: Path, archive: Path) -> tuple[Path, Site]:
    """Bundle the archive from a file:// address."""
    copy = scratch / archive.name
    shutil.copyfile(archive, copy)
    url = copy.as_uri().replace("+", "%2B")
    (scratch / "downloads.json").write_text(
        catalogue({"cpython-3.11.2": (url, sha256(copy), "20261122")})
    )
    site = Site(scratch / "site", {"UV_PYTHON_DOWNLOADS_JSON_URL": str(scratch / "downloads.json")})
    site.without_travelling_installer()
    site("add", "cpython@3.11", "--platform", "linux-x86_64-gnu")
    site("build", "--output", scratch / "bundle")
    return scratch / "bundle", site


def make_cases(bundle: Path, site: Site, archive: Path) -> list[Case]:
    """Return our command and its counterparts."""
    root, digest = site.root, sha256(site.root)

    def unseal(place: Path) -> tuple[list[str], dict[str, str]]:
        trust = [PROGRAMS / "unseal", "trust", "import", root, "--sha256", digest]
        run(*trust, "--prefix", place / "prefix")
        words = [PROGRAMS / "unseal", "install", bundle, "--quiet", "--prefix", place / "prefix"]
        return [str(word) for word in words], {}

    def uv(place: Path) -> tuple[list[str], dict[str, str]]:
        words = [PROGRAMS / "uv", "python", "install", "-q", "--offline", "--no-bin", "3.11"]
        return [str(word) for word in words], {
            "HOME": str(place / "home"),
            "UV_PYTHON_INSTALL_DIR": str(place / "managed"),
            "UV_CACHE_DIR": str(place / "uvcache"),
            "UV_NO_CONFIG": "1",
            "UV_PYTHON_CACHE_DIR": str(bundle / "archives"),
            "UV_PYTHON_DOWNLOADS_JSON_URL": str(bundle / "python-downloads.json"),
        }

    def tar(place: Path) -> tuple[list[str], dict[str, str]]:
        (place / "tree").mkdir()
        return ["tar", "-xzf", str(archive), "-C", str(place / "tree")], {}

    def tarfile(place: Path) -> tuple[list[str], dict[str, str]]:
        code = (
            "import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2], filter='data')"
        )
        return [sys.executable, "-c", code, str(archive), str(place / "tree")], {}

    cases = [Case("`unseal install`", unseal), Case("`uv python install`", uv)]
    if shutil.which("tar"):
        cases.append(Case("GNU `tar -xzf` (checks nothing)", tar))
    return [*cases, Case("Python's `tarfile` (checks nothing)", tarfile)]


def measure(cases: list[Case], scratch: Path) -> None:
    """Run every case once per round, in rotating order; one round more warms up."""
    for number in range(ROUNDS + 1):
        for offset in range(len(cases)):
            case = cases[(number + offset) % len(cases)]
            place = Path(tempfile.mkdtemp(dir=scratch))
            command, extra = case.command(place)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            started = time.perf_counter()
            subprocess.run(command, env={**os.environ, **extra}, check=True)
            wall = time.perf_counter() - started
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if number > 0:
                case.wall.append(wall)
                used = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
                case.cpu.append(used)
            shutil.rmtree(place)


def render(cases: list[Case], archive: Path, *, on_tmpfs: bool) -> str:
    """Return the page."""
    reference = next(case for case in cases if "uv" in case.name)
    rows = [
        f"| {case.name} | {statistics.median(case.wall):.2f} "
        f"| {min(case.wall):.2f} to {max(case.wall):.2f} | {statistics.median(case.cpu):.2f} "
        f"| {statistics.median(case.wall) / statistics.median(reference.wall):.2f} |"
        for case in cases
    ]
    uv_version = run(PROGRAMS / "uv", "--version").stdout.split()[1]
    where = "tmpfs" if on_tmpfs else "the temporary directory's file system (no tmpfs was found)"
    machine = f"Linux {platform.machine()}, {os.cpu_count()} cores"
    versions = f"Python {platform.python_version()}, uv {uv_version}"
    name, size = archive.name.split("+")[0], archive.stat().st_size / 1e6
    return TEMPLATE.format(
        date=f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
        rounds=ROUNDS,
        where=where,
        machine=machine,
        versions=versions,
        archive=f"`{name}...tar.gz`, {size:.1f} MB",
        rows="\n".join(rows),
    )


TEMPLATE = """# Benchmarks

Measured on {date} by `make bench`: {rounds} rounds, each command once a round in rotating order, \
on {where}, caches warm. {machine}, {versions}.

One CPython archive, {archive}. Times are whole commands, start-up included. `unseal install` \
verifies the signature, and every chunk before it is parsed, relocates, starts the interpreter \
once, syncs to disk and writes a receipt. uv compares one hash after it has unpacked, and does \
not sync.

| command | median, s | range, s | CPU, s | wall, against uv |
| --- | --- | --- | --- | --- |
{rows}

Repeat it with `SEALIFT_TEST_ARCHIVES=FOLDER make bench`; `SEALIFT_BENCH_ROUNDS` sets the number \
of rounds.
"""


if __name__ == "__main__":
    main()
