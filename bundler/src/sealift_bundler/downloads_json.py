"""python-downloads.json: the bundle's interpreters in uv's download-metadata format.

So that the bundle serves as UV_PYTHON_DOWNLOADS_JSON_URL, beside `archives/` as
UV_PYTHON_CACHE_DIR. uv derives everything from the fields, and the name in its cache from the
last segment of the URL, so that segment is the file's name here.
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlsplit

from sealift_bundler import web
from sealift_schemas.keys import PYTHON_VERSION, InstallKey
from sealift_schemas.lock import LockedArchive
from sealift_schemas.strictjson import encode

# What uv unpacks: uv 0.12.0 gave up .tar.bz2 and .tar.xz.
UV_FORMATS = ("tar", "tar.gz", "tar.zst", "zip")
# uv's names, where the metadata has others than the install key.
_OPERATING_SYSTEMS = {"macos": "darwin"}
_ARCHITECTURES = {"x86": "i686", "riscv64gc": "riscv64"}
_NAMES = {"pyodide": "cpython"}
_ARCHITECTURE = re.compile(r"(.+?)(?:_(v[2-4]))?")


def downloads_json(archives: Iterable[LockedArchive], stream: str) -> bytes:
    """Return the file's bytes for those of `archives` that uv can install."""
    entries = {
        archive.name: _entry(archive, stream)
        for archive in archives
        if archive.kind == "interpreter" and archive.format in UV_FORMATS
    }
    return encode(dict(sorted(entries.items())), indent=2)


def public_url(url: str, filename: str, stream: str) -> str:
    """Return `url` as it may be published: without userinfo and query, and never a local path.

    A source that is not on the web gets a name under .invalid, which belongs to nobody (RFC 2606).
    """
    if urlsplit(url).scheme in ("https", "http"):
        return web.public_url(url)
    host = re.sub(r"[^a-z0-9]+", "-", stream).strip("-") or "site"
    return f"https://{host}.invalid/{quote(filename)}"


def _entry(archive: LockedArchive, stream: str) -> dict[str, Any]:
    key = InstallKey.parse(archive.name)
    version = PYTHON_VERSION.fullmatch(key.version)
    family = _ARCHITECTURE.fullmatch(key.platform.architecture)
    assert version is not None, "an install key has a version of three numbers"
    assert family is not None, "an install key has an architecture"
    return {
        "name": _NAMES.get(key.implementation, key.implementation),
        "arch": {"family": _ARCHITECTURES.get(family[1], family[1]), "variant": family[2]},
        "os": _OPERATING_SYSTEMS.get(key.platform.os, key.platform.os),
        "libc": key.platform.libc,
        "major": int(version[1]),
        "minor": int(version[2]),
        "patch": int(version[3]),
        "prerelease": version[4] or "",
        "url": public_url(archive.url, archive.filename, stream),
        "sha256": archive.sha256,
        "variant": key.variant,
        "build": archive.build,
    }
