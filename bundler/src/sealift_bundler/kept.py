"""What the old lock has for a wish of the spec, where nothing asks for something newer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sealift_bundler.catalogs.requests import PythonRequest
from sealift_bundler.sources.python import expands
from sealift_installer.errors import UsageError, printable
from sealift_schemas.keys import Platform
from sealift_schemas.lock import Lock, LockedArchive
from sealift_schemas.spec import PackageWanted, PythonWanted, Spec


@dataclass(frozen=True, slots=True)
class Kept:
    """The old lock, and what of it is to be looked up anew: nothing, all, or what `names` name.

    `default` is the platform of a wish that names none.
    """

    old: Lock | None
    default: Platform
    upgrade: bool = False
    names: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether everything is to be looked up anew."""
        return self.old is None or (self.upgrade and not self.names)

    def check_names(self, spec: Spec) -> None:
        """Refuse a name that nothing has.

        Raises:
            UsageError: the spec and the old lock do not know it.
        """
        known = {wanted.request for wanted in spec.python}
        known.update(wanted.request for wanted in spec.package)
        known.update(wanted.url for wanted in spec.url)
        known.update(() if self.old is None else (archive.name for archive in self.old.archives))
        for name in self.names:
            if name not in known:
                raise UsageError(
                    f"neither the spec nor the lock has {printable(name)}",
                    hint="name a request of the spec, or an archive of the lock",
                )

    def python(self, wanted: PythonWanted) -> list[LockedArchive]:
        """Return the archives for the wish if they cover it, else none."""
        old = self._archives("python", wanted.request)
        if not old:
            return []
        kept = self._expansion(wanted)
        if not kept and not expands(wanted):
            kept = find_by_request(old, wanted, self.default)
        accepted = (wanted.accept_digest or "").removeprefix("sha256:")
        ours = all(one.digest_source != "accepted" or one.sha256 == accepted for one in kept)
        # Of two wishes with the same archive the lock names one.
        return [replace(one, request=wanted.request) for one in kept] if ours else []

    def package(self, wanted: PackageWanted) -> list[LockedArchive]:
        """Return the wheels for the wish if they cover it, else none."""
        mine = [
            archive
            for archive in self._archives("package", wanted.request)
            if archive.request == wanted.request and wanted.links.items() <= archive.links.items()
        ]
        everywhere = [archive for archive in mine if archive.platform == "any"]
        return everywhere or _covering(mine, wanted.platforms or (str(self.default),))

    def size(self, sha256: str, filename: str) -> int | None:
        """Return the size of an archive that the old lock has, in bytes."""
        for archive in () if self.nothing or self.old is None else self.old.archives:
            if (archive.sha256, archive.filename) == (sha256, filename):
                return archive.size
        return None

    def _archives(self, source: str, request: str) -> list[LockedArchive]:
        """Return what there is of a kind of source, nothing if `request` is looked up anew."""
        if self.old is None or self.nothing:
            return []
        archives = [archive for archive in self.old.archives if archive.source == source]
        if self.upgrade and not self.names_of(source, request).isdisjoint(self.names):
            return []
        return archives

    def names_of(self, source: str, request: str) -> set[str]:
        """Return all names by which a request is upgraded: itself, and its archives."""
        if self.old is None:
            return {request}
        names = {
            archive.name
            for archive in self.old.archives
            if (archive.source, archive.request) == (source, request)
        }
        for expansion in self.old.expansions:
            if source == "python" and expansion.request == request:
                names.update(expansion.names)
        return {request, *names}

    def _expansion(self, wanted: PythonWanted) -> list[LockedArchive]:
        """Return what the wish stood for, nothing if it has changed since."""
        assert self.old is not None, "there are archives"
        wish = (wanted.request, wanted.platforms, wanted.each, wanted.all_platforms)
        for one in self.old.expansions:
            if (one.request, one.platforms, one.each, one.all_platforms) == wish:
                by_name = {archive.name: archive for archive in self.old.archives}
                kept = [by_name[name] for name in one.names if name in by_name]
                anywhere = wanted.platforms or wanted.all_platforms or _names_platform(wanted)
                here = anywhere or all(old.platform == str(self.default) for old in kept)
                return kept if here and len(kept) == len(one.names) else []
        return []


def find_by_request(
    archives: Sequence[LockedArchive], wanted: PythonWanted, default: Platform
) -> list[LockedArchive]:
    """Return those of a lock's archives that name the wish's request, if they cover it, else none.

    They are what the wish stands for, unless it shares archives with another one.
    """
    mine = [
        archive
        for archive in archives
        if (archive.source, archive.request) == ("python", wanted.request)
    ]
    if _names_platform(wanted):
        return mine[:1]
    return _covering(mine, wanted.platforms or (str(default),))


def _names_platform(wanted: PythonWanted) -> bool:
    request = PythonRequest.parse(wanted.request)
    # Pyodide is for one platform alone.
    wasm = request.implementation == "pyodide"
    return wasm or bool(request.os or request.architecture or request.libc)


def _covering(archives: Sequence[LockedArchive], platforms: Iterable[str]) -> list[LockedArchive]:
    by_platform = {archive.platform: archive for archive in archives}
    kept = [by_platform.get(platform) for platform in platforms]
    return [archive for archive in kept if archive is not None] if all(kept) else []
