"""`unseal activate KEY`."""

import argparse

from sealift_installer.cli.lifecycle import add_change, change_tree
from sealift_installer.cli.options import Commands


def describe(commands: Commands, text: str) -> None:
    """Add the command."""
    add_change(commands, "activate", _activate, text)


def _activate(options: argparse.Namespace) -> int:
    from sealift_installer.lifecycle import activate

    return change_tree(options, activate)
