"""Several archives at a time: what comes back, and what a kill leaves."""

import errno
import gc
import os
import re
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from sealift_installer import install as verb
from sealift_installer import jobs as jobs_module
from sealift_installer import stage as stage_module
from sealift_installer import stages
from sealift_installer.cores import count_cores
from sealift_installer.errors import Damaged, HostError, Scarce, SealiftError
from sealift_installer.install import InstallOptions
from sealift_installer.jobs import Jobs
from sealift_installer.report import Progress, Silence
from sealift_installer.stage import Staged
from sealift_schemas.manifest import Archive
from simulator import Member, SimArchive, pack
from target import Target, in_child, python, tool

NOTHING = Staged(0, {}, {})


class Said(Silence):
    def __init__(self) -> None:
        self.said: list[tuple[str, ...]] = []

    def step(self, archive: str, what: str) -> None:
        self.said.append(("step", archive, what))

    def note(self, text: str) -> None:
        self.said.append(("note", text))

    def warn(self, text: str) -> None:
        self.said.append(("warn", text))


def staged(number: int) -> Callable[[Progress], Staged]:
    return lambda _: Staged(number, {"a": "b"}, {"extract": 0.5})


def fails(error: BaseException) -> Callable[[Progress], Staged]:
    def stage(_: Progress) -> Staged:
        raise error

    return stage


def processes() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[set[str]]:
    """Return the processes that earlier tests have left: they are not ours, and may end."""
    gc.collect()  # so are the files that they left open
    before, files = processes(), len(list(Path("/proc/self/fd").iterdir()))
    yield before
    assert processes() <= before
    assert len(list(Path("/proc/self/fd").iterdir())) <= files


