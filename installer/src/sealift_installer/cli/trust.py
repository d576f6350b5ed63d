"""`unseal trust import FILE`, `unseal trust show` and `unseal trust remove`."""

import argparse
from typing import TYPE_CHECKING

from sealift_installer.cli.options import Commands, add_command, add_group, path
from sealift_installer.cli.output import Terminal, prefix_of, show

if TYPE_CHECKING:
    from sealift_installer.prefix import Prefix


def describe(commands: Commands, text: str) -> None:
    """Add the commands."""
    actions = add_group(commands, "trust", text)
    command = add_command(actions, "import", _import, "trust the first root, compared with paper")
    command.add_argument("file", metavar="FILE", type=path, help="N.root.dsse.json")
    command.add_argument(
        "--sha256", metavar="HEX", required=True, help="of FILE, as the site published it"
    )
    _add_host(command)
    shown = add_command(actions, "show", _show, "show keys, thresholds, counters and policies")
    _add_host(shown)
    remove = add_command(
        actions, "remove", _remove, "trust the root no more; counters and receipts stay"
    )
    remove.add_argument(
        "--reason", metavar="REASON", required=True, help="why; it is written to the receipt"
    )
    _add_host(remove)


def _add_host(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--host",
        action="store_true",
        help="for every prefix of this host, in /etc/sealift; to change it takes root",
    )


def _place(options: argparse.Namespace) -> "Prefix":
    """Return whose trust is meant: a prefix's, or the host's."""
    from sealift_installer.errors import UsageError
    from sealift_installer.prefix import Prefix
    from sealift_installer.trust.host import HOST

    if not options.host:
        return Prefix(prefix_of(options))
    if options.prefix is not None:
        raise UsageError("--host and --prefix are two different places")
    return HOST.prefix


def _import(options: argparse.Namespace) -> int:
    from sealift_installer.account import utc_now
    from sealift_installer.first_root import import_root

    place = _place(options)
    imported = import_root(options.file, options.sha256, place, utc_now(), Terminal(options))
    version, sha256 = imported.root.root.version, imported.root.sha256
    what = "trusted from now on" if imported.new else "trusted already"
    where = " by this host" if options.host else ""
    show(
        options,
        {"version": version, "sha256": sha256, "new": imported.new, "host": options.host},
        [f"root version {version} is {what}{where}: {sha256}"],
    )
    return 0


def _show(options: argparse.Namespace) -> int:
    from sealift_installer.first_root import describe_trust
    from sealift_installer.text_trust import trust_lines

    trust = describe_trust(_place(options))
    show(options, trust, trust_lines(trust))
    return 0


def _remove(options: argparse.Namespace) -> int:
    from sealift_installer.account import utc_now
    from sealift_installer.first_root import remove_root

    place = _place(options)
    removed = remove_root(options.reason, place, utc_now(), Terminal(options))
    version, sha256 = removed.root.version, removed.sha256
    show(
        options,
        {"version": version, "sha256": sha256, "host": options.host},
        [
            f"root version {version} is not trusted any more: {sha256}",
            "every bundle is refused until a first root is imported; counters and receipts stay",
        ],
    )
    return 0
