"""search, add, lock: what is wanted, and what was found for it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sealift_bundler.cli.common import (
    Json,
    Offline,
    Quiet,
    SiteOption,
    means,
    open_site,
    reporter,
    say,
    say_json,
)
from sealift_bundler.sizes import show_size
from sealift_installer.errors import UsageError, printable

Platforms = Annotated[
    list[str] | None,
    typer.Option("--platform", metavar="P", help="As linux-x86_64-gnu. Repeat it for several."),
]


def search(
    request: Annotated[str, typer.Argument(help="As cpython@3.13, or a whole key.")],
    *,
    platform: Platforms = None,
    site: SiteOption = None,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Show the managed Pythons that a request matches, the newest first."""
    from sealift_bundler.catalogs.requests import PythonRequest, matching, select
    from sealift_bundler.resolve import load_catalogs
    from sealift_bundler.site import find_site
    from sealift_installer.host import current_platform
    from sealift_schemas.keys import Platform

    start = Path.cwd() if site is None else site
    here = open_site(site) if find_site(start) is not None else None
    wanted = PythonRequest.parse(request)
    platforms = [_platform(text) for text in platform or []]
    catalogs = load_catalogs(here, means(offline=offline, quiet=True))
    entries = [entry for catalog in catalogs for entry in catalog.entries]
    targets: list[Platform | None] = [*platforms] or [None]
    found = [entry for target in targets for entry in matching(entries, wanted, target)]
    if not found:
        # Nothing fits, so this says what comes closest.
        select(entries, wanted, platforms[0] if platforms else current_platform())
    if as_json:
        say_json(
            [{"key": str(e.key), "url": e.url, "sha256": e.sha256, "build": e.build} for e in found]
        )
        return
    for entry in found:
        say(f"{entry.key!s:<56} {entry.url}")


def add(  # noqa: PLR0913 - the options of the command
    requests: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[REQUEST]...", help="cpython@3.13, pypi:NAME==VERSION, installed:PATH"
        ),
    ] = None,
    *,
    platform: Platforms = None,
    url: Annotated[str | None, typer.Option(help="An archive by its address.")] = None,
    sha256: Annotated[str | None, typer.Option(metavar="HEX", help="Its SHA-256.")] = None,
    name: Annotated[str | None, typer.Option(help="Its name.")] = None,
    version: Annotated[str | None, typer.Option(help="Its version.")] = None,
    strip: Annotated[
        int | None, typer.Option(metavar="N", help="How many leading folders are taken off.")
    ] = None,
    link: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="A command to be linked.")
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(metavar="DIR", help="What it was built for, to be relocated.")
    ] = None,
    accept_digest: Annotated[
        str | None,
        typer.Option(metavar="sha256:HEX", help="A digest that nobody but you vouches for."),
    ] = None,
    site: SiteOption = None,
    quiet: Quiet = False,
) -> None:
    """Add archives to sealift.toml."""
    from sealift_bundler.specfile import append_tables

    here = open_site(site)
    platforms = [str(_platform(text)) for text in platform or []]
    links = dict(_link(text) for text in link or [])
    own = {"sha256": sha256, "name": name, "version": version, "strip": strip, "prefix": prefix}
    if url is not None:
        if requests:
            raise UsageError("requests and --url are added one by one")
        tables = [("url", _url_table(url, own, platforms))]
    else:
        given = [f"--{option}" for option, value in own.items() if value is not None]
        if given:
            raise UsageError(f"{', '.join(given)} goes with --url")
        if not requests:
            raise UsageError("nothing to add", hint="name a request, or an archive with --url")
        tables = [_request_table(request, platforms) for request in requests]
    extra = {"links": links, "accept_digest": accept_digest}
    more = {key: value for key, value in extra.items() if value}
    added = [(table, {**values, **more}) for table, values in tables]
    for table, values in added:
        _check(table, values)
    append_tables(here.spec_path, added)
    reporter(quiet=quiet)(f"added to {here.spec_path}; next: sealift build --output DIR")


def lock(
    *,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Look everything up anew, not only what is new.")
    ] = False,
    offline: Offline = False,
    site: SiteOption = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find what the spec wants and write it to sealift.lock: addresses, sizes, digests."""
    from sealift_bundler.build import current_lock
    from sealift_bundler.site import present_time

    here = open_site(site)
    found = current_lock(here, means(offline=offline, quiet=quiet, upgrade=upgrade), present_time())
    if as_json:
        say_json({"changes": list(found.changes), **found.lock.to_json()})
        return
    for change in found.changes:
        say(change)
    size = sum(archive.size for archive in found.lock.archives)
    reporter(quiet=quiet)(
        f"{here.lock_path}: sequence {found.lock.sequence}, {len(found.lock.archives)} archives, "
        f"{show_size(size)}" + ("" if found.changes else "; nothing has changed")
    )


def _platform(text: str) -> Any:
    from sealift_schemas.keys import Platform

    try:
        return Platform.parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _url_table(url: str, own: dict[str, Any], platforms: list[str]) -> dict[str, Any]:
    missing = [f"--{option}" for option in ("name", "version") if own[option] is None]
    if missing:
        raise UsageError(f"--url needs {' and '.join(missing)}")
    if len(platforms) > 1:
        raise UsageError("one address is for one platform", hint="add one address after the other")
    platform = {"platform": platforms[0]} if platforms else {}
    given = {key: value for key, value in own.items() if value is not None}
    return {"url": url, **given, **platform}


def _request_table(request: str, platforms: list[str]) -> tuple[str, dict[str, Any]]:
    wanted = {"platforms": platforms} if platforms else {}
    if request.startswith("pypi:"):
        return "package", {"request": request.removeprefix("pypi:"), **wanted}
    if request.startswith("installed:"):
        if platforms:
            raise UsageError("an installed interpreter is for this machine's platform alone")
        return "installed", {"path": request.removeprefix("installed:")}
    return "python", {"request": request, **wanted}


def _check(table: str, values: dict[str, Any]) -> None:
    """Refuse at once what could not be found later; nothing is looked up yet."""
    from sealift_bundler.catalogs.requests import PythonRequest
    from sealift_bundler.sources.url import find_url
    from sealift_schemas.spec import UrlWanted
    from sealift_schemas.strictjson import DocumentError

    allowed = {"python": {"accept_digest"}, "url": {"links", "accept_digest"}, "package": {"links"}}
    for option, key in (("--link", "links"), ("--accept-digest", "accept_digest")):
        if key in values and key not in allowed.get(table, set()):
            raise UsageError(f"{option} does not go with this kind of source")
    if table == "python":
        PythonRequest.parse(values["request"])
    if table == "package":
        from sealift_bundler.sources.package_index import read_requirement

        read_requirement(values["request"])
    if table == "installed" and not values["path"]:
        raise UsageError("installed: names no interpreter", hint="as installed:/usr/bin/python3")
    if table == "url":
        try:
            find_url(UrlWanted.from_json(values, "add"))
        except DocumentError as error:
            option = "--" + error.where.split(".")[1].replace("_", "-").replace("links", "link")
            raise UsageError(
                f"{option} is wrong\n  Expected: {error.expected}\n  Found: {error.found}"
            ) from None


def _link(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals:
        raise UsageError(f"not NAME=PATH: {printable(text)}", hint="as --link node=bin/node")
    return name, path
