"""Ask the package index that pip is configured for, by the simple repository API (PEP 503, 691)."""

from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import requests
from pypi_simple import (
    DistributionPackage,
    NoSuchProjectError,
    PyPISimple,
    UnsupportedContentTypeError,
    UnsupportedRepoVersionError,
)

from sealift_bundler import web
from sealift_bundler.errors import NetworkError
from sealift_bundler.sources.pip_settings import PipSettings, read_pip_settings
from sealift_installer.errors import UsageError, printable
from sealift_schemas.strictjson import SHA256

_SERVER_FAULT = 500


class IndexClient:
    """Pages of the package index.

    Args:
        settings: the index; else the one that pip is configured for.

    Raises:
        UsageError: pip's configuration is malformed, or names an index that is no web address.
    """

    def __init__(self, settings: PipSettings | None = None) -> None:
        settings = read_pip_settings() if settings is None else settings
        self.shown = printable(web.public_url(settings.index_url))
        if urlsplit(settings.index_url).scheme not in {"https", "http"}:
            raise UsageError(
                f"the package index is no web address: {self.shown}",
                hint="PIP_INDEX_URL names one for this command",
            )
        session = requests.Session()
        session.headers["User-Agent"] = "sealift"
        if settings.cert:
            session.verify = settings.cert
        if settings.client_cert:
            session.cert = settings.client_cert
        if settings.proxy:
            session.proxies = {"http": settings.proxy, "https": settings.proxy}
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
        for last in web.PATIENCE.tries():
            try:
                return self._ask(project)
            except web.Transient:
                if last:
                    raise
        raise AssertionError  # tries() always has a last one

    def _ask(self, project: str) -> list[DistributionPackage]:
        timeouts = (web.PATIENCE.connect, web.PATIENCE.read)
        try:
            with web.faults(self._index.endpoint):
                try:
                    page = self._index.get_project_page(project, timeout=timeouts)
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
        return [package for package in page.packages if package.package_type == "wheel"]

    def _refusal(self, error: requests.HTTPError) -> NetworkError:
        status = error.response.status_code
        kind = web.Transient if status >= _SERVER_FAULT else NetworkError
        return kind(f"{self.shown}: the package index answered {status}")


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
    """Return a file's address without credentials: it will stand in the lock."""
    parts = urlsplit(package.url)
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, parts.path, parts.query, ""))
