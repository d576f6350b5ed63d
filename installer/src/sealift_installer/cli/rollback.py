"""`unseal rollback KEY`."""

import argparse

from sealift_installer.cli.lifecycle import add_change, change_tree
from sealift_installer.cli.options import Commands


def describe(commands: Commands, text: str) -> None:
    """Add the command."""
    add_change(commands, "rollback", _rollback, text)


def _rollback(options: argparse.Namespace) -> int:
    from sealift_installer.lifecycle import rollback

    return change_tree(options, rollback)
