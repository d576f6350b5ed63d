"""`unseal trust import FILE` and `unseal trust show`."""

import argparse

from sealift_installer.cli.options import Commands, add_command, add_group, path
from sealift_installer.cli.output import Terminal, prefix_of, show


def describe(commands: Commands, text: str) -> None:
    """Add the commands."""
    actions = add_group(commands, "trust", text)
    command = add_command(actions, "import", _import, "trust the first root, compared with paper")
    command.add_argument("file", metavar="FILE", type=path, help="N.root.dsse.json")
    command.add_argument(
        "--sha256", metavar="HEX", required=True, help="of FILE, as the site published it"
    )
    add_command(actions, "show", _show, "show keys, thresholds and counters")


def _import(options: argparse.Namespace) -> int:
    from sealift_installer.account import utc_now
    from sealift_installer.first_root import import_root
    from sealift_installer.prefix import Prefix

    prefix = Prefix(prefix_of(options))
    imported = import_root(options.file, options.sha256, prefix, utc_now(), Terminal(options))
    version, sha256 = imported.root.root.version, imported.root.sha256
    what = "trusted from now on" if imported.new else "trusted already"
    show(
        options,
        {"version": version, "sha256": sha256, "new": imported.new},
        [f"root version {version} is {what}: {sha256}"],
    )
    return 0


def _show(options: argparse.Namespace) -> int:
    from sealift_installer.first_root import describe_trust
    from sealift_installer.prefix import Prefix
    from sealift_installer.text import trust_lines
    from sealift_installer.trust.state import StateStore

    trust = describe_trust(StateStore(Prefix(prefix_of(options)).state).load())
    show(options, trust, trust_lines(trust))
    return 0
