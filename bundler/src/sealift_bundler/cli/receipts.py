"""receipts verify: what targets did with the bundles, from the records that they exported."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sealift_bundler.cli.common import Json, say, say_json
from sealift_bundler.cli.program import Program
from sealift_installer.errors import Untrusted, printable

if TYPE_CHECKING:
    from sealift_bundler.trails import Fleet, HostReport

receipts_app = Program(no_args_is_help=True, help="Receipts that targets exported.")
_SHORT = 16


@receipts_app.command("verify")
def verify(
    exports: Annotated[
        list[Path],
        typer.Argument(
            metavar="EXPORT", help="Files of `unseal receipts export`, old and new, of any host."
        ),
    ],
    *,
    bundles: Annotated[
        list[Path] | None,
        typer.Option(
            "--bundle",
            metavar="DIR",
            help="A bundle that was sent, or a folder of them; all, if any.",
        ),
    ] = None,
    heads: Annotated[
        list[str] | None,
        typer.Option("--head", metavar="FILE|HEX", help="A head that was kept: file, or digits."),
    ] = None,
    host_keys: Annotated[
        list[Path] | None,
        typer.Option("--host-key", metavar="PEM", help="A host's public key; heads need one then."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the records of targets: which host has what, which lags, which was written anew."""
    from sealift_bundler.trails import Question, examine

    fleet = examine(Question(exports, bundles or [], heads or [], host_keys or []))
    if as_json:
        say_json(fleet.to_json())
    else:
        _say_fleet(fleet)
    if not fleet.good:
        raise Untrusted(
            "the receipts contradict each other, or what was sent or kept",
            hint="the problems are listed above, each with its host",
        )


def _say_fleet(fleet: "Fleet") -> None:
    _say_table(
        ("HOST", "PREFIX", "RECEIPTS", "EXPORTED", "SIGNED BY", "NEWEST BUNDLE"),
        [_host_row(host) for host in fleet.hosts],
    )
    say("")
    _say_table(
        ("HOST", "INSTALLED", "BUNDLE", "SINCE", "ARCHIVE"),
        [row for host in fleet.hosts for row in _installed_rows(host)],
    )
    for host in fleet.hosts:
        _say_notes(host)
    for problem in fleet.problems:
        say(f"problem: {problem}")


def _host_row(host: "HostReport") -> tuple[str, ...]:
    head = host.export.head
    newest = [
        f"{name} {bundle.sequence}"
        + (f" ({host.behind[name]} behind)" if name in host.behind else "")
        for name, bundle in sorted(host.streams.items())
    ]
    return (
        printable(head.host),
        printable(head.prefix),
        str(head.receipts),
        head.clock,
        host.keyid[:_SHORT] if host.keyid else "nobody",
        ", ".join(newest) or "none",
    )


def _installed_rows(host: "HostReport") -> list[tuple[str, ...]]:
    return [
        (
            printable(host.export.head.host),
            name,
            "unknown" if each.bundle is None else f"{each.bundle.stream} {each.bundle.sequence}",
            each.clock,
            each.archive.sha256[:_SHORT],
        )
        for name, each in sorted(host.installed.items())
    ]


def _say_notes(host: "HostReport") -> None:
    name = printable(host.export.head.host)
    if host.overrides:
        say(f"note: {name}: overrides in receipts {_numbers(host.overrides)}")
    if host.refused:
        say(f"note: {name}: refused bundles in receipts {_numbers(host.refused)}")
    for problem in host.problems:
        say(f"problem: {name}: {problem}")


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _say_table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        say("  ".join(cells).rstrip())
