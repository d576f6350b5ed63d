"""A small internet in a network and a mount namespace of its own, to follow a page in.

    unshare -rnm python town.py FOLDER SCRIPT      runs bash on SCRIPT in it, ends with its code

FOLDER/web/HOST/ is what https://HOST serves on port 443 (and 8443, to clients with a certificate
of the authority), FOLDER/srv stands at /srv, and FOLDER/authority has the certificates. A proxy
listens on proxy.example.org:3128; it alone knows all hosts, others know NEAR. Where there is a file
FOLDER/password the proxy wants the USER:PASSWORD in it. FOLDER/log gets a line for each request.
"""

import base64
import socket
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

NEAR = ("proxy.example.org", "mirror.example.org", "artifacts.example.org")
HOSTS = (*NEAR, "github.com", "nodejs.org")
# Beside these hosts: what a mirror wants of those who ask for it.
TOKEN = "a-token-that-nobody-may-see"
LOGIN = "me:a-password-that-nobody-may-see"


class Town(ThreadingHTTPServer):
    """A server of this town; `tls` if it is one for https."""

    daemon_threads = True
    folder: Path

    def note(self, text: str) -> None:
        """Add a line to the log."""
        with (self.folder / "log").open("a") as log:
            log.write(f"{text}\n")

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up."""


class Web(BaseHTTPRequestHandler):
    """Serves each host from a folder of its own."""

    server: Town

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Say nothing."""

    def do_GET(self) -> None:
        """Send a file, to those who may have it."""
        host = self.headers["Host"].partition(":")[0]
        path = unquote(self.path)
        kind, _, shown = self.headers.get("Authorization", "none ").partition(" ")
        self.server.note(f"{host} {path} {kind}")
        basic = base64.b64encode(LOGIN.encode()).decode()
        wanted = {"Bearer": TOKEN, "Basic": basic}
        if "/private/" in path and wanted.get(kind) != shown:
            self.send_error(401)
            return
        file = self.server.folder / "web" / host / path.lstrip("/")
        if not file.is_file():
            self.send_error(404)
            return
        data = file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Proxy(BaseHTTPRequestHandler):
    """Makes tunnels, all of them to this machine."""

    server: Town

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Say nothing."""

    def do_CONNECT(self) -> None:
        """Lead on to the host, whatever it is called."""
        self.server.note(f"proxy {self.path}")
        password = self.server.folder / "password"
        if password.exists():
            basic = base64.b64encode(password.read_bytes()).decode()
            if self.headers.get("Proxy-Authorization") != f"Basic {basic}":
                self.send_error(407)
                return
        there = socket.create_connection(("127.0.0.1", int(self.path.rpartition(":")[2])))
        self.send_response(200)
        self.end_headers()
        back = threading.Thread(target=_pump, args=(there, self.connection), daemon=True)
        back.start()
        _pump(self.connection, there)
        back.join()


def _pump(one: socket.socket, other: socket.socket) -> None:
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one of them has hung up


def serve(folder: Path, port: int, handler: type[BaseHTTPRequestHandler], **tls: bool) -> None:
    """Listen on the port until the program ends; with `tls` for https."""
    server = Town(("127.0.0.1", port), handler)
    server.folder = folder
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "authority" / "town.pem")
        if tls.get("clients"):
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(folder / "authority" / "ca.pem")
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main() -> None:
    """Build the town, run the script, end as it did."""
    folder, script = (Path(word) for word in sys.argv[1:])
    (folder / "hosts").write_text(f"127.0.0.1 localhost {' '.join(NEAR)}\n")
    for command in (
        ["ip", "link", "set", "lo", "up"],
        ["mount", "--bind", folder / "hosts", "/etc/hosts"],
        ["mount", "--bind", folder / "srv", "/srv"],
    ):
        subprocess.run(command, check=True)
    serve(folder, 443, Web, clients=False)
    serve(folder, 8443, Web, clients=True)
    serve(folder, 3128, Proxy)
    done = subprocess.run(["bash", script], check=False, timeout=800)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
