"""Stages several archives at a time, by processes that take one after the other.

The processes stage and no more: journal, state, receipts and what is printed are the matter of the
one that started them. They hold its lock as long as they live, and end when it does. Where there
can be none, that one stages what is left by itself. (ADR 0016)
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
from sealift_installer.cores import count_cores, limit_cores
from sealift_installer.errors import HostError, Scarce
from sealift_installer.relay import pack_error, raise_packed
from sealift_installer.report import Progress
from sealift_installer.stage import Staged

Stage = Callable[[Progress], Staged]

_END_WITH_PARENT = 1  # PR_SET_PDEATHSIG, see prctl(2)
# So many processes may be ended before they began what they were told to do.
_MOST_LOST = 4
_ENDED = (
    "run the command again; if nobody ended it, look whether the kernel did, for want of memory"
)


class _Worker:
    """A process: the pipe that it takes numbers of stages from, and which one it was told."""

    __slots__ = ("begun", "number", "orders", "process")

    def __init__(self, process: int, orders: int) -> None:
        self.process = process
        self.orders = orders
        self.number = 0
        self.begun = False


class Jobs:
    """Processes that stage. Use it as a context manager: leaving it ends those that still work.

    Args:
        stages: what is to be done, by name, and is begun in this order.
        most: how many are done at a time.
        progress: is told what the processes say.
    """

    def __init__(self, stages: Mapping[str, Stage], most: int, progress: Progress) -> None:
        self._names = tuple(stages)
        self._stages = tuple(stages.values())
        self._waiting = list(range(len(stages)))
        self._most = most
        self._progress = progress
        self._workers: dict[int, _Worker] = {}  # by the pipe that each answers with
        self._done: dict[str, tuple[Any, ...]] = {}
        self._lost = 0
        self._alone = False  # no more processes are started

    def __enter__(self) -> Self:
        heed_children()
        try:
            self._begin()
        except BaseException:  # an interrupt, so early that nobody would leave this context
            self._end_all()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end_all()

    def result(self, name: str) -> Staged:
        """Wait until `name` is staged.

        Raises:
            Damaged, HostError: as `stage` says, or its process was ended by somebody.
        """
        number = self._names.index(name)
        while name not in self._done:
            if number in self._waiting and self._alone and not self._workers:
                self._waiting.remove(number)
                return self._stages[number](self._progress)
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
        by = f"signal {values[0]}" if values[0] else "somebody"
        raise HostError(f"the process that installs {name} was ended by {by}", hint=_ENDED)

    def _begin(self) -> None:
        while self._waiting and len(self._workers) < self._most and not self._alone:
            try:
                pipe = self._fork()
            except OSError as error:
                if not self._workers:  # else those that are there do it all
                    self._stay_alone(f"no other process can be had: {error.strerror or error}")
                return
            self._order(pipe)

    def _stay_alone(self, reason: str) -> None:
        if not self._alone:
            self._progress.warn(f"{reason}; one archive is installed after the other")
        self._alone = True

    def _order(self, pipe: int) -> None:
        """Give a process the next archive."""
        worker = self._workers[pipe]
        worker.number, worker.begun = self._waiting.pop(0), False
        with suppress(BrokenPipeError):  # it was ended, and says so at the other pipe
            os.write(worker.orders, worker.number.to_bytes(4, "little"))

    def _fork(self) -> int:
        """Start a process; return the pipe that it answers with."""
        # An interrupt waits: until the other one knows what it is, and this one that it is there.
        # To block it would not do, for another thread can take it.
        held: list[int] = []
        before = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
        ends: list[int] = []
        parent = os.getpid()
        try:
            ends += os.pipe()
            ends += os.pipe()
            process = os.fork()
            if process == 0:
                self._be_worker(ends, parent, ignored=before is signal.SIG_IGN)
            pipe, answers, taken, orders = ends
            os.close(answers)
            os.close(taken)
            self._workers[pipe] = _Worker(process, orders)
        except OSError:
            for each in ends:
                os.close(each)
            raise
        finally:
            signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
            if held:
                signal.raise_signal(signal.SIGINT)
        return pipe

    def _be_worker(self, ends: Sequence[int], parent: int, *, ignored: bool) -> NoReturn:
        """Go on as the process that was forked."""
        pipe, answers, taken, orders = ends
        try:
            # One that was stopped would keep the lock, were it told in any other way.
            ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(0)
            for each in (pipe, orders, *self._workers):
                os.close(each)
            for other in self._workers.values():
                os.close(other.orders)
            limit_cores(max(1, count_cores() // self._most))
            # The terminal interrupts all; the one that started this one ends it. Not ignored, for
            # an interpreter that is started would ignore it too.
            signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else _stay)
            signal.signal(signal.SIGTERM, _leave)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
            _work(self._stages, taken, answers)
        finally:
            os._exit(0)  # none of what the other process would do at its end

    def _hear(self, pipe: int) -> None:
        """Take one message; whoever has staged an archive gets the next one."""
        size = _read(pipe, 4)
        data = _read(pipe, int.from_bytes(size, "little"))
        if not data:
            self._lose(pipe)
            return
        worker = self._workers[pipe]
        message = marshal.loads(data)  # noqa: S302 - our own
        if message[0] == "begun":
            worker.begun = True
        elif message[0] == "progress":
            getattr(self._progress, message[1])(*message[2:])
        elif message[0] == "scarce":
            self._waiting.insert(0, worker.number)
            self._end(pipe)
            self._stay_alone(message[1])
        else:
            self._done[self._names[worker.number]] = message
            if message[0] == "staged" and self._waiting and not self._alone:
                self._order(pipe)
            else:
                self._end(pipe)

    def _lose(self, pipe: int) -> None:
        """Note that somebody ended a process; what it had not begun is for another one."""
        worker = self._workers[pipe]
        status = self._end(pipe)
        if worker.begun:
            by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            self._done[self._names[worker.number]] = ("ended", by)
            return
        self._waiting.insert(0, worker.number)
        self._lost += 1
        if self._lost == _MOST_LOST:
            self._stay_alone("processes are ended by somebody before they begin")

    def _end_all(self) -> None:
        for worker in self._workers.values():
            os.kill(worker.process, signal.SIGTERM)
            os.kill(worker.process, signal.SIGCONT)  # one that was stopped heeds the other then
        for pipe in list(self._workers):
            self._end(pipe)

    def _end(self, pipe: int) -> int:
        """Wait for the end of a process; return its status."""
        worker = self._workers.pop(pipe)
        os.close(pipe)
        os.close(worker.orders)
        return os.waitpid(worker.process, 0)[1]


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


def _work(stages: Sequence[Stage], orders: int, pipe: int) -> None:
    """Do the work of a process that was forked, until no more orders come or one fails."""
    relay = _Relay(pipe)
    while number := _read(orders, 4):
        relay.send("begun")
        try:
            staged = stages[int.from_bytes(number, "little")](relay)
        except Scarce as error:
            relay.send("scarce", error.message)
            return
        except Exception as error:  # noqa: BLE001 - raised where the result is asked for
            relay.send("failed", pack_error(error))
            return
        relay.send("staged", staged.relocated, dict(staged.merged), dict(staged.seconds))


def _stay(*_: object) -> None:
    """Go on."""


def _leave(*_: object) -> NoReturn:
    raise SystemExit
