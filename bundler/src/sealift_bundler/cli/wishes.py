"""add, lock: what is wanted, and what was found for it."""

from typing import Annotated, Any

import typer

from sealift_bundler.cli.common import (
    Json,
    Offline,
    Quiet,
    SiteOption,
    check_each,
    means,
    open_site,
    reporter,
    say,
    say_json,
)
from sealift_bundler.sizes import show_count, show_size
from sealift_installer.errors import UsageError, printable

Platforms = Annotated[
    list[str] | None,
    typer.Option("--platform", metavar="P", help="As linux-x86_64-gnu. Repeat it for several."),
]


def add(  # noqa: PLR0913 - the options of the command
    requests: Annotated[
        list[str] | None,
        typer.Argument(metavar="REQUEST", help="cpython@3.13, pypi:NAME==VERSION, installed:PATH"),
    ] = None,
    *,
    platform: Platforms = None,
    all_platforms: Annotated[
        bool, typer.Option("--all-platforms", help="For all platforms that the catalogues have.")
    ] = False,
    each: Annotated[
        str | None,
        typer.Option(
            metavar="minor|patch",
            help="Of a range the newest patch of each minor version, or every patch.",
        ),
    ] = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="An archive by its address.")
    ] = None,
    sha256: Annotated[str | None, typer.Option(metavar="HEX", help="Its SHA-256.")] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Its name.")] = None,
    version: Annotated[str | None, typer.Option(metavar="V", help="Its version.")] = None,
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
    checksums: Annotated[
        str | None, typer.Option(metavar="URL", help="Its publisher's list of digests.")
    ] = None,
    attestation: Annotated[
        str | None, typer.Option(metavar="URL", help="Its publisher's Sigstore bundle.")
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
    own |= {"checksums": checksums, "attestation": attestation}
    if url is not None:
        if requests:
            raise UsageError("requests and --url are added one by one")
        tables = [("url", _url_table(url, own, platforms))]
        if each or all_platforms:
            raise UsageError("--each and --all-platforms go with requests for a Python")
    else:
        given = [f"--{option}" for option, value in own.items() if value is not None]
        if given:
            raise UsageError(f"{', '.join(given)} goes with --url")
        if not requests:
            raise UsageError("nothing to add", hint="name a request, or an archive with --url")
        many = _expansion(each, platforms, all_platforms=all_platforms)
        tables = [_request_table(request, platforms, many) for request in requests]
    extra = {"links": links, "accept_digest": accept_digest}
    more = {key: value for key, value in extra.items() if value}
    added = [(table, {**values, **more}) for table, values in tables]
    for table, values in added:
        _check(table, values)
    append_tables(here.spec_path, added)
    reporter(quiet=quiet)(f"added to {here.spec_path}; next: sealift build --output DIR")


def lock(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="With --upgrade: these alone. A request of the spec, or an archive of the lock.",
        ),
    ] = None,
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
    from sealift_bundler.current import current_lock
    from sealift_bundler.site import present_time

    here = open_site(site)
    if names and not upgrade:
        raise UsageError(f"to look up {names[0]} anew, say --upgrade {names[0]}")
    ways = means(offline=offline, quiet=quiet, upgrade=upgrade, names=tuple(names or ()))
    with ways.cache.hold():
        found = current_lock(here, ways, present_time(), ask_again=not offline)
    if as_json:
        say_json({"changes": list(found.changes), **found.lock.to_json()})
        return
    for change in found.changes:
        say(change)
    size = sum(archive.size for archive in found.lock.archives)
    reporter(quiet=quiet)(
        f"{here.lock_path}: sequence {found.lock.sequence}, "
        f"{show_count(len(found.lock.archives), 'archive')}, "
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


def _expansion(each: str | None, platforms: list[str], *, all_platforms: bool) -> dict[str, Any]:
    """Return the fields by which one request stands for many archives."""
    check_each(each)
    if all_platforms and platforms:
        raise UsageError("--all-platforms leaves nothing to --platform")
    wanted: dict[str, Any] = {} if each is None else {"each": each}
    return {**wanted, "all_platforms": True} if all_platforms else wanted


def _request_table(
    request: str, platforms: list[str], many: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    wanted = {"platforms": platforms} if platforms else {}
    if many and request.startswith(("pypi:", "installed:")):
        raise UsageError("--each and --all-platforms go with requests for a Python")
    if request.startswith("pypi:"):
        return "package", {"request": request.removeprefix("pypi:"), **wanted}
    if request.startswith("installed:"):
        if platforms:
            raise UsageError("an installed interpreter is for this machine's platform alone")
        return "installed", {"path": request.removeprefix("installed:")}
    return "python", {"request": request, **wanted, **many}


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
