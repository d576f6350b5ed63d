"""Answers in JSON that are small as text and would be large in memory, or deep."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from loopback import Body, LoopbackServer
from sealift_bundler import web
from sealift_bundler.catalogs.metadata import read_catalog
from sealift_bundler.errors import NetworkError
from sealift_bundler.foreign_json import read_json
from sealift_bundler.sources.package_index import find_package
from sealift_bundler.sources.pip_settings import PipSettings
from sealift_bundler.upstream.github import (
    UnreadableAnswer,
    find_asset,
    list_attestations,
    read_lines,
    unpack_attestation,
)
from sealift_schemas.spec import PackageWanted
from sealift_schemas.strictjson import DocumentError

MANY = b"[" + b"[]," * 2_000_000 + b"[]]"
FULL = {
    "lists": MANY,
    "objects": MANY.replace(b"[]", b"{}"),
    "numbers": b"[" + b"1," * 2_000_001 + b"1]",
    "deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
}
READERS: dict[str, tuple[Callable[[bytes], object], type[Exception]]] = {
    "a catalogue": (lambda data: read_catalog(data, "c"), DocumentError),
    "a release": (lambda data: find_asset(data, "https://example.org/a"), UnreadableAnswer),
    "attestations": (lambda data: list(list_attestations(data)), UnreadableAnswer),
    "an attestation": (unpack_attestation, UnreadableAnswer),
    "a file of attestations": (read_lines, UnreadableAnswer),
}


@pytest.mark.parametrize("kind", FULL)
@pytest.mark.parametrize("name", READERS)
def test_what_would_fill_the_memory_is_not_read(kind: str, name: str) -> None:
    reader, error = READERS[name]
    with pytest.raises(error, match=r"more than 2000000 values|recursion|JSON|unpacked"):
        reader(FULL[kind])


def test_a_file_of_many_lines_is_not_read() -> None:
    with pytest.raises(UnreadableAnswer, match="more than 30 attestations"):
        read_lines(b"{}\n" * 1_000_000)


def test_what_is_large_in_texts_alone_is_read() -> None:
    text = "a" * 5_000_000
    assert read_json(json.dumps([text]).encode()) == [text]


def test_a_page_of_many_tags_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "PATIENCE", web.Patience(attempts=1))
    with LoopbackServer(tmp_path) as index:
        index.faults["/simple/x/"] = [Body(b"<a>" * 500_001, "text/html")]
        with pytest.raises(NetworkError, match="does not answer as a package index"):
            find_package(
                PackageWanted("x"), "linux-x86_64-gnu", PipSettings(f"{index.url}/simple/")
            )


@pytest.mark.parametrize("kind", FULL)
def test_a_page_that_would_fill_the_memory_is_none(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "PATIENCE", web.Patience(attempts=1))
    page = b'{"meta":{"api-version":"1.0"},"name":"x","files":' + FULL[kind]
    with LoopbackServer(tmp_path) as index:
        index.faults["/simple/x/"] = [Body(page, "application/vnd.pypi.simple.v1+json")]
        with pytest.raises(NetworkError, match="does not answer as a package index"):
            find_package(
                PackageWanted("x"), "linux-x86_64-gnu", PipSettings(f"{index.url}/simple/")
            )
