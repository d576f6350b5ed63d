"""Whether something is there: yes, no, or an error, in every version of Python."""

from errno import ELOOP, ENAMETOOLONG
from pathlib import Path

import pytest

from sealift_installer.presence import exists, is_directory


@pytest.mark.parametrize("asked", [exists, is_directory])
def test_what_is_there_and_what_is_not(asked, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "dangling").symlink_to("nothing")
    assert asked(tmp_path)
    assert asked(tmp_path / "link")
    assert asked(file) is (asked is exists)
    assert not asked(tmp_path / "nothing")
    assert not asked(tmp_path / "dangling")
    assert not asked(file / "below")


@pytest.mark.parametrize("asked", [exists, is_directory])
def test_what_nobody_can_tell_is_no_no(asked, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for name, number in (("a" * 300, ENAMETOOLONG), ("loop", ELOOP)):
        with pytest.raises(OSError, match=rf"\[Errno {number}\]"):
            asked(tmp_path / name)
