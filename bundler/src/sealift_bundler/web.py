"""The one door to the network: GET over requests, with our errors and without secrets in them."""

import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from requests.auth import HTTPBasicAuth

from sealift_bundler import __version__
from sealift_bundler.access import Access
from sealift_bundler.credentials import sendable
from sealift_bundler.errors import NetworkError
from sealift_bundler.patience import Patience
from sealift_bundler.proxies import choose_proxies
from sealift_bundler.web_faults import Transient, faults, public_url, refusal, shown
from sealift_bundler.web_pool import Adapter
from sealift_installer.errors import HostError, printable

__all__ = ["PATIENCE", "Patience", "Session", "Transient", "body_size", "faults", "get"]
__all__ += ["entity_tag", "insist", "modified_date", "public_url", "read_blocks", "read_body"]

T = TypeVar("T")
PATIENCE = Patience()
_ACCEPTED = frozenset({200, 304})
_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head)\b", re.IGNORECASE)
_PARTIAL = 206
# RFC 9110, 8.8.3. What is no such name cannot be sent back; a very long one no server takes.
_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]{0,1000}"')
_DATE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ,:+-]{0,99}")
# Of a length: more than anybody has, and less than Python refuses to read.
_DIGITS = 18


class Session(requests.Session):
    """Connections that are used again, by one thread at a time, on the ways that `access` names.

    The environment comes first, as it does for uv and curl: HTTP_PROXY, HTTPS_PROXY, NO_PROXY,
    REQUESTS_CA_BUNDLE, SSL_CERT_FILE, and ~/.netrc.
    """

    def __init__(self, access: Access | None = None) -> None:
        super().__init__()
        self.access = Access(patience=PATIENCE) if access is None else access
        for scheme in ("https://", "http://"):
            self.mount(scheme, Adapter())
        # An archive's digest is that of the published bytes, so no encoding is accepted.
        self.headers["Accept-Encoding"] = "identity"
        self.headers["User-Agent"] = f"sealift/{__version__}"
        self.verify = os.environ.get("SSL_CERT_FILE") or self.access.ca or True
        self.max_redirects = self.access.patience.redirects
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Prepare a request, with what ~/.netrc has for its host. Raises UsageError as `send`."""
        with sendable():
            return super().prepare_request(request)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request, and each one that a redirect leads to, with what is for its host alone.

        Raises:
            HostError: a file with certificates cannot be read.
            UsageError: a token is missing, or a proxy or a password is of no use.
        """
        url = request.url or ""
        options["cert"] = self.access.certificate(url)
        options["proxies"] = choose_proxies(url, self.access.proxy)
        token = self.access.token(url)
        if token is not None:
            # requests takes it off again where a redirect leads to another host.
            request.headers["Authorization"] = f"Bearer {token}"
        try:
            with sendable():
                if token is None and (password := self.access.password(url)) is not None:
                    HTTPBasicAuth(*password)(request)
                return super().send(request, **options)
        except requests.RequestException:
            raise
        except OSError as error:
            raise HostError(f"cannot read the certificates: {printable(str(error))}") from None

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where a redirect leads; from https it never leads to http."""
        try:
            target = super().get_redirect_target(resp)
            if target is not None:
                _ = urlsplit(target).port
        except ValueError:
            resp.close()
            what = "the server leads to an address that cannot be read"
            raise NetworkError(f"{shown(resp.url)}: {what}") from None
        if target is not None:
            size = body_size(resp)
            if size is None or size > self.access.patience.block:
                # requests would read its body to the end, however long that is.
                resp._content = b""  # noqa: SLF001 - there is no other way to leave it unread
                resp.close()
            scheme = urlsplit(target).scheme
            plain = scheme == "http" and urlsplit(resp.url).scheme == "https"
            if plain or scheme not in {"http", "https", ""}:
                resp.close()
                raise NetworkError(
                    f"{shown(resp.url)}: refused a redirect to {shown(target)}",
                    hint="an https address must lead to https alone",
                )
        return target

    def rebuild_proxies(
        self,
        prepared_request: requests.PreparedRequest,  # noqa: ARG002 - requests gives them
        proxies: Any,  # noqa: ARG002
    ) -> dict[str, str]:
        """Leave the choice to `send`, after a redirect too.

        requests would put the proxy's password among the headers, and they may go to the server.
        """
        return {}


@contextmanager
def get(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    session: Session | None = None,
    accepted: Collection[int] = _ACCEPTED,
) -> Iterator[requests.Response]:
    """Ask for `url`; the answer's status is one of `accepted`.

    The body is as it was sent (`read_body`).

    Args:
        url: the address.
        headers: those beside our own, such as conditions.
        session: the connections to be used; else new ones on the direct way.
        accepted: which statuses the caller can use.

    Raises:
        Transient: a fault that may pass.
        NetworkError: any other fault; a redirect from https to http is one.
    """
    with ExitStack() as stack:
        stack.enter_context(faults(url))
        session = session or stack.enter_context(Session())
        patience = session.access.patience
        response = stack.enter_context(
            session.get(url, headers=headers, stream=True, timeout=patience.timeouts)
        )
        if response.status_code not in accepted:
            raise refusal(response, url, patience.longest_wait)
        yield response


def insist(action: Callable[[], T], patience: Patience) -> T:
    """Return what `action` returns, tried again after faults that may pass.

    Raises:
        NetworkError: a fault that does not pass, or the last of those that might.
    """
    failures = 0
    while True:
        try:
            return action()
        except Transient as fault:
            failures += 1
            if failures >= patience.attempts:
                raise
            time.sleep(patience.wait(failures, fault.after))


def read_body(
    response: requests.Response, url: str, patience: Patience | None = None
) -> Iterator[bytes]:
    """Yield the body's bytes as they come, at most `Patience.block` at once.

    Raises:
        Transient: the body ends early, the connection breaks, or hardly anything comes.
        NetworkError: it is a web page, such as those of logins and proxies.
    """
    whole = response.status_code != _PARTIAL
    for block in read_blocks(response, url, patience):
        if whole and _HTML.match(block):
            raise NetworkError(
                f"{shown(url)}: the server sent a web page instead of the file",
                hint="a login or a proxy may stand in between",
            )
        whole = False
        yield block


def read_blocks(
    response: requests.Response, url: str, patience: Patience | None = None
) -> Iterator[bytes]:
    """Yield the body's bytes as they come, whatever they are. Raises Transient as `read_body`."""
    patience = PATIENCE if patience is None else patience
    start, gained = time.monotonic(), 0
    with faults(url):
        while block := response.raw.read1(patience.block, decode_content=False):
            gained += len(block)
            yield block
            seconds = time.monotonic() - start
            if seconds >= patience.read:
                # The time-out of a socket is for each byte, so a byte now and then passes it.
                if gained < patience.least:
                    raise Transient(f"{shown(url)}: {gained} bytes in {seconds:.0f} s")
                start, gained = time.monotonic(), 0


def entity_tag(response: requests.Response) -> str | None:
    """Return the server's name for this version of what it sent, if it can be sent back."""
    tag = response.headers.get("ETag", "")
    return tag if _TAG.fullmatch(tag) else None


def modified_date(response: requests.Response) -> str | None:
    """Return when what was sent has changed, as the server writes it, if it can be sent back."""
    date = response.headers.get("Last-Modified", "")
    return date if _DATE.fullmatch(date) else None


def body_size(response: requests.Response) -> int | None:
    """Return the size in bytes that the server announced, or None."""
    text = response.headers.get("Content-Length", "")
    sound = text.isascii() and text.isdigit() and len(text) <= _DIGITS
    return int(text) if sound else None
