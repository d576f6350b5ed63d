"""Fetches an archive into the cache, hashed while it is written; wrong bytes never get in."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sealift_bundler import web
from sealift_bundler.cache import Cache
from sealift_bundler.errors import NetworkError
from sealift_bundler.progress import Progress, silent
from sealift_installer.errors import (
    Damaged,
    UsageError,
    host_errors,
    mismatch,
    printable,
)

SCHEMES = ("https", "http", "file")


@dataclass(frozen=True, slots=True)
class Transfer:
    """What is to be brought from where; `size` is in bytes, None where it is not known."""

    url: str
    filename: str
    sha256: str
    size: int | None = None

    @property
    def shown(self) -> str:
        """The address for messages, without secrets."""
        return printable(web.public_url(self.url))


def fetch(  # noqa: PLR0913 - all but the first are keywords
    url: str,
    *,
    filename: str,
    sha256: str,
    cache: Cache,
    offline: bool = False,
    size: int | None = None,
    progress: Progress = silent,
) -> Path:
    """Return the archive's file in the cache, from where it is or from `url` (https, http, file).

    Args:
        url: the address.
        filename: the name without the digest, as in the lock.
        sha256: what its bytes must be.
        cache: where it is kept.
        offline: take it from the cache or from this machine, or fail.
        size: in bytes, where it is known.
        progress: is told the bytes so far.

    Raises:
        Damaged: the bytes have another digest or size.
        NetworkError: the server cannot be reached or does not deliver, or `offline` is set and
            the archive is not here.
        HostError: the cache cannot be written, or the file cannot be read.
        UsageError: the address has another scheme.
    """
    transfer = Transfer(url, filename, sha256, size)
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise UsageError(
            f"cannot fetch {transfer.shown}", hint=f"addresses start with {', '.join(SCHEMES)}"
        )
    cached = cache.lookup(sha256, filename)
    if cached is not None:
        return cached
    if scheme == "file":
        return _copy(transfer, cache, progress)
    if offline:
        raise NetworkError(
            f"{printable(filename)} is not in the cache and --offline is set",
            hint=f"it would come from {transfer.shown}",
        )
    return _download(transfer, cache, progress)


def local_path(url: str) -> Path:
    """Return the path of a file URL.

    Raises:
        UsageError: it names another machine.
    """
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        raise UsageError(
            f"{printable(url)} names another machine", hint="a file's URL starts with file:///"
        )
    return Path(unquote(parts.path))


def _copy(transfer: Transfer, cache: Cache, progress: Progress) -> Path:
    with host_errors(f"cannot read {transfer.shown}"):
        file = local_path(transfer.url).open("rb")
    with file:
        return _store(transfer, iter(lambda: file.read(web.BLOCK), b""), cache, progress)


def _download(transfer: Transfer, cache: Cache, progress: Progress) -> Path:
    for last in web.PATIENCE.tries():
        try:
            return _attempt(transfer, cache, progress)
        except web.Transient:
            if last:
                raise
    raise AssertionError  # tries() always has a last one


def _attempt(transfer: Transfer, cache: Cache, progress: Progress) -> Path:
    with web.get(transfer.url) as response:
        size = web.body_size(response)
        if None not in {size, transfer.size} and size != transfer.size:
            message = f"{transfer.shown} has another size than the lock says"
            raise Damaged(mismatch(message, f"{transfer.size} bytes", f"{size} bytes"))
        return _store(
            replace(transfer, size=size or transfer.size),
            web.read_body(response, transfer.url),
            cache,
            progress,
        )


def _store(transfer: Transfer, blocks: Iterable[bytes], cache: Cache, progress: Progress) -> Path:
    """Write the blocks beside the cache's archives; adopt the file if its digest is right."""
    digest = hashlib.sha256()
    done = 0
    with cache.temporary() as temporary:
        with host_errors("cannot write the cache"), temporary.open("wb") as file:
            for block in blocks:
                done += len(block)
                if transfer.size is not None and done > transfer.size:
                    break
                digest.update(block)
                file.write(block)
                progress(transfer.filename, done, transfer.size)
        if transfer.size not in {None, done}:
            message = f"{transfer.shown} has another size than expected"
            raise Damaged(mismatch(message, f"{transfer.size} bytes", f"{done} bytes or more"))
        if digest.hexdigest() != transfer.sha256:
            message = f"{transfer.shown} has other bytes than expected"
            raise Damaged(
                mismatch(message, f"sha256 {transfer.sha256}", f"sha256 {digest.hexdigest()}"),
                hint="nothing was kept of it",
            )
        return cache.adopt(temporary, transfer.sha256, transfer.filename)
