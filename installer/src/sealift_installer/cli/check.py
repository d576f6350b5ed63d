"""`unseal check [KEY...]`."""

import argparse

from sealift_installer.cli.options import Commands, add_command, add_names
from sealift_installer.cli.output import Terminal, prefix_of, show


def describe(commands: Commands, text: str) -> None:
    """Add the command."""
    command = add_command(commands, "check", _check, text)
    add_names(command, "these alone")
    command.add_argument(
        "--strict",
        action="store_true",
        help="new bytecode, and what uv writes, are drift as well",
    )


def _check(options: argparse.Namespace) -> int:
    from sealift_installer.check import check
    from sealift_installer.text_lifecycle import check_lines

    report = check(
        prefix_of(options), options.names, strict=options.strict, progress=Terminal(options)
    )
    show(options, report.to_json(), check_lines(report))
    return report.exit_code
