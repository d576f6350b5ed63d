"""Package URLs: https://github.com/package-url/purl-spec."""

from collections.abc import Mapping
from urllib.parse import quote

from packaging.utils import canonicalize_name


def pypi(name: str, version: str | None, filename: str | None = None) -> str:
    """Return the purl of a distribution on a Python package index."""
    qualifiers = {} if filename is None else {"file_name": filename}
    return _purl("pypi", canonicalize_name(name), version, qualifiers)


def npm(name: str, version: str | None) -> str:
    """Return the purl of a package of npm; a scope is `@scope/` before the name."""
    return _purl("npm", name, version)


def generic(
    name: str, version: str | None = None, *, url: str | None = None, sha256: str | None = None
) -> str:
    """Return the purl of what no package registry names; with the address and the digest known."""
    qualifiers = {}
    if sha256 is not None:
        qualifiers["checksum"] = f"sha256:{sha256}"
    if url is not None:
        qualifiers["download_url"] = url
    return _purl("generic", name, version, qualifiers)


def _purl(
    kind: str, name: str, version: str | None, qualifiers: Mapping[str, str] | None = None
) -> str:
    path = "/".join(quote(part, safe="") for part in name.split("/"))
    text = f"pkg:{kind}/{path}"
    if version:
        text += f"@{quote(version, safe='')}"
    if qualifiers:
        pairs = (f"{key}={quote(value, safe=':/')}" for key, value in sorted(qualifiers.items()))
        text += "?" + "&".join(pairs)
    return text
