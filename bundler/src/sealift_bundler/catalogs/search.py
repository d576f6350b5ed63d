"""What a catalogue has, filtered: for people who look around before they ask for something."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sealift_bundler.catalogs.metadata import CatalogEntry
from sealift_bundler.catalogs.requests import PythonRequest
from sealift_installer.errors import UsageError, printable
from sealift_schemas.keys import IMPLEMENTATIONS, VARIANTS

DEFAULT_VARIANT = "default"


@dataclass(frozen=True, slots=True)
class Filters:
    """What is wanted; an empty one lets everything pass.

    A request names implementation, versions, variant and platform at once, in uv's grammar.
    `platforms` are platforms or parts of them in their order (`linux`, `x86_64-musl`). `variants`
    take the place of the request's; the word `default` stands for the builds without a variant,
    `any` for all. `prereleases`: True for them as well, False for none; None: where they are asked
    for, or where there is nothing else.
    """

    request: PythonRequest | None = None
    implementations: tuple[str, ...] = ()
    platforms: tuple[PythonRequest, ...] = ()
    variants: tuple[str, ...] = ()
    prereleases: bool | None = None
    each_minor: bool = False

    def __post_init__(self) -> None:
        """Refuse words that no entry can have.

        Raises:
            UsageError: an implementation or a variant is unknown.
        """
        _check(self.implementations, IMPLEMENTATIONS, "implementation")
        _check(self.variants, (DEFAULT_VARIANT, "any", *VARIANTS), "variant")


def platform_filter(text: str) -> PythonRequest:
    """Read a platform, or some of its parts in their order.

    Raises:
        UsageError: it is none.
    """
    hint = "as linux-x86_64-gnu, linux, aarch64, linux-musl"
    try:
        request = PythonRequest.parse(text)
    except UsageError:
        raise UsageError(f"not a platform: {printable(text)}", hint=hint) from None
    named = request.os or request.architecture or request.libc
    if not named or request.version or request.implementation != "cpython":
        raise UsageError(f"not a platform: {printable(text)}", hint=hint)
    return request


def search(entries: Iterable[CatalogEntry], filters: Filters) -> list[CatalogEntry]:
    """Return the entries that pass, by implementation, then the newest first, then by platform."""
    found = [entry for entry in entries if _passes(entry, filters)]
    if not _wants_prereleases(filters):
        final = [entry for entry in found if not entry.prerelease]
        found = final or ([] if filters.prereleases is False else found)
    found.sort(key=lambda entry: (entry.key.variant or "", entry.key.platform))
    found.sort(key=lambda entry: entry.order, reverse=True)
    found.sort(key=lambda entry: IMPLEMENTATIONS.index(entry.key.implementation))
    return newest_of_each_minor(found) if filters.each_minor else found


def newest_of_each_minor(entries: Iterable[CatalogEntry]) -> list[CatalogEntry]:
    """Return the newest patch of each minor version, for each platform and variant.

    `entries` have the newest first, as `search` and `matching` return them.
    """
    newest: dict[str, CatalogEntry] = {}
    for entry in entries:
        newest.setdefault(entry.key.minor_key, entry)
    return list(newest.values())


def _passes(entry: CatalogEntry, filters: Filters) -> bool:
    key = entry.key
    if filters.implementations and key.implementation not in filters.implementations:
        return False
    if filters.platforms and not any(_fits(entry, part) for part in filters.platforms):
        return False
    if filters.variants and not {key.variant or DEFAULT_VARIANT, "any"} & set(filters.variants):
        return False
    return filters.request is None or _requested(entry, filters.request, filters)


def _requested(entry: CatalogEntry, request: PythonRequest, filters: Filters) -> bool:
    """Tell whether the request selects the entry, but for the parts that filters stand for."""
    implementation = entry.key.implementation
    if not filters.implementations and implementation != request.implementation:
        return False
    version = request.version
    if version is None:
        return _fits(entry, request)
    fits = version.allows(entry) if filters.variants else version.matches(entry)
    return fits and _fits(entry, request)


def _fits(entry: CatalogEntry, parts: PythonRequest) -> bool:
    platform = entry.key.platform
    return (
        parts.os in {None, platform.os}
        and parts.architecture in {None, platform.architecture}
        and parts.libc in {None, platform.libc}
    )


def _wants_prereleases(filters: Filters) -> bool:
    if filters.prereleases is not None:
        return filters.prereleases
    return filters.request is not None and filters.request.allows_prereleases


def _check(given: Sequence[str], known: Sequence[str], what: str) -> None:
    for word in given:
        if word not in known:
            raise UsageError(
                f"not a known {what}: {printable(word)}", hint=f"one of {', '.join(known)}"
            )
