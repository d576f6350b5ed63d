"""Which proxy an address is reached through, and which addresses are reached without one.

Where curl and uv agree about NO_PROXY, so do we; they were asked with a loopback proxy (curl 7.88,
uv 0.13.9). Unlike requests, both go by the address alone: a word with a port fits nothing, and no
part of an IP address is the end of a name.
"""

import os
import re
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies

from requests.utils import select_proxy, should_bypass_proxies

from sealift_bundler.credentials import check_proxy

_NETWORK = re.compile(r"[0-9A-Fa-f.:]+/[0-9]{1,3}")
_BETWEEN = re.compile(r"[,\s]+")


def choose_proxies(url: str, default: str | None) -> dict[str, str]:
    """Return the proxies for `url` as requests takes them: the environment's, else `default`.

    Raises:
        UsageError: the proxy is of no use.
    """
    if is_reached_directly(url):
        return {}
    named = getproxies()
    chosen = select_proxy(url, named)
    proxy = chosen or default
    if proxy is None:
        return {}
    check_proxy(proxy)
    return {"http": proxy, "https": proxy}


def is_reached_directly(url: str) -> bool:
    """Tell whether NO_PROXY names the host of `url`, or where there is none, the system's settings.

    Words stand between commas or blanks. `example.org` and `.example.org` stand for that name and
    all below it; an address for itself, also in another spelling; `192.0.2.0/24` for a network; and
    `*`, alone, for everything.
    """
    words = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    if not words:
        return should_bypass_proxies(url, no_proxy=None)
    if words.strip() == "*":
        return True
    host = (urlsplit(url).hostname or "").rstrip(".")
    named = [word for word in _BETWEEN.split(words.lower()) if word]
    try:
        address = ip_address(host)
    except ValueError:
        return any(_is_below(host, word.strip(".")) for word in named)
    return any(_is_within(address, word) for word in named)


def _is_below(host: str, name: str) -> bool:
    return name != "" and (host == name or host.endswith(f".{name}"))


def _is_within(address: IPv4Address | IPv6Address, word: str) -> bool:
    with suppress(ValueError):
        if _NETWORK.fullmatch(word):
            return address in ip_network(word, strict=False)
        return address == ip_address(word)
    return False
