"""media write, media check: sealed bundles on sticks and other media."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sealift_bundler.cli.bundles import RootFileOption, trusted_root
from sealift_bundler.cli.common import (
    Json,
    Quiet,
    SiteOption,
    reporter,
    say,
    say_json,
    stepper,
    tell,
)
from sealift_bundler.cli.program import Program
from sealift_bundler.sizes import show_size
from sealift_installer.errors import (
    Damaged,
    HostError,
    RefusedByPolicy,
    SealiftError,
    Untrusted,
    printable,
)

if TYPE_CHECKING:
    from sealift_bundler.media.check import BundleCheck, Found
    from sealift_bundler.media.outcome import Copied, Copies
    from sealift_bundler.progress import Progress

media_app = Program(no_args_is_help=True, help="Bundles on USB sticks and other media.")
# How the bytes were read, for people.
_WAYS = {
    "DIRECT": "past the page cache",
    "DRIVER": "through a driver that may remember it",
    "DROPPED": "out of the page cache first",
    "CACHED": "perhaps out of the page cache",
}
_STATES = {"written": "written", "resumed": "written, in several runs", "present": "there already"}
_WORDS = {
    Untrusted: "not trusted",
    Damaged: "damaged",
    RefusedByPolicy: "refused",
    HostError: "unreadable",
}
_SHOWN = 10


@media_app.command("write")
def write_bundles(  # noqa: PLR0913 - the options of the command
    bundles: Annotated[
        list[Path], typer.Argument(metavar="BUNDLE", help="Sealed bundles; each is verified first.")
    ],
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A directory on the medium, which is mounted.")
    ],
    *,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What to call the bundle there. Default: as it is."),
    ] = None,
    root: RootFileOption = None,
    site: SiteOption = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write sealed bundles to a medium, and read them back; run it again to go on."""
    from sealift_bundler.media.copy import copy_bundles
    from sealift_bundler.media.outcome import CopyOptions

    options = CopyOptions(
        trusted_root(root, site),
        name,
        lambda done: _watch(done, quiet=quiet),
        reporter(quiet=quiet),
        stepper(quiet=quiet),
    )
    copies = copy_bundles(bundles, directory, options)
    if as_json:
        say_json(_copies_json(directory, copies))
    elif not quiet:
        _say_copies(directory, copies)


