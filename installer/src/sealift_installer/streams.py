"""stdin, stdout and stderr as the caller left them: closed, full, or with nobody who reads."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


class CannotPrintError(Exception):
    """The result was reached and cannot be printed; the message is the reason."""


def complete_streams() -> None:
    """Open what the caller closed of stdin, stdout and stderr, all to nowhere.

    Else a file of the tree could become stdout, and what is printed land in it.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        mode = "w" if descriptor else "r"
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is taken, which is this one: those below are open by now.
            os.open(os.devnull, os.O_WRONLY if descriptor else os.O_RDONLY)
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - as long as the process


def silence(stream: TextIO) -> None:
    """Send what is left in the buffers of `stream` to nowhere; the interpreter flushes at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def printing() -> Iterator[None]:
    """Print in this context; what is printed is written when it ends.

    Raises:
        BrokenPipeError: nobody reads it.
        CannotPrintError: it cannot be written.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CannotPrintError(error.strerror or str(error)) from None
