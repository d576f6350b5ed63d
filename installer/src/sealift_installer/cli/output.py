"""What is printed, and what the options that all commands have come to."""

import argparse
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealift_installer.errors import SealiftError
from sealift_installer.streams import printing

if TYPE_CHECKING:
    from sealift_installer.authenticate import Authenticated


class Terminal:
    """Progress on stderr: steps for a person who watches, warnings for everybody."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._shown = not options.quiet and sys.stderr.isatty()

    def step(self, archive: str, what: str) -> None:
        """Say what is done with an archive."""
        if self._shown:
            say(f"{archive}: {what}")

    def note(self, text: str) -> None:
        """Say what everybody should know."""
        say(text)

    def warn(self, text: str) -> None:
        """Say what somebody should look after."""
        say(f"warning: {text}")


def prefix_of(options: argparse.Namespace) -> Path:
    """Return the prefix that was given, else the default."""
    if options.prefix is not None:
        path: Path = options.prefix
        return path
    from sealift_installer.prefix import default_prefix

    return default_prefix()


def open_bundle(options: argparse.Namespace) -> "Authenticated":
    """Authenticate the bundle that was given, and say its warnings.

    Raises:
        Untrusted, Damaged, RefusedByPolicy: as `authenticate` says.
    """
    from sealift_installer.account import utc_now
    from sealift_installer.admission import open_bundle as authenticate_bundle
    from sealift_installer.authenticate import Terms

    terms = Terms(utc_now(), options.allow_downgrade, options.accept_expired)
    authenticated = authenticate_bundle(options.bundle, prefix_of(options), terms)
    for warning in authenticated.warnings:
        say(f"warning: {warning}")
    return authenticated


def show(options: argparse.Namespace, value: dict[str, Any], lines: Iterable[str]) -> None:
    """Print a result: `value` as JSON, or `lines` for people."""
    with printing():
        if options.json:
            import json

            print(json.dumps(value, indent=2))  # noqa: T201 - the command's result
        elif not options.quiet:
            for line in lines:
                print(line)  # noqa: T201 - the command's result


def fail(error: SealiftError) -> None:
    """Say an error on stderr."""
    from sealift_installer.text import error_lines

    for line in error_lines(error):
        say(line)


def say(text: str) -> None:
    """Print a line on stderr."""
    # That nobody reads it, or that the log is full, is no reason to leave an install half-way.
    with suppress(OSError):
        print(text, file=sys.stderr)  # noqa: T201 - this module alone prints
