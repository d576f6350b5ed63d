"""Asks the package index for a file's provenance, by PEP 740.

The project's page (PEP 691) names the provenance's address. An index whose page does not speak of
it is asked at the place where the public one has it, below `integrity/`.
"""

from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from packaging.utils import canonicalize_name

from sealift_bundler import web
from sealift_bundler.addresses import find_flaw
from sealift_bundler.sources.package_index import read_requirement
from sealift_bundler.sources.pip_settings import PipSettings
from sealift_bundler.upstream.github import UnreadableAnswer, load_json
from sealift_bundler.upstream.reader import LARGEST_LIST, Answer, Reader, Request
from sealift_schemas.lock import LockedArchive

# The page of a project with many releases has some megabytes.
_LARGEST_PAGE = 64 * 1024 * 1024
_PAGE = {"Accept": "application/vnd.pypi.simple.v1+json"}
_PROVENANCE = {"Accept": "application/vnd.pypi.integrity.v1+json, application/json;q=0.5"}
_SIMPLE, _INTEGRITY = "/simple", "/integrity"
_NONE = "the index has none"


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
        try:
            told = _find_provenance(found.data, archive, page)
        except UnreadableAnswer:
            told = address
        if told is None:
            return address, Answer()
        address = told
    if urlsplit(page).scheme == "https" and urlsplit(address).scheme != "https":
        return address, Answer(fault="the index leads to an address without TLS")
    request = Request(address, (address,), LARGEST_LIST, _PROVENANCE)
    return address, reader.read(request, session)


def _find_provenance(data: bytes, archive: LockedArchive, page: str) -> str | None:
    """Return the address that the page names, None if it says that there is none.

    Raises:
        UnreadableAnswer: it does not speak of it.
    """
    answer = load_json(data)
    files = answer.get("files") if isinstance(answer, dict) else None
    name = wheel_name(archive)
    for file in files if isinstance(files, list) else []:
        if isinstance(file, dict) and file.get("filename") == name and "provenance" in file:
            told = file["provenance"]
            if told is None:
                return None
            return _join(page, told)
    raise UnreadableAnswer(_NONE)


def _join(page: str, told: object) -> str:
    try:
        address = urljoin(page, told) if isinstance(told, str) else ""
    except ValueError:
        address = ""
    if urlsplit(address).scheme not in {"https", "http"} or find_flaw(address) is not None:
        raise UnreadableAnswer(_NONE)
    return address
