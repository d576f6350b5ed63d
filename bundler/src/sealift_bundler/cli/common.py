"""What the commands share: options, output, passphrases. Only this package prints."""

import getpass
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sealift_installer.errors import SealiftError, UsageError, host_errors, printable

if TYPE_CHECKING:
    from sealift_bundler.keys import AskSecret
    from sealift_bundler.means import Means
    from sealift_bundler.site import Site

_LONGEST_PASSPHRASE = 64 * 1024
_LONGEST_LINE = 2000

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
    typer.Option(
        "--passphrase-file", metavar="FILE", help="The passphrase or PIN is its first line."
    ),
]
PassphraseFd = Annotated[
    int | None,
    typer.Option(
        "--passphrase-fd",
        metavar="N",
        min=0,
        help="The passphrase or PIN comes from this descriptor.",
    ),
]


def open_site(directory: Path | None) -> "Site":
    """Return the site in `directory`, or the one that the command runs in."""
    from sealift_bundler.site import read_site

    return read_site(Path.cwd() if directory is None else directory)


def means(
    *, offline: bool, quiet: bool, upgrade: bool = False, names: tuple[str, ...] = ()
) -> "Means":
    """Return what finding and fetching need."""
    from sealift_bundler.cache import Cache
    from sealift_bundler.means import Means
    from sealift_bundler.progress import progress

    return Means(
        Cache(),
        offline,
        upgrade,
        progress(quiet=quiet),
        lambda text: tell(f"warning: {text}"),
        names,
    )


def check_each(each: str | None) -> str | None:
    """Return `each`, how many versions a request stands for.

    Raises:
        UsageError: it is neither minor nor patch.
    """
    if each is not None:
        from sealift_schemas.spec import EACH

        if each not in EACH:
            raise UsageError(
                f"--each is wrong\n  Expected: minor or patch\n  Found: {printable(each)}"
            )
    return each


def reporter(*, quiet: bool) -> Callable[[str], None]:
    """Return what tells what was done: on stderr, so that results stand alone on stdout."""
    return (lambda _: None) if quiet else tell


def stepper(*, quiet: bool) -> Callable[[str], None]:
    """Return what tells what is being done, to a person who watches a terminal."""
    return tell if sys.stderr.isatty() and not quiet else (lambda _: None)


def tell(text: str) -> None:
    """Print text to stderr, as a terminal shows it and does not obey it."""
    lines = "\n".join(_fit(line) for line in text.split("\n"))
    # What was done is done, whether it can be told or not; the exit code says it too.
    with suppress(OSError):
        print(lines, file=sys.stderr, flush=True)  # noqa: T201 - the commands print


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


def passphrase_source(file: Path | None, descriptor: int | None) -> "AskSecret | None":
    """Return where passphrases and PINs come from: a file, a descriptor, the terminal, or nowhere.

    Raises:
        UsageError: both a file and a descriptor are given, or nothing can be read from it.
    """
    _refuse_both(file, descriptor)
    if file is not None:
        return lambda _: _first_line(file)
    if descriptor is not None:
        given = _first_line(descriptor)
        return lambda _: given
    if sys.stdin.isatty():
        # Asked once for each key, however often one command opens it.
        return cache(lambda what: getpass.getpass(f"{what}: ").encode())
    return None


def new_passphrase(file: Path | None, descriptor: int | None) -> bytes:
    """Return the passphrase for a new key, asked for twice on a terminal.

    Raises:
        UsageError: it is empty, the two differ, or nobody can be asked.
    """
    _refuse_both(file, descriptor)
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


def _refuse_both(file: Path | None, descriptor: int | None) -> None:
    if file is not None and descriptor is not None:
        raise UsageError("--passphrase-file and --passphrase-fd exclude each other")


def _fit(line: str) -> str:
    """Return a line of a message without control characters, and cut where it is absurdly long.

    Untrusted text in it is printable already; paths and words of the command line are not.
    """
    shown = line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}..."
    return "".join(char if char.isprintable() else printable(char) for char in shown)


def _first_line(source: Path | int | None) -> bytes:
    assert source is not None, "one of the two is given"
    path = source if isinstance(source, int) else source.absolute()
    with host_errors("cannot read the passphrase"), open(path, "rb") as file:  # noqa: PTH123 - or a descriptor
        data = file.readline(_LONGEST_PASSPHRASE + 1)
    if len(data) > _LONGEST_PASSPHRASE:
        raise UsageError(f"the passphrase has more than {_LONGEST_PASSPHRASE} bytes")
    return data.split(b"\n", 1)[0].removesuffix(b"\r")
