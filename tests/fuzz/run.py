"""Run the fuzzer's targets, as many at once as there are cores: `make fuzz`.

    run.py [--seconds N] [--choice N] [--keep FOLDER] [TARGET...]

Each target begins with its seeds and with what earlier runs kept in FOLDER. What crashes it, takes
longer than a minute or more than 1 GiB is written to FOLDER/finds/TARGET, and the end is 1. With a
choice the inputs are the same ones each time, as far as the seconds reach.
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from fuzz.targets import LONGEST, TARGETS

ONE = Path(__file__).with_name("one.py")
# For an input: a memory that no target needs, and a time in which none is.
_MEMORY_MIB, _SECONDS = 1024, 60
# Starting, and reading the seeds, which is not part of the time to fuzz, on a busy machine.
_GRACE = 600
_DONE = re.compile(r"Done (\d+) runs in (\d+) second")
# What libFuzzer says on its way, and what it says at the end of every run.
_CHATTER = re.compile(r"(?:INFO|WARNING|#\d|stat::|0x)")
_STATUS = re.compile(r"^#(\d+)\s.*cov: (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """How a target ended: runs, places that were reached, seconds, and its output if it failed."""

    target: str
    runs: int
    reached: int
    seconds: float
    failure: str | None


# Of each thread that waits for a target: the core on which it runs.
_worker = threading.local()


def _take_core(cores: set[int]) -> None:
    _worker.core = cores.pop()


def fuzz(target: str, seconds: int, keep: Path, choice: int = 0) -> Outcome:
    """Run one target for so many seconds; of 0 as the choice, by chance."""
    seeds, corpus, finds = (keep / kind / target for kind in ("seeds", "corpus", "finds"))
    for folder in (seeds, corpus, finds):
        folder.mkdir(parents=True, exist_ok=True)
    for data in TARGETS[target].seeds() if target in TARGETS else ():
        if len(data) <= LONGEST:
            (seeds / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    command = [
        sys.executable, ONE, _worker.core, target, f"-seed={choice}",
        f"-max_total_time={seconds}", f"-max_len={LONGEST}",
        f"-timeout={_SECONDS}", f"-rss_limit_mb={_MEMORY_MIB}", f"-artifact_prefix={finds}/",
        "-print_final_stats=1", "-verbosity=1", corpus, seeds,
    ]  # fmt: skip
    started = time.monotonic()
    try:
        done = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            timeout=seconds + _GRACE,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            check=False,
            errors="replace",
            text=True,
        )
    except subprocess.TimeoutExpired as error:
        return Outcome(target, 0, 0, time.monotonic() - started, f"it hangs: {error}")
    taken = time.monotonic() - started
    text = done.stdout + done.stderr
    finished = _DONE.search(text)
    found = _STATUS.findall(text)
    runs = int(finished[1] if finished else found[-1][0] if found else 0)
    failed = done.returncode != 0 or finished is None
    told = "\n".join(line for line in text.split("\n") if not _CHATTER.match(line))
    return Outcome(target, runs, int(found[-1][1]) if found else 0, taken, told if failed else None)


def main() -> int:
    """Run the targets and say how each of them ended."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    arguments.add_argument("--choice", type=int, default=0, help="of the inputs (by chance)")
    arguments.add_argument("--keep", type=Path, default=Path(".cache/fuzz"), help="a folder")
    arguments.add_argument("targets", nargs="*", help=" ".join(TARGETS))
    chosen = arguments.parse_args()
    if find_spec("atheris") is None:
        print(f"not fuzzed: there is no atheris for Python {sys.version.split()[0]}")
        return 0
    names = chosen.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS) - {"broken"}:
        arguments.error(f"no target {', '.join(sorted(unknown))}")
    cores = os.sched_getaffinity(0)
    failed = []
    with ThreadPoolExecutor(len(cores), initializer=lambda: _take_core(cores)) as pool:
        for outcome in pool.map(
            lambda name: fuzz(name, chosen.seconds, chosen.keep, chosen.choice), names
        ):
            print(
                f"{'FAILED' if outcome.failure else 'ok':6}  {outcome.target:12} "
                f"{outcome.runs:9} runs, {outcome.reached:5} places, {outcome.seconds:.0f} s",
                flush=True,
            )
            if outcome.failure:
                failed.append(outcome.target)
                print(outcome.failure[-6000:])
    if failed:
        print(f"finds are in {chosen.keep}/finds: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
