"""`unseal list`."""

import argparse

from sealift_installer.cli.options import Commands, add_command
from sealift_installer.cli.output import prefix_of, show


def describe(commands: Commands, text: str) -> None:
    """Add the command."""
    add_command(commands, "list", _list, text)


def _list(options: argparse.Namespace) -> int:
    from sealift_installer.prefix import Prefix
    from sealift_installer.records import Records
    from sealift_installer.text import list_lines

    prefix = Prefix(prefix_of(options))
    found = Records(prefix.state).all()
    # Not where the record says: after a prefix was moved, nothing of ours stands there.
    trees = [(record, prefix.destination(record.kind, record.name)) for record in found]
    standing = [(record, tree if tree.is_dir() else None) for record, tree in trees]
    values = [{**record.to_json(), "there": tree is not None} for record, tree in standing]
    show(options, {"installed": values}, list_lines(standing))
    return 0
