import threading
import time
from collections.abc import Iterator

import pytest

from sealift_installer.archives import ahead
from sealift_installer.archives.ahead import Ahead
from sealift_installer.errors import Damaged


@pytest.fixture(autouse=True)
def several_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "count_cores", lambda: 2)


class Source:
    """Chunks that know how many were taken, by which threads, and that they were closed."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.count, self.error = count, error
        self.taken = 0
        self.closed = False
        self.threads: set[threading.Thread] = set()

    def chunks(self) -> Iterator[bytes]:
        try:
            for number in range(self.count):
                self.taken += 1
                self.threads.add(threading.current_thread())
                yield b"%d" % number
            if self.error:
                raise self.error
        finally:
            self.closed = True


def test_chunks_come_in_order_from_a_thread_that_ends():
    source = Source(100)

    assert list(Ahead(source.chunks())) == [b"%d" % number for number in range(100)]
    (thread,) = source.threads
    assert thread.name == "run_ahead"
    thread.join()


def test_an_error_comes_behind_the_chunks_before_it():
    source = Source(20, Damaged("chunk 21 is wrong"))
    seen = []

    with pytest.raises(Damaged, match=r"^chunk 21 is wrong$"):
        seen.extend(Ahead(source.chunks()))

    (thread,) = source.threads
    thread.join()


def test_what_is_before_an_error_is_handed_out():
    chunks = Ahead(Source(9, Damaged("chunk 10 is wrong")).chunks())

    assert [next(chunks) for _ in range(9)] == [b"%d" % number for number in range(9)]
    with pytest.raises(Damaged, match=r"^chunk 10 is wrong$"):
        next(chunks)


def test_closing_ends_the_thread_and_closes_the_source():
    source = Source(1000)
    chunks = Ahead(source.chunks())
    next(chunks)

    chunks.close()

    assert source.closed
    assert not any(thread.is_alive() for thread in source.threads)


def test_few_chunks_wait():
    source = Source(1000)
    chunks = Ahead(source.chunks())
    next(chunks)
    while source.taken < ahead._CHUNKS:
        time.sleep(0.001)
    time.sleep(0.02)  # for one that would not wait

    assert ahead._CHUNKS <= source.taken <= ahead._CHUNKS + 2
    chunks.close()


def test_without_a_second_core_there_is_no_thread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ahead, "count_cores", lambda: 1)
    source = Source(3)

    assert list(Ahead(source.chunks())) == [b"0", b"1", b"2"]
    assert source.threads == {threading.current_thread()}


def test_without_a_thread_to_be_had_the_chunks_come_all_the_same(monkeypatch: pytest.MonkeyPatch):
    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert list(Ahead(Source(3).chunks())) == [b"0", b"1", b"2"]
