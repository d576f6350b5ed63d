"""Fetches archives into the cache, several at a time; what is there is not fetched again."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from sealift_bundler import web
from sealift_bundler.access import Access
from sealift_bundler.cache import Cache
from sealift_bundler.download import download
from sealift_bundler.errors import NetworkError
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


def fetch_all(wanted: Sequence[Wanted], how: Fetching) -> list[Path]:
    """Return the archives' files in the cache, in order, from there or from their addresses.

    Every one is tried before an error is raised, unless this host is at fault.

    Raises:
        Damaged: bytes have another digest or size.
        NetworkError: a server cannot be reached or does not deliver, or `offline` is set and an
            archive is not here.
        HostError: the cache cannot be written, or a file cannot be read.
        UsageError: an address has another scheme, or a token or a mirror is wrong.
    """
    transfers = {(one.sha256, one.filename): _transfer(one, how) for one in wanted}
    todo = tuple(transfers.values())
    around = Surroundings(how.cache, how.progress)

    def obtain(transfer: Transfer, session: web.Session) -> Path:
        return _obtain(transfer, session, around, offline=how.offline)

    with how.progress:
        sizes = [one.size for one in todo if one.size is not None]
        how.progress.expect(len(todo), sum(sizes) if len(sizes) == len(todo) else None)
        _prepare(todo, how)
        paths = run_parallel(todo, obtain, how.access, around.stop) if todo else []
    found = dict(zip(transfers, paths, strict=True))
    return [found[one.sha256, one.filename] for one in wanted]


def _transfer(wanted: Wanted, how: Fetching) -> Transfer:
    if urlsplit(wanted.url).scheme not in SCHEMES:
        raise UsageError(
            f"cannot fetch {shown(wanted.url)}", hint=f"addresses start with {', '.join(SCHEMES)}"
        )
    addresses = find_addresses(wanted.url, wanted.implementation, how.access.mirrors)
    return Transfer(addresses, wanted.filename, wanted.sha256, wanted.size)


def _prepare(transfers: Sequence[Transfer], how: Fetching) -> None:
    """See that what is missing fits on the disk, as far as sizes are known."""
    remove_stale(how.cache)
    missing = [one for one in transfers if not how.cache.path(one.sha256, one.filename).exists()]
    sizes = [one.size for one in missing if one.size is not None]
    here = sum(partial_size(how.cache, one.sha256) for one in missing)
    if sizes:
        check_space(how.cache.directory, sum(sizes) - here, how.access.patience.room)


def _obtain(
    transfer: Transfer, session: web.Session, around: Surroundings, *, offline: bool
) -> Path:
    cached = around.cache.lookup(transfer.sha256, transfer.filename)
    if cached is not None:
        around.progress.finish(transfer.filename, cached.stat().st_size, fetched=False)
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
