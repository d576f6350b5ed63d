"""`unseal inspect BUNDLE`."""

import argparse

from sealift_installer.cli.options import Commands, add_bundle, add_command, add_terms
from sealift_installer.cli.output import open_bundle, show


def describe(commands: Commands, text: str) -> None:
    """Add the command."""
    command = add_command(commands, "inspect", _inspect, text)
    add_bundle(command)
    add_terms(command)


def _inspect(options: argparse.Namespace) -> int:
    from sealift_installer.inspect import inspect
    from sealift_installer.text import inspect_lines

    facts = inspect(open_bundle(options))
    show(options, facts.to_json(), inspect_lines(facts))
    return 0
