"""A server on 127.0.0.1 that says whatever a test wants, in no protocol of its own.

    with RawServer(lambda connection: connection.sendall(b"nonsense")) as server:

Each connection gets a thread; the answer is called when the request's head has come.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

Answer = Callable[[socket.socket], None]


class RawServer:
    """Calls `answer` for each request, and closes the connection when it returns."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.heads: list[bytes] = []
        self.ended = threading.Event()
        self._talks: list[tuple[threading.Thread, socket.socket]] = []
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Nobody may still be asleep on a number that another test's socket gets next.
        self.ended.set()
        _wake(self._listener)
        self._thread.join()
        self._listener.close()
        for thread, connection in self._talks:
            _wake(connection)
            thread.join()

    def _serve(self) -> None:
        while not self.ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # the test is over
            thread = threading.Thread(target=self._talk, args=(connection,))
            self._talks.append((thread, connection))
            thread.start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    data = connection.recv(65536)
                    if not data:
                        return
                    head += data
                self.heads.append(head)
                self._answer(connection)
            except OSError:
                pass  # the client has hung up


def _wake(asleep: socket.socket) -> None:
    """Let whoever waits for this socket go on."""
    with suppress(OSError):
        asleep.shutdown(socket.SHUT_RDWR)
