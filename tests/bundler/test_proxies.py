"""Which addresses are reached without a proxy: as curl and uv have it, where they agree."""

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopback import LoopbackServer, Redirect
from sealift_bundler import web
from sealift_bundler.access import Access
from sealift_bundler.patience import Patience
from sealift_bundler.proxies import is_reached_directly

NAME = "list.json"
UV = Path(sys.executable).with_name("uv")
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
# Host and NO_PROXY, where PORT is that of the server; and whether both go there directly.
AGREED = [
    ("127.0.0.1", "127.0.0.1", True),
    ("127.0.0.1", "other.invalid, 127.0.0.1 ,x", True),
    ("127.0.0.1", "127.0.0.0/8", True),
    ("127.0.0.1", "127.0.0.1:PORT", False),
    ("127.0.0.1", "127.0.0.1:9", False),
    ("127.0.0.1", "127.0.0.0/99", False),
    ("127.0.0.1", "0.0.1", False),
    ("127.0.0.1", ".0.0.1", False),
    ("127.0.0.1", "127.*", False),
    ("127.0.0.1", "x,*", False),
    ("127.0.0.1", "localhost", False),
    ("localhost", "localhost", True),
    ("localhost", "LOCALHOST", True),
    ("localhost", ".localhost", True),
    ("localhost", "localhost:PORT", False),
    ("localhost", "localhost:9", False),
    ("localhost", "127.0.0.1", False),
    ("localhost", "host", False),
]
# What no server of the loopback can be asked for, or where curl and uv go different ways.
OURS = [
    ("a.example.org", "example.org", True),
    ("a.example.org", ".example.org", True),
    ("a.example.org", "example.org.", True),
    ("a.example.org.", "example.org", True),
    ("A.Example.ORG", "example.org", True),
    ("xexample.org", "example.org", False),
    ("example.org", "a.example.org", False),
    ("a.example.org", "*.example.org", False),
    ("a.example.org", ".,", False),
    ("a.example.org", "*", True),
    ("a.example.org", " * ", True),
    ("a.example.org", "other.invalid example.org", True),
    ("[::1]", "::1", True),
    ("[0:0::1]", "::1", True),
    ("[::1]", "0:0:0:0:0:0:0:1", True),
    ("[::1]", "::/64", True),
    ("[::1]", "[::1]", False),
    ("[::1]", "1", False),
    ("192.0.2.7", "192.0.2.9/24", True),
    ("192.0.2.7", "192.0.3.0/24", False),
    ("192.0.2.7", "192.0.2.0/255.255.255.0", False),
    ("192.0.2.7", "192.0.2.0/24:80", False),
    ("192.0.2.7", "::/0", False),
]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*VARIABLES, *map(str.upper, VARIABLES)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[LoopbackServer]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / NAME).write_bytes(b"{}")
    with LoopbackServer(folder) as server:
        yield server


@pytest.fixture
def proxy(served: LoopbackServer) -> Iterator[LoopbackServer]:
    with LoopbackServer(served.directory) as proxy:
        yield proxy


def _ask(program: str, url: str, folder: Path) -> None:
    """Let a program ask for a list, which it takes or not."""
    if program == "sealift":
        with web.get(url, session=web.Session(Access(patience=Patience(attempts=1)))):
            return
    command: list[str | Path] = [
        "curl",
        "--silent",
        "--max-time",
        "20",
        "--output",
        os.devnull,
        url,
    ]
    if program == "uv":
        command = [
            UV,
            "python",
            "list",
            "--only-downloads",
            "--no-config",
            "--cache-dir",
            folder / "cache",
        ]
        command += ["--python-downloads-json-url", url]
    environment = {**os.environ, "UV_HTTP_RETRIES": "0", "UV_PYTHON_INSTALL_DIR": str(folder / "i")}
    subprocess.run(command, env=environment, cwd=folder, check=False, capture_output=True)


@pytest.mark.parametrize("program", ["sealift", "curl", "uv"])
def test_no_proxy_is_that_of_curl_and_uv(
    program: str,
    served: LoopbackServer,
    proxy: LoopbackServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if program == "uv" and not UV.is_file():
        pytest.skip("uv is not in this environment")
    if program == "curl" and shutil.which("curl") is None:
        pytest.skip("there is no curl")
    monkeypatch.setenv("http_proxy", proxy.url)
    port = served.url.rpartition(":")[2]
    found = []
    for host, words, _ in AGREED:
        monkeypatch.setenv("no_proxy", words.replace("PORT", port))
        served.requests.clear()
        proxy.requests.clear()
        _ask(program, f"http://{host}:{port}/{NAME}", tmp_path)
        assert len(served.requests) + len(proxy.requests) == 1, (host, words)
        found.append((host, words, bool(served.requests)))
    assert found == AGREED


@pytest.mark.parametrize(("host", "words", "directly"), OURS)
def test_what_else_no_proxy_may_say(
    host: str, words: str, directly: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", words)
    assert is_reached_directly(f"https://{host}/a") is directly


def test_the_lower_case_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert is_reached_directly("http://localhost/")
    monkeypatch.setenv("no_proxy", "example.org")
    assert not is_reached_directly("http://localhost/")
    monkeypatch.setenv("no_proxy", "")
    assert is_reached_directly("http://localhost/")


def test_the_proxys_password_stays_where_a_redirect_leads_past_it(
    served: LoopbackServer, proxy: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # requests would not know this spelling, and put the password among the headers.
    monkeypatch.setenv("no_proxy", "other.invalid localhost")
    monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//me:hunter2@"))
    away = served.url.replace("127.0.0.1", "localhost")
    proxy.faults[f"/{NAME}"] = [Redirect(f"{away}/{NAME}")]
    with web.Session(Access(patience=Patience(attempts=1))) as session:
        with web.get(f"{served.url}/{NAME}", session=session):
            pass
        assert "proxy-authorization" not in served.requests[0].headers
        (served.directory / "other.json").write_bytes(b"{}")
        proxy.faults[f"/{NAME}"] = [Redirect(f"{served.url}/other.json")]
        with web.get(f"{served.url}/{NAME}", session=session):
            pass
    password = f"Basic {base64.b64encode(b'me:hunter2').decode()}"
    assert [one.headers["proxy-authorization"] for one in proxy.requests] == [password] * 3
