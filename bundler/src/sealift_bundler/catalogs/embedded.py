"""The catalogue that comes with sealift and needs no network: the data of the package pbs-installer.

It lists the builds of python-build-standalone and PyPy for glibc Linux, macOS and Windows, one for
each version and platform, prereleases left out. Nothing of the package is run: its data file is
read, `versions.json`, a list of versions with their files.
"""

import hashlib
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sealift_bundler.catalogs.catalog import Catalog
from sealift_bundler.catalogs.metadata import CatalogEntry, catalog_key
from sealift_installer.errors import Damaged, HostError, host_errors, printable
from sealift_schemas.keys import InstallKey
from sealift_schemas.strictjson import SHA256

# The word by which a spec names this catalogue among others.
NAME = "embedded"
_PACKAGE = "pbs-installer"
_LIBCS = {"linux": "gnu", "macos": "none", "windows": "none"}
# The date of a build stands in its address: .../download/20261021/..., or .../pypy3.11-v7.3.23-...
_BUILD = re.compile(r"/download/([0-9]{8})/|/pypy[0-9.]+-v([0-9][0-9a-z.]*)-")


def load_embedded() -> Catalog:
    """Read the catalogue that is part of this installation.

    Raises:
        HostError: the package is not installed, or its data cannot be read.
        Damaged: the data is not what this program knows.
    """
    path, release = _locate()
    with host_errors("cannot read the embedded catalogue"):
        data = path.read_bytes()
    try:
        entries = _first_of_each(_files(json.loads(data)))
    except (ValueError, KeyError, TypeError) as error:
        message = f"the data of {_PACKAGE} {release} is not as expected: {printable(str(error))}"
        raise Damaged(message, hint="install the version that sealift was released with") from None
    name = f"{_PACKAGE}=={release}"
    return Catalog(name, hashlib.sha256(data).hexdigest(), tuple(entries.values()))


def _locate() -> tuple[Path, str]:
    # A package that is looked for at the top is not run by that.
    spec = importlib.util.find_spec("pbs_installer")
    try:
        release = version(_PACKAGE)
    except PackageNotFoundError:
        spec = None
        release = ""
    if spec is None or not spec.submodule_search_locations:
        raise HostError(f"the package {_PACKAGE} is missing", hint="install sealift anew")
    return Path(next(iter(spec.submodule_search_locations))) / "versions.json", release


def _files(document: Any) -> Iterator[CatalogEntry]:
    """Yield an entry for each file; those ready to be installed come before whole build trees."""
    for ready in (True, False):
        for group in document:
            for file in group["files"]:
                if file["install_only"] is ready:
                    entry = _entry(group["python_version"], file)
                    if entry is not None:
                        yield entry


def _first_of_each(entries: Iterator[CatalogEntry]) -> dict[InstallKey, CatalogEntry]:
    found: dict[InstallKey, CatalogEntry] = {}
    for entry in entries:
        found.setdefault(entry.key, entry)
    return found


def _entry(release: Mapping[str, Any], file: Mapping[str, Any]) -> CatalogEntry | None:
    numbers = (int(release["major"]), int(release["minor"]), int(release["micro"]))
    system = file["platform"]
    key = catalog_key(
        release["implementation"],
        ".".join(map(str, numbers)),
        "freethreaded" if release["freethreaded"] else None,
        (system, file["arch"], _LIBCS.get(system, "")),
    )
    if key is None:
        return None
    url, digest = file["url"], file["sha256"]
    if not url.startswith("https://") or not (digest is None or SHA256.fullmatch(digest)):
        raise ValueError(url)
    match = _BUILD.search(url)
    build = None if match is None else match[1] or match[2]
    return CatalogEntry(key, numbers, "", url, digest, build)
