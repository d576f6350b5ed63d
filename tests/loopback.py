"""A real HTTP server on 127.0.0.1 that serves a directory and misbehaves on command.

    with LoopbackServer(directory) as server:
        server.faults["/a.tar.gz"] = [Status(500), Truncated(100)]

Each request for a path takes the next of its faults; the last one stays. What was asked for is in
`server.requests`. It understands Range and If-Range, and serves as a proxy for http addresses, of
which it takes the path alone.
"""

import gzip
import hashlib
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

_RANGE = re.compile(r"bytes=(\d+)-")


@dataclass(frozen=True)
class Good:
    """Serves the file, as if there were no fault."""


@dataclass(frozen=True)
class Status:
    """Answers with this status and a short body."""

    code: int
    retry_after: str | None = None


@dataclass(frozen=True)
class Truncated:
    """Announces everything and closes the connection after so many bytes of the answer."""

    after: int


@dataclass(frozen=True)
class Chunked:
    """Sends the answer in chunks, and closes the connection after so many bytes (None: never)."""

    after: int | None = None


@dataclass(frozen=True)
class Gzipped:
    """Encodes the answer although nobody asked for it, and closes after so many bytes."""

    after: int


@dataclass(frozen=True)
class Reset:
    """Resets the connection after so many bytes of the answer; None: before it."""

    after: int | None = None


@dataclass(frozen=True)
class Announced:
    """Sends the whole answer, and another length in the header (None: no length at all)."""

    length: int | None


@dataclass(frozen=True)
class Unannounced:
    """Tells no length and closes the connection after so many bytes."""

    after: int


@dataclass(frozen=True)
class Redirect:
    """Leads to this address, with a body of so many MiB."""

    location: str
    code: int = 302
    size: int = 0


@dataclass(frozen=True)
class Body:
    """Sends these bytes instead of the file."""

    data: bytes
    content_type: str = "application/octet-stream"


@dataclass(frozen=True)
class Slow:
    """Waits so many seconds after half of the answer."""

    seconds: float


@dataclass(frozen=True)
class SlowStart:
    """Waits so many seconds before the answer."""

    seconds: float


@dataclass(frozen=True)
class Stalled:
    """Sends so many bytes of the answer (None: not even its head), then none until it is left."""

    after: int | None = None


@dataclass(frozen=True)
class Drip:
    """Sends `size` bytes at a time, with a pause in seconds after each."""

    pause: float
    size: int


@dataclass(frozen=True)
class NoRange:
    """Serves the whole file whatever part was asked for."""


@dataclass(frozen=True)
class WrongRange:
    """Answers 206 with a part that starts `by` bytes beside the one that was asked for."""

    by: int = 1


@dataclass(frozen=True)
class Tagged:
    """Serves the file with this ETag (None: with none), and ends after so many bytes."""

    etag: str | None
    after: int | None = None


Fault = (
    Good
    | Status
    | Truncated
    | Chunked
    | Gzipped
    | Reset
    | Announced
    | Unannounced
    | Redirect
    | Body
    | Slow
    | SlowStart
    | Stalled
    | Drip
    | NoRange
    | WrongRange
    | Tagged
)


@dataclass(frozen=True)
class Request:
    """One request as it came: path with query, and headers by lower-case name."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"


@contextmanager
def nobody() -> Iterator[str]:
    """Give an address that refuses connections; until the block ends nobody else can have it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


