"""Managed Pythons: finds in the catalogues what `[[python]]` asks for."""

from collections.abc import Sequence

from sealift_bundler.catalogs.catalog import Catalog, merge
from sealift_bundler.catalogs.metadata import CatalogEntry
from sealift_bundler.catalogs.requests import PythonRequest, matching, select
from sealift_bundler.catalogs.search import newest_of_each_minor
from sealift_bundler.errors import NothingFitsError
from sealift_bundler.sources.found import (
    ENDINGS,
    Found,
    archive_filename,
    archive_format,
    choose_digest,
)
from sealift_installer.errors import UsageError
from sealift_schemas.keys import InstallKey, Platform
from sealift_schemas.spec import PythonWanted


def find_python(
    wanted: PythonWanted, catalogs: Sequence[Catalog], default: Platform
) -> list[Found]:
    """Return one archive for each platform that is wanted (none named: `default`), or more.

    Of two catalogues with the same key the first one counts. `each` and `all_platforms` of the
    wish ask for more than one archive; what a catalogue has for some platforms alone is taken
    there, but each platform that is named must have something.

    Raises:
        UsageError: the request is unknown, nothing fits it, it contradicts the platforms, or the
            archive has no digest and none was accepted.
    """
    request = PythonRequest.parse(wanted.request)
    entries = merge(catalogs)
    platforms = [Platform.parse(text) for text in wanted.platforms] or [default]
    if wanted.platforms:
        for platform in platforms:
            _check_agreement(request, platform)
    if expands(wanted):
        selected = _expand(wanted, request, entries, platforms)
    else:
        selected = [select(entries, request, platform) for platform in platforms]
    distinct = {entry.key: entry for entry in selected}
    return [_found(wanted, entry) for entry in distinct.values()]


def expands(wanted: PythonWanted) -> bool:
    """Tell whether a wish may stand for more archives than it names platforms."""
    return wanted.each is not None or wanted.all_platforms


def _expand(
    wanted: PythonWanted,
    request: PythonRequest,
    entries: Sequence[CatalogEntry],
    platforms: Sequence[Platform],
) -> list[CatalogEntry]:
    if wanted.all_platforms and wanted.platforms:
        raise UsageError(
            f"{wanted.request} is wanted for all platforms, and for some",
            hint="say --all-platforms or name platforms",
        )
    selected: list[CatalogEntry] = []
    for platform in _all_platforms(entries, request) if wanted.all_platforms else platforms:
        # What there is for none of the versions is an error, with its hint.
        newest = select(entries, request, platform)
        fitting = [
            entry
            for entry in matching(entries, request, newest.key.platform)
            if entry.key.variant == newest.key.variant
        ]
        match wanted.each:
            case None:
                selected.append(newest)
            case "minor":
                selected += newest_of_each_minor(fitting)
            case _:
                selected += fitting
    _check_digests(wanted, selected)
    return selected


def _all_platforms(entries: Sequence[CatalogEntry], request: PythonRequest) -> list[Platform]:
    found = sorted({entry.key.platform for entry in matching(entries, request)})
    if not found:
        raise NothingFitsError(f"the catalogue has no {request} for any platform")
    return found


def _check_digests(wanted: PythonWanted, entries: Sequence[CatalogEntry]) -> None:
    without = sorted(str(entry.key) for entry in entries if entry.sha256 is None)
    if len(entries) > 1 and wanted.accept_digest:
        raise UsageError(
            f"{wanted.request} stands for {len(entries)} archives, and one digest is accepted",
            hint="add the one without a digest by its key",
        )
    if len(entries) > 1 and without:
        more = f" and {len(without) - 3} more" if len(without) > 3 else ""  # noqa: PLR2004 - three are shown
        raise UsageError(
            f"the catalogue has no digest for {', '.join(without[:3])}{more}",
            hint="ask for a narrower range, or name a catalogue that has their digests",
        )


def _check_agreement(request: PythonRequest, platform: Platform) -> None:
    named = (request.os, request.architecture, request.libc)
    given = (platform.os, platform.architecture, platform.libc)
    for one, other in zip(named, given, strict=True):
        if one not in {None, other}:
            raise UsageError(
                f"the request {request.text} says {one}, and its platforms say {platform}",
                hint="name the platform in one place",
            )


def _found(wanted: PythonWanted, entry: CatalogEntry) -> Found:
    key = entry.key
    filename = archive_filename(entry.url)
    archive = archive_format(filename)
    if archive is None:
        raise UsageError(
            f"{key} is in a format that cannot be read: {filename}",
            hint=f"known endings: {' '.join(ENDINGS)}",
        )
    sha256, digest_source = _digest(wanted, entry)
    relocated = key.implementation == "cpython" and key.platform.os != "windows"
    return Found(
        name=str(key),
        kind="interpreter",
        source="python",
        request=wanted.request,
        version=key.version,
        platform=str(key.platform),
        url=entry.url,
        filename=filename,
        format=archive,
        sha256=sha256,
        size=None,
        digest_source=digest_source,
        recipe=key.implementation,
        # What python-build-standalone configures its builds for.
        prefix="/install" if relocated else None,
        build=entry.build,
        links=_links(key),
    )


def _digest(wanted: PythonWanted, entry: CatalogEntry) -> tuple[str, str]:
    return choose_digest(
        entry.sha256,
        wanted.accept_digest,
        source="catalog",
        clash=f"{entry.key}: the accepted digest is not that of the catalogue",
        missing=UsageError(
            f"the catalogue has no digest for {entry.key}",
            hint="compare the archive by other means, then say it in sealift.toml, as"
            ' accept_digest = "sha256:HEX" (sealift add --accept-digest sha256:HEX)',
        ),
    )


def _links(key: InstallKey) -> dict[str, str]:
    """Return the link in bin/ that uv makes for an interpreter, and the executable it leads to."""
    windows = key.platform.os == "windows"
    ending = ".exe" if windows else ""
    name = {"cpython": "python"}.get(key.implementation, key.implementation)
    link = f"{name}{key.minor}{key.suffix}"
    target = {
        "cpython": "python.exe" if windows else f"bin/{link}",
        "pypy": f"{link}{ending}" if windows else f"bin/{link}",
        "graalpy": f"bin/graalpy{ending}",
        "pyodide": "python",
    }[key.implementation]
    return {f"{link}{ending}": target}
