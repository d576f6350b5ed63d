"""Options and arguments that several commands have."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - its only name
# Runs one command and returns its exit code.
Run = Callable[[argparse.Namespace], int]


def add_command(commands: Commands, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    """Add a command with the options that all have."""
    command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    command.add_argument(
        "--prefix",
        metavar="DIR",
        type=path,
        help="where things are installed (default: your data directory; /opt/sealift for root)",
    )
    command.add_argument("--json", action="store_true", help="print the result as JSON")
    command.add_argument("--quiet", action="store_true", help="print no result")
    command.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    command.set_defaults(run=run)
    return command


def add_group(commands: Commands, name: str, text: str) -> Commands:
    """Add a command that has commands of its own, and return the place for these."""
    group = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
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
    command.add_argument("--accept-expired", metavar="REASON", help="take a bundle that is expired")


def path(text: str) -> Path:
    """Return a path of the command line; an unset variable is not the current directory."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty; the current directory is called .")
    return Path(text)