@media_app.command("check")
def check_medium(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="A directory on the medium, or a bundle there."),
    ],
    *,
    root: RootFileOption = None,
    site: SiteOption = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Verify the bundles on a medium, and name every byte that is not what was sealed."""
    from sealift_bundler.media.check import check_bundle, find_bundles

    trusted = trusted_root(root, site)
    found = find_bundles(directory)
    step = stepper(quiet=quiet)
    checks = []
    for path in found.bundles:
        step(f"check {path}")
        checks.append(check_bundle(path, trusted, _watch("read", quiet=quiet)))
    _warn(found, checks)
    if as_json:
        say_json(_checks_json(directory, found, checks))
    elif not quiet:
        _say_table(checks)
    _raise_worst(directory, checks)


def _watch(done: str, *, quiet: bool) -> "Progress":
    from sealift_bundler.progress import progress

    return progress(quiet=quiet, done=done)


def _say_copies(directory: Path, copies: "Copies") -> None:
    for copied in copies.bundles:
        verified = copied.carried.verified
        manifest, report = verified.authenticated.manifest, verified.report
        say(f"{_STATES[copied.state]}: {printable(str(copied.path))}")
        say(f"  stream {manifest.stream}, sequence {manifest.sequence}, made {manifest.created}")
        say(f"  {report.files} files, {show_size(report.size)}")
    if copies.written.size:
        say(f"wrote {copies.written}")
    say(f"read {copies.read}, {_WAYS[copies.way.name]}: good")
    say(f"now eject it, plug it in again, and run: sealift media check {printable(str(directory))}")


def _copies_json(directory: Path, copies: "Copies") -> dict[str, Any]:
    return {
        "directory": str(directory),
        "file_system": copies.facts.kind or None,
        "bundles": [_copied_json(copied) for copied in copies.bundles],
        "written": {
            "bytes": copies.written.size,
            "seconds": round(copies.written.seconds, 3),
        },
        "read": {
            "bytes": copies.read.size,
            "seconds": round(copies.read.seconds, 3),
            "way": copies.way.name.lower(),
        },
    }


def _copied_json(copied: "Copied") -> dict[str, Any]:
    found, report = copied.carried.verified.authenticated, copied.carried.verified.report
    return {
        "bundle": str(copied.carried.path),
        "path": str(copied.path),
        "state": copied.state,
        "stream": found.manifest.stream,
        "sequence": found.manifest.sequence,
        "manifest": found.manifest_sha256,
        "signers": list(found.signers),
        "files": report.files,
        "bytes": report.size,
        "written": copied.written,
    }


def _warn(found: "Found", checks: "Sequence[BundleCheck]") -> None:
    for path in found.links:
        tell(f"warning: a link, not followed: {path}")
    for path in found.unfinished:
        tell(f"warning: unfinished, not read: {path}; sealift media write goes on with it")
    for check in checks:
        for warning in check.warnings:
            tell(f"warning: {_name(check)}: {warning}")


def _say_table(checks: "Sequence[BundleCheck]") -> None:
    rows = [("bundle", "sequence", "files", "size", "rate", "")]
    for check in checks:
        manifest = check.manifest
        rows.append(
            (
                _name(check),
                "-" if manifest is None else f"{manifest.stream} {manifest.sequence}",
                "-" if manifest is None else str(len(manifest.files)),
                "-" if manifest is None else show_size(check.size),
                f"{show_size(round(check.size / check.seconds))}/s" if check.size else "-",
                _result(check),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if 2 <= number <= 4 else cell.ljust(width)  # noqa: PLR2004 - numbers
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        say("  ".join(cells).rstrip())
    way = max(check.way for check in checks)
    say(f"read {_WAYS[way.name]}")


def _name(check: "BundleCheck") -> str:
    return printable(check.path.name or str(check.path))


def _result(check: "BundleCheck") -> str:
    return "good" if check.error is None else _WORDS.get(type(check.error), "bad")


def _checks_json(
    directory: Path, found: "Found", checks: "Sequence[BundleCheck]"
) -> dict[str, Any]:
    return {
        "directory": str(directory),
        "bundles": [_check_json(check) for check in checks],
        "unfinished": [str(path) for path in found.unfinished],
    }


def _check_json(check: "BundleCheck") -> dict[str, Any]:
    manifest = check.manifest
    return {
        "path": str(check.path),
        "state": _result(check),
        "error": None if check.error is None else check.error.message,
        "stream": None if manifest is None else manifest.stream,
        "sequence": None if manifest is None else manifest.sequence,
        "manifest": check.manifest_sha256 or None,
        "signers": list(check.signers),
        "files": 0 if manifest is None else len(manifest.files),
        "bytes": check.size,
        "seconds": round(check.seconds, 3),
        "way": check.way.name.lower(),
        "faults": [fault.to_json() for fault in check.faults],
        "warnings": list(check.warnings),
    }


def _raise_worst(directory: Path, checks: "Sequence[BundleCheck]") -> None:
    """Raise what is wrong with the bundles, as the error with the least code: trust comes first."""
    wrong = [(check, check.error) for check in checks if check.error is not None]
    if not wrong:
        return
    worst = min((error for _, error in wrong), key=lambda error: error.exit_code)
    lines = [line for check, error in wrong for line in _error_lines(check, error)]
    if len(lines) > _SHOWN:
        lines = [*lines[:_SHOWN], f"and {len(lines) - _SHOWN} more; --json has all"]
    hint = worst.hint or worst.advice
    if isinstance(worst, Damaged):
        hint = "remove it there, write it again with sealift media write, or take another medium"
    raise type(worst)(
        f"{len(wrong)} of {len(checks)} bundles on {directory} "
        f"{'is' if len(wrong) == 1 else 'are'} not as sealed"
        + "".join(f"\n  {line}" for line in lines),
        hint=hint,
    )


def _error_lines(check: "BundleCheck", error: SealiftError) -> list[str]:
    name = _name(check)
    lines = [f"{name}: {line.strip()}" for line in error.message.split("\n")]
    return [*lines, *(f"{name}/{fault}" for fault in check.faults)]
