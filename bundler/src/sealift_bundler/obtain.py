"""What a lock names, in the cache: fetched, or captured again from this machine."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeVar

from sealift_bundler.fetch import Wanted, fetch_all
from sealift_bundler.lazily import Lazily
from sealift_bundler.means import Means
from sealift_bundler.site import Site
from sealift_bundler.sources.found import Found
from sealift_installer.errors import Damaged, UsageError, mismatch
from sealift_schemas.lock import LockedArchive, LockedWheel
from sealift_schemas.spec import Spec

F = TypeVar("F", Found, LockedArchive)


def obtain(site: Site, archives: Sequence[LockedArchive], means: Means) -> Sequence[Path]:
    """Return the files of locked archives in the cache, fetched or captured again if need be.

    Where they are is told when somebody asks: of a thousand paths one is in memory.

    Raises:
        NetworkError: one cannot be fetched.
        Damaged: one is not what the lock says, or this machine's interpreter has changed.
        HostError: the cache cannot be written.
    """
    fetch_files(_those(archives, lambda one: one.source != "captured"), site, means)
    for one in archives:
        if one.source == "captured":
            _capture(site, one, means)
    return Lazily(lambda one: means.cache.path(one.sha256, one.filename), archives)


def _capture(site: Site, archive: LockedArchive, means: Means) -> None:
    """See that an archive made of this machine's interpreter is in the cache."""
    if means.cache.lookup(archive.sha256, archive.filename) is not None:
        return
    for again in find_again(site.spec, means):
        if again.name == archive.name and again.sha256 != archive.sha256:
            what = f"{archive.name} is not in the cache, and this machine's has changed"
            raise Damaged(
                mismatch(what, archive.sha256, again.sha256), hint="lock anew: sealift lock"
            )
    if means.cache.lookup(archive.sha256, archive.filename) is None:
        raise UsageError(f"{archive.name} is not in the cache, nor on this machine")


def obtain_wheels(
    site: Site, wheels: Sequence[LockedWheel], means: Means
) -> list[tuple[LockedWheel, Path]]:
    """Return locked wheels and the files that they are in. Raises what `obtain` raises."""
    wanted = [Wanted(one.url, one.filename, one.sha256, one.size) for one in wheels]
    paths = fetch_all(wanted, means.fetching(site, index=True)) if wanted else []
    return list(zip(wheels, paths, strict=True))


def fetch_files(archives: Sequence[F], site: Site, means: Means) -> Iterable[tuple[F, Path]]:
    """Fetch archives, and return them with their files."""
    files: list[Iterable[tuple[F, Path]]] = []
    packages = _those(archives, lambda one: one.source == "package")
    others = _those(archives, lambda one: one.source != "package")
    for mine, index in ((others, False), (packages, True)):
        if mine:
            found = fetch_all(Lazily(_wanted, mine), means.fetching(site, index=index))
            files.append(zip(mine, found, strict=True))
    return chain.from_iterable(files)


def _those(archives: Sequence[F], which: Callable[[F], bool]) -> Sequence[F]:
    """Return those of `archives` that are meant; there is no copy of them."""
    return Lazily(archives.__getitem__, [n for n, one in enumerate(archives) if which(one)])


def _wanted(one: Found | LockedArchive) -> Wanted:
    implementation = one.recipe if one.source == "python" else ""
    return Wanted(one.url, one.filename, one.sha256, one.size, implementation)


def find_again(spec: Spec, means: Means) -> list[Found]:
    """Return the interpreters of this machine that the spec wants, captured where need be."""
    if not spec.installed:
        return []
    # The reader of ELF files takes 0.1 s to import.
    from sealift_bundler.sources.installed import find_installed

    return [find_installed(wanted, means.cache) for wanted in spec.installed]
