"""Chunks made by a thread while the ones before them are used.

Reading, hashing and decompressing let go of the interpreter's lock, so that they take place beside
parsing and writing. What is handed out is the same as without: the same chunks in the same order,
and the same error at the same place.
"""

import threading
from collections.abc import Generator, Iterator
from queue import SimpleQueue

from sealift_installer.cores import count_cores

# Of at most a MiB each (see decompress): how many may wait to be used.
_CHUNKS = 4


def run_ahead(chunks: Iterator[bytes]) -> Generator[bytes]:
    """Yield what `chunks` yields, and raise what it raises, working ahead where that helps.

    Closing the generator ends the thread, and closes `chunks`.
    """
    worker = _Worker(chunks)
    if count_cores() < 2 or not worker.start():  # noqa: PLR2004 - with one core there is no beside
        yield from chunks
        return
    try:
        yield from worker.results()
    finally:
        worker.stop()


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
