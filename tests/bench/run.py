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
from simulator import small_bundle

HERE = Path(__file__).resolve().parents[2]
PAGE = HERE / "docs" / "benchmarks.md"
ROUNDS = int(os.environ.get("SEALIFT_BENCH_ROUNDS", "11"))
KEY = "cpython-3.11.2-linux-x86_64-gnu"


@dataclass
class Case:
    """One command: how it is started in a fresh directory, and what its runs took.

    Times are in seconds, `memory` is in MiB: the peak of one more run, which is not timed.
    """

    name: str
    command: Callable[[Path], tuple[list[str], dict[str, str]]]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: float = 0.0


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
        measure_memory(cases, scratch)
        starts = make_starts(scratch)
        measure(starts, scratch)
        page = render(cases, starts, archive, on_tmpfs=scratch.is_relative_to(memory))
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


def make_starts(scratch: Path) -> list[Case]:
    """Return commands that do next to nothing, beside an interpreter that does nothing."""
    small = small_bundle(scratch / "small")
    root = small.path / "trust" / "root" / "1.root.dsse.json"
    prefix = scratch / "prefix"
    trust = [PROGRAMS / "unseal", "trust", "import", root, "--sha256", sha256(root)]
    run(*trust, "--prefix", prefix)
    run(PROGRAMS / "unseal", "install", small.path, "--prefix", prefix)

    def case(name: str, *words: object) -> Case:
        return Case(name, lambda _place: ([str(word) for word in words], {}))

    unseal = PROGRAMS / "unseal"
    return [
        case("`python -c pass`", PROGRAMS / "python", "-c", "pass"),
        case("`unseal --help`", unseal, "--help"),
        case("`unseal list`, one tool installed", unseal, "list", "--prefix", prefix),
        case("`unseal verify`, a bundle of 2 kB", unseal, "verify", small.path, "--prefix", prefix),
    ]


def environment(extra: dict[str, str]) -> dict[str, str]:
    """Return what a command sees; compiled modules are kept, as where pip installed them."""
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **extra}


def measure(cases: list[Case], scratch: Path) -> None:
    """Run every case once per round, in rotating order; one round more warms up."""
    for number in range(ROUNDS + 1):
        for offset in range(len(cases)):
            case = cases[(number + offset) % len(cases)]
            place = Path(tempfile.mkdtemp(dir=scratch))
            command, extra = case.command(place)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            started = time.perf_counter()
            subprocess.run(command, env=environment(extra), check=True, stdout=subprocess.DEVNULL)
            wall = time.perf_counter() - started
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if number > 0:
                case.wall.append(wall)
                used = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
                case.cpu.append(used)
            shutil.rmtree(place)


def measure_memory(cases: list[Case], scratch: Path) -> None:
    """Run every case once more and look at it all the time: at what its processes hold together."""
    for case in cases:
        place = Path(tempfile.mkdtemp(dir=scratch))
        command, extra = case.command(place)
        process = subprocess.Popen(command, env=environment(extra))
        while process.poll() is None:
            case.memory = max(case.memory, proportional_set(process.pid) / 1024)
            time.sleep(0.002)
        shutil.rmtree(place)


def proportional_set(pid: int) -> int:
    """Return the PSS of a process and of those that it started, in KiB (proc(5), smaps)."""
    base = Path("/proc", str(pid))
    try:
        text = (base / "smaps_rollup").read_text()
        children = (base / "task" / str(pid) / "children").read_text().split()
    except OSError:
        return 0  # it has ended
    lines = (line.split() for line in text.splitlines() if line.startswith("Pss:"))
    return sum(int(words[1]) for words in lines) + sum(proportional_set(int(c)) for c in children)


def row(case: Case, reference: Case) -> str:
    """Return the times of a case, and its ratio to the reference."""
    wall = statistics.median(case.wall)
    return (
        f"| {case.name} | {wall:.3f} | {min(case.wall):.3f} to {max(case.wall):.3f} "
        f"| {statistics.median(case.cpu):.3f} | {wall / statistics.median(reference.wall):.2f} |"
    )


def render(cases: list[Case], starts: list[Case], archive: Path, *, on_tmpfs: bool) -> str:
    """Return the page."""
    reference = next(case for case in cases if "uv" in case.name)
    rows = [f"{row(case, reference)} {case.memory:.0f} |" for case in cases]
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
        starts="\n".join(row(case, starts[0]) for case in starts),
    )


TEMPLATE = """# Benchmarks

Measured on {date} by `make bench`: {rounds} rounds, each command once a round in rotating order, \
on {where}, caches warm. {machine}, {versions}.

One CPython archive, {archive}. Times are whole commands, start-up included. `unseal install` \
verifies the signature, and every chunk before it is parsed, relocates, starts the interpreter \
once, syncs to disk and writes a receipt. uv compares one hash after it has unpacked, and does \
not sync.

| command | median, s | range, s | CPU, s | wall, against uv | peak memory, MiB |
| --- | --- | --- | --- | --- | --- |
{rows}

Peak memory is the greatest sum of what a command's processes held at one moment (PSS), in a run \
that was not timed.

## Starting

What a command takes that has next to nothing to do.

| command | median, s | range, s | CPU, s | wall, against `python -c pass` |
| --- | --- | --- | --- | --- |
{starts}

## Where the time goes

Profiled by hand on the archive above (`perf record`, and the processor time of the parts, each \
alone), on a machine that others used too: take these figures for their order, not to the digit. \
`make bench` does not measure them. In the kernel, making and filling files, `unseal install` spends what uv does, about 0.19 s. The \
whole difference is in user time:

- Starting and importing, about 0.1 s. By estimate, half of it is making some fifty frozen \
dataclasses; cryptography takes 0.03 s. A public key in its canonical encoding is loaded without the \
library's readers for all others, which took another 0.03 s; regular expressions are compiled \
when they are used.
- The index, about 0.04 s for 5,000 lines. Lines that stand as the bundler writes most of them \
are read by one regular expression, the others by the strict parser; with it alone it was 0.1 s.
- Reading and hashing the archive twice, by chunk and as a whole: 0.03 s. Inflating: 0.11 s. A \
thread does both beside everything that follows.
- Parsing and checking headers, 0.06 s, and hashing each member, 0.06 s.
- Starting the interpreter, 0.04 s. It takes 0.1 s when the question that it is asked imports \
`json`, for nothing of a fresh tree is compiled.

So what stands between this and the limit is the interpreter between two system calls: about \
20 microseconds for each member. The way on is fewer steps for each of them, and a second process \
that writes.

## Again

Repeat it with `SEALIFT_TEST_ARCHIVES=FOLDER make bench`; `SEALIFT_BENCH_ROUNDS` sets the number \
of rounds.
"""


if __name__ == "__main__":
    main()
