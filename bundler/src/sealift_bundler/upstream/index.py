"""Asks the package index for a file's provenance, by PEP 740.

The project's page (PEP 691) names the provenance's address. An index whose page does not speak of
it is asked at the place where the public one has it, below `integrity/`.
"""

import json
import re
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from packaging.utils import canonicalize_name

from sealift_bundler import web
from sealift_bundler.addresses import find_flaw
from sealift_bundler.sources.package_index import read_requirement
from sealift_bundler.sources.pip_settings import PipSettings
from sealift_bundler.upstream.github import UnreadableAnswer, load_json
from sealift_bundler.upstream.reader import LARGEST_LIST, Answer, Reader, Request
from sealift_installer.errors import printable
from sealift_schemas.lock import LockedArchive

# The page of a project with many releases has some megabytes.
_LARGEST_PAGE = 64 * 1024 * 1024
_PAGE = {"Accept": "application/vnd.pypi.simple.v1+json"}
_PROVENANCE = {"Accept": "application/vnd.pypi.integrity.v1+json, application/json;q=0.5"}
_SIMPLE, _INTEGRITY = "/simple", "/integrity"
# On a project's page there is nothing about the provenance of a file.
_UNTOLD = object()
_QUERY = re.compile(r"[?#].*", re.DOTALL)
_LONGEST_SHOWN = 200


def package_name(archive: LockedArchive) -> str:
    """Return the name of the package that an archive of the index is."""
    return canonicalize_name(read_requirement(archive.request).name)


def wheel_name(archive: LockedArchive) -> str:
    """Return the name of the wheel as the index has it."""
    return unquote(urlsplit(archive.url).path.rpartition("/")[2])


def integrity_address(archive: LockedArchive, settings: PipSettings) -> str:
    """Return the address below `integrity/`, without credentials."""
    parts = urlsplit(settings.index_url)
    path = parts.path.rstrip("/").removesuffix(_SIMPLE)
    names = (package_name(archive), archive.version, wheel_name(archive))
    below = "/".join(quote(name) for name in names)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, f"{path}{_INTEGRITY}/{below}/provenance", "", ""))


def ask_index(
    archive: LockedArchive, settings: PipSettings, reader: Reader, session: web.Session
) -> tuple[str, Answer]:
    """Return the address of a wheel's provenance, and what was answered there.

    Args:
        archive: a wheel from the index.
        settings: where the index is.
        reader: on pip's way to it.
        session: connections of the same way.
    """
    address = integrity_address(archive, settings)
    page = web.public_url(f"{settings.index_url.rstrip('/')}/{package_name(archive)}/")
    request = Request(page, (page,), _LARGEST_PAGE, _PAGE, keep=False)
    found = reader.read(request, session)
    if found.data is not None:
        told = _find_provenance(found.data, archive)
        if told is None:
            return address, Answer()
        if told is not _UNTOLD:
            joined = _join(page, told)
            if isinstance(joined, Answer):
                return address, joined
            address = joined
    request = Request(address, (address,), LARGEST_LIST, _PROVENANCE)
    return address, reader.read(request, session)


def _find_provenance(data: bytes, archive: LockedArchive) -> object:
    """Return what the page says in the place of the address; `_UNTOLD` if it says nothing."""
    try:
        answer = load_json(data)
    except UnreadableAnswer:
        return _UNTOLD
    files = answer.get("files") if isinstance(answer, dict) else None
    name = wheel_name(archive)
    for file in files if isinstance(files, list) else []:
        if isinstance(file, dict) and file.get("filename") == name and "provenance" in file:
            return file["provenance"]
    return _UNTOLD


def _join(page: str, told: object) -> str | Answer:
    """Return the address that the page names, or else what is wrong with it."""
    if not isinstance(told, str):
        return _nonsense("no text", json.dumps(told))
    try:
        address = urljoin(page, told)
    except ValueError:
        return _nonsense("no host and port that can be read", told)
    flaw = find_flaw(address)
    if flaw is not None:
        return _nonsense(flaw, told)
    scheme = urlsplit(address).scheme
    if scheme not in {"https", "http"}:
        return _nonsense("not on the web", told)
    if (urlsplit(page).scheme, scheme) == ("https", "http"):
        return _nonsense("without TLS", told)
    return address


def _nonsense(flaw: str, told: str) -> Answer:
    plain = _without_secrets(told)
    shown = plain if len(plain) <= _LONGEST_SHOWN else f"{plain[:_LONGEST_SHOWN]}..."
    return Answer(fault=f"the index names a wrong address ({flaw}): {printable(shown)}")


def _without_secrets(told: str) -> str:
    """Return of an address that cannot be read what is no secret: the lock and bundles record it."""
    base = _QUERY.sub("", told)
    if "@" not in told:
        return base
    return f"...{base.rpartition('@')[2]}" if "@" in base else "..."
