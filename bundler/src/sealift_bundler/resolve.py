"""The spec's wishes, found: kept from the old lock where nothing asks for a change, else looked up.

Catalogues and the package index are only asked for what is new, or for all with `upgrade`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from sealift_bundler import lock as locks
from sealift_bundler.addresses import describe_secrets
from sealift_bundler.catalogs.catalog import Catalog, newest_wanted
from sealift_bundler.catalogs.order import load_catalogs
from sealift_bundler.errors import NetworkError
from sealift_bundler.kept import Kept, find_by_request
from sealift_bundler.means import Means
from sealift_bundler.obtain import fetch_files, find_again
from sealift_bundler.roots import newest_version
from sealift_bundler.site import Site
from sealift_bundler.sources.found import Found
from sealift_bundler.sources.python import expands, find_python
from sealift_bundler.sources.url import find_url
from sealift_bundler.upstream.gather import Search, gather_evidence
from sealift_installer.errors import UsageError
from sealift_installer.host import current_platform
from sealift_schemas.keys import Platform
from sealift_schemas.lock import Expansion, Lock, LockedArchive, LockedCatalog, LockedWheel
from sealift_schemas.missing import MissingWheel
from sealift_schemas.spec import PackageWanted, PythonWanted, Spec, UrlWanted


@dataclass(slots=True)
class _Search:
    """One run over the spec; the catalogues are read when something needs them."""

    site: Site
    old: Lock | None
    means: Means
    kept: Kept
    platform: Platform
    catalogs: list[Catalog] = field(default_factory=list)
    # What each wish for a Python stands for.
    stood: list[tuple[PythonWanted, tuple[str, ...]]] = field(default_factory=list)

    def python(self, wanted: PythonWanted) -> list[Found]:
        found = self._python(wanted)
        self.stood.append((wanted, tuple(sorted(one.name for one in found))))
        return found

    def _python(self, wanted: PythonWanted) -> list[Found]:
        kept = self.kept.python(wanted)
        if kept:
            return [_found(archive) for archive in kept]
        if not self.catalogs:
            site, means = self.site, self.means
            self.catalogs += load_catalogs(
                site.spec.catalogs,
                means.cache,
                offline=means.offline,
                base=site.directory,
                access=means.fetching(site).access,
                tell=means.warn,
            )
        with newest_wanted(self.catalogs):
            return find_python(wanted, self.catalogs, self.platform)

    def package(self, wanted: PackageWanted) -> list[Found]:
        kept = self.kept.package(wanted)
        if kept:
            return [_found(archive) for archive in kept]
        if self.means.offline:
            raise NetworkError(
                f"{wanted.request} is not in the lock and --offline is set",
                hint="run sealift lock where the package index can be reached",
            )
        # The reader of index pages takes 0.2 s to import.
        from sealift_bundler.sources.package_index import find_package

        access = self.means.fetching(self.site).access
        return find_package(wanted, str(self.platform), access=access)

    def url(self, wanted: UrlWanted) -> list[Found]:
        found = find_url(wanted)
        return [replace(found, size=found.size or self.kept.size(found.sha256, found.filename))]


def make_lock(site: Site, means: Means, now: str) -> locks.Locked:
    """Find everything that the spec wants, fetch what has no known size, and settle the lock.

    The file is not written here.

    Raises:
        UsageError: the spec asks for what does not exist, or for two archives of one name.
        NetworkError: something new cannot be looked up or fetched, or is not in what was read in
            the place of a catalogue that cannot be reached.
        Damaged: what was fetched is not what it must be, or its publisher states another digest.
        Untrusted: what a publisher signed does not verify.
        RefusedByPolicy: the spec requires that somebody vouches for an archive, and nobody does.
        HostError: the cache cannot be written, an interpreter cannot be captured.
    """
    old = locks.read_lock(site.lock_path)
    spec = site.spec
    platform = current_platform()
    kept = Kept(old, platform, means.upgrade, means.names)
    kept.check_names(spec)
    search = _Search(site, old, means, kept, platform)
    found: list[Found] = []
    for python in spec.python:
        found += search.python(python)
    for url in spec.url:
        found += search.url(url)
    for package in spec.package:
        found += search.package(package)
    found += find_again(spec, means)
    archives = _locked(_distinct(found), site, means)
    gathered = gather_evidence(archives, evidence_search(site, means, old))
    wheels, missing = _wheels(spec, archives, search)
    urls = [*(one.url for one in archives), *(one.url for one in wheels)]
    if line := describe_secrets(urls):
        means.warn(line)
    new = Lock(
        stream=spec.stream,
        sequence=1,
        created=now,
        spec=locks.spec_digest(spec),
        archives=gathered.archives,
        wheels=wheels,
        missing_wheels=missing,
        catalogs=_catalogs(search),
        expansions=tuple(_expansions(search, archives)),
        trusted_root=gathered.trusted_root,
        root=newest_version(site.roots),
    )
    return locks.settle(new, old, spec, now)


def evidence_search(site: Site, means: Means, old: Lock | None = None) -> Search:
    """Return what looking for upstream evidence needs. Raises what `Means.fetching` raises."""
    return Search(
        spec=site.spec,
        directory=site.directory,
        cache=means.cache,
        access=means.fetching(site).access,
        old=old,
        offline=means.offline,
        upgrade=means.upgrade,
        names=means.names,
    )


def _found(archive: LockedArchive) -> Found:
    # What its publisher says beside it is not the archive's own: see sealift_bundler.upstream.
    return Found(**{name: getattr(archive, name) for name in Found.__dataclass_fields__})


def _distinct(found: Iterable[Found]) -> list[Found]:
    """Return what was found by name; the same archive asked for twice is carried once.

    Raises:
        UsageError: two archives have one name, or one archive has two.
    """
    by_name: dict[str, Found] = {}
    by_digest: dict[str, Found] = {}
    for one in found:
        first = by_name.setdefault(one.name, one)
        if first.sha256 != one.sha256:
            raise UsageError(
                f"two archives would be installed as {one.name}:\n  {first.url}\n  {one.url}",
                hint="they differ in nothing but their bytes; a bundle can carry one of them",
            )
        twin = by_digest.setdefault(one.sha256, first)
        if not first.locked(0).shares_bytes(twin.locked(0)):
            raise UsageError(
                f"one archive would be installed as {twin.name} and as {one.name}",
                hint="take one of them out of the spec",
            )
    return [by_name[name] for name in sorted(by_name)]


def _locked(found: Sequence[Found], site: Site, means: Means) -> tuple[LockedArchive, ...]:
    """Return what was found as the lock names it; what has no known size is fetched for it."""
    fetched = fetch_files([one for one in found if one.size is None], site, means)
    sizes = {one.name: path.stat().st_size for one, path in fetched}
    return tuple(one.locked(sizes[one.name] if one.size is None else one.size) for one in found)


def _expansions(search: _Search, archives: Sequence[LockedArchive]) -> Iterator[Expansion]:
    """Yield what the archives themselves do not tell: which wishes they are for."""
    by_request: dict[str, list[LockedArchive]] = {}
    for archive in archives:
        by_request.setdefault(archive.request, []).append(archive)
    for wanted, names in search.stood:
        mine = by_request.get(wanted.request, [])
        told = find_by_request(mine, wanted, search.platform)
        if expands(wanted) or sorted(one.name for one in told) != list(names):
            yield Expansion(
                wanted.request, names, wanted.platforms, wanted.each, wanted.all_platforms
            )


def _wheels(
    spec: Spec, archives: Sequence[LockedArchive], search: _Search
) -> tuple[tuple[LockedWheel, ...], tuple[MissingWheel, ...]]:
    """Return the wheels of unseal, and what is missing: the old lock's if they serve, else anew.

    What is missing is told every time.
    """
    if not spec.pythons:
        return (), ()
    from sealift_bundler.runtime import Runtime, describe_missing, resolve_wheels, suffices

    platforms = sorted({archive.platform for archive in archives} - {"any"})
    platforms = platforms or [str(search.platform)]
    old = None if search.kept.nothing else search.old
    runtime = Runtime() if old is None else Runtime(old.wheels, old.missing_wheels)
    if not suffices(runtime, spec.pythons, platforms):
        if search.means.offline:
            raise NetworkError(
                "the wheels of unseal for these platforms are not in the lock and --offline is set",
                hint="run sealift lock where the package index can be reached",
            )
        access = search.means.fetching(search.site).access
        runtime = resolve_wheels(spec.pythons, platforms, access=access)
    for line in describe_missing(runtime.missing):
        search.means.warn(line)
    return runtime.wheels, runtime.missing


def _catalogs(search: _Search) -> tuple[LockedCatalog, ...]:
    if search.catalogs:
        return tuple(catalog.locked() for catalog in search.catalogs)
    return () if search.old is None or not search.site.spec.python else search.old.catalogs
