import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalogs import document, entry
from hurried import Hurried
from loopback import Body, LoopbackServer, Status, Truncated
from raw_server import RawServer
from sealift_bundler import web
from sealift_bundler.cache import Cache
from sealift_bundler.catalogs.copies import CatalogCopy
from sealift_bundler.catalogs.load import load_catalog
from sealift_bundler.catalogs.metadata import read_catalog
from sealift_bundler.errors import NetworkError
from sealift_installer.errors import Damaged, HostError, UsageError
from sealift_schemas.strictjson import DocumentError


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "PATIENCE", Hurried(pause=0.01, attempts=3))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def keys(*entries: dict[str, Any]) -> list[str]:
    return [str(entry.key) for entry in read_catalog(document(*entries), "catalogue")]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({}, "cpython-3.13.3-linux-x86_64-gnu"),
        ({"os": "darwin", "libc": "none"}, "cpython-3.13.3-macos-x86_64-none"),
        ({"arch": {"family": "i686"}}, "cpython-3.13.3-linux-x86-gnu"),
        ({"arch": {"family": "riscv64", "variant": None}}, "cpython-3.13.3-linux-riscv64gc-gnu"),
        ({"arch": {"family": "x86_64", "variant": "v3"}}, "cpython-3.13.3-linux-x86_64_v3-gnu"),
        ({"variant": "freethreaded+debug"}, "cpython-3.13.3+freethreaded+debug-linux-x86_64-gnu"),
        ({"patch": 0, "prerelease": "rc2"}, "cpython-3.13.0rc2-linux-x86_64-gnu"),
        ({"prerelease": None, "build": None}, "cpython-3.13.3-linux-x86_64-gnu"),
        (
            {"os": "emscripten", "arch": {"family": "wasm32"}, "libc": "musl"},
            "pyodide-3.13.3-emscripten-wasm32-musl",
        ),
        ({"blake2b": 1.5, "size": [1]}, "cpython-3.13.3-linux-x86_64-gnu"),
    ],
)
def test_the_key_derives_from_the_fields(changes: dict[str, Any], key: str) -> None:
    assert keys({**entry(), **changes}) == [key]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "jython"},
        {"os": "plan9"},
        {"libc": "bionic"},
        {"variant": "jit"},
        {"arch": {"family": "Q!"}},
        {"prerelease": "post1"},
        {"prerelease": "rc" + "9" * 5000},
    ],
)
def test_what_the_grammar_has_no_place_for_is_passed_over(changes: dict[str, Any]) -> None:
    assert keys({**entry(), **changes}, entry()) == ["cpython-3.13.3-linux-x86_64-gnu"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"major": "3"}, "major: expected an integer"),
        ({"minor": 256}, "minor: expected an integer from 0 to 255"),
        ({"patch": None}, "patch: expected an integer"),
        ({"url": "a.tar.gz"}, "url: expected an absolute URL"),
        ({"url": None}, "url: expected an absolute URL"),
        ({"sha256": "ab"}, "sha256: expected 64 hexadecimal digits"),
        ({"arch": "x86_64"}, "arch: expected an object"),
        ({"arch": {}}, r"arch\.family: expected a string"),
        ({"os": 1}, "os: expected a string"),
        ({"build": 20250101}, "build: expected a string"),
    ],
)
def test_a_malformed_entry_is_an_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        keys({**entry(), **changes})


def test_a_digest_may_be_missing_or_in_upper_case() -> None:
    data = document({**entry(), "sha256": None}, {**entry(), "sha256": "AB" * 32})
    assert [entry.sha256 for entry in read_catalog(data, "c")] == [None, "ab" * 32]


