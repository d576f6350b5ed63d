"""Ask the package index that pip is configured for, by the simple repository API (PEP 503, 691)."""

from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import requests
from pypi_simple import (
    DistributionPackage,
    NoSuchProjectError,
    ProjectPage,
    PyPISimple,
    UnsupportedContentTypeError,
    UnsupportedRepoVersionError,
)

from sealift_bundler import web
from sealift_bundler.access import Access
from sealift_bundler.addresses import find_flaw
from sealift_bundler.errors import NetworkError
from sealift_bundler.sources.pip_settings import PipSettings, read_pip_settings, through_pip
from sealift_bundler.sources.project_page import read_page
from sealift_bundler.web_faults import refusal, shown
from sealift_installer.errors import Damaged, UsageError, mismatch, printable
from sealift_schemas.strictjson import LARGEST_INTEGER, SHA256

# The longest pages of the public index have some 20 MB.
LIMIT = 128 * 1024 * 1024


class _Session(web.Session):
    """The way to the index; what it answers is held as a whole, so there is a limit to it."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request and read the answer.

        Raises:
            NetworkError: it is too large, or encoded although nobody asked for that: a few bytes
                could become any number of them.
        """
        response = super().send(request, **{**options, "stream": True})
        # What a redirect led to has been read by the call that followed it.
        content: object = response._content  # noqa: SLF001 - False marks what was not read
        if content is False:
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                response.close()
                raise NetworkError(f"{shown(response.url)}: the answer is encoded, unasked for")
            data = bytearray()
            for block in web.read_blocks(response, response.url, self.access.patience):
                data += block
                if len(data) > LIMIT:
                    response.close()
                    what = f"more than {LIMIT} bytes for one page"
                    raise NetworkError(f"{shown(response.url)}: {what}")
            response._content = bytes(data)  # noqa: SLF001 - there is no other way to set a limit
        return response


class IndexClient:
    """Pages of the package index.

    Args:
        settings: the index; else the one that pip is configured for.
        access: the way to servers, where pip's configuration says nothing; else the direct one.

    Raises:
        UsageError: pip's configuration is malformed, or names an index that is no web address.
    """

    def __init__(self, settings: PipSettings | None = None, access: Access | None = None) -> None:
        settings = read_pip_settings() if settings is None else settings
        self.shown = printable(web.public_url(settings.index_url))
        if urlsplit(settings.index_url).scheme not in {"https", "http"}:
            raise UsageError(
                f"the package index is no web address: {self.shown}",
                hint="PIP_INDEX_URL names one for this command",
            )
        access = Access(patience=web.PATIENCE) if access is None else access
        self._patience = access.patience
        session = _Session(through_pip(access, settings))
        self._index = PyPISimple(settings.index_url, session=session)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._index.__exit__(kind, error, trace)

    def wheels(self, project: str) -> list[DistributionPackage]:
        """Return all wheels of a project, as the index lists them.

        Raises:
            UsageError: the index does not know it.
            NetworkError: the index cannot be reached, or does not speak the protocol.
        """
        return web.insist(lambda: self._ask(project), self._patience)

    def _ask(self, project: str) -> list[DistributionPackage]:
        try:
            with web.faults(self._index.endpoint):
                try:
                    page = self._page(project)
                except requests.HTTPError as error:
                    raise self._refusal(error) from None
                except requests.JSONDecodeError as error:
                    raise ValueError(str(error)) from None
        except NoSuchProjectError:
            raise UsageError(
                f"the package index has no {printable(project)}: {self.shown}",
                hint="check the name, and which index pip is configured for: pip config list",
            ) from None
        except (UnsupportedContentTypeError, UnsupportedRepoVersionError, ValueError) as error:
            raise NetworkError(
                f"{self.shown}: the server does not answer as a package index",
                hint="a login or a proxy may stand in between",
            ) from error
        wheels = [package for package in page.packages if package.package_type == "wheel"]
        for wheel in wheels:
            if wheel.size is not None and not 0 <= wheel.size <= LARGEST_INTEGER:
                # No file has that many bytes, and no lock can say it.
                wheel.size = None
        return wheels

    def _page(self, project: str) -> ProjectPage:
        address = self._index.get_project_url(project)
        answer = self._index.s.get(
            address,
            timeout=self._patience.timeouts,
            headers={"Accept": self._index.accept},
        )
        if answer.status_code == requests.codes.not_found:
            raise NoSuchProjectError(project, address)
        answer.raise_for_status()
        return read_page(answer, project)

    def _refusal(self, error: requests.HTTPError) -> NetworkError:
        return refusal(error.response, self._index.endpoint, self._patience.longest_wait)


def digest(package: DistributionPackage) -> str:
    """Return the SHA-256 that the index tells for a file.

    Raises:
        UsageError: it tells none.
    """
    sha256 = package.digests.get("sha256", "")
    if not SHA256.fullmatch(sha256):
        raise UsageError(
            f"the package index tells no SHA-256 for {printable(package.filename)}",
            hint="add the file by its address and accept its digest: sealift add --url URL"
            " --accept-digest sha256:HEX",
        )
    return sha256


def address(package: DistributionPackage) -> str:
    """Return a file's address without credentials: it will stand in the lock.

    Raises:
        Damaged: it leads to no server, such as to a file of this machine.
    """
    try:
        parts = urlsplit(package.url)
        netloc = parts.netloc.rpartition("@")[2]
        url = urlunsplit((parts.scheme, netloc, parts.path, parts.query, ""))
        leads = parts.scheme in {"https", "http"} and find_flaw(url) is None
    except ValueError:
        url, leads = "", False
    if not leads:
        raise Damaged(
            mismatch(
                f"the package index leads to no server: {printable(package.filename)}",
                "a plain address with https or http",
                printable(url) or "none that can be read",
            )
        )
    return url
