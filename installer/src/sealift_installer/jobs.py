"""Stages several archives at a time, by processes that take one after the other.

The processes stage and no more: journal, state, receipts and what is printed are the matter of the
one that started them. They hold its lock as long as they live, and end when it does. (ADR 0016)
"""

import ctypes
import marshal
import os
import select
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, NoReturn, Self

from sealift_installer.children import heed_children
from sealift_installer.errors import HostError
from sealift_installer.relay import pack_error, raise_packed
from sealift_installer.report import Progress
from sealift_installer.stage import Staged

Stage = Callable[[Progress], Staged]

_END_WITH_PARENT = 1  # PR_SET_PDEATHSIG, see prctl(2)


class _Worker:
    """A process: the pipe that it takes numbers of stages from, and what it is at."""

    __slots__ = ("name", "orders", "process")

    def __init__(self, process: int, orders: int) -> None:
        self.process = process
        self.orders = orders
        self.name: str | None = None


class Jobs:
    """Processes that stage. Use it as a context manager: leaving it ends those that still work.

    Args:
        stages: what is to be done, by name, and is begun in this order.
        most: how many are done at a time.
        progress: is told what the processes say.
    """

    def __init__(self, stages: Mapping[str, Stage], most: int, progress: Progress) -> None:
        self._stages = tuple(stages.values())
        self._waiting = list(enumerate(stages))
        self._most = most
        self._progress = progress
        self._workers: dict[int, _Worker] = {}  # by the pipe that each answers with
        self._done: dict[str, tuple[Any, ...]] = {}

    def __enter__(self) -> Self:
        heed_children()
        self._begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for worker in self._workers.values():
            os.kill(worker.process, signal.SIGTERM)
        for pipe in list(self._workers):
            self._end(pipe)

    def result(self, name: str) -> Staged:
        """Wait until `name` is staged.

        Raises:
            Damaged, HostError: as `stage` says, or its process was ended by somebody.
        """
        while name not in self._done:
            ready = select.poll()  # select(2) takes no descriptor above 1023
            for pipe in self._workers:
                ready.register(pipe, select.POLLIN)
            for pipe, _ in ready.poll():
                self._hear(pipe)
            self._begin()
        kind, *values = self._done.pop(name)
        if kind == "staged":
            return Staged(*values)
        if kind == "failed":
            raise_packed(values[0])
        raise HostError(f"the process that installs {name} was ended by somebody")

    def _begin(self) -> None:
        while self._waiting and len(self._workers) < self._most:
            try:
                pipe = self._fork()
            except OSError as error:
                if self._workers:
                    return  # those that are there do it all
                for _, name in self._waiting:
                    self._done[name] = ("failed", pack_error(_no_process(name, error)))
                self._waiting.clear()
                return
            self._order(pipe)

    def _order(self, pipe: int) -> None:
        """Give a process the next archive."""
        number, worker = self._waiting.pop(0), self._workers[pipe]
        worker.name = number[1]
        with suppress(BrokenPipeError):  # it was ended, and says so at the other pipe
            os.write(worker.orders, number[0].to_bytes(4, "little"))

    def _fork(self) -> int:
        ends: list[int] = []
        parent = os.getpid()
        try:
            ends += os.pipe()
            ends += os.pipe()
            process = os.fork()
        except OSError:
            for each in ends:
                os.close(each)
            raise
        pipe, answers, taken, orders = ends
        if process == 0:
            try:
                for each in (pipe, orders, *self._workers):
                    os.close(each)
                for other in self._workers.values():
                    os.close(other.orders)
                _work(self._stages, taken, answers, parent)
            finally:
                os._exit(0)  # none of what the other process would do at its end
        os.close(answers)
        os.close(taken)
        self._workers[pipe] = _Worker(process, orders)
        return pipe

    def _hear(self, pipe: int) -> None:
        """Take one message; whoever has staged an archive gets the next one."""
        size = _read(pipe, 4)
        data = _read(pipe, int.from_bytes(size, "little"))
        name = self._workers[pipe].name or ""
        if not data:
            self._end(pipe)
            self._done.setdefault(name, ("ended",))
            return
        message = marshal.loads(data)  # noqa: S302 - our own
        if message[0] == "progress":
            getattr(self._progress, message[1])(*message[2:])
            return
        self._done[name] = message
        if message[0] == "staged" and self._waiting:
            self._order(pipe)
        else:
            self._end(pipe)

    def _end(self, pipe: int) -> None:
        worker = self._workers.pop(pipe)
        os.close(pipe)
        os.close(worker.orders)
        os.waitpid(worker.process, 0)


def _no_process(name: str, error: OSError) -> HostError:
    return HostError(f"no process can be had to install {name}: {error.strerror or error}")


def _read(pipe: int, size: int) -> bytes:
    """Read so many bytes, or none where the other end is closed."""
    data = b""
    while len(data) < size:
        more = os.read(pipe, size - len(data))
        if not more:
            return b""
        data += more
    return data


class _Relay:
    """Progress that is told to the other process."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def step(self, archive: str, what: str) -> None:
        self.send("progress", "step", archive, what)

    def note(self, text: str) -> None:
        self.send("progress", "note", text)

    def warn(self, text: str) -> None:
        self.send("progress", "warn", text)

    def send(self, *message: Any) -> None:
        data = marshal.dumps(message)
        data = len(data).to_bytes(4, "little") + data
        while data:
            data = data[os.write(self._pipe, data) :]


def _work(stages: Sequence[Stage], orders: int, pipe: int, parent: int) -> None:
    """Do the work of a process that was forked, until no more orders come or one fails."""
    # The terminal interrupts all; the one that started this one ends it. Not ignored, for an
    # interpreter that is started would ignore it too.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _stay)
    signal.signal(signal.SIGTERM, _leave)
    ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGTERM)
    if os.getppid() != parent:
        return
    relay = _Relay(pipe)
    while number := _read(orders, 4):
        try:
            staged = stages[int.from_bytes(number, "little")](relay)
        except Exception as error:  # noqa: BLE001 - raised where the result is asked for
            relay.send("failed", pack_error(error))
            return
        relay.send("staged", staged.relocated, dict(staged.merged), dict(staged.seconds))


def _stay(*_: object) -> None:
    """Go on."""


def _leave(*_: object) -> NoReturn:
    raise SystemExit
