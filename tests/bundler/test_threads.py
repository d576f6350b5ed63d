"""Threads that a user may have no more of."""

import threading
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from loopback import LoopbackServer
from sealift_bundler.access import Access
from sealift_bundler.cache import Cache
from sealift_bundler.fetch import Fetching, Wanted, fetch_all
from sealift_bundler.patience import Patience
from sealift_bundler.threads import start_threads, work_through
from workshop import digest


@pytest.fixture
def at_most(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let no more than so many threads of ours be started, as `ulimit -u` does."""
    real = Thread.start

    def limit(most: int) -> None:
        left = [most]

        def start(thread: Thread) -> None:
            if thread.daemon:
                if not left[0]:
                    raise RuntimeError("can't start new thread")
                left[0] -= 1
            real(thread)

        monkeypatch.setattr(Thread, "start", start)

    return limit


@pytest.mark.parametrize("most", [0, 1, 2, 9])
def test_everything_is_done_by_the_threads_that_there_are(
    at_most: Callable[[int], None], most: int
) -> None:
    at_most(most)
    seen = set()

    def work(number: int) -> int:
        seen.add(threading.get_ident())
        return number * number

    assert work_through(range(20), work, 5) == [number * number for number in range(20)]
    assert len(seen) <= max(1, most)
    assert work_through([], work, 5) == []


def test_the_first_error_is_raised(at_most: Callable[[int], None]) -> None:
    at_most(0)

    def work(number: int) -> None:
        raise ValueError(number)

    with pytest.raises(ValueError, match="7"):
        work_through([7, 8], work, 2)


def test_an_interrupt_goes_on() -> None:
    def work(_: int) -> None:
        raise KeyboardInterrupt("by somebody")

    with pytest.raises(KeyboardInterrupt, match="by somebody"):
        work_through([1, 2, 3], work, 2)


def test_threads_need_not_be_waited_for() -> None:
    release = threading.Event()
    threads = start_threads(2, release.wait)
    assert [thread.daemon for thread in threads] == [True, True]
    release.set()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("most", [0, 1])
def test_archives_are_fetched_without_threads(
    at_most: Callable[[int], None], most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    served = tmp_path / "served"
    served.mkdir()
    for number in range(3):
        (served / f"{number}.tar.gz").write_bytes(b"%d" % number * 1000)
    with LoopbackServer(served) as server:
        wanted = [
            Wanted(f"{server.url}/{path.name}", path.name, digest(path))
            for path in sorted(served.iterdir())
        ]
        # The server's threads do not count.
        server._server.daemon_threads = False
        at_most(most)
        paths = fetch_all(wanted, Fetching(Cache(tmp_path / "cache"), Access(patience=Patience())))
        assert [path.read_bytes()[:1] for path in paths] == [b"0", b"1", b"2"]
