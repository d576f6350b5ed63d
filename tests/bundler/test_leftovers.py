"""What killed builds leave beside the bundles: the next one in that folder tells of it."""

import fcntl
import os
import time
from pathlib import Path

import pytest

from sealift_bundler.write import find_leftovers, staged
from workshop import Workshop

LONG_AGO = time.time() - 7200


def leave(path: Path, moment: float = LONG_AGO) -> Path:
    """Make what a run leaves that is killed."""
    (path / "archives").mkdir(parents=True)
    os.utime(path, (moment, moment))
    return path


def test_a_build_tells_of_what_another_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Workshop(tmp_path).found()
    shop.add_tool()
    left = leave(shop.folder / ".first.partial")
    shop.build(name="second")
    shown = capsys.readouterr().err
    assert f"left by a run that was killed: {left}\n" in shown
    assert shown.count("left by a run") == 1
    assert left.is_dir()
    shop.build(name="first")
    assert "left by a run" not in capsys.readouterr().err
    assert not left.exists()


def test_in_the_sites_own_folder_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = Workshop(tmp_path).found()
    shop.add_tool()
    left = leave(shop.site / "bundles" / ".site-7.partial")
    assert shop.sealift("build") == 0
    assert f"killed: {left}\n" in capsys.readouterr().err


def test_what_is_no_such_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = leave(tmp_path / ".left.partial")
    leave(tmp_path / "shown.partial")
    leave(tmp_path / ".another")
    leave(tmp_path / ".recent.partial", time.time())
    (tmp_path / ".link.partial").symlink_to(left)
    (tmp_path / ".file.partial").touch()
    with staged(tmp_path / "bundle") as place:
        assert find_leftovers(place) == [left]
        somebody = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: somebody)
        assert find_leftovers(place) == []


def test_what_a_run_is_writing_is_left_by_nobody(tmp_path: Path) -> None:
    left = leave(tmp_path / ".left.partial")
    descriptor = os.open(left, os.O_RDONLY)
    with staged(tmp_path / "bundle") as place:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert find_leftovers(place) == []
        os.close(descriptor)
        assert find_leftovers(place) == [left]
