"""An interpreter that did not change is not packed again, and one that did is."""

import json
import os
import sys

import pytest

from sealift_bundler.cache import Cache
from sealift_bundler.sources import installed
from sealift_bundler.sources.capture import Collector, Item
from sealift_bundler.sources.capture_ask import ask
from sealift_bundler.sources.capture_layout import lay_out
from sealift_bundler.sources.capture_memo import fingerprint, recall, remember
from sealift_bundler.upkeep import prune
from sealift_schemas.spec import InstalledWanted
from workshop import Workshop, digest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="interpreters are captured on Linux"
)


@pytest.fixture(scope="module")
def layout():
    return lay_out(ask(sys.executable))


@pytest.fixture
def items(tmp_path):
    source = tmp_path / "os.py"
    source.write_bytes(b"one")
    return {
        "lib/os.py": Item(read=source.read_bytes, source=source),
        "bin/python": Item(target="python3"),
    }


@pytest.fixture
def light(monkeypatch, items):
    """Capture two members in place of thousands; what was packed and checked."""
    packed = []
    write = installed._write
    monkeypatch.setattr(Collector, "collect", lambda self: items)
    monkeypatch.setattr(installed, "check_captured", lambda path, layout: None)
    monkeypatch.setattr(
        installed, "_write", lambda path, members: (packed.append(path), write(path, members))[1]
    )
    return packed


def test_what_did_not_change_is_not_packed_again(light, items, tmp_path):
    cache, wanted = Cache(tmp_path / "cache"), InstalledWanted(sys.executable)
    first = installed.find_installed(wanted, cache)
    assert installed.find_installed(wanted, cache) == first
    assert len(light) == 1
    # A file of the same size and times has other bytes.
    source = items["lib/os.py"].source
    times = source.stat()
    source.write_bytes(b"two")
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    changed = installed.find_installed(wanted, cache)
    assert changed.sha256 != first.sha256
    assert len(light) == 2
    assert list((cache.directory / "tmp").iterdir()) == []


@pytest.mark.parametrize("harm", ["damaged", "removed"])
def test_an_archive_that_is_not_whole_is_made_again(harm, light, tmp_path):
    cache, wanted = Cache(tmp_path / "cache"), InstalledWanted(sys.executable)
    first = installed.find_installed(wanted, cache)
    path = cache.path(first.sha256, first.filename)
    path.write_bytes(b"something else") if harm == "damaged" else path.unlink()
    assert installed.find_installed(wanted, cache) == first
    assert digest(path) == first.sha256
    assert len(light) == 2


def test_what_changes_while_it_is_packed_is_not_remembered(light, items, tmp_path, monkeypatch):
    cache, wanted = Cache(tmp_path / "cache"), InstalledWanted(sys.executable)
    source = items["lib/os.py"].source
    monkeypatch.setattr(
        installed, "check_captured", lambda path, layout: source.write_bytes(b"changed")
    )
    installed.find_installed(wanted, cache)
    assert not (cache.directory / "captured").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"lib/os.py": Item(executable=True, read=bytes)},
        {"lib/os.py": Item(read=bytes)},
        {"lib/other.py": Item(target="os.py")},
        {"bin/python": Item(target="python3.13")},
    ],
)
def test_all_that_decides_what_is_packed_is_in_the_fingerprint(change, items, layout):
    assert fingerprint(layout, {**items, **change}) != fingerprint(layout, items)


def test_a_note_of_nonsense_is_none(tmp_path):
    cache = Cache(tmp_path)
    folder = tmp_path / "captured"
    folder.mkdir()
    for text in (b"", b"../../etc/passwd", b"\xff" * 64, b"0" * 64, b"A" * 200):
        (folder / "note").write_bytes(text)
        assert recall(cache, "note", "a.tar.gz") is None


def test_a_note_goes_with_its_archive(tmp_path):
    cache = Cache(tmp_path)
    remember(cache, "one", "1" * 64)
    remember(cache, "two", "2" * 64)
    prune(cache, {"222222222-two.tar.gz": "2" * 64})
    assert [path.name for path in (tmp_path / "captured").iterdir()] == ["two"]


def test_the_lock_is_made_anew_and_the_interpreter_is_not(light, tmp_path):
    workshop = Workshop(tmp_path).found()
    assert workshop.sealift("add", f"installed:{sys.executable}") == 0
    assert workshop.sealift("lock") == 0
    before = json.loads(workshop.lock.read_text())
    workshop.add_tool()
    assert workshop.sealift("lock") == 0
    after = json.loads(workshop.lock.read_text())
    assert after["sequence"] == before["sequence"] + 1
    assert before["archives"][0] in after["archives"]
    assert len(light) == 1
