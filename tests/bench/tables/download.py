"""Parallel downloads over a line of a fixed rate: `sealift lock` against curl and aria2c."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from archives import big_archives
from measure import Case, measure, row
from page import how

from road import PROGRAMS, run, sha256
from workshop import Workshop

# 25 Mbit/s for all together and 8 Mbit/s for each connection, in bytes per second.
RATE_OF_ALL, RATE_OF_ONE = 25e6 / 8, 8e6 / 8
# Each takes some twenty seconds, and the line is what sets the time.
ROUNDS = int(os.environ.get("SEALIFT_BENCH_ROUNDS", "5"))


def table(scratch: Path) -> str:
    """Measure, and return the part of the page."""
    served = scratch / "served"
    served.mkdir()
    archives = [
        Path(shutil.copyfile(path, served / path.name.replace("+", "-")))
        for path in big_archives("*-linux*.*")
    ]
    with rated_server(served) as address:
        cases = make_cases(scratch, address, archives)
        measure(cases, scratch, ROUNDS)
    size = sum(path.stat().st_size for path in archives)
    return TEMPLATE.format(
        how=how(scratch, ROUNDS, *versions()),
        count=len(archives),
        size=f"{size / 1e6:.1f} MB",
        least=f"{size / RATE_OF_ALL:.2f} s",
        rows="\n".join(row(case, cases[1]) for case in cases),
    )


@contextmanager
def rated_server(served: Path) -> Iterator[str]:
    """Serve the folder at the fixed rate; yield the address."""
    program = Path(__file__).resolve().parents[1] / "rated_server.py"
    words = [sys.executable, program, served, str(RATE_OF_ALL), str(RATE_OF_ONE)]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.stdin.close()


def make_cases(scratch: Path, address: str, archives: Sequence[Path]) -> list[Case]:
    """Return our command and its counterparts; each checks nothing but what it is said to."""
    (scratch / "work").mkdir()
    workshop = Workshop(scratch / "work").found()
    with workshop.spec.open("a") as spec:
        for number, path in enumerate(archives):
            spec.write(
                f'[[url]]\nurl = "{address}/{path.name}"\nname = "archive{number}"\n'
                f'version = "1.0"\nsha256 = "{sha256(path)}"\n'
            )
    lines = "".join(
        f"{address}/{path.name}\n  checksum=sha-256={sha256(path)}\n" for path in archives
    )
    (scratch / "aria2.txt").write_text(lines)
    plain = {"no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}

    def sealift(place: Path) -> tuple[list[str], dict[str, str]]:
        site = shutil.copytree(workshop.site, place / "site")
        words = [PROGRAMS / "sealift", "lock", "--quiet", "--site", site]
        environment = {**workshop.environment, "SEALIFT_CACHE_DIR": str(place / "cache")}
        return [str(word) for word in words], {**environment, **plain}

    def curl(place: Path) -> tuple[list[str], dict[str, str]]:
        words = [
            "curl",
            "--parallel",
            "--parallel-immediate",
            "-sS",
            "--no-progress-meter",
            "--fail",
            "--output-dir",
            str(place),
        ]
        for path in archives:
            words += ["--remote-name", f"{address}/{path.name}"]
        return words, plain

    def aria2c(place: Path) -> tuple[list[str], dict[str, str]]:
        words = ["aria2c", "--quiet", "-j", "8", "--file-allocation=none", "--no-conf"]
        return [*words, "-d", str(place), "-i", str(scratch / "aria2.txt")], plain

    (scratch / "idle").mkdir()
    idle = Workshop(scratch / "idle").found()

    def nothing(place: Path) -> tuple[list[str], dict[str, str]]:
        site = shutil.copytree(idle.site, place / "site")
        words = [PROGRAMS / "sealift", "lock", "--quiet", "--site", site]
        return [str(word) for word in words], {**idle.environment, **plain}

    cases = [Case("`sealift lock` (SHA-256)", sealift)]
    if shutil.which("curl"):
        cases.append(Case("`curl --parallel` (checks nothing)", curl))
    if shutil.which("aria2c"):
        cases.append(Case("`aria2c -j 8` (SHA-256)", aria2c))
    if len(cases) == 1:
        sys.exit("make bench: neither curl nor aria2c is here to compare downloads with")
    return [*cases, Case("`sealift lock` with nothing to fetch", nothing)]


def versions() -> list[str]:
    """Return name and version of each counterpart."""
    found = []
    for name, place in (("curl", 1), ("aria2c", 2)):
        if shutil.which(name):
            found.append(f"{name} {run(name, '--version').stdout.split()[place]}")
    return found


TEMPLATE = """
## Downloads

{count} real archives, {size} together, from a server on loopback that sends 25 Mbit/s to all \
together and 8 Mbit/s to each connection: {least} at the least. Whole commands, start-up included; \
`sealift lock` hashes what comes, looks for room, keeps what a next run could go on with, and \
writes the lock. {how}

| command | median, s | range, s | CPU, s | wall, against the first counterpart |
| --- | --- | --- | --- | --- |
{rows}
"""
