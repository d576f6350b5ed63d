"""Progress on stderr, one line that is written anew, and only where a person watches a terminal."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

# Called with a name, the bytes so far and the bytes in all (None: not known), the last time with
# as many bytes as there are.
Progress = Callable[[str, int, int | None], None]
# The line is written at most this often, in seconds.
_PAUSE = 0.1
_MIB = 1024 * 1024
_WIDTH = 48


def silent(name: str, done: int, total: int | None) -> None:
    """Show nothing."""


def progress(*, quiet: bool = False, stream: TextIO | None = None) -> Progress:
    """Return what shows progress: `silent` where `quiet` is set or `stream` is no terminal."""
    stream = sys.stderr if stream is None else stream
    return silent if quiet or not stream.isatty() else _Line(stream).show


class _Line:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = 0.0

    def show(self, name: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        complete = total is not None and done >= total
        if not complete and now - self._shown < _PAUSE:
            return
        self._shown = now
        amount = f"{done / _MIB:.1f}"
        of = f"{amount} MiB" if total is None else f"{amount} of {total / _MIB:.1f} MiB"
        short = name if len(name) <= _WIDTH else f"{name[: _WIDTH - 3]}..."
        # The line is erased once complete, so that what is printed next stands by itself.
        self._stream.write("\r\x1b[K" if complete else f"\r\x1b[K{short}  {of}")
        self._stream.flush()