@pytest.fixture(autouse=True)
def interrupts_are_heeded() -> Iterator[None]:
    """What a shell starts in the background ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("most", [1, 2, 3, 9])
def test_each_has_its_result(most: int):
    work = {str(number): staged(number) for number in range(6)}
    with Jobs(work, most, Silence()) as jobs:
        for name in ["5", "0", "1", "2", "4", "3"]:
            assert jobs.result(name) == Staged(int(name), {"a": "b"}, {"extract": 0.5})


def test_a_process_takes_one_after_the_other():
    work = {str(number): lambda _: Staged(os.getpid(), {}, {}) for number in range(6)}
    with Jobs(work, 2, Silence()) as jobs:
        assert len({jobs.result(str(number)).relocated for number in range(6)}) <= 2


def test_one_process_does_it_all_where_no_second_is_to_be_had(monkeypatch: pytest.MonkeyPatch):
    fork, calls = os.fork, []

    def refuse() -> int:
        calls.append(1)
        if len(calls) > 1:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        return fork()

    monkeypatch.setattr(os, "fork", refuse)
    with Jobs({str(number): staged(number) for number in range(3)}, 2, Silence()) as jobs:
        assert [jobs.result(str(number)).relocated for number in range(3)] == [0, 1, 2]


def test_no_more_than_so_many_work_at_a_time(tmp_path: Path):
    def count(_: Progress) -> Staged:
        mine = tmp_path / str(os.getpid())
        mine.touch()
        time.sleep(0.02)
        there = len(list(tmp_path.iterdir()))
        mine.unlink()
        return Staged(there, {}, {})

    with Jobs({str(number): count for number in range(8)}, 2, Silence()) as jobs:
        assert max(jobs.result(str(number)).relocated for number in range(8)) <= 2


@pytest.mark.parametrize(
    "error", [Damaged("x is wrong\n  Expected: é", hint="look"), HostError("no space left")]
)
def test_one_that_fails_leaves_the_others_whole(error: SealiftError):
    with Jobs({"a": staged(1), "b": fails(error), "c": staged(3)}, 2, Silence()) as jobs:
        assert jobs.result("a").relocated == 1
        with pytest.raises(type(error), match=re.escape(error.message)) as caught:
            jobs.result("b")
        assert jobs.result("c").relocated == 3
    assert isinstance(caught.value, SealiftError)
    assert (caught.value.message, caught.value.hint) == (error.message, error.hint)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [(KeyError("x"), RuntimeError, "KeyError"), (MemoryError(), MemoryError, "^$")],
)
def test_another_error_stays_one(error: Exception, kind: type[Exception], message: str):
    with Jobs({"a": fails(error)}, 2, Silence()) as jobs, pytest.raises(kind, match=message):
        jobs.result("a")


def test_what_they_say_is_said():
    def speak(progress: Progress) -> Staged:
        progress.step("a", "extract")
        progress.note("x" * 100_000)
        progress.warn("é")
        return NOTHING

    said = Said()
    with Jobs({"a": speak}, 2, said) as jobs:
        jobs.result("a")
    assert said.said == [("step", "a", "extract"), ("note", "x" * 100_000), ("warn", "é")]


@pytest.mark.parametrize(("number", "by"), [("SIGKILL", "signal 9"), ("SIGTERM", "somebody")])
def test_one_that_is_ended_while_it_works_is_said(number: str, by: str):
    def killed(_: Progress) -> Staged:
        os.kill(os.getpid(), signal.Signals[number])
        return NOTHING

    with Jobs({"a": killed, "b": staged(2)}, 2, Silence()) as jobs:
        with pytest.raises(HostError, match=f"the process that installs a was ended by {by}$"):
            jobs.result("a")
        assert jobs.result("b").relocated == 2


def wait_for(states: str, process: int) -> None:
    while Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in states:
        time.sleep(0.001)


def end_idle(jobs: Jobs) -> None:
    """Kill every worker once it waits for an order, and has said what it has to say."""
    for pipe, worker in jobs._workers.items():
        while not select.select([pipe], [], [], 0)[0]:
            time.sleep(0.001)
        wait_for("S", worker.process)
        os.kill(worker.process, signal.SIGKILL)
        wait_for("Z", worker.process)


@pytest.mark.parametrize("most", [1, 2])
def test_one_that_is_killed_while_it_waits_takes_nothing_with_it(most: int):
    stages = {str(number): staged(number) for number in range(7)}
    with Jobs(stages, most, Silence()) as jobs:
        for number in range(7):
            if number in {0, 3}:
                end_idle(jobs)
            assert jobs.result(str(number)).relocated == number


def test_one_that_is_killed_before_it_begins_is_replaced(monkeypatch: pytest.MonkeyPatch):
    parent, work, left = os.getpid(), jobs_module._work, [2]

    def killed(*arguments: Any) -> None:
        left[0] > 0 and os.kill(os.getpid(), signal.SIGKILL)
        work(*arguments)

    fork = os.fork

    def count() -> int:
        process = fork()
        left[0] -= os.getpid() == parent
        return process

    monkeypatch.setattr(jobs_module, "_work", killed)
    monkeypatch.setattr(os, "fork", count)
    said = Said()
    with Jobs({str(number): staged(number) for number in range(3)}, 2, said) as jobs:
        assert [jobs.result(str(number)).relocated for number in range(3)] == [0, 1, 2]
    assert said.said == []


def test_where_all_are_killed_before_they_begin_this_one_does_it(monkeypatch: pytest.MonkeyPatch):
    def killed(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(jobs_module, "_work", killed)
    said = Said()
    stages = {str(number): lambda _: Staged(os.getpid(), {}, {}) for number in range(9)}
    with Jobs(stages, 2, said) as jobs:
        assert {jobs.result(str(number)).relocated for number in range(9)} == {os.getpid()}
    reason = "processes are ended by somebody before they begin"
    assert said.said == [("warn", f"{reason}; one archive is installed after the other")]


@pytest.mark.parametrize("after", [1, 2])
@pytest.mark.parametrize("threads", [0, 3])
def test_an_interrupt_while_they_are_started_ends_them(
    monkeypatch: pytest.MonkeyPatch, after: int, threads: int
):
    """It comes to all of them, as from a terminal, and in the middle of a fork.

    Whichever thread takes it, it is the main one that heeds it.
    """
    done = threading.Event()
    others = [threading.Thread(target=done.wait) for _ in range(threads)]
    for other in others:
        other.start()
    fork, parent, calls = os.fork, os.getpid(), []

    def interrupt() -> int:
        process = fork()
        calls.append(1)
        if len(calls) == after:
            os.kill(os.getpid(), signal.SIGINT)
        return process

    monkeypatch.setattr(os, "fork", interrupt)
    stages = {str(number): lambda _: time.sleep(600) for number in range(3)}
    with pytest.raises(KeyboardInterrupt, match=r"^$"), Jobs(stages, 2, Silence()):
        pass
    done.set()
    for other in others:
        other.join()
    assert (os.getpid(), len(calls)) == (parent, after)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_leaving_ends_one_that_was_stopped():
    with Jobs({"a": lambda _: time.sleep(600)}, 2, Silence()) as jobs:
        for worker in jobs._workers.values():
            os.kill(worker.process, signal.SIGSTOP)
            wait_for("T", worker.process)


def test_leaving_ends_those_of_one_that_was_told_to_block_it():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        with Jobs({"a": lambda _: time.sleep(600)}, 2, Silence()):
            time.sleep(0.1)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_leaving_ends_those_that_work_and_what_they_started(tmp_path: Path):
    def start(_: Progress) -> Staged:
        process = subprocess.Popen(["sleep", "600"])
        try:
            (tmp_path / "pid").write_text(str(process.pid))
            process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        return NOTHING

    with Jobs({"a": start}, 2, Silence()):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.01)
    assert not Path("/proc", (tmp_path / "pid").read_text()).exists()


@pytest.mark.parametrize("stopped", [False, True])
def test_they_end_with_the_process_that_started_them(stopped: bool):
    reading, writing = os.pipe()
    begun, begins = os.pipe()

    def work(_: Progress) -> Staged:
        os.write(begins, b"x")
        time.sleep(600)
        return NOTHING

    def parent() -> None:
        os.close(reading)
        with Jobs({"a": work}, 2, Silence()) as jobs:
            os.read(begun, 1)
            for worker in jobs._workers.values():
                if stopped:
                    os.kill(worker.process, signal.SIGSTOP)
                    wait_for("T", worker.process)
            os.kill(os.getpid(), signal.SIGKILL)

    in_child(parent)
    os.close(writing)
    assert os.read(reading, 1) == b""
    for end in (reading, begun, begins):
        os.close(end)


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM])
def test_without_a_process_to_be_had_this_one_does_it(monkeypatch: pytest.MonkeyPatch, number: int):
    def refuse() -> int:
        raise OSError(number, os.strerror(number))

    def stage(progress: Progress) -> Staged:
        progress.step("a", "extract")
        return Staged(os.getpid(), {}, {})

    monkeypatch.setattr(os, "fork", refuse)
    said = Said()
    with Jobs({"a": stage, "b": fails(Damaged("b is wrong")), "c": stage}, 2, said) as jobs:
        assert jobs.result("a").relocated == os.getpid()
        with pytest.raises(Damaged, match="b is wrong"):
            jobs.result("b")
        assert jobs.result("c").relocated == os.getpid()
    reason = f"no other process can be had: {os.strerror(number)}"
    assert said.said == [
        ("warn", f"{reason}; one archive is installed after the other"),
        *[("step", "a", "extract")] * 2,
    ]


def test_what_there_is_too_little_of_for_several_is_done_by_this_one(nothing_is_left: set[str]):
    parent = os.getpid()

    def stage(progress: Progress) -> Staged:
        if os.getpid() != parent:
            raise Scarce("b has no memory")
        progress.step("b", "extract")
        assert processes() <= nothing_is_left
        return Staged(parent, {}, {})

    said = Said()
    stages = {"a": staged(1), "b": stage, "c": staged(3), "d": stage, "e": fails(Scarce("e"))}
    with Jobs(stages, 2, said) as jobs:
        assert [jobs.result(name).relocated for name in "abcd"] == [1, parent, 3, parent]
        with pytest.raises(Scarce, match=r"^e$"):
            jobs.result("e")
    warning = ("warn", "b has no memory; one archive is installed after the other")
    assert said.said == [warning, *[("step", "b", "extract")] * 2]


def test_pipes_that_cannot_be_had_are_not_left_half_open(monkeypatch: pytest.MonkeyPatch):
    pipe, calls = os.pipe, []

    def refuse() -> tuple[int, int]:
        calls.append(1)
        if len(calls) == 2:
            raise OSError(errno.EMFILE, "Too many open files")
        return pipe()

    monkeypatch.setattr(os, "pipe", refuse)
    said = Said()
    with Jobs({"a": staged(1)}, 2, said) as jobs:
        assert jobs.result("a").relocated == 1
    assert "Too many open files" in said.said[0][1]


def test_a_process_leaves_the_other_cores_to_the_others(monkeypatch: pytest.MonkeyPatch):
    def count(_: Progress) -> Staged:
        return Staged(count_cores(), {}, {})

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    for most, share in ((2, 3), (4, 1), (9, 1)):
        with Jobs({"a": count}, most, Silence()) as jobs:
            assert jobs.result("a").relocated == share
    monkeypatch.setattr(os, "fork", lambda: os.close(-1))
    with Jobs({"a": count}, 4, Silence()) as jobs:
        assert jobs.result("a").relocated == 6


def test_of_one_who_was_left_a_thousand_open_files():
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limits[1] < 2000:
        pytest.skip("no more than a thousand files can be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2000, limits[1]))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        with Jobs({"a": staged(1), "b": staged(2)}, 2, Silence()) as jobs:
            assert [jobs.result(name).relocated for name in "ab"] == [1, 2]
    finally:
        for file in files:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.fixture
def children_are_ignored():
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGCHLD, before)


@pytest.mark.usefixtures("children_are_ignored")
def test_processes_of_one_who_was_told_to_ignore_them():
    with Jobs({str(number): staged(number) for number in range(3)}, 2, Silence()) as jobs:
        assert [jobs.result(str(number)).relocated for number in range(3)] == [0, 1, 2]


def test_one_that_ignores_interrupts_starts_what_ignores_them():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)

    def ask(_: Progress) -> Staged:
        question = "import signal, sys; sys.exit(signal.getsignal(2) is signal.SIG_IGN)"
        return Staged(
            subprocess.run([sys.executable, "-c", question], check=False).returncode, {}, {}
        )

    try:
        with Jobs({"a": ask}, 2, Silence()) as jobs:
            assert jobs.result("a").relocated == 1
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """A target that stages even small archives in processes."""
    monkeypatch.setattr(stages, "_WORTH_PROCESSES", 0)
    monkeypatch.setattr(stages, "count_cores", lambda: 2)
    # A thread of an earlier test may not have ended yet.
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    target = Target(tmp_path)
    target.trust()
    return target


def test_an_install_of_several(target: Target):
    said = Said()
    bundle = target.carry(tool("a-1.0"), python(), tool("b-1.0"), tool("c-1.0"))
    report = verb.install(bundle, InstallOptions(target.prefix.path), said)
    assert [outcome.status for outcome in report.outcomes] == ["installed"] * 4
    receipts = [receipt.archive.name for receipt in target.receipts() if receipt.archive]
    assert receipts == [outcome.name for outcome in report.outcomes]
    assert ("step", "b-1.0", "extract") in said.said
    assert target.leftovers() == []


def test_a_tree_that_a_process_could_not_finish_is_made_anew(
    target: Target, monkeypatch: pytest.MonkeyPatch
):
    parent = os.getpid()

    def run_short(*_: object) -> None:
        if os.getpid() != parent:
            raise MemoryError

    monkeypatch.setattr(stage_module, "check_offered", run_short)
    target.carry(tool("a-1.0"), python(), tool("c-1.0"))
    said = Said()
    report = verb.install(target.site.path, InstallOptions(target.prefix.path), said)
    assert [outcome.status for outcome in report.outcomes] == ["installed"] * 3
    assert [each[0] for each in said.said].count("warn") == 1
    assert target.leftovers() == []


def test_an_archive_that_is_damaged_leaves_the_others_whole(target: Target):
    real = SimArchive("b-1.0", (Member("x", b"x"),))
    bad = SimArchive("b-1.0", (Member("y", b"x"),), data=pack(real))
    target.carry(tool("a-1.0"), bad, tool("c-1.0"))
    report = target.install()
    assert [outcome.status for outcome in report.outcomes] == ["installed", "failed", "installed"]
    assert isinstance(report.outcomes[1].error, Damaged)
    assert target.leftovers() == []


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EMFILE, "Too many open files", "index.py"), "Too many open files: index.py"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_what_the_system_refuses_is_said_of_the_archive(
    target: Target, monkeypatch: pytest.MonkeyPatch, cores: int, error: Exception, reason: str
):
    def refuse(archive: Archive, _: Path) -> None:
        if archive.name == "b-1.0":
            raise error

    monkeypatch.setattr(stages, "count_cores", lambda: cores)
    monkeypatch.setattr(stage_module, "check_offered", refuse)
    target.carry(tool("a-1.0"), tool("b-1.0"), tool("c-1.0"))
    report = target.install()
    assert [outcome.status for outcome in report.outcomes] == ["installed", "failed", "installed"]
    failure = report.outcomes[1].error
    assert isinstance(failure, HostError)
    assert failure.message == f"cannot install b-1.0: {reason}"
    assert target.leftovers() == []


@pytest.mark.usefixtures("children_are_ignored")
def test_an_interpreter_that_crashes_is_the_fault_of_the_host_whoever_is_ignored(target: Target):
    target.carry(python(script="#!/bin/sh\nexit 3\n"))
    error = target.install().outcomes[0].error
    assert isinstance(error, HostError)
    assert "does not run on this host: exit status 3" in error.message


def test_a_kill_at_any_step_leaves_what_the_next_run_finishes(target: Target):
    bundle = target.carry(tool("a-1.0"), python(), tool("b-1.0"))

    class Killer(Silence):
        def __init__(self, left: int) -> None:
            self.left = left

        def step(self, archive: str, what: str) -> None:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    for left in range(1, 30):
        wanted = InstallOptions(target.path / f"prefix-{left}")
        copytree(target.prefix.path, wanted.prefix)
        status = in_child(
            lambda left=left, wanted=wanted: verb.install(bundle, wanted, Killer(left))
        )
        assert verb.install(bundle, wanted).exit_code == 0
        assert not list(wanted.prefix.glob("*/.staging/*"))
        if status == 0:
            break
    assert 6 < left < 29


def test_an_interrupt_ends_all_and_leaves_nothing(target: Target, monkeypatch: pytest.MonkeyPatch):
    target.carry(tool("a-1.0"), tool("b-1.0"))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt("now")

    monkeypatch.setattr(verb, "_publication", interrupt)
    with pytest.raises(KeyboardInterrupt, match="now"):
        target.install()
    assert target.leftovers() == []