@pytest.mark.parametrize("data", [b"[]", b"", b"{", b"\xff", b"[" * 100_000, b'{"version": 2}'])
def test_what_is_no_catalogue_is_an_error(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(data)
    with pytest.raises(Damaged, match=r"the catalogue is malformed at .*c\.json"):
        load_catalog(str(tmp_path / "c.json"), Cache(tmp_path))


def test_a_catalogue_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sealift_bundler.catalogs.load.LIMIT", 10)
    monkeypatch.setattr("sealift_bundler.catalogs.metadata.LIMIT", 10)
    (tmp_path / "c.json").write_bytes(b" " * 12)
    with pytest.raises(Damaged, match="Expected: at most 10 bytes"):
        load_catalog("c.json", Cache(tmp_path), base=tmp_path)


def test_a_file_is_found_by_path_and_by_url(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    data = document(entry())
    (folder / "c.json").write_bytes(data)
    cache = Cache(tmp_path / "cache")
    by_path = load_catalog("a folder/c.json", cache, base=tmp_path)
    by_url = load_catalog((folder / "c.json").as_uri(), cache, offline=True)
    assert by_path.entries == by_url.entries
    assert by_path.locked().to_json() == {
        "url": "a folder/c.json",
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    by_absolute_path = load_catalog(str(folder / "c.json"), cache, base=tmp_path)
    assert by_absolute_path == by_url
    assert by_url.url == "c.json"
    assert not cache.directory.exists()


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no catalogue .*none\.json"):
        load_catalog("none.json", Cache(tmp_path), base=tmp_path)
    with pytest.raises(HostError, match="cannot read the catalogue: Is a directory"):
        load_catalog(str(tmp_path), Cache(tmp_path))
    with pytest.raises(UsageError, match="cannot read a catalogue from ftp://host/c"):
        load_catalog("ftp://host/c", Cache(tmp_path))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LoopbackServer]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "c.json").write_bytes(document(entry()))
    with LoopbackServer(folder) as server:
        yield server


def test_an_address_is_asked_whether_it_changed(tmp_path: Path, server: LoopbackServer) -> None:
    cache = Cache(tmp_path / "cache")
    url = f"{server.url}/c.json"
    first = load_catalog(url, cache)
    assert load_catalog(url, cache) == first
    assert "if-none-match" in server.requests[1].headers
    (server.directory / "c.json").write_bytes(document(entry(), entry(minor=14)))
    assert len(load_catalog(url, cache).entries) == 2
    assert len(load_catalog(url, cache, offline=True).entries) == 2
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "tag", [b'\xa0"x"', b'\x85"x"', b"\x1c", b"no quotes", b'"%s"' % (b"x" * 9000)]
)
def test_a_name_that_cannot_be_sent_back_is_not_kept(tag: bytes, tmp_path: Path) -> None:
    """A request with such a header is refused by the library: no later one would come through."""
    data = document(entry())
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\nETag: " % len(data)
    with RawServer(lambda connection: connection.sendall(head + tag + b"\r\n\r\n" + data)) as raw:
        for _ in range(2):
            assert load_catalog(f"{raw.url}/c.json", Cache(tmp_path)).entries
    assert [b"If-None-Match" in asked for asked in raw.heads] == [False, False]


def test_a_copy_that_nobody_asked_about_is_not_confirmed(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"
    with RawServer(lambda connection: connection.sendall(answer)) as raw:
        url = f"{raw.url}/c.json"
        cache = Cache(tmp_path)
        for _ in range(2):
            with pytest.raises(NetworkError, match="confirms what nobody asked about"):
                load_catalog(url, cache)
            CatalogCopy(cache, url).save(document(entry()), None)


def test_a_copy_that_was_changed_is_not_used(tmp_path: Path, server: LoopbackServer) -> None:
    cache = Cache(tmp_path / "cache")
    url = f"{server.url}/c.json"
    first = load_catalog(url, cache)
    (copy,) = (cache.directory / "catalogs").iterdir()
    for damage in (copy.read_bytes().replace(b"github", b"gitlab"), b"", b"[]\n", b"{}\n"):
        copy.write_bytes(damage)
        with pytest.raises(NetworkError, match="there is no copy of the catalogue"):
            load_catalog(url, cache, offline=True)
    assert load_catalog(url, cache) == first
    assert "if-none-match" not in server.requests[-1].headers


def test_a_fault_names_the_ways_out(tmp_path: Path, server: LoopbackServer) -> None:
    cache = Cache(tmp_path / "cache")
    url = f"{server.url}/c.json"
    server.faults["/c.json"] = [Status(500), Truncated(10), Status(500)]
    with pytest.raises(NetworkError, match="500") as caught:
        load_catalog(url, cache)
    assert caught.value.hint is not None
    assert "UV_PYTHON_DOWNLOADS_JSON_URL" in caught.value.hint
    server.faults = {}
    load_catalog(url, cache)
    (copy,) = (cache.directory / "catalogs").iterdir()
    os.utime(copy, (0, 0))
    server.faults["/c.json"] = [Status(404)]
    with pytest.raises(NetworkError, match="404") as caught:
        load_catalog(url, cache)
    assert caught.value.hint is not None
    assert caught.value.hint.endswith("; --offline uses the copy of 1970-01-01 00:00 UTC")


def test_a_web_page_is_no_catalogue(tmp_path: Path, server: LoopbackServer) -> None:
    server.faults["/c.json"] = [Body(b"<html>login</html>", "text/html")]
    with pytest.raises(NetworkError, match="a web page instead of the file"):
        load_catalog(f"{server.url}/c.json", Cache(tmp_path / "cache"))


def test_the_secret_of_an_address_is_not_in_the_lock(
    tmp_path: Path, server: LoopbackServer
) -> None:
    catalog = load_catalog(f"{server.url}/c.json?token=hunter2", Cache(tmp_path / "cache"))
    assert catalog.locked().url == f"{server.url}/c.json"


def test_thousands_of_entries_are_read_quickly() -> None:
    entries = [entry(minor=minor, patch=patch) for minor in range(30) for patch in range(184)]
    data = json.dumps({str(number): one for number, one in enumerate(entries)}).encode()
    start = time.thread_time()
    assert len(read_catalog(data, "c")) == 5520
    # Of the processor, whoever else wants it; it takes a fifteenth of that.
    assert time.thread_time() - start < 2
