"""`unseal preflight BUNDLE [KEY...]`."""

import argparse

from sealift_installer.cli.options import Commands, add_bundle, add_command, add_names, add_terms
from sealift_installer.cli.output import prefix_of, say, show


def describe(commands: Commands, text: str) -> None:
    """Add the command."""
    command = add_command(commands, "preflight", _preflight, text)
    add_bundle(command)
    add_names(command, "these archives alone")
    command.add_argument(
        "--link", action="store_true", help="with links to the programs in PREFIX/bin"
    )
    add_terms(command)


def _preflight(options: argparse.Namespace) -> int:
    from sealift_installer.account import utc_now
    from sealift_installer.authenticate import Terms
    from sealift_installer.rehearsal import rehearse
    from sealift_installer.text_lifecycle import rehearsal_lines

    terms = Terms(utc_now(), options.allow_downgrade, options.accept_expired)
    rehearsal = rehearse(
        options.bundle,
        prefix_of(options),
        terms,
        names=tuple(options.names),
        link=options.link,
    )
    for warning in rehearsal.warnings:
        say(f"warning: {warning}")
    show(options, rehearsal.to_json(), rehearsal_lines(rehearsal))
    return 0
