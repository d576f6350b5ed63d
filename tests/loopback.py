"""A real HTTP server on 127.0.0.1 that serves a directory and misbehaves on command.

    with LoopbackServer(directory) as server:
        server.faults["/a.tar.gz"] = [Status(500), Truncated(100)]

Each request for a path takes the next of its faults; the last one stays. What was asked for is in
`server.requests`.
"""

import hashlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Good:
    """Serves the file, as if there were no fault."""


@dataclass(frozen=True)
class Status:
    """Answers with this status and a short body."""

    code: int


@dataclass(frozen=True)
class Truncated:
    """Announces the whole file and closes the connection after so many bytes of it."""

    after: int


@dataclass(frozen=True)
class Reset:
    """Resets the connection after so many bytes of the file; None: before the answer."""

    after: int | None = None


@dataclass(frozen=True)
class Announced:
    """Sends the whole file, and another length in the header (None: no length at all)."""

    length: int | None


@dataclass(frozen=True)
class Redirect:
    """Answers 302 with this address."""

    location: str


@dataclass(frozen=True)
class Body:
    """Sends these bytes instead of the file."""

    data: bytes
    content_type: str = "application/octet-stream"


@dataclass(frozen=True)
class Slow:
    """Waits so many seconds after half of the file."""

    seconds: float


Fault = Good | Status | Truncated | Reset | Announced | Redirect | Body | Slow


@dataclass(frozen=True)
class Request:
    """One request as it came: path with query, and headers by lower-case name."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


class LoopbackServer:
    """Serves `directory` on a free port until the `with` block ends, over TLS if `tls` is given."""

    def __init__(self, directory: Path, tls: ssl.SSLContext | None = None) -> None:
        self.directory = directory
        self.scheme = "https" if tls else "http"
        self.faults: dict[str, Sequence[Fault]] = {}
        self.requests: list[Request] = []
        self._served: dict[str, int] = {}
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
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def next_fault(self, path: str) -> Fault:
        """Return what the next request for `path` meets."""
        faults = self.faults.get(path, ())
        turn = self._served.get(path, 0)
        self._served[path] = turn + 1
        return faults[min(turn, len(faults) - 1)] if faults else Good()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: LoopbackServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up, as one does that does not trust the certificate."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Say nothing; the requests are in `LoopbackServer.requests`."""

    def do_GET(self) -> None:
        """Answer one request, with its fault."""
        owner = self.server.owner
        headers = {name.lower(): value for name, value in self.headers.items()}
        owner.requests.append(Request(self.path, headers))
        self.close_connection = True
        path = unquote(urlsplit(self.path).path)
        fault = owner.next_fault(path)
        if isinstance(fault, Status):
            self._answer(fault.code, b"refused", {})
        elif isinstance(fault, Redirect):
            self._answer(302, b"", {"Location": fault.location})
        elif isinstance(fault, Body):
            self._answer(200, fault.data, {"Content-Type": fault.content_type})
        elif fault == Reset(None):
            self._reset()
        else:
            self._serve(owner.directory / path.lstrip("/"), fault)

    def _serve(self, file: Path, fault: Fault) -> None:
        if not file.is_file():
            self._answer(404, b"not found", {})
            return
        data = file.read_bytes()
        etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        if self.headers.get("If-None-Match") == etag:
            self._answer(304, b"", {"ETag": etag})
            return
        length = fault.length if isinstance(fault, Announced) else len(data)
        self._head(200, {"ETag": etag}, length)
        if isinstance(fault, Truncated):
            self.wfile.write(data[: fault.after])
        elif isinstance(fault, Reset):
            self.wfile.write(data[: fault.after])
            self._reset()
        elif isinstance(fault, Slow):
            self.wfile.write(data[: len(data) // 2])
            time.sleep(fault.seconds)
        else:
            self.wfile.write(data)

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
