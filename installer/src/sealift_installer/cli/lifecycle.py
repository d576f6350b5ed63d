"""What the commands that change one installed tree have in common."""

import argparse
from typing import TYPE_CHECKING

from sealift_installer.cli.options import Commands, Run, add_command
from sealift_installer.cli.output import Terminal, prefix_of, show

if TYPE_CHECKING:
    from collections.abc import Callable

    from sealift_installer.lifecycle import Change, Changed
    from sealift_installer.report import Progress


def add_change(commands: Commands, name: str, run: Run, text: str) -> None:
    """Add a command with the argument KEY."""
    command = add_command(commands, name, run, text)
    command.add_argument("key", metavar="KEY", help="as `unseal list` shows it")


def change_tree(
    options: argparse.Namespace, change: "Callable[[Change, Progress], Changed]"
) -> int:
    """Do it, and show what came of it."""
    from sealift_installer.lifecycle import Change
    from sealift_installer.text_lifecycle import change_lines

    done = change(Change(prefix_of(options), options.key), Terminal(options))
    show(options, done.to_json(), change_lines(done))
    return 0
