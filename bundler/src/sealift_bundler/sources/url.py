"""Archives by address: what `[[url]]` asks for."""

import re
from urllib.parse import urlsplit

from sealift_bundler.addresses import check_address
from sealift_bundler.fetch import SCHEMES
from sealift_bundler.sources.found import (
    ENDINGS,
    Found,
    archive_filename,
    archive_format,
    choose_digest,
)
from sealift_bundler.web import public_url
from sealift_installer.errors import UsageError, printable
from sealift_schemas.keys import KEY, TOOL_NAME
from sealift_schemas.spec import UrlWanted


def tool_name(name: str, version: str, platform: str) -> str:
    """Return the directory of a tool, NAME-VERSION-PLATFORM (no platform where it is `any`).

    Raises:
        UsageError: it would be longer than 100 characters, or it would be an install key.
    """
    parts = (name, version) if platform == "any" else (name, version, platform)
    text = re.sub(r"[^a-z0-9._+-]", "-", "-".join(parts).lower())
    if not TOOL_NAME.fullmatch(text):
        raise UsageError(f"not fit for a directory: {printable(text)}", hint="shorten the name")
    if KEY.fullmatch(text):
        raise UsageError(
            f"a tool cannot be called as an interpreter is: {text}",
            hint="give it another --name; interpreters come by `sealift add cpython@3.13`",
        )
    return text


def find_url(wanted: UrlWanted) -> Found:
    """Return the archive at the address; it is not fetched here.

    Raises:
        UsageError: the address or its ending says nothing to us, or its digest is not known.
    """
    check_address(wanted.url, wanted.name)
    for address, what in ((wanted.checksums, "checksums"), (wanted.attestation, "attestation")):
        if address is not None:
            check_address(address, f"`{what}` of {wanted.name}")
            _check_scheme(address)
    shown = printable(public_url(wanted.url))
    _check_scheme(wanted.url)
    filename = archive_filename(wanted.url)
    archive = archive_format(filename)
    if archive is None:
        raise UsageError(
            f"{shown} does not say which format the archive has",
            hint=f"its name ends with one of {' '.join(ENDINGS)}",
        )
    sha256, digest_source = _digest(wanted, shown)
    return Found(
        name=tool_name(wanted.name, wanted.version, wanted.platform),
        kind="tool",
        source="url",
        request=public_url(wanted.url),
        version=wanted.version,
        platform=wanted.platform,
        url=wanted.url,
        filename=filename,
        format=archive,
        sha256=sha256,
        size=None,
        digest_source=digest_source,
        recipe="wheel" if filename.lower().endswith(".whl") else "generic",
        strip=wanted.strip,
        prefix=wanted.prefix,
        links=wanted.links,
    )


def _check_scheme(url: str) -> None:
    if urlsplit(url).scheme not in SCHEMES:
        raise UsageError(
            f"not an address: {printable(public_url(url))}",
            hint=f"it starts with {', '.join(SCHEMES)}; a file on this machine with file:///",
        )


def _digest(wanted: UrlWanted, shown: str) -> tuple[str, str]:
    return choose_digest(
        wanted.sha256,
        wanted.accept_digest,
        source="spec",
        clash=f"{shown}: sha256 and accept_digest differ",
        missing=UsageError(
            f"no digest is known for {shown}",
            hint="give --sha256 HEX as its publisher states it; where nobody states one, compare "
            "the archive by other means and pass --accept-digest sha256:HEX",
        ),
    )
