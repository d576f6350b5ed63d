"""The lock that counts now: the one that is there, or a new one where it does not fit."""

from dataclasses import replace

from sealift_bundler.lock import Locked, find_misfit, follow_root, read_lock, write_lock
from sealift_bundler.means import Means
from sealift_bundler.resolve import make_lock
from sealift_bundler.roots import newest_version
from sealift_bundler.sign import check_clock
from sealift_bundler.site import Site
from sealift_bundler.turns import turn
from sealift_schemas.lock import Lock


def current_lock(site: Site, means: Means, now: str, *, ask_again: bool = False) -> Locked:
    """Return the lock of the site if it fits the spec, else make it anew and write it.

    With `ask_again` one that fits is made anew too, where a publisher could not be asked.

    Raises:
        RefusedByPolicy: `now`, or the time of a lock that fits, is more than a day ahead of the
            clock.
        UsageError, NetworkError, Damaged, HostError: as make_lock.
    """
    old = read_lock(site.lock_path)
    misfit = None if old is None else find_misfit(old, site.spec)
    if old is not None and misfit is None and not means.upgrade:
        unasked = (one for each in old.archives for one in each.upstream)
        if not ask_again or all(one.result != "unreachable" for one in unasked):
            return _with_root(site, old, means, now)
    # A lock with a time to come could never be signed, and it would stay.
    check_clock(now, "the lock")
    locked = make_lock(site, means, now)
    if locked.lock != old and not _put(site, old, locked.lock):
        return current_lock(site, means, now, ask_again=ask_again)
    return replace(locked, misfit=misfit)


def _put(site: Site, old: Lock | None, new: Lock) -> bool:
    """Write the lock, unless another run has written one since `old` was read.

    Two locks with one sequence would become two bundles, of which a target refuses one.
    """
    with turn(site.directory):
        if read_lock(site.lock_path) != old:
            return False
        write_lock(site.lock_path, new)
        return True


def _with_root(site: Site, old: Lock, means: Means, now: str) -> Locked:
    """Return a lock that fits, for a bundle that carries the newest root."""
    check_clock(old.created, "the lock")
    version = newest_version(site.roots)
    if version == old.root:
        return Locked(old, ())
    check_clock(now, "the lock")
    locked = follow_root(old, version, site.spec, now)
    return locked if _put(site, old, locked.lock) else current_lock(site, means, now)
