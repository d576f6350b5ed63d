"""The commands in their order, and what becomes of an error."""

import os
import signal
import sys
from typing import Annotated

import typer

from sealift_bundler import __version__
from sealift_bundler.allocator import share_memory
from sealift_bundler.cli import (
    bundles,
    caches,
    comparison,
    lookup,
    media,
    receipts,
    report,
    roots,
    signing,
    site,
    wishes,
)
from sealift_bundler.cli.common import say, say_error, tell
from sealift_bundler.cli.program import Program
from sealift_installer.errors import HostError, SealiftError, printable
from sealift_installer.streams import complete_streams, silence

INTERRUPTED = 130
PIPE_CLOSED = 128 + getattr(signal, "SIGPIPE", 13)
DEFECT = 1

app = Program(
    add_completion=False,
    no_args_is_help=True,
    # A defect is reported by `run`, with the traceback on request.
    pretty_exceptions_enable=False,
    help="Build signed, portable bundles of archives for machines without a network.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(site.init)
app.add_typer(site.key_app, name="key")
app.add_typer(roots.root_app, name="root")
app.command()(lookup.search)
app.command()(wishes.add)
app.command()(wishes.lock)
app.command()(bundles.build)
app.command()(signing.sign)
app.command()(signing.seal)
app.command()(bundles.verify)
app.command()(bundles.inspect)
app.command()(comparison.diff)
app.command()(report.report)
app.add_typer(media.media_app, name="media")
app.add_typer(receipts.receipts_app, name="receipts")
app.add_typer(caches.cache_app, name="cache")


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - called by typer
    if wanted:
        say(f"sealift {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Build signed, portable bundles of archives for machines without a network."""


def main() -> None:
    """Run the command line and exit with its code."""
    complete_streams()
    share_memory()
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would complain once more when it flushes.
        silence(sys.stdout)
        gone = isinstance(error, BrokenPipeError)
        code = PIPE_CLOSED if gone else (code or _say_host(error))
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code (docs/reference: 0 done, 1 a defect, 2 usage...)."""
    try:
        app(arguments, prog_name="sealift")
    except SystemExit as end:
        # typer ends with 1 by itself when nobody reads any more.
        gone = isinstance(end.__context__, BrokenPipeError)
        code = end.code if isinstance(end.code, int) else DEFECT
        return PIPE_CLOSED if gone else code
    except SealiftError as error:
        say_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        return _say_host(error)
    except Exception as error:
        if os.environ.get("SEALIFT_DEBUG"):
            raise
        # Python before 3.12 wraps what happens while a class is made, as modules are imported.
        interrupted = isinstance(error.__cause__, KeyboardInterrupt)
        return INTERRUPTED if interrupted else _say_defect(error)
    return 0


def _say_host(error: OSError) -> int:
    """Tell of an error that no one expected: a full output, a place that may not be looked at."""
    name = f": {error.filename}" if error.filename is not None else ""
    tell(f"error: cannot go on: {error.strerror or error}{name}")
    return HostError.exit_code


def _say_defect(error: Exception) -> int:
    if isinstance(error, MemoryError):
        tell("error: not enough memory")
        return HostError.exit_code
    if isinstance(error, UnicodeEncodeError) and sys.getfilesystemencoding() != "utf-8":
        tell(f"error: the locale has no way to write a name: {printable(str(error))}")
        tell("hint: run it with a UTF-8 locale, such as LC_ALL=C.UTF-8")
        return HostError.exit_code
    tell(f"a defect of sealift: {type(error).__name__}: {printable(str(error))}")
    tell("hint: run it again with SEALIFT_DEBUG=1 and report what it shows")
    return DEFECT
