"""Proxies and credentials that the environment gives and that nothing can be asked with."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from urllib.parse import urlsplit

from sealift_installer.errors import UsageError

_SCHEMES = ("http", "https")
_SOCKS = ("socks4", "socks4a", "socks5", "socks5h")


def check_proxy(proxy: str) -> None:
    """Refuse what is no address of a proxy; it may hold a password, so it is not shown.

    Raises:
        UsageError: it is none.
    """
    if proxy.lower().startswith("socks") and "://" in proxy and not _speaks_socks(proxy):
        raise UsageError(
            "the proxy speaks SOCKS, which sealift does not",
            hint="name one for HTTP, as HTTPS_PROXY=http://HOST:PORT; or install pysocks beside"
            " sealift, for socks4:// and socks5h://",
        )
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        _ = parts.port
    except ValueError:
        sound = False
    else:
        host = parts.hostname or ""
        sound = (
            parts.scheme in (*_SCHEMES, *_SOCKS)
            and host.isprintable()
            and host != ""
            and " " not in host
        )
    if not sound:
        raise UsageError(
            "the proxy has no address that can be used\n"
            "  Expected: http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT",
            hint="look at HTTP_PROXY, HTTPS_PROXY and ALL_PROXY; in a password `@ : / %` are"
            " written as %40 %3A %2F %25",
        )


def _speaks_socks(proxy: str) -> bool:
    return proxy.lower().partition("://")[0] in _SOCKS and find_spec("socks") is not None


@contextmanager
def sendable() -> Iterator[None]:
    """Tell of user and password that cannot be read, or not be sent as HTTP sends them.

    Raises:
        UsageError: such there are.
    """
    try:
        yield
    except UnicodeDecodeError:
        raise UsageError("~/.netrc, or the file that NETRC names, is not in UTF-8") from None
    except UnicodeEncodeError:
        raise UsageError(
            "a user or a password has characters beyond Latin-1, and cannot be sent",
            hint="they come from ~/.netrc, from the proxy's address or from pip's configuration",
        ) from None
