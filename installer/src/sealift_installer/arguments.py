"""The command line of `unseal`, as argparse reads it."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sealift_installer import __version__

# Runs one command and returns its exit code.
Run = Callable[[argparse.Namespace], int]

_EXIT_CODES = """exit codes:
  0 done                     4 damaged: hash, missing or added file, hostile archive
  1 a defect of unseal       5 refused by policy: rollback, expired, withdrawn
  2 usage                    6 this host cannot: space, permission, platform
  3 not trusted: signature, threshold, root"""

_COMMANDS = {
    "verify": "check signatures and every byte of a bundle",
    "inspect": "show what a bundle carries, and what would be done with it",
    "install": "install what a bundle carries for this host",
    "list": "list what is installed",
    "trust": "say whose bundles are trusted",
}


def parse(arguments: Sequence[str], runs: Mapping[str, Run]) -> argparse.Namespace:
    """Read a command line; `run` of the result is what `runs` has for the command.

    Raises:
        SystemExit: it makes no sense, or only help was asked for.
    """
    parser = argparse.ArgumentParser(
        prog="unseal",
        description="Check, install and relocate what sealift bundled. There is no network in it.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"unseal {__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, prog="unseal"
    )
    # Only the command that is wanted is described in full: the others would take longer than it.
    # Without one, all are listed by name for the help or the complaint.
    given = arguments[0] if arguments else ""
    for name, text in _COMMANDS.items():
        if given == name:
            _describe(commands, name, runs)
        elif given not in _COMMANDS:
            commands.add_parser(name, help=text)
    options, rest = parser.parse_known_args(arguments)
    # argparse takes positional arguments in one run only: `install BUNDLE --prefix P KEY`.
    if rest and hasattr(options, "names") and not any(word.startswith("-") for word in rest):
        options.names += rest
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return options


def _path(text: str) -> Path:
    """Return a path of the command line; an unset variable is not the current directory."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty; the current directory is called .")
    return Path(text)


def _describe(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    runs: Mapping[str, Run],
) -> None:
    if name == "trust":
        trust = commands.add_parser(name, help=_COMMANDS[name], allow_abbrev=False)
        _add_trust_commands(trust, runs)
        return
    command = _add(commands, name, runs[name], _COMMANDS[name])
    if name == "list":
        return
    command.add_argument("bundle", metavar="BUNDLE", type=_path, help="its directory")
    if name == "install":
        command.add_argument("names", metavar="KEY", nargs="*", help="these archives alone")
        command.add_argument(
            "--link", action="store_true", help="make links to the programs in PREFIX/bin"
        )
    command.add_argument(
        "--allow-downgrade", metavar="REASON", help="take a bundle older than the newest seen"
    )
    command.add_argument("--accept-expired", metavar="REASON", help="take a bundle that is expired")


def _add_trust_commands(trust: argparse.ArgumentParser, runs: Mapping[str, Run]) -> None:
    actions = trust.add_subparsers(title="commands", metavar="COMMAND", required=True)
    command = _add(
        actions, "import", runs["trust import"], "trust the first root, compared with paper"
    )
    command.add_argument("file", metavar="FILE", type=_path, help="N.root.dsse.json")
    command.add_argument(
        "--sha256", metavar="HEX", required=True, help="of FILE, as the site published it"
    )
    _add(actions, "show", runs["trust show"], "show keys, thresholds and counters")


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Run,
    text: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    command.add_argument(
        "--prefix",
        metavar="DIR",
        type=_path,
        help="where things are installed (default: your data directory; /opt/sealift for root)",
    )
    command.add_argument("--json", action="store_true", help="print the result as JSON")
    command.add_argument("--quiet", action="store_true", help="print no result")
    command.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    command.set_defaults(run=run)
    return command
