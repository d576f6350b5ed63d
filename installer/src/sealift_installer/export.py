"""Writes what leaves the host: the record and its head, signed where the host has a key."""

import os
from pathlib import Path

from sealift_installer.account import utc_now
from sealift_installer.durable import sync_directory
from sealift_installer.errors import UsageError, host_errors, printable
from sealift_installer.hostkey import HostKey, create_host_key, load_host_key
from sealift_installer.prefix import Prefix
from sealift_installer.receipts import Event
from sealift_installer.report import Progress
from sealift_installer.trail import Trail
from sealift_installer.trust.state import StateStore


def write_export(
    file: Path, trail: Trail, prefix: Prefix, *, head_alone: bool, signed: bool = True
) -> str | None:
    """Write the trail and its head to the new file `file`; return the key id that signed it.

    Without `signed` the key of this host is not used, though there is one.

    Raises:
        UsageError: the file is there already: an export may be the only witness of a record.
        HostError: it cannot be written, or the key of this host cannot be used.
    """
    key = load_host_key(prefix.state) if signed else None
    head = trail.head(str(prefix.path), utc_now())
    last = head.encode() if key is None else key.sign(head).encode()
    lines = (last,) if head_alone else (*trail.lines, last)
    # The directory may be open to others: no name that they can guess, and no file that is there.
    temporary = file.with_name(f".{os.urandom(8).hex()}.tmp")
    with host_errors("cannot write the export"):
        if os.path.lexists(file):
            raise _there(file)
        try:
            with temporary.open("xb") as stream:
                stream.writelines(lines)
                stream.flush()
                os.fsync(stream.fileno())
            _name(temporary, file)
            sync_directory(file.absolute().parent)
        finally:
            temporary.unlink(missing_ok=True)
    return None if key is None else key.keyid


def _name(temporary: Path, file: Path) -> None:
    """Give what was written its name, unless another export got it meanwhile."""
    try:
        os.link(temporary, file)
    except FileExistsError:
        raise _there(file) from None
    except OSError:  # a file system without a second name for a file
        if os.path.lexists(file):
            raise _there(file) from None
        temporary.replace(file)


def _there(file: Path) -> UsageError:
    return UsageError(
        f"there is such a file already: {printable(str(file))}",
        hint="choose another name: earlier exports show that nothing was written anew",
    )


def make_key(prefix: Prefix, scheme: str, progress: Progress) -> HostKey:
    """Make the key of this host; a receipt names it.

    Raises:
        UsageError: there is one already.
        Untrusted: this prefix has no record yet, as it trusts no root.
        HostError: it cannot be written.
    """
    store = StateStore(prefix.state)
    store.load(removed=True)  # says how to get a root, before anything is made
    with prefix.lock(progress.note):
        key = create_host_key(prefix.state, scheme)
        detail = f"made the key of this host: {key.keyid}"
        state = store.load(removed=True)
        store.record(state, Event(clock=utc_now(), action="trust", detail=detail))
    return key
