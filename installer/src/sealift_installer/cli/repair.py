"""`unseal repair BUNDLE [KEY...]`."""

import argparse

from sealift_installer.cli.options import Commands, add_bundle, add_command, add_names, add_terms
from sealift_installer.cli.output import Terminal, fail, prefix_of, show


def describe(commands: Commands, text: str) -> None:
    """Add the command."""
    command = add_command(commands, "repair", _repair, text)
    add_bundle(command)
    add_names(command, "these alone")
    add_terms(command)


def _repair(options: argparse.Namespace) -> int:
    from sealift_installer.install import InstallOptions
    from sealift_installer.repair import drift_left, repair
    from sealift_installer.text_lifecycle import repair_lines

    wanted = InstallOptions(
        prefix=prefix_of(options),
        names=tuple(options.names),
        allow_downgrade=options.allow_downgrade,
        accept_expired=options.accept_expired,
    )
    report = repair(options.bundle, wanted, Terminal(options))
    show(options, report.to_json(), repair_lines(report))
    for outcome in report.install.outcomes if report.install else ():
        if outcome.error is not None:
            fail(outcome.error)
    left = drift_left(report)
    if left is not None:
        fail(left)
    return report.exit_code
