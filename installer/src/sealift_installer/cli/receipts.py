"""`unseal receipts list | verify | export FILE | key new | key show`."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from sealift_installer.cli.options import Commands, add_command, add_group, path
from sealift_installer.cli.output import Terminal, prefix_of, say, show

if TYPE_CHECKING:
    from sealift_installer.trail import Trail

_SCHEMES = ("p256", "p384", "ed25519")  # hostkey.SCHEMES, which is not to be imported here


def describe(commands: Commands, text: str) -> None:
    """Add the commands."""
    actions = add_group(commands, "receipts", text)
    listing = add_command(actions, "list", _list, "list what was done")
    listing.add_argument(
        "--last", metavar="N", type=_count, help="only the last N receipts (default: all)"
    )
    add_command(actions, "verify", _verify, "check the whole record, and that it fits the state")
    export = add_command(
        actions, "export", _export, "write the record and its head to a file that leaves the host"
    )
    export.add_argument("file", metavar="FILE", type=path, nargs="?", help="a new file")
    export.add_argument(
        "--head", action="store_true", help="the head alone; without FILE, show it for a paper log"
    )
    export.add_argument(
        "--unsigned", action="store_true", help="do not sign with the key of this host"
    )
    keys = add_group(actions, "key", "the key of this host, which signs exports")
    new = add_command(keys, "new", _new_key, "make the key of this host")
    new.add_argument("--scheme", choices=_SCHEMES, default="p256", help="default: p256")
    add_command(keys, "show", _show_key, "print the public key in PEM")


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() and len(text) < 10 else 0  # noqa: PLR2004 - enough
    if number < 1:
        raise argparse.ArgumentTypeError("it is not a number from 1 on")
    return number


def _list(options: argparse.Namespace) -> int:
    from sealift_installer.text_receipts import receipt_lines

    trail = _read(options)
    receipts = trail.receipts[-(options.last or len(trail.receipts)) :]
    value = {"receipts": [receipt.to_json() for receipt in receipts], **_end(options, trail)}
    show(options, value, receipt_lines(receipts))
    return 0


def _verify(options: argparse.Namespace) -> int:
    from sealift_installer.text_receipts import head_lines

    trail = _read(options)
    value = _end(options, trail)
    show(options, {**value, "pending": trail.pending}, head_lines(value["head"], "good: "))
    return 0


def _export(options: argparse.Namespace) -> int:
    from sealift_installer.errors import UsageError
    from sealift_installer.text_receipts import head_lines

    if options.file is None and not options.head:
        raise UsageError(
            "say where to write the export", hint="unseal receipts export FILE, or --head alone"
        )
    trail = _read(options)
    value: dict[str, Any] = _end(options, trail)
    if options.file is not None:
        from sealift_installer.export import write_export
        from sealift_installer.prefix import Prefix

        keyid = write_export(
            options.file,
            trail,
            Prefix(prefix_of(options)),
            head_alone=options.head,
            signed=not options.unsigned,
        )
        value["file"] = str(options.file)
        value["keyid"] = keyid
        if keyid is None and not options.unsigned:
            say("note: this host has no key, so the head is not signed: unseal receipts key new")
    show(options, value, head_lines(value["head"]))
    return 0


def _new_key(options: argparse.Namespace) -> int:
    from sealift_installer.export import make_key
    from sealift_installer.prefix import Prefix

    key = make_key(Prefix(prefix_of(options)), options.scheme, Terminal(options))
    say(f"key id {key.keyid}")
    show(options, {"keyid": key.keyid, "public": key.pem}, key.pem.splitlines())
    return 0


def _show_key(options: argparse.Namespace) -> int:
    from sealift_installer.errors import UsageError
    from sealift_installer.hostkey import load_host_key
    from sealift_installer.prefix import Prefix

    key = load_host_key(Prefix(prefix_of(options)).state)
    if key is None:
        raise UsageError("this host has no key", hint="make one: unseal receipts key new")
    if sys.stdout.isatty():
        say(f"key id {key.keyid}")
    show(options, {"keyid": key.keyid, "public": key.pem}, key.pem.splitlines())
    return 0


def _read(options: argparse.Namespace) -> "Trail":
    from sealift_installer.prefix import Prefix
    from sealift_installer.trail import read_trail
    from sealift_installer.trust.state import StateStore

    trail = read_trail(StateStore(Prefix(prefix_of(options)).state))
    if trail.pending:
        say(
            "note: the end of the last line is missing from the file, as after a crash; the state "
            "has it, and the next command that changes something puts it back"
        )
    return trail


def _end(options: argparse.Namespace, trail: "Trail") -> dict[str, Any]:
    from sealift_installer.account import utc_now
    from sealift_installer.prefix import Prefix

    return {"head": trail.head(str(Prefix(prefix_of(options)).path), utc_now()).to_json()}
