"""What can go wrong, in two branches: the bundle is bad, or this host cannot.

Each class has its exit code. A message names what failed and which file, Expected and Computed
stand on lines of their own, and the hint is apart. The commands alone print them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from sealift_schemas.receipt import BundleIdentity


class SealiftError(Exception):
    """Something that a person can act on; never a defect of this program.

    Args:
        message: what failed, with the file; untrusted text in it went through `printable`.
        hint: what to do next, or None.
    """

    exit_code: ClassVar[int] = 1
    # What to do where the error has no hint of its own.
    advice: ClassVar[str | None] = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(SealiftError):
    """The command line or a file written by hand asks for something that makes no sense."""

    exit_code = 2


class BundleError(SealiftError):
    """The bundle is bad. `bundle` is which one, if the site did sign it: for the receipt."""

    bundle: "BundleIdentity | None" = None


class Untrusted(BundleError):
    """Nobody whom this target trusts has sealed it: signature, threshold or root."""

    exit_code = 3
    advice = "do not use it; ask the site, by another way than the one it came"


class Damaged(BundleError):
    """A hash differs, a file is missing or was added, a document or an archive is malformed."""

    exit_code = 4
    advice = "copy the bundle again; if that does not help, do not use it and tell the site"


class RefusedByPolicy(BundleError):
    """It is authentic but not to be installed here: rollback, expired, withdrawn."""

    exit_code = 5
    advice = "get a newer bundle from the site"


class HostError(SealiftError):
    """This host cannot: space, permission, platform, libraries."""

    exit_code = 6


class Scarce(HostError):
    """This host cannot at this moment: no more processes, or no memory, for several at a time."""


class Drift(SealiftError):
    """An installed tree is not what was sealed."""

    exit_code = 7


def printable(text: str | bytes) -> str:
    r"""Return untrusted text such that a terminal shows it and does not obey it.

    Printable ASCII stays as it is but for the backslash; printable letters of other scripts stay;
    everything else (controls, bidirectional and zero-width characters, undecodable bytes) is
    written as an escape.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - the range of surrogateescape, PEP 383
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def mismatch(what: str, expected: object, computed: object) -> str:
    """Return a message with Expected and Computed on lines of their own."""
    return f"{what}\n  Expected: {expected}\n  Computed: {computed}"


@contextmanager
def documents_damaged(what: str, *, hint: str | None = None) -> Iterator[None]:
    """Turn a malformed document inside of a bundle into `Damaged`, naming it `what`."""
    from sealift_schemas.strictjson import DocumentError

    try:
        yield
    except DocumentError as error:
        message = f"{what} is malformed at {printable(error.where)}"
        raise Damaged(
            f"{message}\n  Expected: {error.expected}\n  Found: {printable(error.found)}", hint=hint
        ) from None


@contextmanager
def host_errors(what: str) -> Iterator[None]:
    """Turn an error of the operating system into `HostError`, naming what was being done."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        name = f": {printable(str(error.filename))}" if error.filename is not None else ""
        raise HostError(f"{what}: {reason}{name}") from error
