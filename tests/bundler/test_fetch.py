import datetime as dt
import hashlib
import io
import ipaddress
import random
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hurried import Hurried
from loopback import (
    Announced,
    Body,
    Good,
    LoopbackServer,
    Redirect,
    Reset,
    Stalled,
    Status,
    Truncated,
    nobody,
)
from sealift_bundler import web
from sealift_bundler.cache import Cache
from sealift_bundler.errors import NetworkError
from sealift_bundler.fetch import Fetching, Wanted, fetch
from sealift_bundler.progress import Bars, Progress, progress
from sealift_installer.errors import Damaged, HostError, SealiftError, UsageError

DATA = random.Random(1).randbytes(700_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
NAME = "a.tar.gz"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "PATIENCE", Hurried(pause=0.01, attempts=3))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LoopbackServer]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / NAME).write_bytes(DATA)
    with LoopbackServer(folder) as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def stalling(server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> LoopbackServer:
    """A server whose stalls are not waited for."""
    hurried = Hurried(pause=0.01, attempts=3, server=server, path=f"/{NAME}")
    monkeypatch.setattr(web, "PATIENCE", hurried)
    return server


def get(server: LoopbackServer, cache: Cache, *, size: int | None = None, **options: Any) -> Path:
    return take(f"{server.url}/{NAME}", cache, size=size, **options)


def take(url: str, cache: Cache, *, size: int | None = None, **options: Any) -> Path:
    return fetch(Wanted(url, NAME, SHA256, size), Fetching(cache, **options))


def assert_empty(cache: Cache) -> None:
    assert [path for path in cache.directory.rglob("*") if path.is_file()] == []


def test_an_archive_is_fetched_once(server: LoopbackServer, cache: Cache) -> None:
    first = get(server, cache, size=len(DATA))
    assert first.read_bytes() == DATA
    assert get(server, cache) == first
    assert get(server, cache, offline=True) == first
    assert server.paths == [f"/{NAME}"]
    assert server.requests[0].headers["accept-encoding"] == "identity"


class Told(Progress):
    def __init__(self) -> None:
        self.shown: list[tuple[str, int, int | None]] = []
        self.finished: list[tuple[str, int, bool]] = []
        self.notes: list[str] = []

    def show(self, name: str, done: int, total: int | None) -> None:
        self.shown.append((name, done, total))

    def finish(self, name: str, size: int, *, fetched: bool) -> None:
        self.finished.append((name, size, fetched))

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_progress_ends_with_all_bytes(server: LoopbackServer, cache: Cache) -> None:
    told = Told()
    get(server, cache, progress=told)
    get(server, cache, progress=told)
    assert told.shown[-1] == (NAME, len(DATA), len(DATA))
    assert [done for _, done, _ in told.shown] == sorted(done for _, done, _ in told.shown)
    assert told.finished == [(NAME, len(DATA), True), (NAME, len(DATA), False)]


@pytest.mark.parametrize(
    "fault",
    [Status(500), Status(503), Status(429), Truncated(1000), Truncated(0), Reset(), Reset(1000)],
    ids=repr,
)
def test_a_passing_fault_is_tried_again(
    server: LoopbackServer, cache: Cache, fault: Status | Truncated | Reset
) -> None:
    server.faults[f"/{NAME}"] = [fault, Good()]
    assert get(server, cache).read_bytes() == DATA
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Status(500), "the server answered 500 Internal Server Error"),
        (Truncated(1000), "the connection ended before the file did"),
        (Reset(), "connection reset by peer|the connection broke"),
        (Stalled(), "no answer in time"),
    ],
    ids=repr,
)
def test_a_lasting_fault_is_told_after_three_tries(
    stalling: LoopbackServer, cache: Cache, fault: Any, reason: str
) -> None:
    stalling.faults[f"/{NAME}"] = [fault]
    with pytest.raises(NetworkError, match=reason) as caught:
        get(stalling, cache)
    assert caught.value.exit_code == 8
    stalling.wait_for(3)
    assert len(stalling.requests) == 3
    assert list(cache.archives.glob("*")) == []


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_a_refusal_is_final(server: LoopbackServer, cache: Cache, code: int) -> None:
    server.faults[f"/{NAME}"] = [Status(code)]
    with pytest.raises(NetworkError, match=f"the server answered {code}"):
        get(server, cache)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "page",
    [b"<!DOCTYPE html><title>login</title>", b"\n <html>", b"\xef\xbb\xbf<!doctype HTML >"],
)
def test_a_web_page_is_no_archive(server: LoopbackServer, cache: Cache, page: bytes) -> None:
    server.faults[f"/{NAME}"] = [Body(page, "text/html")]
    with pytest.raises(NetworkError, match="a web page instead of the file"):
        get(server, cache)
    assert_empty(cache)


