"""Fetches archives into the cache, several at a time; what is there is not fetched again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from sealift_bundler import web
from sealift_bundler.access import Access
from sealift_bundler.cache import Cache
from sealift_bundler.download import download
from sealift_bundler.errors import NetworkError
from sealift_bundler.lazily import Lazily
from sealift_bundler.mirrors import find_addresses
from sealift_bundler.parallel import run_parallel
from sealift_bundler.partial import check_space, partial_size, remove_stale
from sealift_bundler.progress import Progress
from sealift_bundler.transfer import Surroundings, Transfer, local_path
from sealift_bundler.web_faults import shown
from sealift_installer.errors import UsageError, printable

__all__ = ["SCHEMES", "Fetching", "Wanted", "fetch", "fetch_all", "local_path"]

SCHEMES = ("https", "http", "file")


@dataclass(frozen=True, slots=True)
class Wanted:
    """An archive to be fetched.

    Attributes:
        url: the canonical address, as in the lock.
        filename: the name without the digest, as in the lock.
        sha256: what its bytes must be.
        size: in bytes, where it is known.
        implementation: of a managed Python, for uv's mirrors; empty for all else.
    """

    url: str
    filename: str
    sha256: str
    size: int | None = None
    implementation: str = ""


@dataclass(frozen=True, slots=True)
class Fetching:
    """How to fetch: into which cache, on which way; `offline` takes what is on this machine."""

    cache: Cache
    access: Access = field(default_factory=lambda: Access(patience=web.PATIENCE))
    offline: bool = False
    progress: Progress = field(default_factory=Progress)


def fetch(wanted: Wanted, how: Fetching) -> Path:
    """Return one archive's file in the cache. Raises what `fetch_all` raises."""
    return fetch_all([wanted], how)[0]


def fetch_all(wanted: Sequence[Wanted], how: Fetching) -> Sequence[Path]:
    """Return the archives' files in the cache, in order, from there or from their addresses.

    Every one is tried before an error is raised, unless this host is at fault. Of a long list a
    few are in memory at a time: `wanted` is gone through more than once, and may make its items.

    Raises:
        Damaged: bytes have another digest or size.
        NetworkError: a server cannot be reached or does not deliver, or `offline` is set and an
            archive is not here.
        HostError: the cache cannot be written, or a file cannot be read.
        UsageError: an address has another scheme, or a token or a mirror is wrong.
    """
    todo = Lazily(partial(_transfer, how), _distinct(wanted))
    around = Surroundings(how.cache, how.progress)

    def obtain(transfer: Transfer, session: web.Session) -> Path:
        return _obtain(transfer, session, around, offline=how.offline)

    with how.progress:
        how.progress.expect(len(todo), _total(todo))
        _prepare(todo, how)
        if todo:
            run_parallel(todo, obtain, how.access, around.stop)
    return Lazily(lambda one: how.cache.path(one.sha256, one.filename), wanted)


def _distinct(wanted: Sequence[Wanted]) -> Sequence[Wanted]:
    """Return what is wanted, each file once."""
    first: dict[tuple[bytes, str], int] = {}
    for place, one in enumerate(wanted):
        first.setdefault((bytes.fromhex(one.sha256), one.filename), place)
    if len(first) == len(wanted):
        return wanted
    return Lazily(wanted.__getitem__, tuple(first.values()))


def _total(transfers: Iterable[Transfer]) -> int | None:
    """Return how many bytes there are altogether, None where that is not known."""
    total = 0
    for one in transfers:
        if one.size is None:
            return None
        total += one.size
    return total


def _transfer(how: Fetching, wanted: Wanted) -> Transfer:
    if urlsplit(wanted.url).scheme not in SCHEMES:
        raise UsageError(
            f"cannot fetch {shown(wanted.url)}", hint=f"addresses start with {', '.join(SCHEMES)}"
        )
    addresses = find_addresses(wanted.url, wanted.implementation, how.access.mirrors)
    return Transfer(addresses, wanted.filename, wanted.sha256, wanted.size)


def _prepare(transfers: Iterable[Transfer], how: Fetching) -> None:
    """See that what is missing fits on the disk, as far as sizes are known."""
    remove_stale(how.cache)
    missing, known = 0, False
    for one in transfers:
        if not how.cache.path(one.sha256, one.filename).exists():
            missing += (one.size or 0) - partial_size(how.cache, one.sha256)
            known = known or one.size is not None
    if known:
        check_space(how.cache.directory, missing, how.access.patience.room)


def _obtain(
    transfer: Transfer, session: web.Session, around: Surroundings, *, offline: bool
) -> Path:
    cached = around.cache.lookup(transfer.sha256, transfer.filename)
    if cached is not None:
        around.found(transfer.filename, cached)
        return cached
    if offline:
        local = tuple(each for each in transfer.addresses if urlsplit(each).scheme == "file")
        if not local:
            raise NetworkError(
                f"{printable(transfer.filename)} is not in the cache and --offline is set",
                hint=f"it would come from {shown(transfer.addresses[0])}",
            )
        transfer = replace(transfer, addresses=local)
    with around.outages.heeded(transfer.addresses[0], session.access.patience.outage):
        return download(transfer, session, around)
