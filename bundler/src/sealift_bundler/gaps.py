"""What a spec wants and a lock has nothing for, although it says that it was made for that spec.

So it is with one that was edited, or merged from two branches: a bundle of it would lack archives,
and nobody would be told. An archive names the wish that found it, but two wishes may stand for one
archive. So a wish without an archive of its own is answered by any that it could have found.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from sealift_bundler.addresses import shown
from sealift_installer.errors import UsageError, printable
from sealift_schemas.keys import InstallKey, Platform
from sealift_schemas.lock import Lock, LockedArchive
from sealift_schemas.spec import PackageWanted, PythonWanted, Spec, UrlWanted

if TYPE_CHECKING:
    from sealift_bundler.catalogs.metadata import CatalogEntry

Wish = TypeVar("Wish", PythonWanted, PackageWanted)
_VERSION = re.compile(r"([0-9]+)\.([0-9]+)\.([0-9]+)(.*)")


def find_gap(lock: Lock, spec: Spec) -> str | None:
    """Return what `lock` lacks for a wish of `spec`, or None.

    Of interpreters of this machine it is told that there is none: a lock does not say where they
    stood. Of a wish that names no platform it is told that there is no archive for any.
    """
    sources = {one.source for one in lock.archives}
    wishes = {"python": spec.python, "package": spec.package, "captured": spec.installed}
    for source, wanted in wishes.items():
        if wanted and source not in sources:
            return "it has no archive for any [[{}]]".format(
                "installed" if source == "captured" else source
            )
    return next(_find_gaps(lock, spec), None)


def _find_gaps(lock: Lock, spec: Spec) -> Iterator[str]:
    yield from _find_addresses(lock, spec.url)
    yield from _find_expansions(lock, spec.python)
    pythons = [one for one in lock.archives if one.source == "python"]
    single = [one for one in spec.python if one.each is None and not one.all_platforms]
    for python in _without_own(single, pythons):
        for platform in python.platforms or (None,):
            if not _has_python(python, platform, pythons):
                yield f"it has no archive for {_name(python.request, platform)}"
    packages = [one for one in lock.archives if one.source == "package"]
    for package in _without_own(spec.package, packages):
        for platform in package.platforms or (None,):
            if not _has_package(package, platform, packages):
                yield f"it has no archive for {_name(package.request, platform)}"


def _find_addresses(lock: Lock, wanted: Sequence[UrlWanted]) -> Iterator[str]:
    digests = {one.sha256 for one in lock.archives}
    addresses = {one.url for one in lock.archives if one.source == "url"}
    for url in wanted:
        accepted = (url.accept_digest or "").removeprefix("sha256:")
        if url.url not in addresses and digests.isdisjoint({url.sha256, accepted}):
            yield f"it has no archive for {shown(url.url)}"


def _find_expansions(lock: Lock, wanted: Sequence[PythonWanted]) -> Iterator[str]:
    """Yield the wishes for many archives that lack one of them, or the record of them."""
    names = {one.name for one in lock.archives}
    recorded = set()
    for one in lock.expansions:
        recorded.add((one.request, one.platforms, one.each, one.all_platforms))
        if not names.issuperset(one.names):
            yield f"it lacks archives for {printable(one.request)}"
    for wish in wanted:
        many = wish.each is not None or wish.all_platforms
        if many and (wish.request, wish.platforms, wish.each, wish.all_platforms) not in recorded:
            yield f"it does not say which archives are for {printable(wish.request)}"


def _without_own(wanted: Iterable[Wish], archives: Iterable[LockedArchive]) -> Iterator[Wish]:
    """Yield the wishes that found not every archive of theirs themselves."""
    found = {(one.request, one.platform) for one in archives}
    anywhere = {request for request, _ in found}
    for wish in wanted:
        own = [(wish.request, platform) in found for platform in wish.platforms]
        if not (all(own) if own else wish.request in anywhere):
            yield wish


def _has_python(
    wanted: PythonWanted, platform: str | None, archives: Iterable[LockedArchive]
) -> bool:
    """Tell whether the request could have found one of the archives."""
    from sealift_bundler.catalogs.requests import PythonRequest, matching, select

    request = PythonRequest.parse(wanted.request)
    entries = [entry for one in archives if (entry := _entry(one)) is not None]
    if platform is None:
        return bool(matching(entries, request))
    try:
        select(entries, request, Platform.parse(platform))
    except UsageError:
        return False
    return True


def _entry(archive: LockedArchive) -> "CatalogEntry | None":
    """Return an archive as a catalogue has it, None for a name that is no install key."""
    from sealift_bundler.catalogs.metadata import CatalogEntry

    try:
        key = InstallKey.parse(archive.name)
    except ValueError:
        return None
    match = _VERSION.fullmatch(key.version)
    assert match is not None, "a key has three numbers"
    release = int(match[1]), int(match[2]), int(match[3])
    return CatalogEntry(key, release, match[4], archive.url, archive.sha256, archive.build)


def _has_package(
    wanted: PackageWanted, platform: str | None, archives: Iterable[LockedArchive]
) -> bool:
    """Tell whether the request could have found one of the wheels."""
    from packaging.utils import canonicalize_name

    from sealift_bundler.sources.package_index import read_requirement

    requirement = read_requirement(wanted.request)
    name = f"{canonicalize_name(requirement.name)}-"
    return any(
        # As the wheel of a request is called: see sealift_bundler.sources.package_index.
        one.name == f"{name}{one.version.replace('!', '_')}-{one.platform}"
        and requirement.specifier.contains(one.version, prereleases=True)
        and (platform is None or one.platform in {platform, "any"})
        for one in archives
    )


def _name(request: str, platform: str | None) -> str:
    return printable(request) if platform is None else f"{printable(request)} on {platform}"
