"""The one door to the network: GET over requests, with our errors and without secrets in them."""

import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3

from sealift_bundler import __version__
from sealift_bundler.errors import NetworkError
from sealift_installer.errors import printable

# Bytes read at once.
BLOCK = 256 * 1024
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head)\b", re.IGNORECASE)


class Transient(NetworkError):
    """A fault that may be gone when it is tried again."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often: time-outs and the first pause in seconds; each pause is doubled."""

    connect: float = 10.0
    read: float = 60.0
    attempts: int = 3
    pause: float = 0.5

    def tries(self) -> Iterator[bool]:
        """Yield once for each attempt whether it is the last, with a pause between them."""
        for number in range(1, self.attempts + 1):
            yield number == self.attempts
            time.sleep(self.pause * 2 ** (number - 1))


PATIENCE = Patience()


def public_url(url: str) -> str:
    """Return `url` without user, password, query and fragment, fit for a message or a bundle."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@contextmanager
def get(url: str, *, headers: Mapping[str, str] | None = None) -> Iterator[requests.Response]:
    """Ask for `url`; the answer is 200, or 304 where `headers` make a condition.

    The body is as it was sent (`read_body`), since no encoding is accepted: an archive's digest is
    that of the published bytes.

    Raises:
        Transient: a fault that may pass.
        NetworkError: any other fault; a redirect from https to http is one.
    """
    asked = {
        "Accept-Encoding": "identity",
        "User-Agent": f"sealift/{__version__}",
        **(headers or {}),
    }
    timeouts = (PATIENCE.connect, PATIENCE.read)
    with (
        faults(url),
        _Session() as session,
        session.get(url, headers=asked, stream=True, timeout=timeouts) as response,
    ):
        status = response.status_code
        if status not in {200, 304}:
            kind = Transient if status in _TRANSIENT_STATUS else NetworkError
            reason = f"{status} {printable(response.reason or '')}".rstrip()
            raise kind(f"{_shown(url)}: the server answered {reason}", hint=_hint(status))
        yield response


def read_body(response: requests.Response, url: str) -> Iterator[bytes]:
    """Yield the body's bytes as they come, at most `BLOCK` at once.

    Raises:
        Transient: the body ends early or the connection breaks.
        NetworkError: it is a web page, such as those of logins and proxies.
    """
    first = True
    with faults(url):
        while block := response.raw.read(BLOCK, decode_content=False):
            if first and _HTML.match(block):
                raise NetworkError(
                    f"{_shown(url)}: the server sent a web page instead of the file",
                    hint="a login or a proxy may stand in between",
                )
            first = False
            yield block


def body_size(response: requests.Response) -> int | None:
    """Return the size in bytes that the server announced, or None."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else None


@contextmanager
def faults(url: str) -> Iterator[None]:
    """Turn what requests and urllib3 raise into our errors.

    Their own messages name the whole URL, with whatever secrets it holds; so only the cause is
    told.
    """
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _translated(error, url) from None


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where a redirect leads; from https it never leads to http."""
        target = super().get_redirect_target(resp)
        if target is not None:
            scheme = urlsplit(target).scheme
            plain = scheme == "http" and urlsplit(resp.url).scheme == "https"
            if plain or scheme not in {"http", "https", ""}:
                raise NetworkError(
                    f"{_shown(resp.url)}: refused a redirect to {_shown(target)}",
                    hint="an https address must lead to https alone",
                )
        return target


def _translated(error: Exception, url: str) -> NetworkError:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            message = f"{_shown(url)}: the certificate is not trusted: {cause.verify_message}"
            hint = "REQUESTS_CA_BUNDLE names a file with the certificates of another authority"
            return NetworkError(message, hint=hint)
        if isinstance(cause, requests.TooManyRedirects):
            return NetworkError(f"{_shown(url)}: too many redirects")
        if isinstance(cause, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
            return NetworkError(f"{_shown(url)}: not an address that can be fetched")
    return Transient(f"{_shown(url)}: {_reason(causes)}")


def _reason(causes: list[BaseException]) -> str:
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return "the server's name is not known"
        if isinstance(cause, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
            return "no answer in time"
        if isinstance(cause, urllib3.exceptions.IncompleteRead):
            return "the connection ended before the file did"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror[:1].lower() + cause.strerror[1:]
    return "the connection broke"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those it wraps, the innermost first."""
    if error is None:
        return
    inner = error.__cause__ or error.__context__
    yield from _causes(inner)
    # urllib3 hands the cause on in `reason`, requests in the first argument.
    wrapped = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    if isinstance(wrapped, BaseException) and wrapped is not inner:
        yield from _causes(wrapped)
    yield error


def _hint(status: int) -> str | None:
    if status in {401, 403, 407}:
        return "credentials are taken from ~/.netrc"
    return "the file may have been moved or withdrawn" if status in {404, 410} else None


def _shown(url: str) -> str:
    return printable(public_url(url))
