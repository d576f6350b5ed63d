"""Every row of the table of faults, against real servers."""

import errno
import hashlib
import os
import random
import resource
import shutil
import socket
from collections import namedtuple
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from certificates import Authority
from faults import NAME, ROWS, SIZE, Row, as_markdown
from hurried import Hurried
from loopback import LoopbackServer, Redirect, nobody
from sealift_bundler.access import Access
from sealift_bundler.cache import Cache
from sealift_bundler.fetch import Fetching, Wanted, fetch
from sealift_installer.errors import SealiftError

DATA = random.Random(2).randbytes(SIZE)
SHA256 = hashlib.sha256(DATA).hexdigest()
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "downloads.md"


class Scene:
    """The servers of one test, and the address to be asked."""

    def __init__(self, folder: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._stack = stack
        self._monkeypatch = monkeypatch
        self.served = folder / "served"
        self.served.mkdir()
        (self.served / NAME).write_bytes(DATA)
        self.authority = Authority(folder / "authority")
        self.server = self.start()
        self.url = f"{self.server.url}/{NAME}"
        self.path = f"/{NAME}"
        self.patience = Hurried(attempts=3, pause=0.01, server=self.server, path=self.path)
        self.access = Access(ca=str(self.authority.ca), patience=self.patience)

    def start(self, **options: object) -> LoopbackServer:
        return self._stack.enter_context(LoopbackServer(self.served, **options))  # type: ignore[arg-type]

    def _tls(self, issuer: Authority, **options: object) -> None:
        self._serve_tls(issuer.issue("server", **options))  # type: ignore[arg-type]

    def _serve_tls(self, certificate: Path) -> None:
        self.server = self.start(tls=self.authority.server(certificate))
        self.url = f"{self.server.url}/{NAME}"

    def go_to(self, place: str) -> None:  # noqa: C901 - one branch for each place
        patch = self._monkeypatch
        if place == "https":
            self._tls(self.authority)
        elif place == "for another name":
            self._tls(self.authority, address="127.0.0.2")
        elif place == "that has expired":
            self._tls(self.authority, first=-3, last=-1)
        elif place == "of an unknown authority":
            self._tls(Authority(self.folder / "unknown"))
        elif place == "that signs itself":
            self._serve_tls(self.authority.issue_to_itself("server"))
        elif place == "nobody":
            self.url = f"{self._stack.enter_context(nobody())}/{NAME}"
        elif place == "an unknown name":
            self.url = f"https://host.invalid/{NAME}"
            patch.setattr(socket, "getaddrinfo", _unknown)
        elif place in {"a proxy", "no proxy", "a tunnel"}:
            patch.delenv("no_proxy")
            proxy = self.server.url
            if place == "no proxy":
                proxy = self._stack.enter_context(nobody())
            self.access = Access(proxy=proxy, patience=self.patience)
            scheme, self.path = (
                ("http", self.path) if place != "a tunnel" else ("https", "host.invalid:443")
            )
            self.url = f"{scheme}://host.invalid/{NAME}"
        elif place == "a full disk":
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE // 2, hard))
            self._stack.callback(resource.setrlimit, resource.RLIMIT_FSIZE, (soft, hard))
        elif place == "no space":
            usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil has it
            patch.setattr(shutil, "disk_usage", lambda _: usage(2 * SIZE, SIZE, SIZE))
        elif place == "a read-only cache":
            patch.setattr(os, "open", _read_only)


def _unknown(*_: object) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


_open = os.open


def _read_only(path: str | Path, flags: int, *more: object, **options: object) -> int:
    if flags & os.O_CREAT and "partial" in str(path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
    return _open(path, flags, *more, **options)  # type: ignore[arg-type]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ExitStack() as stack:
        yield Scene(tmp_path, stack, monkeypatch)


def contents(cache: Cache) -> str:
    if [path.read_bytes() for path in cache.archives.glob("*")] == [DATA]:
        assert list((cache.directory / "partial").glob("*")) == []
        return "archive"
    assert list(cache.archives.glob("*")) == []
    parts = [path for path in (cache.directory / "partial").glob("*") if path.suffix != ".json"]
    for path in parts:
        assert DATA.startswith(path.read_bytes())
        assert path.stat().st_size
    return "a part" if parts else "nothing"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_fault_has_its_outcome(row: Row, scene: Scene, tmp_path: Path) -> None:
    scene.go_to(row.place)
    other = scene.start()
    faults = [
        Redirect(f"{other.url}/{NAME}") if fault == Redirect("OTHER") else fault
        for fault in row.faults
    ]
    scene.server.faults[scene.path] = faults
    cache = Cache(tmp_path / "cache")
    wanted = Wanted(scene.url, NAME, SHA256, SIZE if row.size else None)
    how = Fetching(cache, scene.access)
    if row.message:
        with pytest.raises(SealiftError, match=row.message) as caught:
            fetch(wanted, how)
        assert caught.value.exit_code == row.code
        assert caught.value.__cause__ is None or row.code == 6
    else:
        assert fetch(wanted, how).read_bytes() == DATA
        assert row.code == 0
    scene.server.wait_for(row.requests)
    assert len(scene.server.requests) == row.requests
    assert contents(cache) == row.cache


def test_every_row_has_its_own_name() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_the_reference_has_this_table() -> None:
    assert as_markdown() in REFERENCE.read_text()
