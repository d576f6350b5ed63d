"""Commands run side by side: what they take of time, processor and memory."""

import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROUNDS = int(os.environ.get("SEALIFT_BENCH_ROUNDS", "11"))


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


@dataclass(frozen=True)
class Peak:
    """What one run took: seconds of wall and processor, and the most memory at once in MiB."""

    wall: float
    cpu: float
    memory: float


def measure(
    cases: Sequence[Case], scratch: Path, rounds: int = ROUNDS, *, keep: bool = False
) -> None:
    """Run every case once per round, in rotating order; one round more warms up.

    Args:
        cases: the commands; each gets its times.
        scratch: where each run gets a directory of its own.
        rounds: how many are timed.
        keep: leave what was made, and write what others left unwritten before each run: for disks,
            where files are made slowly for minutes behind a removal of thousands.
    """
    for number in range(rounds + 1):
        for offset in range(len(cases)):
            case = cases[(number + offset) % len(cases)]
            place = Path(tempfile.mkdtemp(dir=scratch))
            command, extra = case.command(place)
            if keep:
                os.sync()
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            started = time.perf_counter()
            subprocess.run(command, env=environment(extra), check=True, stdout=subprocess.DEVNULL)
            wall = time.perf_counter() - started
            if number > 0:
                case.wall.append(wall)
                case.cpu.append(children_cpu() - before.ru_utime - before.ru_stime)
            if not keep:
                shutil.rmtree(place)


def measure_memory(cases: Sequence[Case], scratch: Path) -> None:
    """Run every case once more and look at it all the time: at what its processes hold together."""
    for case in cases:
        place = Path(tempfile.mkdtemp(dir=scratch))
        command, extra = case.command(place)
        case.memory = watch(command, environment(extra)).memory
        shutil.rmtree(place)


def watch(command: Sequence[str], env: dict[str, str], cwd: Path | None = None) -> Peak:
    """Run a command that must succeed, and look at its processes all the time."""
    before, started, memory = children_cpu(), time.perf_counter(), 0
    process = subprocess.Popen(command, env=env, cwd=cwd, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        memory = max(memory, proportional_set(process.pid))
        time.sleep(0.002)
    wall = time.perf_counter() - started
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Peak(wall, children_cpu() - before, memory / 1024)


def children_cpu() -> float:
    """Return the processor time of all children that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def environment(extra: dict[str, str]) -> dict[str, str]:
    """Return what a command sees; compiled modules are kept, as where pip installed them."""
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **extra}


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
