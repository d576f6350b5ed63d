"""The command line of `unseal`, as argparse reads it.

A command is a line of `COMMANDS` and a module of this package with its name, which has a function
`describe(commands, text)` that adds it by `options.add_command`. Only the module of the command
that is wanted is imported, and that one imports what it works with when it runs: the others would
take longer than it.
"""

import argparse
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from sealift_installer import __version__
from sealift_installer.cli.options import Commands, Formatter

# In the order of the help. A group such as `trust` is one line, its actions are its module's.
COMMANDS = {
    "verify": "check signatures and every byte of a bundle",
    "inspect": "show what a bundle carries, and what would be done with it",
    "preflight": "ask all that an install would ask, and write nothing",
    "install": "install what a bundle carries for this host",
    "list": "list what is installed",
    "check": "compare what is installed with what was sealed",
    "repair": "write anew, from a bundle, what is not as it was sealed",
    "activate": "make the names in PREFIX/bin lead to one tree",
    "rollback": "bring back the tree that the last install replaced",
    "relocate": "give a tree its prefix after that was moved",
    "uninstall": "remove a tree, its links and what it replaced",
    "report": "write what was done, and what a bundle carries, as a page for people",
    "trust": "say whose bundles are trusted",
    "receipts": "show, check and export the record of what was done",
}

_EXIT_CODES = """exit codes:
  0 done                     4 damaged: hash, missing or added file, hostile archive
  1 a defect of unseal       5 refused by policy: rollback, expired, withdrawn
  2 usage                    6 this host cannot: space, permission, platform
  3 not trusted: signature, threshold, root
  7 an installed tree is not what was sealed"""


class _Overview(Formatter, argparse.RawDescriptionHelpFormatter):
    """Leaves the lines of the exit codes as they are."""


class _Module(Protocol):
    def describe(self, commands: Commands, text: str) -> None:
        """Add the command, with this line of help."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read a command line; `run` of the result does what the command is there for.

    Raises:
        SystemExit: it makes no sense, or only help was asked for.
    """
    parser = argparse.ArgumentParser(
        prog="unseal",
        description="Check, install and relocate what sealift bundled. There is no network in it.",
        epilog=_EXIT_CODES,
        formatter_class=_Overview,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"unseal {__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, prog="unseal"
    )
    # Without a command all are listed by name, for the help or the complaint.
    given = arguments[0] if arguments else ""
    if given in COMMANDS:
        module = cast("_Module", import_module(f"sealift_installer.cli.{given}"))
        module.describe(commands, COMMANDS[given])
    else:
        for name, text in COMMANDS.items():
            commands.add_parser(name, help=text, formatter_class=Formatter)
    options, rest = parser.parse_known_args(arguments)
    # argparse takes positional arguments in one run only: `install BUNDLE --prefix P KEY`.
    if rest and hasattr(options, "names") and not any(word.startswith("-") for word in rest):
        options.names += rest
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return options
