import errno
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealift_installer.archives import apart
from sealift_installer.archives.apart import run_apart
from sealift_installer.errors import Damaged, HostError, SealiftError
from target import in_child

SLOT = apart._SLOT


@pytest.fixture(autouse=True)
def several_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "count_cores", lambda: 2)


def children() -> set[int]:
    """Return the processes that this one has, ended ones too."""
    return {
        int(pid)
        for task in Path("/proc/self/task").iterdir()
        for pid in (task / "children").read_text().split()
    }


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(autouse=True)
def nothing_is_left(several_cores: None) -> Iterator[None]:
    before, files = children(), open_files()
    yield
    assert (children(), open_files()) == (before, files)


def pieces(size: int, count: int, error: BaseException | None = None) -> Iterator[bytes]:
    for number in range(count):
        yield bytes([number % 251]) * size
    if error is not None:
        raise error


def joined(chunks: Iterator[apart.Chunk]) -> bytes:
    return b"".join(chunk[:] for chunk in chunks)


@pytest.mark.parametrize(
    ("size", "count"),
    [(0, 0), (0, 3), (1, 1), (SLOT, 1), (SLOT, 40), (SLOT - 1, 40), (SLOT + 1, 40), (7, 1000),
     (5 * SLOT + 3, 7)],
)  # fmt: skip
def test_the_same_bytes_come_in_the_same_order(size: int, count: int):
    assert joined(run_apart(pieces(size, count))) == b"".join(pieces(size, count))


def test_they_are_made_by_another_process():
    def tell() -> Iterator[bytes]:
        yield b"%d" % os.getpid()

    assert int(joined(run_apart(tell()))) != os.getpid()


@pytest.mark.parametrize(
    "error",
    [
        Damaged("chunk 9 is wrong\n  Expected: a", hint="look"),
        HostError("cannot read é: \x1b"),
        MemoryError(),
    ],
)
def test_an_error_comes_behind_the_bytes_before_it(error: Exception):
    seen = b""
    with pytest.raises(type(error)) as caught:  # noqa: PT012
        for chunk in run_apart(pieces(100_000, 8, error)):
            seen += chunk[:]
    assert seen == b"".join(pieces(100_000, 8))
    if isinstance(error, SealiftError):
        assert isinstance(caught.value, SealiftError)
        assert (caught.value.message, caught.value.hint) == (error.message, error.hint)


def test_a_defect_there_is_a_defect_here():
    with pytest.raises(RuntimeError, match=r"^KeyError\('x'\)"):
        joined(run_apart(pieces(1, 1, KeyError("x"))))


def test_closing_it_ends_the_process():
    chunks = run_apart(pieces(SLOT, 10_000))
    next(chunks)
    chunks.close()


def test_a_process_that_somebody_ends_is_said():
    def killed() -> Iterator[bytes]:
        yield bytes(SLOT)
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(HostError, match="the process that decompresses was ended by somebody"):
        joined(run_apart(killed()))


def test_it_does_not_run_ahead_of_its_slots():
    """Memory does not grow with an archive: what is not used is not made."""
    reading, writing = os.pipe()

    def count() -> Iterator[bytes]:
        for _ in range(1000):
            os.write(writing, b".")
            yield bytes(SLOT)

    chunks = run_apart(count())
    next(chunks)
    os.set_blocking(reading, False)
    time.sleep(0.2)
    assert len(os.read(reading, 2000)) <= apart._SLOTS + 2
    chunks.close()
    os.close(reading)
    os.close(writing)


def test_it_ends_with_the_process_that_started_it():
    reading, writing = os.pipe()

    def parent() -> None:
        os.close(reading)
        chunks = run_apart(pieces(SLOT, 10_000))
        next(chunks)
        os.kill(os.getpid(), signal.SIGKILL)

    in_child(parent)
    os.close(writing)
    assert os.read(reading, 1) == b""  # nobody holds the other end any more
    os.close(reading)


def test_an_interrupt_of_both_is_that_of_the_one():
    def interrupted() -> Iterator[bytes]:
        os.kill(os.getpid(), signal.SIGINT)
        yield b"x"

    assert joined(run_apart(interrupted())) == b"x"


def test_without_a_process_to_be_had_the_bytes_come_all_the_same(monkeypatch: pytest.MonkeyPatch):
    def refuse() -> int:
        raise OSError(errno.EAGAIN, "no more processes")

    monkeypatch.setattr(os, "fork", refuse)
    assert joined(run_apart(pieces(10, 3))) == b"".join(pieces(10, 3))


@pytest.mark.parametrize("reason", ["cores", "threads"])
def test_there_is_none_with_one_core_or_several_threads(
    monkeypatch: pytest.MonkeyPatch, reason: str
):
    def tell() -> Iterator[bytes]:
        yield b"%d" % os.getpid()

    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait)
    if reason == "cores":
        monkeypatch.setattr(apart, "count_cores", lambda: 1)
    else:
        thread.start()
    try:
        assert int(joined(run_apart(tell()))) == os.getpid()
    finally:
        go_on.set()
        if reason == "threads":
            thread.join()
