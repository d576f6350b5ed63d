"""What requests and urllib3 raise, in our words: which faults may pass, and which will not."""

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import requests
import urllib3

from sealift_bundler.addresses import public_url, shown
from sealift_bundler.errors import NetworkError
from sealift_installer.errors import printable

__all__ = ["TRANSIENT_STATUS", "Transient", "faults", "public_url", "refusal", "shown"]

TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
# What OpenSSL calls faults of certificates and keys, ours or the server's; a retry mends none.
_LASTING_TLS = re.compile(r"CERTIFICATE|UNKNOWN_CA|KEY|PEM|PROTOCOL_VERSION|WRONG_VERSION_NUMBER")
_AUTHORITIES = (
    "the file that `ca` in [network], SSL_CERT_FILE or REQUESTS_CA_BUNDLE names has the authorities"
    " that are trusted; for the package index also pip's `cert`"
)
_BASIC_ALONE = (
    "HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT gives a password, which is sent as Basic;"
    " a proxy that asks for NTLM or Negotiate needs another one in front, such as cntlm"
)
_UNUSABLE = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidProxyURL,
)

_REASONS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((socket.gaierror,), "the server's name is not known"),
    ((urllib3.exceptions.ConnectTimeoutError, requests.ConnectTimeout), "no connection in time"),
    ((requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError), "no answer in time"),
    ((ssl.SSLError,), "the TLS connection broke"),
    ((urllib3.exceptions.IncompleteRead,), "the connection ended before the file did"),
)


class Transient(NetworkError):
    """A fault that may be gone when it is tried again.

    Args:
        message: as of every error.
        hint: likewise.
        after: seconds that the server asks to wait.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, after: float | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.after = after


@contextmanager
def faults(url: str) -> Iterator[None]:
    """Turn what requests and urllib3 raise into our errors.

    Their own messages name the whole URL, with whatever secrets it holds; so only the cause is
    told.

    Raises:
        Transient: a fault that may pass.
        NetworkError: one that will not.
    """
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _translated(error, url) from None


def refusal(response: requests.Response, url: str, longest_wait: float) -> NetworkError:
    """Return the error for an answer that is none; `longest_wait` is in seconds."""
    status = response.status_code
    reason = f"{status} {printable(response.reason or '')}".rstrip()
    who = "proxy" if status == requests.codes.proxy_authentication else "server"
    message = f"{shown(url)}: the {who} answered {reason}"
    if status not in TRANSIENT_STATUS:
        return NetworkError(message, hint=_hint(status))
    after = _retry_after(response)
    if after is not None and after > longest_wait:
        hint = f"the server asks to come again in {after:.0f} seconds; what is here is kept"
        return NetworkError(message, hint=hint)
    return Transient(message, after=after)


def _retry_after(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After")
    if text is None:
        return None
    try:
        # Seconds or a date, RFC 9110 10.2.3.
        return urllib3.Retry().parse_retry_after(text)
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        return None


def _translated(error: Exception, url: str) -> NetworkError:
    causes = list(_causes(error))
    for cause in causes:
        lasting = _lasting(cause)
        if lasting is not None:
            message, hint = lasting
            return NetworkError(f"{shown(url)}: {message}", hint=hint)
    reason = _reason(causes)
    if any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes):
        return Transient(
            f"{shown(url)}: the proxy does not serve: {reason.replace('server', 'proxy')}",
            hint="look at HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, and at `proxy` in [network]",
        )
    return Transient(f"{shown(url)}: {reason}")


def _lasting(cause: BaseException) -> tuple[str, str | None] | None:
    """Return message and hint if no further attempt can mend `cause`."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {cause.verify_message}", _AUTHORITIES
    if isinstance(cause, ssl.SSLError) and _LASTING_TLS.search(str(cause.reason)):
        reason = str(cause.reason).lower().replace("_", " ")
        return f"TLS failed: {reason}", "[[network.host]] names client certificates"
    if isinstance(cause, requests.TooManyRedirects):
        return "too many redirects", None
    if isinstance(cause, _UNUSABLE):
        return "not an address that can be fetched", None
    tunnel = _TUNNEL.search(str(cause)) if isinstance(cause, OSError) else None
    if tunnel is not None and int(tunnel[1]) not in TRANSIENT_STATUS:
        return f"the proxy answered {tunnel[1]}", _BASIC_ALONE if tunnel[1] == "407" else None
    return None


def _reason(causes: list[BaseException]) -> str:
    for cause in causes:
        for kinds, reason in _REASONS:
            if isinstance(cause, kinds):
                return reason
        tunnel = _TUNNEL.search(str(cause)) if isinstance(cause, OSError) else None
        if tunnel is not None:
            return f"it answered {tunnel[1]}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror[:1].lower() + cause.strerror[1:]
    return "the connection broke"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those it wraps, the innermost first."""
    if error is None:
        return
    inner = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    yield from _causes(inner)
    # urllib3 hands the cause on in `reason`, requests in the first argument.
    wrapped = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    if isinstance(wrapped, BaseException) and wrapped is not inner:
        yield from _causes(wrapped)
    yield error


def _hint(status: int) -> str | None:
    if status == requests.codes.proxy_authentication:
        return _BASIC_ALONE
    if status in {401, 403}:
        return "credentials are taken from ~/.netrc and from [[network.host]]"
    return "the file may have been moved or withdrawn" if status in {404, 410} else None
