"""Chunks made by a thread while the ones before them are used.

Reading, hashing and decompressing let go of the interpreter's lock, so that they take place beside
parsing and writing. What is handed out is the same as without: the same chunks in the same order,
and the same error at the same place.
"""

import threading
from collections.abc import Generator, Iterator
from queue import SimpleQueue
from typing import Self

from sealift_installer.cores import count_cores

# Of at most a MiB each (see decompress): how many may wait to be used. Small files take longer to
# write than to decompress, and large ones the other way round; what waits evens that out.
_CHUNKS = 8


class Ahead:
    """An iterator of what `chunks` yields, and raises, working ahead from now on where that helps.

    Close it: that ends the thread, and closes `chunks`.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._worker: _Worker | None = None
        self._results = chunks
        if count_cores() > 1:  # with one there is no beside
            worker = _Worker(chunks)
            if worker.start():
                self._worker = worker
                self._results = worker.results()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        return next(self._results)

    def close(self) -> None:
        """End it; there is nothing more then."""
        if self._worker is not None:
            self._worker.stop()
        if isinstance(self._results, Generator):
            self._results.close()


class _Worker:
    """Takes chunks in a thread; at its end stands None or the error that ended it."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._made: SimpleQueue[bytes | BaseException | None] = SimpleQueue()
        self._room = threading.Semaphore(_CHUNKS)
        self._stopped = False
        # The process ends even where a read from the medium does not.
        self._thread = threading.Thread(target=self._work, name="run_ahead", daemon=True)

    def start(self) -> bool:
        """Start; False where the system allows no more threads."""
        try:
            self._thread.start()
        except RuntimeError:
            return False
        return True

    def results(self) -> Iterator[bytes]:
        while True:
            made = self._made.get()
            if made is None:
                return
            if isinstance(made, BaseException):
                raise made
            self._room.release()
            yield made

    def stop(self) -> None:
        """End the thread, which finishes the chunk at hand first."""
        self._stopped = True
        self._room.release()
        self._thread.join()

    def _work(self) -> None:
        end: BaseException | None = None
        try:
            for chunk in self._chunks:
                self._room.acquire()
                if self._stopped:
                    break
                self._made.put(chunk)
            if isinstance(self._chunks, Generator):
                self._chunks.close()
        except BaseException as error:  # noqa: BLE001 - raised where the chunks are used
            end = error
        self._made.put(end)
