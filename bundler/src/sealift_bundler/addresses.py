"""Addresses where they come in, from a spec, a catalogue or a lock: sound, and without secrets."""

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from sealift_installer.errors import UsageError, printable

# What servers and proxies take at the least is 8,000 characters (RFC 9110, section 4.1).
_LONGEST = 8000
# As they are named by forges, by stores that sign addresses (S3, GCS, Azure), and by hand.
_SECRET = re.compile(
    r".*(token|signature|credential|secret|passw|api[-_]?key).*|sig|auth", re.IGNORECASE
)
_PLACE = "credentials stand in ~/.netrc, not in an address: it is written to the lock"


def find_flaw(url: str) -> str | None:
    """Return what is wrong with an address, without a part of it that may be secret, or None."""
    if len(url) > _LONGEST:
        return f"more than {_LONGEST} characters"
    if not url.isprintable():
        return "control characters"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "no host and port that can be read"
    if "@" in parts.netloc:
        return "user or password"
    if parts.scheme in {"http", "https"} and not parts.hostname:
        return "no host"
    return "a NUL byte" if "%00" in parts.path else None


def check_address(url: str, what: str) -> None:
    """Refuse an address that nothing can be fetched from, or that holds a password.

    Raises:
        UsageError: it is one; `what` names it, as the address itself may be secret.
    """
    flaw = find_flaw(url)
    if flaw is not None:
        raise UsageError(
            f"{what} has no address to fetch from\n  Expected: a plain address\n  Found: {flaw}",
            hint=_PLACE if flaw == "user or password" else None,
        )


def describe_secrets(urls: Iterable[str]) -> str | None:
    """Return a line about the addresses whose query names a credential, without it, or None.

    A lock keeps queries, for a file may not be had without. Which of them are secret only their
    names tell.
    """
    found = {url: name for url in urls if (name := _find_secret(url)) is not None}
    if not found:
        return None
    url, name = next(iter(found.items()))
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return (
        f"{shown(url)}{more}: the lock has {printable(name)}=... of its address, which looks like a"
        " credential; [[network.host]] and ~/.netrc keep one out"
    )


def _find_secret(url: str) -> str | None:
    try:
        fields = parse_qsl(urlsplit(url).query)
    except ValueError:  # there are too many
        return None
    return next((name for name, _ in fields if _SECRET.fullmatch(name)), None)


def public_url(url: str) -> str:
    """Return `url` without user, password, query and fragment, fit for a message or a bundle."""
    parts = urlsplit(url)
    public = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    # Mostly it is the same: of thousands of archives there shall not be two in memory.
    return url if public == url else public


def shown(url: str) -> str:
    """Return `url` for a message: without secrets, and such that a terminal shows it."""
    return printable(public_url(url))
