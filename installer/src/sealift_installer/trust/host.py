"""What this host says before any prefix does: /etc/sealift, which belongs to root.

    /etc/sealift/policy.json    the site's policy for this host, if there is one
    /etc/sealift/state/         roots, counters and receipts, as in a prefix, if a root was imported

It is looked at first and cannot be chosen away: there is no option and no variable for the path,
and a new prefix starts below the same roots and counters. Whatever there is and cannot be believed
(an owner other than root, writable by others, a link, malformed) refuses everything. Everybody
reads it, root alone raises the counters (docs/adr/0014).
"""

import errno
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sealift_installer.errors import HostError, Untrusted, host_errors, mismatch, printable
from sealift_installer.prefix import Prefix
from sealift_installer.trust.state import StateStore, TrustState
from sealift_schemas.lean import dataclass, replace
from sealift_schemas.strictjson import DocumentError

if TYPE_CHECKING:
    from sealift_schemas.policy import Policy

POLICY_NAME = "policy.json"
# Windows has none of these; without O_NONBLOCK, opening a pipe would wait for a writer.
_READ = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_OTHERS_WRITE = 0o022  # of group and others


@dataclass(frozen=True, slots=True)
class HostPlace:
    """Where a host says what it trusts, and the uid that it must belong to.

    No option and no variable makes one: who could name another place would have no policy. Tests
    alone do.
    """

    directory: Path = Path("/etc/sealift")
    owner: int = 0

    @property
    def prefix(self) -> Prefix:
        """The place seen as a prefix: its state has the same files."""
        return Prefix(self.directory)

    @property
    def store(self) -> StateStore:
        """The host's state."""
        return StateStore(self.directory / "state")


HOST = HostPlace()


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy, and the file that it stands in, for messages."""

    path: str
    policy: "Policy"


@dataclass(frozen=True, slots=True)
class HostTrust:
    """What counts before a prefix does: policies, those of the host first, and the host's state."""

    policies: tuple[PolicyFile, ...] = ()
    state: TrustState | None = None


# The connected side, and a host without /etc/sealift.
NO_HOST = HostTrust()


def load_host(place: HostPlace = HOST) -> HostTrust:
    """Return what a host says: its policy, and its state if a root was imported for it.

    Raises:
        HostError: it is there and not to be believed: malformed, not root's, or unreadable.
        Untrusted: its state was edited, or its root was removed.
    """
    host = load_policy(place)
    return replace(host, state=_load_state(place)) if _exists(place) else host


def load_policy(place: HostPlace = HOST) -> HostTrust:
    """Return the policy of a host alone. Raises what `load_host` raises of `HostError`."""
    if not _exists(place):
        return NO_HOST
    owners = frozenset({place.owner})
    _check_belongs(place.directory, owners, stat.S_ISDIR)
    policy = read_policy(place.directory / POLICY_NAME, owners)
    return HostTrust(() if policy is None else (policy,))


def _exists(place: HostPlace) -> bool:
    # On Windows owners and modes say nothing, and the place would come from the environment.
    return sys.platform != "win32" and _is_there(place.directory)


def add_prefix(host: HostTrust, prefix: Prefix) -> HostTrust:
    """Return `host` with the policy of a prefix obeyed too, if there is one.

    It is believed if it belongs to root, to whoever runs this, or to the owner of the state.

    Raises:
        HostError: it is there and not to be believed.
    """
    path = prefix.state / POLICY_NAME
    if not _is_there(path):
        return host
    owners = None
    if sys.platform != "win32":
        owners = frozenset({HOST.owner, os.geteuid(), prefix.state.stat().st_uid})
    policy = read_policy(path, owners)
    return host if policy is None else replace(host, policies=(*host.policies, policy))


def may_raise(place: HostPlace) -> bool:
    """Tell whether this run may and can write the host's state, which is root's to do."""
    if sys.platform == "win32" or os.geteuid() != place.owner:
        return False
    return os.access(place.directory / "state", os.W_OK | os.X_OK)


def is_stuck(place: HostPlace) -> bool:
    """Tell whether this run should raise the host's counters and cannot: /etc is read-only, say."""
    owner = sys.platform != "win32" and os.geteuid() == place.owner
    return owner and (place.directory / "state").is_dir() and not may_raise(place)


