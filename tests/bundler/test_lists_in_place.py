"""What a list that stands in for another does not have is the network's fault: exit code 8."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogs import document, entry
from loopback import LoopbackServer, Status
from sealift_bundler import web
from sealift_bundler.catalogs import order
from workshop import Workshop

AWAY = "uv's list cannot be reached"
OFFLINE = "--offline is set"


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    shop = Workshop(tmp_path).found()
    shop.environment["UV_PYTHON_DOWNLOADS_JSON_URL"] = ""
    shop.environment["no_proxy"] = "127.0.0.1"
    return shop


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "list.json").write_bytes(document(entry()))
    monkeypatch.setattr(web, "PATIENCE", web.Patience(attempts=1))
    monkeypatch.setattr(order, "FRESH", 0)
    with LoopbackServer(folder) as running:
        monkeypatch.setattr(order, "DEFAULT", f"{running.url}/list.json")
        yield running


def lock(shop: Workshop, request: str, *words: str) -> int:
    assert shop.sealift("add", request, "--platform", "linux-x86_64-gnu") == 0
    return shop.sealift("lock", *words)


@pytest.mark.parametrize("request_", ["3.99", "cpython@3.99", "cpython-3.99-linux-x86_64-gnu"])
def test_the_list_that_came_with_sealift_lacks_a_version(
    request_: str, shop: Workshop, server: LoopbackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults["/list.json"] = [Status(503)]
    assert lock(shop, request_) == 8
    told = (
        f"the catalogue has no cpython 3.99 for linux-x86_64-gnu: it came with sealift, and {AWAY}"
    )
    shown = capsys.readouterr().err
    assert f"error: {told}\n" in shown
    assert "try again where the newest list can be read" in shown
    assert shop.sealift("lock", "--offline") == 8
    assert f"it came with sealift, and {OFFLINE}" in capsys.readouterr().err


def test_the_copy_lacks_a_version(
    shop: Workshop, server: LoopbackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lock(shop, "3.99") == 2
    assert "the catalogue has no cpython 3.99" in capsys.readouterr().err
    server.faults["/list.json"] = [Status(503)]
    assert shop.sealift("lock") == 8
    shown = capsys.readouterr().err
    assert "for linux-x86_64-gnu: it is the copy of 20" in shown
    assert f"UTC, and {AWAY}\n" in shown
    assert shop.sealift("lock", "--offline") == 8
    assert f"it is the last copy, and {OFFLINE}\n" in capsys.readouterr().err


def test_a_search_finds_nothing(
    shop: Workshop, server: LoopbackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shop.sealift("search", "3.99") == 2
    assert shop.sealift("search", "--variant", "debug") == 2
    server.faults["/list.json"] = [Status(503)]
    capsys.readouterr()
    assert shop.sealift("search", "3.99") == 8
    assert shop.sealift("search", "--variant", "debug") == 8
    assert capsys.readouterr().err.count(f"UTC, and {AWAY}\n") == 2


@pytest.mark.parametrize("words", [("nonsense",), ("cpython-3.13-windows-x86_64-none",)])
def test_what_makes_no_sense_with_any_list_stays_so(
    words: tuple[str, ...], shop: Workshop, server: LoopbackServer
) -> None:
    server.faults["/list.json"] = [Status(503)]
    with shop.spec.open("a") as file:
        platforms = 'platforms = ["linux-x86_64-gnu"]'
        file.write(f'\n[[python]]\nrequest = "{words[0]}"\n{platforms}\n')
    assert shop.sealift("lock") == 2


def test_a_list_that_was_named_has_the_last_word(
    shop: Workshop, server: LoopbackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shop.spec.read_text()
    shop.spec.write_text(text.replace("format = 1\n", 'format = 1\ncatalogs = ["embedded"]\n'))
    assert lock(shop, "3.99") == 2
    assert shop.sealift("lock", "--offline") == 2
    assert server.paths == []
    assert "sealift, and" not in capsys.readouterr().err
