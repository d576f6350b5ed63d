"""Managed Pythons: finds in the catalogues what `[[python]]` asks for."""

from collections.abc import Sequence

from sealift_bundler.catalogs.load import Catalog
from sealift_bundler.catalogs.metadata import CatalogEntry
from sealift_bundler.catalogs.requests import PythonRequest, select
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
    """Return one archive for each platform that is wanted (none named: `default`).

    Of two catalogues with the same version the first one counts.

    Raises:
        UsageError: the request is unknown, nothing fits it, it contradicts the platforms, or the
            archive has no digest and none was accepted.
    """
    request = PythonRequest.parse(wanted.request)
    entries = [entry for catalog in catalogs for entry in catalog.entries]
    platforms = [Platform.parse(text) for text in wanted.platforms] or [default]
    if wanted.platforms:
        for platform in platforms:
            _check_agreement(request, platform)
    selected = {str(entry.key): entry for entry in (select(entries, request, p) for p in platforms)}
    return [_found(wanted, entry) for entry in selected.values()]


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
            hint="compare the archive by other means, then pass --accept-digest sha256:HEX",
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