def check_owner(place: HostPlace) -> None:
    """Check that this run may say what the host trusts.

    Raises:
        HostError: only root may, or this system knows no such place.
    """
    if sys.platform == "win32":
        raise HostError(f"this system has no {place.directory}")
    if os.geteuid() != place.owner:
        raise HostError(
            f"only root can say what this host trusts: {printable(str(place.directory))}",
            hint="run it as root, or leave --host out for a prefix of your own",
        )


def read_policy(path: Path, owners: frozenset[int] | None) -> PolicyFile | None:
    """Read a policy file; None where there is none.

    Without `owners` nobody asks whose it is: on Windows the answer would mean nothing.

    Raises:
        HostError: it is not one of the `owners`', or writable by others, or malformed.
    """
    if not _is_there(path):
        return None
    from sealift_schemas.policy import FIELDS, LIMIT, Policy

    with host_errors("cannot read the policy"):
        descriptor = _open(path)
        try:
            if owners is not None:
                _check_status(os.fstat(descriptor), path, owners, stat.S_ISREG)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(LIMIT + 1)
        finally:
            os.close(descriptor)
    try:
        return PolicyFile(str(path), Policy.read(data, what="policy"))
    except DocumentError as error:
        raise HostError(
            f"the policy is malformed, so nothing is accepted: {printable(str(path))}\n"
            f"  At: {printable(error.where)}\n"
            f"  Expected: {error.expected}\n  Found: {printable(error.found)}",
            hint=f"mend the file; its fields are {', '.join(FIELDS)}",
        ) from None


def _open(path: Path) -> int:
    try:
        return os.open(path, _READ)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _not_believed(path, "a file", "a link") from None
        if error.errno == errno.EACCES:
            raise _unreadable(path) from None
        raise


def _load_state(place: HostPlace) -> TrustState | None:
    """Return the host's state; None where no root was ever imported for the host."""
    store = place.store
    if not _is_there(store.directory):
        return None
    owners = frozenset({place.owner})
    _check_belongs(store.directory, owners, stat.S_ISDIR)
    for name in ("roots", "trust.json", "receipts.jsonl"):
        path = store.directory / name
        if _is_there(path):
            _check_belongs(path, owners, stat.S_ISDIR if name == "roots" else stat.S_ISREG)
    if not store.exists() and not store.log.exists():
        return None
    # Receipts without a state are no fresh start: `load` says so.
    state = store.load(removed=True)
    if state.removed:
        raise Untrusted(
            "this host trusts no root any more, it was removed: "
            f"{printable(str(store.directory / 'trust.json'))}",
            hint="get the first root and its SHA-256 from the site, by hand, then: "
            "unseal trust import FILE --sha256 HEX --host",
        )
    return state


def _is_there(path: Path) -> bool:
    """Tell whether something stands at `path`; what cannot be looked at is an error, not absent."""
    with host_errors("cannot look at the policy of this host"):
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except PermissionError:
            raise _unreadable(path) from None
    return True


def _check_belongs(path: Path, owners: frozenset[int], kind: Callable[[int], bool]) -> None:
    with host_errors("cannot look at the policy of this host"):
        status = path.lstat()
    _check_status(status, path, owners, kind)


def _check_status(
    status: os.stat_result, path: Path, owners: frozenset[int], kind: Callable[[int], bool]
) -> None:
    if not kind(status.st_mode):
        wanted = "a directory" if kind is stat.S_ISDIR else "a file"
        found = "a link" if stat.S_ISLNK(status.st_mode) else "something else"
        raise _not_believed(path, wanted, found)
    if status.st_uid not in owners:
        wanted = "owner " + " or ".join(str(owner) for owner in sorted(owners))
        raise _not_believed(path, wanted, f"owner {status.st_uid}")
    if status.st_mode & _OTHERS_WRITE:
        mode = stat.S_IMODE(status.st_mode)
        raise _not_believed(path, "writable by its owner alone", f"mode {mode:04o}")


def _unreadable(path: Path) -> HostError:
    return HostError(
        f"this user cannot read what the host trusts: {printable(str(path))}",
        hint="let root run: chmod -R go=u-w on its directory; until then nothing is accepted",
    )


def _not_believed(path: Path, expected: str, computed: str) -> HostError:
    message = f"others could have changed what this host trusts: {printable(str(path))}"
    return HostError(
        mismatch(message, expected, computed),
        hint="see who changed it, then chown it to root and chmod go-w it; until then nothing is "
        "accepted",
    )
