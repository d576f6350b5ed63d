"""`unseal list`."""

import argparse
from pathlib import Path

from sealift_installer.cli.options import Commands, add_command
from sealift_installer.cli.output import prefix_of, show


def describe(commands: Commands, text: str) -> None:
    """Add the command."""
    add_command(commands, "list", _list, text)


def _list(options: argparse.Namespace) -> int:
    from sealift_installer.prefix import Prefix
    from sealift_installer.records import Records
    from sealift_installer.text import list_lines

    found = Records(Prefix(prefix_of(options)).state).all()
    records = [(record, Path(record.path).is_dir()) for record in found]
    values = [{**record.to_json(), "there": there} for record, there in records]
    show(options, {"installed": values}, list_lines(records))
    return 0