def test_other_bytes_are_never_kept(server: LoopbackServer, cache: Cache) -> None:
    other = DATA[:-1] + bytes([DATA[-1] ^ 1])
    server.faults[f"/{NAME}"] = [Body(other)]
    with pytest.raises(Damaged, match="has other bytes than expected") as caught:
        get(server, cache)
    assert f"Expected: sha256 {SHA256}" in caught.value.message
    assert f"Computed: sha256 {hashlib.sha256(other).hexdigest()}" in caught.value.message
    assert len(server.requests) == 1
    assert_empty(cache)


def test_another_size_than_the_locks_is_refused_unread(
    server: LoopbackServer, cache: Cache
) -> None:
    with pytest.raises(Damaged, match="Expected: 5 bytes\n  Computed: 700000 bytes"):
        get(server, cache, size=5)
    assert_empty(cache)


def test_more_than_the_locks_size_is_refused_where_no_length_is_sent(
    server: LoopbackServer, cache: Cache
) -> None:
    server.faults[f"/{NAME}"] = [Announced(None)]
    with pytest.raises(Damaged, match="has another size than expected"):
        get(server, cache, size=5)
    assert_empty(cache)


def test_a_body_without_length_is_fine(server: LoopbackServer, cache: Cache) -> None:
    server.faults[f"/{NAME}"] = [Announced(None)]
    assert get(server, cache).read_bytes() == DATA


def test_a_redirect_is_followed(server: LoopbackServer, cache: Cache) -> None:
    server.faults["/moved"] = [Redirect(f"/{NAME}")]
    url = f"{server.url}/moved"
    assert take(url, cache).read_bytes() == DATA


def test_redirects_in_a_circle_end(server: LoopbackServer, cache: Cache) -> None:
    server.faults[f"/{NAME}"] = [Redirect(f"/{NAME}")]
    with pytest.raises(NetworkError, match="too many redirects"):
        get(server, cache)


def test_a_redirect_to_a_file_is_refused(server: LoopbackServer, cache: Cache) -> None:
    server.faults[f"/{NAME}"] = [Redirect("file:///etc/passwd")]
    with pytest.raises(NetworkError, match="refused a redirect to file:///etc/passwd"):
        get(server, cache)


def test_nothing_is_asked_offline(server: LoopbackServer, cache: Cache) -> None:
    with pytest.raises(NetworkError, match=r"a\.tar\.gz is not in the cache and --offline is set"):
        get(server, cache, offline=True)
    assert server.requests == []


def test_an_unreachable_server_is_told(cache: Cache) -> None:
    refused = r"127\.0\.0\.1:[0-9]+/a\.tar\.gz: connection refused"
    with nobody() as address, pytest.raises(NetworkError, match=refused):
        take(f"{address}/{NAME}", cache)