class LoopbackServer:
    """Serves `directory` on a free port until the `with` block ends, over TLS if `tls` is given."""

    def __init__(self, directory: Path, tls: ssl.SSLContext | None = None) -> None:
        self.directory = directory
        self.scheme = "https" if tls else "http"
        self.faults: dict[str, Sequence[Fault]] = {}
        self.requests: list[Request] = []
        self._stalled: list[socket.socket] = []
        self._left = False
        self._met: set[object] = set()
        self._busy = 0
        self._served: dict[str, int] = {}
        self._change = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """The address of the directory, without a final slash."""
        return f"{self.scheme}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [request.path for request in self.requests]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait_for(self, count: int) -> None:
        """Wait until there are so many requests: a client that gives up is ahead of the server."""
        with self._change:
            self._change.wait_for(lambda: len(self.requests) >= count)

    def settle(self) -> None:
        """Wait until all are served who have asked so far; they may be gone by then."""
        with socket.create_connection(self._server.server_address[:2]) as last:
            name = last.getsockname()
        with self._change:
            self._change.wait_for(lambda: name in self._met and not self._busy)

    def meet(self, client: object) -> None:
        """Count somebody who is to be served."""
        with self._change:
            self._met.add(client)
            self._busy += 1

    def part(self) -> None:
        """Count somebody who was served."""
        with self._change:
            self._busy -= 1
            self._change.notify_all()

    def leave(self) -> None:
        """Hang up on those who wait for what stalls, from now on at once."""
        with self._change:
            self._left = True
            for connection in self._stalled:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def stall(self, connection: socket.socket) -> None:
        """Wait until the client hangs up."""
        with self._change:
            if self._left:
                return
            self._stalled.append(connection)
        while connection.recv(65536):
            pass

    def take(self, request: Request, path: str) -> Fault:
        """Count a request, and return what it meets: the next fault of `path`."""
        with self._change:
            self.requests.append(request)
            self._change.notify_all()
            fault = self.upcoming(path)
            self._served[path] = self._served.get(path, 0) + 1
            return fault

    def upcoming(self, path: str) -> Fault:
        """Return what the next request for `path` will meet."""
        faults = self.faults.get(path, ())
        return faults[min(self._served.get(path, 0), len(faults) - 1)] if faults else Good()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Whoever finds the queue full waits for a second and more.
    request_queue_size = 128
    owner: LoopbackServer

    def server_bind(self) -> None:
        """Take the port; nobody is asked for the name of this machine."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for somebody who has come."""
        self.owner.meet(client_address)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve, in a thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.owner.part()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up, as one does that does not trust the certificate."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Say nothing; the requests are in `LoopbackServer.requests`."""

    def do_CONNECT(self) -> None:
        """Refuse to be a tunnel, with the status that the fault of the target names."""
        self.close_connection = True
        request = Request(self.path, dict(self.headers.items()), "CONNECT")
        fault = self.server.owner.take(request, self.path)
        self._answer(fault.code if isinstance(fault, Status) else 502, b"refused", {})

    def do_GET(self) -> None:
        """Answer one request, with its fault."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.close_connection = True
        path = unquote(urlsplit(self.path).path)
        fault = self.server.owner.take(Request(self.path, headers), path)
        if isinstance(fault, Status):
            more = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
            self._answer(fault.code, b"refused", more)
        elif isinstance(fault, Redirect):
            self._head(fault.code, {"Location": fault.location}, fault.size << 20)
            for _ in range(fault.size):
                self.wfile.write(b"\x00" * (1 << 20))
        elif isinstance(fault, Body):
            self._answer(200, fault.data, {"Content-Type": fault.content_type})
        elif fault == Reset(None):
            self._reset()
        elif fault == Stalled(None):
            self.server.owner.stall(self.connection)
        else:
            if isinstance(fault, SlowStart):
                time.sleep(fault.seconds)
            self._serve(self.server.owner.directory / path.lstrip("/"), fault)

    def _serve(self, file: Path, fault: Fault) -> None:
        if not file.is_file():
            self._answer(404, b"not found", {})
            return
        data = file.read_bytes()
        etag: str | None = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        if isinstance(fault, Tagged):
            etag = fault.etag
        if etag is not None and self.headers.get("If-None-Match") == etag:
            self._answer(304, b"", {"ETag": etag})
            return
        status, headers, body = self._part(data, etag, fault)
        if isinstance(fault, Chunked):
            self._send_chunks(status, headers, body, fault)
            return
        if isinstance(fault, Gzipped):
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body)
        length: int | None = len(body)
        if isinstance(fault, Announced | Unannounced):
            length = fault.length if isinstance(fault, Announced) else None
        self._head(status, headers, length)
        self._send(body, fault)

    def _part(
        self, data: bytes, etag: str | None, fault: Fault
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body for the part that is asked for, or for all."""
        headers = {} if etag is None else {"ETag": etag}
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        if not asked or condition not in {None, etag} or isinstance(fault, NoRange):
            return 200, headers, data
        start = int(asked[1])
        if start >= len(data):
            return 416, {"Content-Range": f"bytes */{len(data)}"}, b""
        if isinstance(fault, WrongRange):
            start += fault.by
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return 206, headers, data[start:]

    def _send(self, body: bytes, fault: Fault) -> None:
        if isinstance(fault, Slow):
            self.wfile.write(body[: len(body) // 2])
            time.sleep(fault.seconds)
            self.wfile.write(body[len(body) // 2 :])
        elif isinstance(fault, Drip):
            for start in range(0, len(body), fault.size):
                self.wfile.write(body[start : start + fault.size])
                time.sleep(fault.pause)
        elif isinstance(fault, Truncated | Gzipped | Unannounced | Tagged | Reset | Stalled):
            self.wfile.write(body[: fault.after])
            if isinstance(fault, Reset):
                self._reset()
            elif isinstance(fault, Stalled):
                self.server.owner.stall(self.connection)
        else:
            self.wfile.write(body)

    def _send_chunks(
        self, status: int, headers: dict[str, str], body: bytes, fault: Chunked
    ) -> None:
        self._head(status, {**headers, "Transfer-Encoding": "chunked"}, None)
        size = 10_000
        for start in range(0, len(body), size):
            if fault.after is not None and start >= fault.after:
                return
            piece = body[start : start + size]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def _answer(self, code: int, body: bytes, headers: Mapping[str, str]) -> None:
        self._head(code, headers, len(body))
        self.wfile.write(body)

    def _head(self, code: int, headers: Mapping[str, str], length: int | None) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.end_headers()

    def _reset(self) -> None:
        # A linger time of zero makes the kernel send RST instead of FIN.
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.wfile.flush()
        self.connection.close()
