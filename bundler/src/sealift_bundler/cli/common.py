"""What the commands share: options, output, passphrases. Only this package prints."""

import getpass
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sealift_installer.errors import SealiftError, UsageError, host_errors

if TYPE_CHECKING:
    from sealift_bundler.keys import AskPassphrase
    from sealift_bundler.resolve import Means
    from sealift_bundler.site import Site

Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")]
SiteOption = Annotated[
    Path | None,
    typer.Option("--site", metavar="DIR", help="The site. Default: the one you are in."),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Take everything from the lock and the cache, or fail.")
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="The passphrase is its first line."),
]
PassphraseFd = Annotated[
    int | None,
    typer.Option("--passphrase-fd", metavar="N", help="The passphrase comes from this descriptor."),
]


def open_site(directory: Path | None) -> "Site":
    """Return the site in `directory`, or the one that the command runs in."""
    from sealift_bundler.site import read_site

    return read_site(Path.cwd() if directory is None else directory)


def means(*, offline: bool, quiet: bool, upgrade: bool = False) -> "Means":
    """Return what finding and fetching need."""
    from sealift_bundler.cache import Cache
    from sealift_bundler.progress import progress
    from sealift_bundler.resolve import Means

    return Means(
        Cache(), offline, upgrade, progress(quiet=quiet), lambda text: tell(f"warning: {text}")
    )


def reporter(*, quiet: bool) -> Callable[[str], None]:
    """Return what tells what was done: on stderr, so that results stand alone on stdout."""
    return (lambda _: None) if quiet else tell


def stepper(*, quiet: bool) -> Callable[[str], None]:
    """Return what tells what is being done, to a person who watches a terminal."""
    return tell if sys.stderr.isatty() and not quiet else (lambda _: None)


def tell(text: str) -> None:
    """Print a line to stderr."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the commands print


def say(text: str) -> None:
    """Print a line to stdout."""
    print(text)  # noqa: T201 - the commands print


def say_json(value: Any) -> None:
    """Print a report as JSON to stdout."""
    say(json.dumps(value, indent=2))


def say_error(error: SealiftError) -> None:
    """Print what failed, and the hint apart."""
    tell(f"error: {error.message}")
    if error.hint:
        tell(f"hint: {error.hint}")


def passphrase_source(file: Path | None, descriptor: int | None) -> "AskPassphrase | None":
    """Return where passphrases come from: a file, a descriptor, the terminal, or nowhere."""
    if file is not None:
        return lambda _: _first_line(file)
    if descriptor is not None:
        given = _first_line(descriptor)
        return lambda _: given
    if sys.stdin.isatty():
        return lambda path: getpass.getpass(f"Passphrase of {path}: ").encode()
    return None


def new_passphrase(file: Path | None, descriptor: int | None) -> bytes:
    """Return the passphrase for a new key, asked for twice on a terminal.

    Raises:
        UsageError: it is empty, the two differ, or nobody can be asked.
    """
    if file is not None or descriptor is not None:
        given = _first_line(file if descriptor is None else descriptor)
    elif sys.stdin.isatty():
        given = getpass.getpass("Passphrase of the new key: ").encode()
        if getpass.getpass("Once more: ").encode() != given:
            raise UsageError("the two passphrases differ")
    else:
        raise UsageError(
            "there is no terminal to ask for a passphrase on",
            hint="give it with --passphrase-file or --passphrase-fd, or say --no-passphrase",
        )
    if not given:
        raise UsageError("the passphrase is empty", hint="say --no-passphrase for a plain key")
    return given


def _first_line(source: Path | int | None) -> bytes:
    assert source is not None, "one of the two is given"
    with host_errors("cannot read the passphrase"):
        if isinstance(source, Path):
            data = source.read_bytes()
        else:
            with os.fdopen(source, "rb") as file:
                data = file.read()
    return data.split(b"\n", 1)[0].removesuffix(b"\r")