def test_a_name_that_nobody_knows_is_told(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(
        NetworkError, match=r"https://host\.invalid/a: the server's name is not known"
    ):
        take("https://host.invalid/a?b", cache)


@pytest.mark.parametrize("fault", [Status(403), Status(500), Reset(), Body(b"x"), Truncated(1)])
def test_no_secret_of_the_address_is_told(server: LoopbackServer, cache: Cache, fault: Any) -> None:
    server.faults[f"/{NAME}"] = [fault]
    url = f"{server.url.replace('//', '//user:hunter2@')}/{NAME}?token=hunter2#hunter2"
    with pytest.raises(SealiftError, match=r"127\.0\.0\.1") as caught:
        take(url, cache)
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.__cause__ is None
    assert server.requests[0].headers["authorization"].startswith("Basic ")


def test_a_file_on_this_machine_needs_no_network(tmp_path: Path, cache: Cache) -> None:
    source = tmp_path / "with space+plus.tar.gz"
    source.write_bytes(DATA)
    path = take(source.as_uri(), cache, offline=True)
    assert path.read_bytes() == DATA


def test_a_missing_file_is_told(tmp_path: Path, cache: Cache) -> None:
    url = (tmp_path / "none.tar.gz").as_uri()
    with pytest.raises(HostError, match=r"none\.tar\.gz: No such file or directory"):
        take(url, cache)


@pytest.mark.parametrize("url", ["ftp://host/a.tar.gz", "a.tar.gz", "data:,x"])
def test_other_schemes_are_refused(cache: Cache, url: str) -> None:
    with pytest.raises(UsageError, match="cannot fetch"):
        take(url, cache)


def test_a_file_url_of_another_machine_is_refused(cache: Cache) -> None:
    with pytest.raises(UsageError, match="names another machine"):
        take("file://host/a.tar.gz", cache)


def make_certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secure(tmp_path: Path, server: LoopbackServer) -> Iterator[tuple[LoopbackServer, Path]]:
    certificate = make_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with LoopbackServer(server.directory, tls) as secure:
        yield secure, certificate


def test_https_with_a_trusted_certificate(
    secure: tuple[LoopbackServer, Path], cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(secure[1]))
    assert get(secure[0], cache).read_bytes() == DATA


def test_an_untrusted_certificate_is_refused_at_once(
    secure: tuple[LoopbackServer, Path], cache: Cache
) -> None:
    with pytest.raises(NetworkError, match="the certificate is not trusted: self-signed"):
        get(secure[0], cache)
    assert secure[0].requests == []


def test_https_never_leads_to_http(
    secure: tuple[LoopbackServer, Path],
    server: LoopbackServer,
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(secure[1]))
    secure[0].faults[f"/{NAME}"] = [Redirect(f"{server.url}/{NAME}")]
    with pytest.raises(NetworkError, match=r"refused a redirect to http://127\.0\.0\.1"):
        get(secure[0], cache)
    assert server.requests == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def feed(show: Progress) -> None:
    with show:
        show.expect(2, 3 * 1024 * 1024)
        show.show(NAME, 1024 * 1024, 2 * 1024 * 1024)
        show.note("a note")
        show.finish(NAME, 2 * 1024 * 1024, fetched=True)
        show.finish("b.tar.gz", 1024 * 1024, fetched=False)


def test_progress_is_lines_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    feed(progress(stream=stream))
    assert stream.getvalue() == f"a note\nfetched {NAME}, 2.0 MiB\n"


def test_quiet_progress_is_silent() -> None:
    terminal = Terminal()
    feed(progress(stream=terminal, quiet=True))
    assert terminal.getvalue() == ""


def test_progress_on_a_terminal_ends_with_an_empty_line() -> None:
    terminal = Terminal()
    show = progress(stream=terminal)
    feed(show)
    feed(show)
    assert NAME in terminal.getvalue()
    assert "a note\n" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K")


def test_the_bar_of_all_knows_what_was_there_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    show = Bars(stream)
    # Bars are drawn by a thread, which looks at the clock as well.
    clock = [0.0]
    show._bars.get_time = lambda: clock[0]

    def come(name: str, done: int, total: int) -> None:
        clock[0] += 1
        show.show(name, done, total)

    with show:
        show.expect(3, None)
        show.begin("cached.zip", 50 << 20, 50 << 20)
        show.finish("cached.zip", 50 << 20, fetched=False)
        show.begin("resumed.zip", 40 << 20, 60 << 20)
        (everything,) = (task for task in show._bars.tasks if task.id == show._all)
        assert (everything.completed, everything.total) == (90 << 20, None)
        assert everything.speed is None
        show.begin("new.zip", 0, 10 << 20)
        assert everything.total == 120 << 20
        come("new.zip", 1 << 20, 10 << 20)
        come("new.zip", 2 << 20, 10 << 20)
        come("resumed.zip", 41 << 20, 60 << 20)
        assert everything.completed == 93 << 20
        assert everything.speed is not None
        assert everything.speed <= 1 << 20
        # The server's file has changed: it comes from its beginning.
        show.begin("resumed.zip", 0, 61 << 20)
        assert (everything.completed, everything.total) == (52 << 20, 121 << 20)
    assert "1 of 3 files" in stream.getvalue()


@pytest.mark.parametrize("columns", [80, 120])
def test_a_bar_names_version_and_platform(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    build = "cpython-3.13.15%s20260814-%s-install_only_stripped.tar.gz"
    stream = Terminal()
    with progress(stream=stream) as show:
        show.expect(2, None)
        for system in ("x86_64-unknown-linux-gnu", "aarch64-apple-darwin"):
            show.show(build % ("-", system), 10, 1000)
    shown = stream.getvalue()
    assert "MB/s" not in shown
    for name in ("cpython-3.13.15-aarch64-darwin", "x86_64-linux-gnu"):
        assert name in shown
