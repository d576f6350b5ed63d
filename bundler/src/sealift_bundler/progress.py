"""Progress on stderr: bars where a person watches a terminal, lines elsewhere, or nothing."""

import re
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from sealift_bundler.sizes import show_size

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, Task, TaskID
    from rich.text import Text

_WIDTH = 48
_LEAST_WIDTH = 12
# What the numbers beside a bar take of a row, and the width of a screen with room for long bars.
_NUMBERS = 39
_WIDE = 110
_LONG_BAR, _SHORT_BAR = 30, 8
# What in the names of archives tells none of them from another.
_COMMON = re.compile(
    r"-install_only(_stripped)?(?=\.)|-(unknown|apple|pc|20\d{6})(?=-)|\.tar\.[a-z0-9]+$|\.zip$|\.whl$"
)


class Progress:
    """Is told what is fetched, by several threads; this one shows nothing.

    It is entered before the first file and left after the last.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Show no more."""

    def expect(self, files: int, size: int | None) -> None:
        """Learn how many files are to come, and how many bytes in all, if that is known."""

    def begin(self, name: str, here: int, total: int | None) -> None:
        """Learn that a file comes, of which `here` bytes were there before: no part of a rate."""

    def show(self, name: str, done: int, total: int | None) -> None:
        """Learn that a file has `done` bytes by now, of `total` if that is known."""

    def finish(self, name: str, size: int, *, fetched: bool) -> None:
        """Learn that a file is here with all its `size` bytes, `fetched` or found in the cache."""

    def note(self, text: str) -> None:
        """Learn what a person should know, such as that a server has to be asked again."""


def progress(
    *, quiet: bool = False, stream: TextIO | None = None, done: str = "fetched"
) -> Progress:
    """Return what shows progress on `stream`: bars on a terminal, else lines; with `quiet` nothing.

    Args:
        quiet: show nothing.
        stream: else stderr.
        done: what was done with a file, in the words of a line.
    """
    stream = sys.stderr if stream is None else stream
    if quiet:
        return Progress()
    return Bars(stream) if stream.isatty() else Lines(stream, done)


class Lines(Progress):
    """A line for each file that was fetched, or with which something else was `done`."""

    def __init__(self, stream: TextIO, done: str = "fetched") -> None:
        self._stream = stream
        self._word = done

    def finish(self, name: str, size: int, *, fetched: bool) -> None:
        """Name a file that has come."""
        if fetched:
            self.note(f"{self._word} {name}, {show_size(size)}")

    def note(self, text: str) -> None:
        """Print a line."""
        # One call, so that lines of two threads do not mix.
        self._stream.write(f"{text}\n")
        self._stream.flush()


class Bars(Progress):
    """A bar for each file that comes and one for all, with rate and time left; then nothing."""

    def __init__(self, stream: TextIO) -> None:
        # Takes 0.1 s to import, and only a person needs it.
        from rich import progress as bars
        from rich.console import Console

        console = Console(file=stream, force_terminal=True)
        spare = max(1, console.width - _NUMBERS - _LEAST_WIDTH)
        bar = _LONG_BAR if console.width >= _WIDE else min(_SHORT_BAR, spare)
        self._bars = bars.Progress(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(bar_width=bar),
            bars.DownloadColumn(binary_units=True),
            _rate_column(),
            bars.TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        # A row that does not fit is broken in the middle of its numbers.
        self._width = max(_LEAST_WIDTH, min(_WIDTH, console.width - bar - _NUMBERS))
        self._tasks: dict[str, TaskID] = {}
        self._done: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._guard = threading.Lock()
        self._files = 0
        self._all: TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bars away."""
        self._bars.stop()
        self._tasks.clear()
        self._done.clear()
        self._sizes.clear()
        self._files = 0
        if self._all is not None:
            self._bars.remove_task(self._all)
            self._all = None

    def expect(self, files: int, size: int | None) -> None:
        """Show the bar of all, where there are several files."""
        if files > 1:
            self._files = files
            self._all = self._bars.add_task(f"0 of {files} files", total=size)

    def begin(self, name: str, here: int, total: int | None) -> None:
        """Show the bar of a file that is not whole."""
        if here != total:
            self._move(name, here, total)
        self._count(name, here, total, gained=False)

    def show(self, name: str, done: int, total: int | None) -> None:
        """Move the bar of a file."""
        self._move(name, done, total)
        self._count(name, done, total)

    def _move(self, name: str, done: int, total: int | None) -> None:
        task = self._tasks.get(name)
        if task is None:
            # What was there before is no part of the rate.
            short = _shortened(name, self._width)
            task = self._tasks[name] = self._bars.add_task(short, total=total, completed=done)
        self._bars.update(task, completed=done, total=total)

    def finish(self, name: str, size: int, *, fetched: bool) -> None:  # noqa: ARG002 - both count
        """Take the bar of a file away."""
        task = self._tasks.pop(name, None)
        if task is not None:
            self._bars.remove_task(task)
        self._count(name, size, size)
        if self._all is not None:
            left = len(self._tasks)
            here = len(self._done) - left
            self._bars.update(self._all, description=f"{here} of {self._files} files")

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        self._bars.console.print(text, markup=False, highlight=False)

    def _count(self, name: str, done: int, total: int | None, *, gained: bool = True) -> None:
        """Move the bar of all, and tell it the whole size once that of each file is known."""
        with self._guard:
            more = done - self._done.get(name, 0)
            self._done[name] = done
            if self._all is None:
                return
            if more and gained:
                self._bars.advance(self._all, more)
            elif more:
                # The rate is of what is told to `advance`.
                (bar,) = (task for task in self._bars.tasks if task.id == self._all)
                bar.completed += more
            if total is not None:
                self._sizes[name] = total
            if len(self._sizes) == self._files:
                self._bars.update(self._all, total=sum(self._sizes.values()))


def _shortened(name: str, room: int) -> str:
    """Return a name in at most `room` characters, with what tells it from others at both ends."""
    plain = name if len(name) <= room else _COMMON.sub("", name)
    if len(plain) <= room:
        return plain
    head = (room - 3) // 2
    return f"{plain[:head]}...{plain[len(plain) - (room - 3 - head) :]}"


def _rate_column() -> "ProgressColumn":
    """Return the column of the rate, in the units of the sizes beside it."""
    from rich import progress as bars
    from rich.text import Text as Words

    class Rate(bars.ProgressColumn):
        def render(self, task: "Task") -> "Text":
            speed = task.finished_speed or task.speed
            shown = "?" if speed is None else f"{show_size(int(speed))}/s"
            return Words(shown, style="progress.data.speed")

    return Rate()
