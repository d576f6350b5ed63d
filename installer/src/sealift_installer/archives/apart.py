"""Chunks made by another process while the ones before them are used.

A thread (see `ahead`) has to wait for the interpreter's lock behind whoever parses and writes; a
process does not. It is forked, reads, hashes and decompresses, and writes nothing but a few slots
of shared memory, which are used again and again, so what it takes does not grow with the archive.
What is handed out is the same as without: the same bytes in the same order, and the same error at
the same place. When this process ends, the pipes do, and then so does the other one. (ADR 0016)
"""

import mmap
import os
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import NoReturn

from sealift_installer.archives.blocks import Chunk
from sealift_installer.cores import count_cores
from sealift_installer.errors import HostError
from sealift_installer.relay import pack_error, raise_packed

_SLOT = 256 * 1024
_SLOTS = 8
# What the other process says of the next slot: it is full; it has so many bytes, said in four more;
# there is none, for all is done; there is none, for an error stands behind this.
_FULL, _PART, _END, _ERROR = b"=", b"-", b".", b"!"


def run_apart(chunks: Iterator[bytes]) -> Generator[Chunk]:
    """Yield what `chunks` yields, and raise what it raises, from another process where that helps.

    Closing the generator ends the process, and closes `chunks`.
    """
    worker = _fork(chunks)
    if worker is None:
        yield from chunks
        return
    try:
        yield from worker.results()
    finally:
        worker.end()


def _fork(chunks: Iterator[bytes]) -> "_Worker | None":
    # On macOS a fork of a process that has loaded system libraries is not safe; Windows has none.
    # Of several threads, one could hold a lock that nobody lets go of in the other process.
    threading = sys.modules.get("threading")
    several = threading is not None and threading.active_count() > 1
    if sys.platform != "linux" or several or count_cores() < 2:  # noqa: PLR2004 - no core, no beside
        return None
    try:
        return _Worker(chunks)
    except OSError:
        return None  # no more processes, or no memory for one


class _Worker:
    """The other process, as this one sees it."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._slots = [mmap.mmap(-1, _SLOT) for _ in range(_SLOTS)]
        self._said, saying = os.pipe()
        freed, self._free = os.pipe()
        try:
            self._process = os.fork()
        except OSError:
            for descriptor in (self._said, saying, freed, self._free):
                os.close(descriptor)
            raise
        if self._process == 0:
            try:
                os.close(self._said)
                os.close(self._free)
                _Filler(self._slots, saying, freed).run(chunks)
            finally:
                os._exit(0)  # none of what this process would do at its end
        os.close(saying)
        os.close(freed)

    def results(self) -> Iterator[Chunk]:
        said = self._said
        for number in range(sys.maxsize):
            slot = self._slots[number % _SLOTS]
            what = os.read(said, 1)
            if what == _FULL:
                yield slot
            elif what == _PART:
                yield slot[: int.from_bytes(os.read(said, 4), "little")]
            elif what == _END:
                return
            else:
                self._fail(what)
            self._release()

    def end(self) -> None:
        """End the process; it has nothing that could be lost."""
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._said)
        os.close(self._free)
        for slot in self._slots:
            slot.close()

    def _release(self) -> None:
        with suppress(BrokenPipeError):  # it is done, and waits no more
            os.write(self._free, b".")

    def _fail(self, what: bytes) -> NoReturn:
        """Raise what was raised in the other process."""
        if what != _ERROR:
            raise HostError("the process that decompresses was ended by somebody")
        with open(self._said, "rb", closefd=False) as file:
            raise_packed(file.read())


class _Filler:
    """What the other process does."""

    def __init__(self, slots: list[mmap.mmap], saying: int, freed: int) -> None:
        self._slots = slots
        self._saying = saying
        self._freed = freed
        self._number = 0
        self._used = 0  # bytes of the slot at hand

    def run(self, chunks: Iterator[bytes]) -> None:
        # The terminal interrupts both; the other one ends this one.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for chunk in chunks:
                self._put(chunk)
            end = _END
        except Exception as error:  # noqa: BLE001 - raised where the chunks are used
            end = _ERROR + pack_error(error)
        if self._used:
            self._next(_PART + self._used.to_bytes(4, "little"))
        os.write(self._saying, end)

    def _put(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        while view:
            begin, end = self._used, min(self._used + len(view), _SLOT)
            self._slots[self._number % _SLOTS][begin:end] = view[: end - begin]
            self._used = end
            if end == _SLOT:
                self._next(_FULL)
            view = view[end - begin :]

    def _next(self, what: bytes) -> None:
        """Say that the slot at hand is ready, and go on to the next one when that is free."""
        os.write(self._saying, what)
        self._number += 1
        self._used = 0
        if self._number >= _SLOTS and not os.read(self._freed, 1):
            os._exit(1)  # the other process is gone
