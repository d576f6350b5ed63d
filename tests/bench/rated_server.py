"""A file server on 127.0.0.1 with a fixed rate, for each connection and for all together.

    python rated_server.py DIRECTORY RATE_OF_ALL RATE_OF_ONE      (bytes in a second)

It prints its address, and serves until its stdin ends. In a process of its own it takes no time
from what is measured.
"""

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

_BLOCK = 16 * 1024


class Rate:
    """So many bytes in a second, for all who share it."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._free = 0.0
        self._lock = threading.Lock()

    def reserve(self, size: int) -> float:
        """Take the next moment for `size` bytes; return when they are through."""
        with self._lock:
            self._free = max(self._free, time.monotonic()) + size / self._rate
            return self._free


class Handler(BaseHTTPRequestHandler):
    """Serves whole files, no faster than it may."""

    protocol_version = "HTTP/1.1"
    directory: Path
    all: Rate
    rate_of_one: float

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Tell the size."""
        self._head(self._file())

    def do_GET(self) -> None:
        """Send the file."""
        file = self._file()
        one = Rate(self.rate_of_one)
        if not file.is_file():
            self.send_error(404)
            return
        self._head(file)
        with file.open("rb") as source:
            while block := source.read(_BLOCK):
                self.wfile.write(block)
                through = max(one.reserve(len(block)), self.all.reserve(len(block)))
                time.sleep(max(0.0, through - time.monotonic()))

    def _file(self) -> Path:
        return self.directory / unquote(self.path).rpartition("/")[2]

    def _head(self, file: Path) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(file.stat().st_size))
        self.end_headers()


def main() -> None:
    """Serve until stdin ends."""
    directory, rate_of_all, rate_of_one = sys.argv[1:]
    Handler.directory = Path(directory)
    Handler.all = Rate(float(rate_of_all))
    Handler.rate_of_one = float(rate_of_one)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
