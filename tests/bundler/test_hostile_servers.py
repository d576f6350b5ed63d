"""Servers that answer in no protocol, without end, or as slowly as a client will bear."""

import errno
import hashlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from urllib3.connection import HTTPConnection

from hurried import PLENTY
from raw_server import RawServer
from sealift_bundler import web, web_pool
from sealift_bundler.access import Access
from sealift_bundler.cache import Cache
from sealift_bundler.errors import NetworkError
from sealift_bundler.fetch import Fetching, Wanted, fetch
from sealift_bundler.patience import Patience
from sealift_bundler.sources import index_client
from sealift_bundler.sources.package_index import find_package
from sealift_bundler.sources.pip_settings import PipSettings
from sealift_installer.errors import Damaged, HostError
from sealift_schemas.spec import PackageWanted

DATA = b"x" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()
OK = b"HTTP/1.1 200 OK\r\n"
CLOSE = b"Connection: close\r\n"
# For what does not come, and for what does.
HASTY = Patience(connect=PLENTY, read=0.3, attempts=2, pause=0.0, longest_wait=2.0)
PATIENT = replace(HASTY, read=PLENTY)


def sends(*pieces):
    """Return an answer that is these bytes."""
    return lambda connection: connection.sendall(b"".join(pieces))


def redirects(location):
    """Return an answer that leads on; each is a new address where there is a number to count."""
    numbers = count()
    return lambda connection: connection.sendall(
        b"HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: "
        + location.replace(b"NUMBER", b"%d" % next(numbers))
        + b"\r\n\r\n"
    )


def drips(head, piece, pause=0.01):
    """Return an answer that goes on and on, a piece at a time."""

    def answer(connection):
        connection.sendall(head)
        while True:
            connection.sendall(piece)
            time.sleep(pause)

    return answer


LENGTH = b"Content-Length: 1000\r\n"
REFUSED = {
    "a header of 1 MB": (sends(OK, LENGTH, b"X: ", b"a" * (1 << 20), b"\r\n\r\n"), "broke"),
    "100,000 headers": (sends(OK, b"X: y\r\n" * 100_000, b"\r\n"), "broke"),
    "a reason that paints": (
        sends(b"HTTP/1.1 404 \x1b[31mred\x07\r\nContent-Length: 0\r\n\r\n"),
        r"answered 404 \\x1b\[31mred\\x07",
    ),
    "no protocol": (sends(b"\0\1\2 nonsense\r\n\r\n"), "broke"),
    "an older protocol": (sends(b"<html>"), "broke"),
    "nothing": (sends(), "broke"),
    "a status below all": (sends(b"HTTP/1.1 -1 X\r\n\r\n"), "broke"),
    "a status above all": (sends(b"HTTP/1.1 999 X\r\n\r\n"), "answered 999 X"),
    "two lengths": (sends(OK, LENGTH, b"Content-Length: 5\r\n\r\n", DATA), "broke"),
    "a chunk's length of 10 MB": (
        sends(OK, b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 10_000_000),
        "broke",
    ),
    "a part that nobody asked for": (
        sends(b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-999/1000\r\n", LENGTH, b"\r\n", DATA),
        "answered 206",
    ),
    "not modified, unasked": (sends(b"HTTP/1.1 304 N\r\n\r\n"), "answered 304"),
    "redirects without end": (redirects(b"/NUMBER"), "too many redirects"),
    "a redirect of 60 kB": (redirects(b"/" + b"a" * 60_000), "too many redirects"),
    "a redirect to no text": (redirects(b"http://\xfc.\xfc/\xe9"), "cannot be read"),
    "a redirect to no port": (redirects(b"http://127.0.0.1:99999/"), "cannot be read"),
    "a redirect to no name": (redirects(b"http://" + b"a" * 70 + b".x/"), "broke"),
    "a redirect to a file": (redirects(b"file:///etc/passwd"), "refused a redirect"),
    "a redirect with a password": (redirects(b"http://u:hunter2@127.0.0.1:1/"), "refused"),
    "to come again at no time": (
        sends(b"HTTP/1.1 503 F\r\nRetry-After: nan\r\nContent-Length: 0\r\n", CLOSE, b"\r\n"),
        "answered 503",
    ),
    "to come again in the past": (
        sends(b"HTTP/1.1 503 F\r\nRetry-After: -5\r\nContent-Length: 0\r\n", CLOSE, b"\r\n"),
        "answered 503",
    ),
    "to come again on no day": (
        sends(
            b"HTTP/1.1 503 F\r\nRetry-After: Mon, 32 Foo 99999 99:99:99 GMT\r\n",
            b"Content-Length: 0\r\n",
            CLOSE,
            b"\r\n",
        ),
        "answered 503",
    ),
}
ENDLESS = {
    "a head that never ends": drips(OK, b"X"),
    "one provisional answer after the other": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


def ask(server, folder, patience=PATIENT):
    """Fetch a file of the server."""
    how = Fetching(Cache(folder / "cache"), Access(patience=patience))
    return fetch(Wanted(f"{server.url}/a.tar.gz", "a.tar.gz", SHA256, len(DATA)), how)


@pytest.mark.parametrize("name", REFUSED)
def test_an_answer_that_is_none_is_the_networks_fault(name: str, tmp_path: Path) -> None:
    answer, message = REFUSED[name]
    with RawServer(answer) as server, pytest.raises(NetworkError, match=message) as caught:
        ask(server, tmp_path)
    told = f"{caught.value.message} {caught.value.hint}"
    assert "hunter2" not in told
    assert len(told) < 1000
    assert not (tmp_path / "cache/archives").exists()


@pytest.mark.parametrize("name", ENDLESS)
def test_an_answer_without_end_is_not_waited_for(name: str, tmp_path: Path) -> None:
    with RawServer(ENDLESS[name]) as server, pytest.raises(NetworkError, match="no answer in time"):
        ask(server, tmp_path, HASTY)


def test_a_byte_now_and_then_is_too_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minutes = count(0, 60)
    clock = SimpleNamespace(monotonic=lambda: next(minutes), sleep=time.sleep)
    monkeypatch.setattr(web, "time", clock)
    answer = drips(OK + LENGTH + b"\r\n", b"x")
    with RawServer(answer) as server, pytest.raises(NetworkError, match=r"\d+ bytes in 120 s"):
        ask(server, tmp_path)


def test_what_hanging_up_leads_to_is_not_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reset_late(connection: HTTPConnection) -> None:
        connection.sock.settimeout(None)
        while connection.sock.recv(65536):
            pass
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))

    monkeypatch.setattr(HTTPConnection, "getresponse", reset_late)
    silent = RawServer(lambda _: silent.ended.wait())
    with silent as server, pytest.raises(NetworkError, match="no answer in time"):
        ask(server, tmp_path, HASTY)


