"""Answers in JSON that are small as text and would be large in memory, deep, or of two meanings."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from catalogs import document, entry
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

UV = Path(sys.executable).with_name("uv")
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


AMBIGUOUS = {
    "an entry": b'{"e": %s, "e": %s}',
    "a field": b'{"e": {"minor": 12, %s}',
    "a field within": b'{"e": {"arch": {"family": "aarch64", "family": "x86_64"}, %s}',
    "a field that nobody knows": b'{"e": {"note": 1, "note": 2, %s}',
}


def _ambiguous(kind: str) -> bytes:
    one = json.dumps(entry()).encode()
    text = AMBIGUOUS[kind]
    return text % (one, one) if kind == "an entry" else text % one[1:]


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_a_catalogue_with_a_name_twice_is_refused(kind: str) -> None:
    with pytest.raises(DocumentError, match=r"an object has the name .* twice"):
        read_catalog(_ambiguous(kind), "c")


def test_the_name_that_is_there_twice_is_found_among_many() -> None:
    names = ",".join(f'"{number}":0' for number in (*range(200_000), 199_999))
    with pytest.raises(ValueError, match='an object has the name "199999" twice'):
        read_json(f"{{{names}}}".encode())


def test_a_catalogue_with_a_number_that_is_none_is_refused() -> None:
    data = document(entry(note=float("nan")))
    with pytest.raises(DocumentError, match="NaN is no JSON"):
        read_catalog(data, "c")


@pytest.mark.skipif(not UV.is_file(), reason="uv is not in this environment")
@pytest.mark.parametrize("kind", ["a field", "a field within"])
def test_uv_refuses_such_a_catalogue_too(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"
    path.write_bytes(_ambiguous(kind))
    command = [UV, "python", "list", "--only-downloads", "--no-config", "--offline"]
    done = subprocess.run(
        [*command, "--cache-dir", tmp_path / "cache", "--python-downloads-json-url", path],
        capture_output=True,
        encoding="utf-8",
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "duplicate field" in done.stderr


@pytest.mark.parametrize("name", ["a release", "attestations", "an attestation"])
def test_an_answer_with_a_name_twice_is_refused(name: str) -> None:
    reader, error = READERS[name]
    data = b'{"assets": [], "attestations": [], "assets": [], "attestations": []}'
    with pytest.raises(error, match="JSON"):
        reader(data)


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
