"""When the wheels of unseal in a lock serve again, and nobody asks the package index."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from index_stand_in import publish
from loopback import LoopbackServer
from sealift_bundler import runtime, web
from sealift_bundler.runtime import Pin, Runtime, suffices
from sealift_schemas.lock import Lock, LockedWheel
from sealift_schemas.missing import MissingWheel
from workshop import Workshop, digest

LINUX = ["linux-x86_64-gnu"]
PINS = (
    Pin("alpha", "1.0", hashes=frozenset({"1" * 64, "2" * 64})),
    Pin("beta", "2.0", 'python_version < "3.12"', frozenset({"3" * 64})),
)
ALPHA_311 = ("alpha-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", "1")
ALPHA_312 = ("alpha-1.0-cp312-cp312-manylinux_2_17_x86_64.whl", "2")
BETA = ("beta-2.0-py3-none-any.whl", "3")


def enough(wheels, pythons, platforms=LINUX, missing=()):
    locked = [
        LockedWheel(filename, f"https://example.org/{filename}", digit * 64, 1)
        for filename, digit in wheels
    ]
    return suffices(Runtime(tuple(locked), tuple(missing)), pythons, platforms, pins=PINS)


def test_wheels_that_cover_every_python_are_enough():
    assert enough([ALPHA_311, ALPHA_312, BETA], ["3.11", "3.12"])
    assert enough([ALPHA_312], ["3.12"])  # beta is not for 3.12


def test_a_wheel_that_is_missing():
    assert not enough([ALPHA_311, BETA], ["3.11", "3.12"])
    assert not enough([ALPHA_311, ALPHA_312], ["3.11", "3.12"])
    assert not enough([], ["3.12"])


def test_a_platform_that_is_new():
    assert not enough([ALPHA_312], ["3.12"], [*LINUX, "linux-aarch64-gnu"])


def test_a_wheel_that_nobody_needs_any_more():
    assert not enough([ALPHA_311, ALPHA_312, BETA], ["3.12"])


def test_a_file_that_the_pins_no_longer_name():
    assert not enough([(ALPHA_312[0], "4")], ["3.12"])


def test_another_version_than_the_pinned_one():
    assert not enough([("alpha-1.1-cp312-cp312-manylinux_2_17_x86_64.whl", "2")], ["3.12"])


ALPHA_S390X = MissingWheel("alpha", "1.0", "linux-s390x-gnu", ("3.11", "3.12"))
S390X = ["linux-s390x-gnu"]


def test_what_is_known_to_be_missing_is_not_looked_for():
    assert enough([BETA], ["3.11", "3.12"], S390X, [ALPHA_S390X])
    assert not enough([BETA], ["3.11", "3.12"], S390X)


def test_what_is_missing_otherwise():
    older = replace(ALPHA_S390X, version="0.9")
    fewer = replace(ALPHA_S390X, pythons=("3.11",))
    elsewhere = replace(ALPHA_S390X, platform="linux-riscv64gc-gnu")
    for known in ([older], [fewer], [elsewhere], [ALPHA_S390X, elsewhere]):
        assert not enough([BETA], ["3.11", "3.12"], S390X, known)


def test_a_wheel_that_is_there_and_known_to_be_missing():
    here = replace(ALPHA_S390X, platform="linux-x86_64-gnu", pythons=("3.12",))
    assert not enough([ALPHA_312], ["3.12"], missing=[here])


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    shop = Workshop(tmp_path).found()
    text = shop.spec.read_text().replace("pythons = []", 'pythons = ["3.11"]')
    assert "3.11" in text
    shop.spec.write_text(text)
    return shop


@pytest.fixture
def index(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LoopbackServer]:
    monkeypatch.setattr(web, "PATIENCE", web.Patience(attempts=1, pause=0.0))
    monkeypatch.setattr(runtime, "read_pins", lambda: (Pin("alpha", "1.0"),))
    folder = tmp_path / "index"
    folder.mkdir()
    with LoopbackServer(folder) as server:
        publish(server, "alpha", ["alpha-1.0-cp39-cp39-macosx_11_0_arm64.whl"])
        shop.environment["PIP_INDEX_URL"] = f"{server.url}/simple/"
        yield server


def add(shop: Workshop, name: str) -> None:
    """Add an archive for a platform that has no wheels."""
    archive = shop.serve(f"{name}.tar.gz", {f"{name}/bin/{name}": name.encode()})
    what = ("--url", archive.as_uri(), "--sha256", digest(archive), "--name", name)
    assert shop.sealift("add", *what, "--version", "1", "--platform", "linux-s390x-gnu") == 0


def test_a_second_lock_asks_for_no_wheel_that_there_is_none_of(shop, index, capsys):
    warning = "unseal cannot be installed on linux-s390x-gnu with Python 3.11: there is no wheel"
    add(shop, "one")
    assert shop.sealift("lock") == 0
    assert index.paths == ["/simple/alpha/"]
    assert warning in capsys.readouterr().err
    add(shop, "two")
    assert shop.sealift("lock") == 0
    add(shop, "three")
    assert shop.sealift("lock", "--offline") == 0
    assert index.paths == ["/simple/alpha/"]
    assert capsys.readouterr().err.count(warning) == 2
    (missing,) = json.loads(shop.lock.read_text())["missing_wheels"]
    assert missing == {
        "name": "alpha",
        "version": "1.0",
        "platform": "linux-s390x-gnu",
        "pythons": ["3.11"],
    }
    assert shop.sealift("lock", "--upgrade") == 0
    assert index.paths == ["/simple/alpha/"] * 2


def test_a_lock_without_that_note_keeps_its_sequence(shop, index):
    add(shop, "one")
    assert shop.sealift("lock") == 0
    noted = Lock.read(shop.lock.read_bytes())
    old = replace(noted, missing_wheels=())
    shop.lock.write_bytes(old.encode())
    assert shop.sealift("lock", "--upgrade") == 0
    assert Lock.read(shop.lock.read_bytes()) == noted
    assert noted.sequence == old.sequence
    assert index.paths == ["/simple/alpha/"] * 2
