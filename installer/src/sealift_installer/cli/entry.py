"""One command from its words to its exit code: what becomes of an error, a signal, a closed pipe."""

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from sealift_installer.cli.arguments import parse
from sealift_installer.cli.output import fail, say
from sealift_installer.errors import HostError, SealiftError
from sealift_installer.streams import CannotPrintError, complete_streams, silence

_DEFECT = 1
_GARBAGE = 100_000  # new objects before the collector looks
_TURN = 0.0001  # seconds that a thread may wait for its turn
# 128 and the number of the signal, as shells say it: SIGINT, SIGPIPE.
_INTERRUPTED = 128 + 2
_PIPE_CLOSED = 128 + 13


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; without `arguments`, end the process with it."""
    if arguments is not None:
        return _main(arguments)
    # An index makes many objects and no cycles; looking for some took a tenth of a command's time.
    gc.set_threshold(_GARBAGE)
    # The thread that decompresses needs the interpreter for a moment between two long calls.
    sys.setswitchinterval(_TURN)
    try:
        code = _main(sys.argv[1:])
    except SystemExit as end:  # argparse: help, or a word that makes no sense
        if not isinstance(end.code, int):
            raise
        code = end.code
    return _leave(code)


def _leave(code: int) -> NoReturn:
    """End the process. Taking all objects apart first takes as long as starting it did."""
    # That nobody reads the warnings is no failure.
    with suppress(OSError):
        sys.stderr.flush()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _PIPE_CLOSED
    except OSError:
        code = code or HostError.exit_code
    os._exit(code)


def _main(arguments: Sequence[str]) -> int:
    complete_streams()
    for stream in (sys.stdout, sys.stderr):
        # A terminal without UTF-8 gets escapes, not a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(arguments)
    except BrokenPipeError:
        silence(sys.stdout)
        return _PIPE_CLOSED
    except CannotPrintError as error:
        silence(sys.stdout)
        say(f"unseal: cannot write the output: {error}")
        return HostError.exit_code


def _run(arguments: Sequence[str]) -> int:
    debug = False
    try:
        options = parse(arguments)
        debug = options.debug
        code: int = options.run(options)
    except SealiftError as error:
        fail(error)
        return error.exit_code
    except KeyboardInterrupt:
        say("unseal: interrupted; the next run cleans up")
        return _INTERRUPTED
    except (BrokenPipeError, CannotPrintError):
        raise
    except (MemoryError, OSError) as error:
        if debug:
            raise
        say(f"unseal: the operating system refuses: {_reason(error)}")
        return HostError.exit_code
    except Exception as error:
        if debug:
            raise
        say(f"unseal: a defect of unseal, please report it: {type(error).__name__}: {error!a}")
        say("hint: --debug shows where")
        return _DEFECT
    return code


def _reason(error: MemoryError | OSError) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory"
    name = f": {error.filename!a}" if error.filename is not None else ""
    return f"{error.strerror or error}{name}"
