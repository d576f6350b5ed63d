"""`unseal install BUNDLE [KEY...]`."""

import argparse

from sealift_installer.cli.options import Commands, add_bundle, add_command, add_names, add_terms
from sealift_installer.cli.output import Terminal, fail, prefix_of, show


def describe(commands: Commands, text: str) -> None:
    """Add the command."""
    command = add_command(commands, "install", _install, text)
    add_bundle(command)
    add_names(command, "these archives alone")
    command.add_argument(
        "--link", action="store_true", help="make links to the programs in PREFIX/bin"
    )
    add_terms(command)


def _install(options: argparse.Namespace) -> int:
    from sealift_installer.install import InstallOptions, install
    from sealift_installer.text import install_lines

    wanted = InstallOptions(
        prefix=prefix_of(options),
        names=tuple(options.names),
        link=options.link,
        allow_downgrade=options.allow_downgrade,
        accept_expired=options.accept_expired,
    )
    report = install(options.bundle, wanted, Terminal(options))
    show(options, report.to_json(), install_lines(report))
    for outcome in report.outcomes:
        if outcome.error is not None:
            fail(outcome.error)
    return report.exit_code
