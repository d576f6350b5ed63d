"""Which catalogues are read, and in which order.

Those that the spec names, in its order. Else the one that UV_PYTHON_DOWNLOADS_JSON_URL names. Else
uv's own list: the server's, or where it cannot be reached the last copy of it, or where there is
none the list that came with sealift. See docs/adr/0009-which-catalogue-counts.md.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sealift_bundler.access import Access
from sealift_bundler.cache import Cache
from sealift_bundler.catalogs import embedded
from sealift_bundler.catalogs.catalog import Catalog
from sealift_bundler.catalogs.copies import CatalogCopy
from sealift_bundler.catalogs.load import DEFAULT, VARIABLE, load_catalog
from sealift_bundler.errors import NetworkError

# A copy of uv's list that was compared with the server's this many seconds ago needs no new look.
FRESH = 10 * 60


def load_catalogs(
    named: Sequence[str],
    cache: Cache,
    *,
    offline: bool = False,
    base: Path | None = None,
    access: Access | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Catalog]:
    """Read the catalogues that `named` (the spec's) asks for, or the default ones.

    Args:
        named: paths (relative to `base`), addresses, or the word `embedded`.
        cache: where copies are kept.
        offline: use the copies.
        base: the site's directory.
        access: by which way the network is reached.
        tell: is told which list serves where nobody named one and uv's cannot be reached.

    Raises:
        Damaged: one is malformed.
        NetworkError: one that was named cannot be reached, or there is no copy of it.
        UsageError: there is no such file.
        HostError: a file cannot be read or written.
    """
    if named:
        return [
            embedded.load_embedded()
            if location == embedded.NAME
            else load_catalog(location, cache, offline=offline, base=base, access=access)
            for location in named
        ]
    variable = os.environ.get(VARIABLE)
    if variable:
        # A relative path in the variable is one from the working directory, as it is for uv.
        location = variable if "://" in variable else str(Path(variable).absolute())
        return [load_catalog(location, cache, offline=offline, access=access)]
    return [_default(cache, access, offline=offline, tell=tell)]


def _default(
    cache: Cache, access: Access | None, *, offline: bool, tell: Callable[[str], None]
) -> Catalog:
    copy = CatalogCopy(cache, DEFAULT)
    copied = copy.date()
    once = None if offline or copy.age() < FRESH else _once(access)
    try:
        return load_catalog(DEFAULT, cache, offline=offline, fresh=FRESH, access=once)
    except NetworkError as error:
        reason = "--offline is set" if offline else _why(error)
    if copied is not None:
        tell(f"{reason}\nusing the copy of uv's list of {copied}")
        kept = load_catalog(DEFAULT, cache, offline=True)
        return replace(
            kept, in_place=f"it is the copy of {copied}, and uv's list cannot be reached"
        )
    found = embedded.load_embedded()
    tell(
        f"{reason}\nusing the list that came with sealift ({found.url}): CPython and PyPy for "
        "glibc Linux, macOS and Windows"
    )
    cause = "--offline is set" if offline else "uv's list cannot be reached"
    return replace(found, in_place=f"it came with sealift, and {cause}")


def _why(error: NetworkError) -> str:
    """Return the message, and what can be done about the way to the server if that is known."""
    way = error.__cause__
    hint = way.hint if isinstance(way, NetworkError) else None
    return error.message if hint is None else f"{error.message}\nhint: {hint}"


def _once(access: Access | None) -> Access:
    """Return the way with one try: nobody named this list, and there is something in its place."""
    from sealift_bundler import web

    way = access or Access(patience=web.PATIENCE)
    return replace(way, patience=replace(way.patience, attempts=1))
