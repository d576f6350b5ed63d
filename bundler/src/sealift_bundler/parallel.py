"""Several downloads at a time, some to each host; threads, since they wait most of the time.

The threads are daemons: what they do can be cut off at any moment, so an interrupt ends the
program at once, and no thread has to be waited for that waits for a server.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from sealift_bundler.access import Access
from sealift_bundler.errors import LocalFileError, NetworkError, join_messages
from sealift_bundler.threads import start_threads
from sealift_bundler.transfer import Stopped, Transfer
from sealift_bundler.web import Session
from sealift_installer.errors import Damaged, SealiftError

Work = Callable[[Transfer, Session], object]
# What keeps one file from coming and says nothing of the others.
_OF_ONE_FILE = (NetworkError, Damaged, LocalFileError)


def run_parallel(
    transfers: Sequence[Transfer], work: Work, access: Access, stop: threading.Event
) -> None:
    """Do `work` for each transfer; of a long list that makes its items a few are in memory.

    A fault of one server or archive leaves the others alone; all of them are told in the end. Any
    other error sets `stop`, which `work` heeds.

    Raises:
        SealiftError: what `work` raised; of several the worst, with the messages of all.
    """
    if len(transfers) == 1:
        with Session(access) as session:
            work(transfers[0], session)
    else:
        _Crew(transfers, work, access, stop).run()


class _Crew:
    def __init__(
        self, transfers: Sequence[Transfer], work: Work, access: Access, stop: threading.Event
    ) -> None:
        self._work = work
        self._access = access
        self._stop = stop
        self._transfers = transfers
        self._errors: dict[int, BaseException] = {}
        # By host, the numbers of those that were not begun.
        self._waiting: dict[str, deque[int]] = {}
        for number, transfer in enumerate(transfers):
            self._waiting.setdefault(_host(transfer), deque()).append(number)
        self._busy: Counter[str] = Counter()
        self._change = threading.Condition()
        self._count = min(access.patience.connections, len(transfers))

    def run(self) -> None:
        started: list[threading.Thread] = []
        try:
            started += start_threads(self._count, self._serve)
            for thread in started:
                thread.join()
        except BaseException:
            self._stop.set()
            with self._change:
                self._change.notify_all()
            for thread in started:
                thread.join(self._access.patience.farewell / len(started))
            raise
        self._raise_errors()

    def _serve(self) -> None:
        with Session(self._access) as session:
            while (taken := self._take()) is not None:
                number, transfer = taken
                try:
                    self._work(transfer, session)
                except Stopped:
                    pass
                # What a thread raises would be lost; it is raised again by `run`.
                except BaseException as error:  # noqa: BLE001
                    self._errors[number] = error
                    if not isinstance(error, _OF_ONE_FILE):
                        self._stop.set()
                finally:
                    with self._change:
                        self._busy[_host(transfer)] -= 1
                        self._change.notify_all()

    def _take(self) -> tuple[int, Transfer] | None:
        """Return the next transfer whose host has room; None when there is nothing left to do."""
        most = self._access.patience.host_connections
        with self._change:
            while self._waiting and not self._stop.is_set():
                host = next((each for each in self._waiting if self._busy[each] < most), None)
                if host is not None:
                    self._busy[host] += 1
                    number = self._waiting[host].popleft()
                    if not self._waiting[host]:
                        del self._waiting[host]
                    return number, self._transfers[number]
                self._change.wait()
        return None

    def _raise_errors(self) -> None:
        errors = [self._errors[number] for number in sorted(self._errors)]
        for error in errors:
            if not isinstance(error, _OF_ONE_FILE):
                raise error
        told = [error for error in errors if isinstance(error, SealiftError)]
        if not told:
            return
        # Wrong bytes are worse than a server that is away.
        worst = next((error for error in told if isinstance(error, Damaged)), told[0])
        if len(told) == 1:
            raise worst
        message = f"{len(told)} files cannot be had:\n{join_messages(told)}"
        raise type(worst)(message, hint=worst.hint)


def _host(transfer: Transfer) -> str:
    return urlsplit(transfer.addresses[0]).netloc
