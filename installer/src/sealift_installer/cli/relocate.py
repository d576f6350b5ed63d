"""`unseal relocate KEY`."""

import argparse

from sealift_installer.cli.lifecycle import add_change, change_tree
from sealift_installer.cli.options import Commands


def describe(commands: Commands, text: str) -> None:
    """Add the command."""
    add_change(commands, "relocate", _relocate, text)


def _relocate(options: argparse.Namespace) -> int:
    from sealift_installer.relocate import relocate

    return change_tree(options, relocate)
