"""What the cache keeps of GitHub's answers: attestations, and not the addresses that led to them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopback import Body, LoopbackServer
from sealift_bundler.access import Access
from sealift_bundler.cache import Cache
from sealift_bundler.patience import Patience
from sealift_bundler.sources.pip_settings import PipSettings
from sealift_bundler.upstream.ask import Ways, ask_all
from sealift_bundler.upstream.questions import Question, find_questions
from sealift_bundler.upstream.reader import Answer, Reader
from sealift_bundler.upstream.store import EvidenceStore
from sealift_schemas.lock import LockedArchive
from sealift_schemas.network import Mirror
from snappy_packer import pack_snappy

BUNDLE = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}
SECRET = "sig=hunter2"
ARCHIVE = LockedArchive(
    name="tool-1",
    kind="tool",
    source="url",
    request="https://github.com/acme/tool/releases/download/v1/tool-1.tar.gz",
    version="1",
    platform="any",
    url="https://github.com/acme/tool/releases/download/v1/tool-1.tar.gz",
    filename="tool-1.tar.gz",
    format="tar.gz",
    sha256="a" * 64,
    size=1,
    digest_source="spec",
    recipe="generic",
)


@pytest.fixture
def github(tmp_path: Path) -> Iterator[LoopbackServer]:
    folder = tmp_path / "github"
    folder.mkdir()
    with LoopbackServer(folder) as server:
        server.faults["/blob"] = [Body(pack_snappy(json.dumps(BUNDLE).encode()))]
        yield server


def _ask(github: LoopbackServer, folder: Path, *, offline: bool = False) -> Answer:
    mirror = Mirror("https://api.github.com/", (f"{github.url}/",), exclusive=True)
    (question,) = (
        one for one in find_questions(ARCHIVE, None, [mirror]) if one.kind == "attestation"
    )
    return _answer(question, folder, offline=offline)


def _answer(question: Question, folder: Path, *, offline: bool) -> Answer:
    access = Access(patience=Patience(attempts=1))
    reader = Reader(EvidenceStore(Cache(folder)), access, offline=offline)
    (asked,) = ask_all([(ARCHIVE, question)], Ways(reader, reader, PipSettings("")))
    return asked.answer


def _say(github: LoopbackServer, *entries: dict[str, Any]) -> None:
    path = f"/repos/acme/tool/attestations/sha256:{ARCHIVE.sha256}"
    github.faults[path] = [Body(json.dumps({"attestations": entries}).encode())]


def _kept(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_no_signed_address_is_kept(github: LoopbackServer, tmp_path: Path) -> None:
    _say(github, {"bundle": None, "bundle_url": f"{github.url}/blob?{SECRET}"})
    found = _ask(github, tmp_path / "cache")
    assert found.data is not None
    assert json.loads(found.data) == BUNDLE
    assert any(SECRET in path for path in github.paths)
    assert b"hunter2" not in _kept(tmp_path / "cache")
    github.requests.clear()
    assert _ask(github, tmp_path / "cache", offline=True).data == found.data
    assert github.paths == []


def test_none_is_kept_of_an_answer_that_leads_nowhere(
    github: LoopbackServer, tmp_path: Path
) -> None:
    _say(github, {"bundle": None, "bundle_url": f"{github.url}/gone?{SECRET}"})
    assert not _ask(github, tmp_path / "cache").reached
    assert b"hunter2" not in _kept(tmp_path / "cache")
    assert not _ask(github, tmp_path / "cache", offline=True).reached


def test_that_there_is_none_serves_offline_too(github: LoopbackServer, tmp_path: Path) -> None:
    _say(github)
    first = _ask(github, tmp_path / "cache")
    assert (first.data, first.reached) == (None, True)
    again = _ask(github, tmp_path / "cache", offline=True)
    assert (again.data, again.reached) == (None, True)
