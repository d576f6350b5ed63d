"""One mirror, a folder or a server, serves real uv and us."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopback import LoopbackServer
from sealift_bundler.mirrors import PBS
from workshop import Workshop, digest

UV = Path(sys.executable).with_name("uv")
FOLDER = "20250529"
PUBLISHED = "cpython-3.13.3%2B20250529-x86_64-unknown-linux-gnu-install_only.tar.gz"

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="uv patches what it installs on Linux"),
    pytest.mark.skipif(not UV.is_file(), reason="uv is not in this environment"),
]


class Mirrored:
    """A site whose CPython is published under PBS, and mirrored in a folder that is served too."""

    def __init__(self, folder: Path, server: LoopbackServer) -> None:
        folder.mkdir()
        self.shop = Workshop(folder).found()
        self.folder = server.directory
        self.server = server
        (self.folder / FOLDER).mkdir()
        self.file = self.folder / FOLDER / PUBLISHED.replace("%2B", "+")
        shutil.copy(self.shop.python, self.file)
        self.publish(f"{PBS}{FOLDER}/{PUBLISHED}")
        assert self.shop.add_python() == 0

    def publish(self, url: str) -> None:
        self.shop.publish(url=url, sha256=digest(self.shop.python))

    def uv(self, mirror: str) -> int:
        environment = {
            "HOME": str(self.shop.folder / "home"),
            "PATH": "/usr/bin:/bin",
            "UV_CACHE_DIR": str(self.shop.folder / "uvcache"),
            "UV_NO_CONFIG": "1",
            "UV_HTTP_RETRIES": "0",
            "UV_PYTHON_DOWNLOADS_JSON_URL": str(self.shop.served / "downloads.json"),
            "UV_PYTHON_INSTALL_DIR": str(self.shop.folder / "installs"),
            "UV_PYTHON_INSTALL_MIRROR": mirror,
            "NO_PROXY": "127.0.0.1",
        }
        words = ("python", "install", "cpython-3.13.3-linux-x86_64-gnu", "--no-bin")
        return subprocess.run([UV, *words], env=environment, check=False).returncode


@pytest.fixture
def mirrored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrored]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "mirror").mkdir()
    with LoopbackServer(tmp_path / "mirror") as server:
        yield Mirrored(tmp_path / "shop", server)


@pytest.mark.parametrize("kind", ["folder", "server", "server with a slash"])
def test_a_mirror_serves_both(
    mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    places = {
        "folder": mirrored.folder.as_uri(),
        "server": mirrored.server.url,
        "server with a slash": f"{mirrored.server.url}/",
    }
    assert mirrored.uv(places[kind]) == 0
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", places[kind])
    bundle = mirrored.shop.build()
    assert len({request.path for request in mirrored.server.requests}) <= 1
    assert len(mirrored.server.requests) == (0 if kind == "folder" else 2)
    for name in ("manifest.json", "python-downloads.json"):
        text = (bundle / name).read_text()
        assert f"{PBS}{FOLDER}/{PUBLISHED}" in text
        assert "127.0.0.1" not in text
        assert str(mirrored.folder) not in text


def test_an_address_that_the_mirror_is_not_for_is_refused_by_both(
    mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mirrored.publish(f"{mirrored.server.url}/{FOLDER}/{PUBLISHED}")
    assert mirrored.uv(mirrored.folder.as_uri()) != 0
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", mirrored.folder.as_uri())
    assert mirrored.shop.sealift("lock") == 2
    assert "UV_PYTHON_INSTALL_MIRROR names a mirror" in capsys.readouterr().err
    assert mirrored.server.requests == []
