"""Components from what package formats say about themselves: METADATA, package.json, vendor.txt."""

import json
import re
from collections.abc import Mapping
from typing import Any

from packaging.metadata import RawMetadata, parse_email

from sealift_bundler.evidence import purl
from sealift_bundler.evidence.findings import Part, word
from sealift_bundler.evidence.licensing import declared

_ADDRESS = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]{3,500}")
# The labels that projects give their addresses (well-known ones of the packaging specifications),
# and CycloneDX's types of external references.
_LABELS = {
    "homepage": "website", "home": "website", "website": "website", "source": "vcs",
    "sourcecode": "vcs", "repository": "vcs", "github": "vcs", "documentation": "documentation",
    "docs": "documentation", "changelog": "release-notes", "issues": "issue-tracker",
    "bugtracker": "issue-tracker", "tracker": "issue-tracker",
}  # fmt: skip
_PYPI_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,200}[A-Za-z0-9])?")
_NPM_NAME = re.compile(r"(?:@[a-z0-9~._-]{1,100}/)?[A-Za-z0-9~._-]{1,214}")
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]{0,100})==([A-Za-z0-9.!+_-]{1,60})", re.MULTILINE)


def read_distribution(data: bytes, path: str, *, filename: str | None = None) -> Part | None:
    """Return the Python distribution that METADATA (or PKG-INFO) describes, None if it is neither.

    Args:
        data: the bytes of the file, of limited size.
        path: where it stands.
        filename: of the wheel that it comes from, if it does.
    """
    try:
        values, _ = parse_email(data)
    except (ValueError, LookupError, RecursionError):
        return None
    name, version = word(values.get("name")), word(values.get("version"))
    if name is None or not _PYPI_NAME.fullmatch(name):
        return None
    return Part(
        name=name,
        version=version,
        purl=purl.pypi(name, version, filename),
        licensing=declared(
            values.get("license_expression"),
            values.get("license"),
            values.get("classifiers") or (),
        ),
        author=_author(values),
        links=_links(values),
        places=(path,),
        found="the metadata of a Python distribution",
    )


def read_vendored(data: bytes, path: str) -> list[Part]:
    """Return what vendor.txt of pip or setuptools names: `name==version`, one a line."""
    pinned = _PINNED.findall(data.decode("utf-8", "replace"))
    return [
        Part(
            name=name,
            version=version,
            purl=purl.pypi(name, version),
            places=(path,),
            found="a list of what is vendored",
        )
        for name, version in pinned
    ]


def read_package(data: bytes, path: str) -> Part | None:
    """Return the package of npm that package.json describes, None if it describes none."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    name, version = word(value.get("name")), word(value.get("version"))
    if name is None or version is None or not _NPM_NAME.fullmatch(name):
        return None
    licence = value.get("license")
    if isinstance(licence, dict):
        licence = licence.get("type")
    author = value.get("author")
    if isinstance(author, dict):
        author = author.get("name")
    return Part(
        name=name,
        version=version,
        purl=purl.npm(name, version),
        licensing=declared(licence if isinstance(licence, str) else None),
        author=word(author),
        links=_addresses({"website": value.get("homepage")}),
        places=(path,),
        found="package.json",
    )


def _author(values: RawMetadata) -> str | None:
    """Return who wrote it: `Name <address>` in the newer field, a name in the older one."""
    author = word(values.get("author"))
    if author is not None:
        return author
    given = word(values.get("author_email"))
    if given is None:
        return None
    return given.partition("<")[0].strip(' "') or None


def _links(values: RawMetadata) -> dict[str, str]:
    found = {"website": values.get("home_page")}
    for label, address in (values.get("project_urls") or {}).items():
        kind = _LABELS.get(re.sub(r"[^a-z]", "", label.lower()))
        if kind is not None:
            found[kind] = found.get(kind) or address
    return _addresses(found)


def _addresses(found: Mapping[str, Any]) -> dict[str, str]:
    return {
        kind: address
        for kind, address in sorted(found.items())
        if isinstance(address, str) and _ADDRESS.fullmatch(address)
    }