def test_an_answer_that_is_there_is_not_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is late to hang up must leave alone what is read from the connection by then."""

    class Late:
        def __init__(self, _: float, action: Callable[[], None]) -> None:
            self.start, self.cancel = lambda: None, action

    monkeypatch.setattr(threading, "Timer", Late)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        held: Any = SimpleNamespace(sock=ours, timeout=1.0)
        with web_pool._deadline(held):
            pass
        theirs.sendall(b"the body")
        assert ours.recv(100) == b"the body"


@pytest.mark.parametrize("digits", ["9" * 25, "1000000000000"])
def test_a_length_beyond_reason_is_not_waited_for(digits: str, tmp_path: Path) -> None:
    answer = sends(OK, f"Content-Length: {digits}\r\n\r\n".encode(), b"y" * 1001)
    with RawServer(answer) as server, pytest.raises(Damaged, match="has another size"):
        ask(server, tmp_path)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: -5\r\n",
        b"Content-Length: " + b"9" * 5000 + b"\r\n",
        b'ETag: "a\0b"\r\nX\0Y: z\r\n' + LENGTH,
    ],
    ids=["less than none", "5,000 digits", "NUL"],
)
def test_right_bytes_behind_a_strange_head_are_right(head: bytes, tmp_path: Path) -> None:
    with RawServer(sends(OK, head, b"\r\n", DATA)) as server:
        assert ask(server, tmp_path).read_bytes() == DATA


def test_more_than_was_wanted_is_not_read_to_its_end(tmp_path: Path) -> None:
    endless = drips(OK + b"\r\n", b"x" * 65536, 0.0)
    with RawServer(endless) as server, pytest.raises(Damaged, match="1000 bytes"):
        ask(server, tmp_path)


def test_a_file_without_end_leaves_room_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mebibyte = 1 << 20
    cache = Cache(tmp_path / "cache")

    def usage(_: Path) -> SimpleNamespace:
        written = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*"))
        return SimpleNamespace(free=10 * mebibyte - written)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    how = Fetching(cache, Access(patience=replace(PATIENT, room=2 * mebibyte)))
    endless = drips(OK + b"\r\n", b"x" * 65536, 0.0)
    with RawServer(endless) as server, pytest.raises(HostError, match="not enough space"):
        fetch(Wanted(f"{server.url}/a.tar.gz", "a.tar.gz", SHA256), how)
    assert 8 * mebibyte <= (cache.directory / "partial" / SHA256).stat().st_size < 10 * mebibyte


def test_an_index_without_end_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "PATIENCE", HASTY)
    monkeypatch.setattr(index_client, "LIMIT", 10**6)
    head = OK + b"Content-Type: text/html\r\n\r\n"
    for answer in (drips(head, b"<a>" * 9999, 0.0), drips(head, b"<", 0.1), drips(OK, b"X")):
        message = r"for one page|bytes in \d+ s|no answer in time"
        with RawServer(answer) as server, pytest.raises(NetworkError, match=message):
            find_package(
                PackageWanted("a"), "linux-x86_64-gnu", PipSettings(f"{server.url}/simple/")
            )


def test_a_proxy_whose_answer_never_ends_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = Access(patience=Patience(connect=0.3, read=PLENTY, attempts=1))
    with RawServer(drips(OK, b"X")) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        for name in ("no_proxy", "NO_PROXY", "https_proxy"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(NetworkError, match="no answer in time"):
            fetch(
                Wanted("https://host.invalid/a.tar.gz", "a.tar.gz", SHA256),
                Fetching(Cache(tmp_path), how),
            )
