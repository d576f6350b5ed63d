"""search: what there is, before something is asked for."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sealift_bundler.cli.common import Json, Offline, SiteOption, check_each, say, say_json, tell
from sealift_installer.errors import UsageError, printable

if TYPE_CHECKING:
    from sealift_bundler.catalogs.catalog import Catalog
    from sealift_bundler.catalogs.metadata import CatalogEntry
    from sealift_bundler.catalogs.requests import PythonRequest
    from sealift_bundler.catalogs.search import Filters

# The name of a spec, as in sealift_bundler.specfile.
SPEC = "sealift.toml"
# Characters; upstreams have a date there.
_LONGEST_BUILD = 40
_HEAD = ("KEY", "BUILD", "DIGEST", "URL")


def search(  # noqa: PLR0913 - the options of the command
    request: Annotated[
        str | None,
        typer.Argument(
            metavar="REQUEST",
            help="As cpython@3.13, '>=3.12,<3.14', or a whole key. Default: all.",
        ),
    ] = None,
    *,
    implementation: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="cpython, pypy, graalpy or pyodide. Repeatable."),
    ] = None,
    platform: Annotated[
        list[str] | None,
        typer.Option(metavar="P", help="A platform or a part: linux, aarch64, musl. Repeatable."),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(metavar="V", help="default, freethreaded, debug, ... or any. Repeatable."),
    ] = None,
    prereleases: Annotated[
        bool | None,
        typer.Option(help="With prereleases, or without. Default: where nothing else fits."),
    ] = None,
    each: Annotated[
        str | None,
        typer.Option(
            metavar="minor|patch",
            help="The newest patch of each minor version, or every patch. Default: every patch.",
        ),
    ] = None,
    site: SiteOption = None,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Show the managed Pythons that the catalogues have, the newest first."""
    from sealift_bundler.catalogs.catalog import merge, newest_wanted
    from sealift_bundler.catalogs.requests import PythonRequest
    from sealift_bundler.catalogs.search import Filters, platform_filter
    from sealift_bundler.catalogs.search import search as find

    wanted = None if request is None else PythonRequest.parse(request)
    filters = Filters(
        wanted,
        tuple(implementation or ()),
        tuple(platform_filter(text) for text in platform or ()),
        tuple(variant or ()),
        prereleases,
        each_minor=check_each(each) == "minor",
    )
    catalogs = _catalogs(site, offline=offline)
    entries = merge(catalogs)
    found = find(entries, filters)
    if not found:
        with newest_wanted(catalogs):
            raise _nothing(entries, wanted, filters)
    if as_json:
        say_json(
            [{"key": str(e.key), "url": e.url, "sha256": e.sha256, "build": e.build} for e in found]
        )
        return
    _say_table(found)


def _catalogs(site: Path | None, *, offline: bool) -> "list[Catalog]":
    from sealift_bundler.cache import Cache
    from sealift_bundler.catalogs.order import load_catalogs

    start = Path.cwd() if site is None else site
    here = access = None
    if site is not None or any((place / SPEC).exists() for place in (start, *start.parents)):
        # What a site brings takes longer than the search.
        from sealift_bundler import web
        from sealift_bundler.access import read_access
        from sealift_bundler.site import read_site

        here = read_site(start)
        access = read_access(here.spec.network, here.directory, web.PATIENCE)
    return load_catalogs(
        () if here is None else here.spec.catalogs,
        Cache(),
        offline=offline,
        base=None if here is None else here.directory,
        access=access,
        tell=lambda text: tell(f"note: {text}"),
    )


def _say_table(entries: "Sequence[CatalogEntry]") -> None:
    rows = [
        (str(entry.key), _build(entry.build), "sha256" if entry.sha256 else "none", entry.url)
        for entry in entries
    ]
    widths = [max(map(len, column)) for column in zip(_HEAD, *rows, strict=True)]
    # On a terminal a row takes one line; elsewhere nothing is cut.
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for row in (_HEAD, *rows):
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        line = "  ".join(cells).rstrip()
        say(line if room is None or len(line) <= room else f"{line[: room - 3]}...")


def _build(text: str | None) -> str:
    """Return what a catalogue says of a build: any text, of which a table shows the beginning."""
    plain = printable((text or "-")[:_LONGEST_BUILD])
    return plain if text is None or len(text) <= _LONGEST_BUILD else f"{plain}..."


def _nothing(
    entries: "Sequence[CatalogEntry]", request: "PythonRequest | None", filters: "Filters"
) -> UsageError:
    """Return the error that says what comes closest."""
    from dataclasses import replace

    from sealift_bundler.catalogs.requests import select
    from sealift_bundler.catalogs.search import search as find
    from sealift_bundler.errors import NothingFitsError
    from sealift_installer.host import current_platform

    wider = replace(filters, platforms=(), variants=("any",), prereleases=True, each_minor=False)
    near = [str(entry.key) for entry in find(entries, wider)]
    if request is not None and filters.implementations:
        request = replace(request, implementation=filters.implementations[0])
    if not near and request is not None:
        try:
            select(entries, request, current_platform())
        except UsageError as error:
            return error
    what = "nothing" if request is None else f"no {request}"
    return NothingFitsError(
        f"the catalogue has {what} that passes the filters",
        hint=f"without them there is {', '.join(near[:3])}" if near else None,
    )
