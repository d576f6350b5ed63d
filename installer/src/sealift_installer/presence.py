"""Whether something is there, where a wrong no would be a wrong answer about what is trusted.

From Python 3.14 on `Path.exists` and `Path.is_dir` say no as well when they cannot look: for want of
permission, or after an error of the disk.
"""

import stat
from pathlib import Path


def exists(path: Path) -> bool:
    """Tell whether there is something at `path`, or where it leads to as a link.

    Raises:
        OSError: nobody can tell.
    """
    return _mode(path) is not None


def is_directory(path: Path) -> bool:
    """Tell whether there is a directory at `path`, or where it leads to as a link.

    Raises:
        OSError: nobody can tell.
    """
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
