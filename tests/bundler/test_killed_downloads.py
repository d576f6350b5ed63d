"""A build that is killed again and again while it fetches, and what the next one finds."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopback import Drip, LoopbackServer, Stalled
from workshop import Workshop, digest, tree

ARCHIVES = 6
SIZE = 150_000
PROGRAM = (sys.executable, "-c", "from sealift_bundler.cli import main; main()")


class Bench:
    """A site that wants archives of a slow server, and a build of it in a process of its own."""

    def __init__(self, folder: Path, server: LoopbackServer) -> None:
        folder.mkdir()
        self.server = server
        self.shop = Workshop(folder).found()
        self.cache = folder / "cache"
        self.bundle = folder / "bundle"
        for number in range(ARCHIVES):
            data = random.Random(number).randbytes(SIZE)
            name = f"tool{number}"
            archive = self.shop.serve(f"{name}-1.0.tar.gz", {f"{name}/data": data})
            shutil.copy(archive, server.directory)
            server.faults[f"/{archive.name}"] = [Drip(0.02, 6_000)]
            added = self.shop.sealift(
                *("add", "--url", f"{server.url}/{archive.name}", "--sha256", digest(archive)),
                *("--name", name, "--version", "1.0"),
            )
            assert added == 0
        self.environment = {
            **os.environ,
            **self.shop.environment,
            "UV_CONCURRENT_DOWNLOADS": "2",
            "no_proxy": "127.0.0.1",
        }

    def start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [*PROGRAM, "build", "--quiet", "--output", str(self.bundle)],
            cwd=self.shop.site,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def wait_for_request(self, process: "subprocess.Popen[bytes]", before: int) -> None:
        """Wait until the process has asked for something, or has ended."""
        while len(self.server.requests) == before and process.poll() is None:
            time.sleep(0.005)

    def leave_part(self) -> None:
        """Kill a build that has begun with an archive, so that one is gone on with in any case."""
        name = "/tool0-1.0.tar.gz"
        drips = self.server.faults[name]
        self.server.faults[name] = [Stalled(SIZE // 2)]
        with self.start() as process:
            while not any(_size(path) for path in (self.cache / "partial").glob("?" * 64)):
                assert process.poll() is None
                time.sleep(0.005)
            process.kill()
        self.server.settle()
        self.server.faults[name] = drips

    def forget(self) -> None:
        """Go back to before the first build."""
        for path in (self.bundle, self.cache):
            shutil.rmtree(path, ignore_errors=True)
        self.shop.lock.unlink(missing_ok=True)
        self.server.requests.clear()

    def complete(self) -> frozenset[str]:
        """Return the paths of the archives that are in the cache."""
        names = [path.name.partition("-")[2] for path in (self.cache / "archives").glob("*")]
        return frozenset(f"/{name}" for name in names)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    served = tmp_path / "served"
    served.mkdir()
    with LoopbackServer(served) as server:
        yield Bench(tmp_path / "shop", server)


def survive(bench: Bench, kills: int) -> None:
    """Kill builds so many times, whole runs in between; each bundle is that of a quiet build."""
    with bench.start() as process:
        bench.wait_for_request(process, 0)
        begin = time.monotonic()
        assert process.wait() == 0
    duration = time.monotonic() - begin
    expected = tree(bench.bundle)
    bench.forget()
    bench.leave_part()
    moments = random.Random(4)
    resumed = 0
    for number in range(kills + 1):
        before = bench.complete()
        asked = len(bench.server.requests)
        last = number == kills
        stop = signal.SIGINT if number % 3 == 1 else signal.SIGKILL
        with bench.start() as process:
            try:
                if not last:
                    bench.wait_for_request(process, asked)
                code = process.wait(None if last else moments.random() * duration)
            except subprocess.TimeoutExpired:
                process.send_signal(stop)
                code = process.wait()
        bench.server.settle()
        now = bench.server.requests[asked:]
        assert before.isdisjoint(request.path for request in now)
        resumed += sum("range" in request.headers for request in now)
        assert code in {0, -signal.SIGKILL, -signal.SIGINT, 130}
        # A process can be killed between its last step and its end.
        assert code or bench.bundle.exists()
        if bench.bundle.exists():
            assert tree(bench.bundle) == expected
            bench.forget()
    assert resumed


def test_a_few_killed_builds_end_with_the_same_bundle(bench: Bench) -> None:
    survive(bench, 4)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_fifty_killed_builds_end_with_the_same_bundle(bench: Bench) -> None:
    survive(bench, 50)
