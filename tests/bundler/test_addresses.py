"""What may be secret in an address."""

from pathlib import Path

import pytest

from loopback import LoopbackServer
from sealift_bundler.addresses import describe_secrets
from workshop import Workshop

PLACE = "https://example.org/a.zip"


@pytest.mark.parametrize(
    "name",
    [
        *("token", "private_token", "access-token", "X-Amz-Signature", "X-Goog-Credential"),
        *("sig", "api_key", "apikey", "auth", "PASSWORD", "client_secret"),
    ],
)
def test_a_credential_in_a_query_is_named_and_not_shown(name: str) -> None:
    line = describe_secrets([PLACE, f"{PLACE}?download=1&{name}=hunter2"])
    assert line is not None
    assert line.startswith(f"{PLACE}: the lock has {name}=... of its address")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "query",
    ["", "?", "?download=1", "?ref=v1.0&path=token.zip", "?key=1", "?design=2", "#token=1"],
)
def test_of_other_queries_nothing_is_said(query: str) -> None:
    assert describe_secrets([PLACE + query]) is None


def test_of_many_the_first_is_shown_and_each_counted_once() -> None:
    urls = [f"{PLACE}?token={number % 3}" for number in range(9)]
    line = describe_secrets(urls)
    assert line is not None
    assert line.startswith(f"{PLACE} (and 2 more): ")


def test_what_is_shown_paints_nothing() -> None:
    line = describe_secrets([f"{PLACE}?%1b[31mtoken=1"])
    assert line is not None
    assert r"\x1b[31mtoken=..." in line


def test_lock_warns_of_a_credential_that_it_keeps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workshop = Workshop(tmp_path).found()
    with LoopbackServer(workshop.served) as server:
        workshop.add_tool()
        url = f"{server.url}/tool-1.0.tar.gz"
        spec = workshop.spec.read_text()
        workshop.spec.write_text(spec.replace(workshop.tool.as_uri(), f"{url}?token=hunter2"))
        capsys.readouterr()
        assert workshop.sealift("lock") == 0
    said = capsys.readouterr()
    assert f"warning: {url}: the lock has token=... of its address" in said.err
    assert "hunter2" not in said.out + said.err
    assert f"{url}?token=hunter2" in workshop.lock.read_text()
