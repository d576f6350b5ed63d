"""Options and arguments that several commands have."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - its only name
# Runs one command and returns its exit code.
Run = Callable[[argparse.Namespace], int]
_COLUMNS = 80  # where there is no terminal to ask


class Formatter(argparse.HelpFormatter):
    """Formats help for the terminal's width.

    argparse asks `shutil` for it, for each argument that is added, help or not; and that brings
    every compression there is.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_terminal_width() - 2)


def add_command(commands: Commands, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    """Add a command with the options that all have."""
    command = commands.add_parser(
        name, help=text, description=text, allow_abbrev=False, formatter_class=Formatter
    )
    command.add_argument(
        "--prefix",
        metavar="DIR",
        type=path,
        help="where things are installed (default: your data directory; /opt/sealift for root)",
    )
    command.add_argument("--json", action="store_true", help="print the result as JSON")
    command.add_argument("-q", "--quiet", action="store_true", help="print no result")
    command.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    command.set_defaults(run=run)
    return command


def add_group(commands: Commands, name: str, text: str) -> Commands:
    """Add a command that has commands of its own, and return the place for these."""
    group = commands.add_parser(
        name, help=text, description=text, allow_abbrev=False, formatter_class=Formatter
    )
    return group.add_subparsers(title="commands", metavar="COMMAND", required=True)


def add_bundle(command: argparse.ArgumentParser) -> None:
    """Add the argument BUNDLE."""
    command.add_argument("bundle", metavar="BUNDLE", type=path, help="its directory")


def add_names(command: argparse.ArgumentParser, text: str) -> None:
    """Add the arguments KEY, of which none means all."""
    command.add_argument("names", metavar="KEY", nargs="*", help=text)


def add_terms(command: argparse.ArgumentParser) -> None:
    """Add the only ways past a refusal by policy; each wants a reason."""
    command.add_argument(
        "--allow-downgrade", metavar="REASON", help="take a bundle older than the newest seen"
    )
    command.add_argument(
        "--accept-expired", metavar="REASON", help="take a bundle that is expired, or whose root is"
    )


def path(text: str) -> Path:
    """Return a path of the command line; an unset variable is not the current directory."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty; the current directory is called .")
    return Path(text)


def _terminal_width() -> int:
    """Return the terminal's columns as `shutil.get_terminal_size` does."""
    try:
        columns = int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        columns = 0
    if columns <= 0 and sys.__stdout__ is not None:
        try:
            columns = os.get_terminal_size(sys.__stdout__.fileno()).columns
        except (OSError, ValueError):
            columns = 0
    return columns if columns > 0 else _COLUMNS
