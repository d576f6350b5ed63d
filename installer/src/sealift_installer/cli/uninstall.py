"""`unseal uninstall KEY`."""

import argparse

from sealift_installer.cli.lifecycle import add_change, change_tree
from sealift_installer.cli.options import Commands


def describe(commands: Commands, text: str) -> None:
    """Add the command."""
    add_change(commands, "uninstall", _uninstall, text)


def _uninstall(options: argparse.Namespace) -> int:
    from sealift_installer.lifecycle import uninstall

    return change_tree(options, uninstall)
