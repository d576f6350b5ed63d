"""The append-only record: each line carries the SHA-256 of the line before it.

A line that was edited, removed or moved is found by reading the record; one cut off its end is
found because the state names the last line (see trust.state). Only somebody who rewrites both is
not seen on this host, but against a head that was exported.
"""

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sealift_installer import __version__
from sealift_installer.durable import sync_directory
from sealift_installer.errors import Untrusted, host_errors, mismatch, printable
from sealift_installer.prefix import check_kept, open_kept
from sealift_installer.presence import exists
from sealift_schemas.lean import dataclass, field
from sealift_schemas.receipt import (
    FIRST,
    LINE_LIMIT,
    ArchiveIdentity,
    BundleIdentity,
    Receipt,
)
from sealift_schemas.strictjson import DocumentError

TOOL = f"unseal {__version__}"
_MODE = 0o644
_LONGEST_NAME = 256  # LOGIN_NAME_MAX of Linux
# Windows does not know all of them. A pipe is not waited for, and found out by what it is.
_APPEND = (
    os.O_WRONLY
    | os.O_APPEND
    | os.O_CREAT
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


@dataclass(frozen=True, slots=True)
class Event:
    """What a receipt says happened; number, chain, floor, host and user are added to it.

    `clock` is the system's time in UTC, `action` one of sealift_schemas.receipt.ACTIONS.
    """

    clock: str
    action: str
    detail: str
    bundle: BundleIdentity | None = None
    archive: ArchiveIdentity | None = None
    root_version: int | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)

    def receipt(self, number: int, previous: str, floor: str, state: str) -> Receipt:
        """Return the receipt of this event on this host, in its place of the chain."""
        return Receipt(
            number=number,
            previous=previous,
            clock=self.clock,
            floor=floor,
            tool=TOOL,
            host=describe_host(),
            user=describe_user(),
            action=self.action,
            detail=self.detail,
            bundle=self.bundle,
            archive=self.archive,
            root_version=self.root_version,
            state=state,
            overrides=self.overrides,
        )


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of the record: the last whole line, and what of a torn line follows it."""

    line: bytes
    torn: bytes

    @property
    def head(self) -> str:
        """The SHA-256 of the last line, 64 zeros when there is none."""
        return hash_line(self.line) if self.line else FIRST


def hash_line(line: bytes) -> str:
    """Return the SHA-256 of a line, newline included: what the next line names."""
    return hashlib.sha256(line).hexdigest()


def describe_user() -> str:
    """Return who runs this, and for whom where sudo says so."""
    user = _user()
    caller = os.environ.get("SUDO_USER", "")[:_LONGEST_NAME]
    return printable(f"{user} (sudo by {caller})" if caller else user)


def _user() -> str:
    # Not getpass.getuser: it asks the environment first, which anybody can set.
    if sys.platform == "win32":
        return os.getlogin()  # GetUserNameW
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def describe_host() -> str:
    """Return the name of this host."""
    if sys.platform == "win32":
        import platform

        return printable(platform.node() or "unknown")
    return printable(os.uname().nodename or "unknown")


class ReceiptLog:
    """The record in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """Tell whether there is one. Raises HostError if nobody can tell."""
        with host_errors("cannot look for the receipts"):
            return exists(self.path)

    def read_tail(self) -> Tail:
        """Return the end of the record, without reading all of it.

        Raises:
            HostError: it cannot be read.
        """
        with host_errors("cannot read the receipts"):
            try:
                file = open_kept(self.path)
            except FileNotFoundError:
                return Tail(b"", b"")
            with file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - 2 * LINE_LIMIT - 2))
                data = file.read()
        whole, newline, torn = data.rpartition(b"\n")
        start = whole.rfind(b"\n") + 1
        return Tail(whole[start:] + newline, torn)

    def append(self, data: bytes) -> None:
        """Append bytes and make them durable.

        Raises:
            HostError: they cannot be written.
        """
        with host_errors("cannot write the receipts"):
            existed = exists(self.path)
            descriptor = os.open(self.path, _APPEND, _MODE)
            try:
                check_kept(descriptor, self.path)
                if not existed and sys.platform != "win32":
                    os.fchmod(descriptor, _MODE)  # whatever the umask: everybody may check them
                while data:
                    data = data[os.write(descriptor, data) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if not existed:
                sync_directory(self.path.parent)

    def read(self) -> Iterator[Receipt]:
        """Yield all receipts in order, checking the chain.

        Raises:
            Untrusted: a line is malformed, or the chain is broken there.
            HostError: the record cannot be read.
        """
        for receipt, _ in read_chain(self.lines()):
            yield receipt

    def find_bundle(self, manifest: str) -> BundleIdentity | None:
        """Return the bundle with this manifest, as the newest receipt about it has it.

        Raises:
            Untrusted, HostError: as `read` says.
        """
        found = None
        for receipt in self.read():
            if receipt.bundle is not None and receipt.bundle.manifest == manifest:
                found = receipt.bundle
        return found

    def lines(self) -> Iterator[bytes]:
        """Yield the lines as they are, newlines included, nothing checked.

        Raises:
            HostError: the record cannot be read.
        """
        with host_errors("cannot read the receipts"):
            try:
                file = open_kept(self.path)
            except FileNotFoundError:
                return
            with file:
                while line := file.readline(LINE_LIMIT + 1):
                    yield line


def read_chain(lines: Iterable[bytes]) -> Iterator[tuple[Receipt, bytes]]:
    """Yield each receipt with its line, checking that each names the hash of the one before.

    Raises:
        Untrusted: a line is malformed, or the chain is broken there.
    """
    previous = FIRST
    for number, line in enumerate(lines, start=1):
        yield _read_line(line, number, previous), line
        previous = hash_line(line)


def _read_line(line: bytes, number: int, previous: str) -> Receipt:
    what = f"receipt {number}"
    try:
        receipt = Receipt.read(line, what=what)
    except DocumentError as error:
        raise Untrusted(
            f"{what} is malformed: {printable(str(error))}", hint="the record was edited or torn"
        ) from None
    if receipt.encode() != line:
        raise Untrusted(f"{what} is not as unseal writes it", hint="the record was edited")
    if receipt.number != number:
        raise Untrusted(
            mismatch(f"{what} has another number", number, receipt.number),
            hint="a line was removed, put in or put elsewhere",
        )
    if receipt.previous != previous:
        raise Untrusted(
            mismatch(f"{what} does not follow the line before it", previous, receipt.previous),
            hint="a line was edited, removed or put elsewhere",
        )
    return receipt
