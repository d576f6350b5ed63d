"""Asks uv and us the same questions, with uv's own catalogue.

SEALIFT_TEST_CATALOGS names a folder with `uv-download-metadata.json`. uv is run offline with an
empty archive cache, so that it stops with the key and the address that it would have fetched.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sealift_bundler.catalogs.catalog import Catalog
from sealift_bundler.catalogs.metadata import CatalogEntry, read_catalog
from sealift_bundler.catalogs.requests import PythonRequest, matching, select
from sealift_bundler.sources.found import archive_filename, archive_format
from sealift_bundler.sources.python import find_python
from sealift_installer.errors import UsageError
from sealift_schemas.keys import InstallKey, Platform
from sealift_schemas.lock import FILENAME
from sealift_schemas.spec import PythonWanted

CATALOG = Path(os.environ.get("SEALIFT_TEST_CATALOGS", "none")) / "uv-download-metadata.json"
UV = Path(sys.executable).with_name("uv")

pytestmark = [
    pytest.mark.archives,
    pytest.mark.skipif(not CATALOG.is_file(), reason="SEALIFT_TEST_CATALOGS has no catalogue"),
    pytest.mark.skipif(sys.platform != "linux", reason="uv's answers are compared on Linux"),
    pytest.mark.skipif(not UV.is_file(), reason="uv is not in this environment"),
]

REQUESTS = """
3 | 3.13 | 313 | v3.13 | 03.13 | 3.13.3 | 3.13.03 | 3.8 | 3.8.1 | 3.99 | 2.7 | 3.15 | 3.15.0 | any
default | 3.15.0rc1 | 3.15rc1 | 3.14.0b1 | 3.14rc2 | 3.13rc1 | 3.13.0-rc1 | 3rc1 | 3.13.1.1
3.13.post1 | 3.13.dev1 | 3.300 | 3.13.300 | 3.12.* | 3.13.0. | 3.13,<3.14 | 3.13+foo | @3.13
>=3.12,<3.14 | >= 3.12, < 3.14 | ~=3.12 | ~=3.13.0 | >=3.14 | >=3.15 | >=3.14.0a1 | >3.14.7 | >=3
>3.14.7,<3.16 | <3.15 | <=3.15 | <3.15.0rc1 | <4 | !=3.14.7 | !=3.15.0a1 | ==3.13.3 | ==3.13.*
==3.14 | ===3.13.3 | ===3.14 | ===3.13.3.0 | ===3.14.0c1 | ===3.13.* | ===foo | >=3.13,===3.14.1
==3.13.3.0 | ==3.13.3+local | ==3.13,==3.13.* | ==3.15.0rc1 | >=3.13+freethreaded | 3.13t | 313t | 3.13d | 3.13td | 3.13dt
3.13+t | 3.13+debug | 3.13+freethreaded+debug | 3.13+debug+freethreaded | 3.13++debug | 3.12t
3.12d | 3.15t | 3.13+gil | 3.14.0rc3t | cpython | cp | cp313 | CP313 | cpython@3.13 | cpython3.13
cpython@3.13t | cpython@>=3.12 | cpython>=3.12,<3.13 | cpython@latest | cpython@ | CPYTHON-3.13
python3.13 | python@3.13 | python | pypy | pypy@3.11 | pypy3.11 | PyPy3.11 | pp311 | pypy@7
pypy@3.11.15 | pypy@any | graalpy | gp312 | graalpy@3.11 | pyodide | pyodide@3.13 | nosuch | x
cpython-3.13 | cp-3.13 | cpython-3.13td | cpython--3.13 | any-3.13 | 3.13-any | 3.13-linux
3.13-gnu | 3.14.0rc3-musl | linux | musl | x86_64 | any-linux | cpython-linux | pypy-any-linux
gnueabihf | 3.13-x86_64-linux | 3.13-linux-x86_64_v9 | cpython-3.13-linux-gnu
cpython-3.13-linux-any-any | any-any-any-any-any | any-any-any-any-any-any
cpython-3.13-linux-x86_64_v3-gnu | cpython-3.13-linux-x86_64-musl | cpython-3.13-linux-arm64-gnu
cpython-3.13-linux-amd64-gnu | cpython-3.13-linux-i686-gnu | cpython-3.13-linux-riscv64gc-gnu
cpython-3.13-linux-armv7-gnueabihf | cpython-3.13-macos-aarch64-none | 3.13-darwin-aarch64-none
cpython-3.13-windows-x86_64-none | cpython-3.14.0rc2+freethreaded-linux-x86_64-gnu
cpython-3.13-linux-x86_64-gnu-x
"""
PLATFORMS = [
    *("linux-x86_64-gnu", "linux-x86_64-musl", "linux-x86_64_v3-gnu", "linux-aarch64-gnu"),
    *("linux-armv7-gnueabihf", "linux-s390x-gnu", "macos-x86_64-none", "macos-aarch64-none"),
    *("windows-x86_64-none", "windows-x86-none"),
]
# Where we differ on purpose: of the platform's name we fill in the libc that follows from the rest
# (uv takes this machine's), an epoch is no Python's, upper case is the same everywhere, spaces
# around a request mean nothing, emscripten is a platform like others (uv lets any pass for it), and
# a variant counts after `==` as after `>=` (uv passes it over).
DIFFERENT = {
    "3.13-macos": ("cpython-3.13.15-macos-x86_64-none", "no download"),
    "1!3.13": ("no request", "cpython-3.13.15-linux-x86_64-gnu"),
    "PyPy-3.11-Linux-AARCH64-GNU": ("pypy-3.11.15-linux-aarch64-gnu", "no request"),
    " 3.13d ": ("cpython-3.13.15+debug-linux-x86_64-gnu", "no request"),
    "3-emscripten-x86_64-any": ("no download", "cpython-3.14.7-linux-x86_64-gnu"),
    "==3.13t": (
        "cpython-3.13.15+freethreaded-linux-x86_64-gnu",
        "cpython-3.13.15-linux-x86_64-gnu",
    ),
    "3.13-linux-riscv64": ("cpython-3.13.15-linux-riscv64gc-gnu", "no download"),
}


@cache
def entries() -> tuple[CatalogEntry, ...]:
    return read_catalog(CATALOG.read_bytes(), CATALOG.name)


def ask_uv(folder: Path, *arguments: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "UV_CACHE_DIR": str(folder / "cache"),
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_BIN_DIR": str(folder / "bin"),
        "UV_PYTHON_CACHE_DIR": str(folder / "archives"),
        "UV_PYTHON_DOWNLOADS_JSON_URL": str(CATALOG.absolute()),
        "UV_PYTHON_INSTALL_DIR": str(folder / "installs"),
    }
    command = [str(UV), "python", *arguments, "--offline"]
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def uvs_choice(folder: Path, request: str) -> str:
    told = ask_uv(folder, "install", "--no-bin", request)
    if "is not a valid Python download request" in told:
        return "no request"
    if "No download found for request" in told:
        return "no download"
    match = re.search(r"`(\S+)` \(from `(\S+)`\) is missing", told)
    assert match is not None, told
    (entry,) = [one for one in entries() if str(one.key) == match[1]]
    # uv asks a mirror of the same release first.
    assert urlsplit(match[2]).path.rsplit("/", 1)[-1] == entry.url.rsplit("/", 1)[-1]
    return match[1]


def our_choice(request: str) -> str:
    try:
        parsed = PythonRequest.parse(request)
    except UsageError:
        return "no request"
    try:
        return str(select(entries(), parsed, this_platform()).key)
    except UsageError:
        return "no download"


def this_platform() -> Platform:
    libc = "musl" if shutil.which("ldd") and _is_musl() else "gnu"
    return Platform("linux", platform.machine(), libc)


def _is_musl() -> bool:
    done = subprocess.run(["ldd", "--version"], capture_output=True, text=True, check=False)
    return "musl" in done.stdout + done.stderr


@pytest.mark.parametrize("line", REQUESTS.strip().splitlines())
def test_requests_select_what_uv_would_install(tmp_path: Path, line: str) -> None:
    requests = [text.strip() for text in line.split("|")]
    ours = {request: our_choice(request) for request in requests}
    assert ours == {request: uvs_choice(tmp_path, request) for request in requests}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the expectations are for x86_64")
def test_the_differences_are_those_that_are_written_down(tmp_path: Path) -> None:
    found = {request: (our_choice(request), uvs_choice(tmp_path, request)) for request in DIFFERENT}
    assert found == DIFFERENT


@pytest.mark.parametrize("target", PLATFORMS)
def test_each_platform_selects_what_uv_would_install(tmp_path: Path, target: str) -> None:
    for version in ("3.13", "3.10", "3.14t", "any"):
        request = f"cpython-{version}-{target}"
        assert our_choice(request) == uvs_choice(tmp_path, request)


def uvs_list(folder: Path, request: str, *arguments: str) -> set[str]:
    """Return the keys that uv lists for a request, without prereleases where there is a final one.

    uv lists those of a minor version that has nothing else; a range that is carried leaves them
    out unless there is nothing else at all. It also lists Pyodide among CPython's.
    """
    told = ask_uv(folder, "list", "--only-downloads", *arguments, request)
    keys = {line.split()[0] for line in told.splitlines() if "<download available>" in line}
    keys = {key for key in keys if not key.startswith("pyodide")}
    final = {key for key in keys if re.fullmatch(r"[0-9.]+", InstallKey.parse(key).version)}
    return final or keys


def our_expansion(request: str, **fields: object) -> set[str]:
    catalog = Catalog("c", "0" * 64, entries())
    wanted = PythonWanted(request, **fields)  # type: ignore[arg-type]
    return {found.name for found in find_python(wanted, [catalog], this_platform())}


@pytest.mark.parametrize(
    "request_text",
    [
        *("cpython@>=3.11,<3.13", "cpython@>=3.13", "cpython@>=3.8", "cpython@3", "cpython@3.12"),
        *("cpython@~=3.12.4", "cpython@!=3.12.1,<3.13", "cpython@<3.10"),
        *("cpython@3.13t", "cpython@>=3.13t", "cpython@>3.14.2"),
        *("pypy@>=3.8", "pypy", "pypy@3.10", "graalpy", "graalpy@>=3.10", "graalpy@3.11"),
    ],
)
def test_a_wish_for_many_stands_for_what_uv_lists(tmp_path: Path, request_text: str) -> None:
    newest = uvs_list(tmp_path, request_text)
    assert newest
    assert our_expansion(request_text, each="minor") == newest
    everything = uvs_list(tmp_path, request_text, "--all-versions")
    assert our_expansion(request_text, each="patch") == everything


@pytest.mark.parametrize("request_text", ["cpython@3.13", "cpython@3.9", "pypy@3.11", "graalpy"])
def test_all_platforms_are_those_that_uv_lists(tmp_path: Path, request_text: str) -> None:
    everywhere = ("--all-platforms", "--all-arches")
    # What uv would install of each: the newest.
    newest: dict[str, InstallKey] = {}
    for key in map(InstallKey.parse, uvs_list(tmp_path, request_text, *everywhere)):
        known = newest.setdefault(str(key.platform), key)
        if _order(key) > _order(known):
            newest[str(key.platform)] = key
    ours = our_expansion(request_text, all_platforms=True)
    assert ours == {str(key) for key in newest.values()}
    each = our_expansion(request_text, all_platforms=True, each="patch")
    assert each == uvs_list(tmp_path, request_text, *everywhere, "--all-versions")


def _order(key: InstallKey) -> list[int]:
    return [int(number) for number in key.version.split(".")]


def test_the_list_of_all_downloads_is_uvs(tmp_path: Path) -> None:
    arguments = ("--only-downloads", "--all-versions", "--all-platforms", "--all-arches")
    told = ask_uv(tmp_path, "list", *arguments)
    theirs = {line.split()[0] for line in told.splitlines() if "<download available>" in line}
    ours = {str(entry.key): entry for entry in entries()}
    assert theirs <= ours.keys()
    # uv lists debug builds by request alone, and prereleases where nothing newer came.
    final = {key for key, entry in ours.items() if not entry.prerelease and "debug" not in key}
    assert theirs >= final


def test_every_entry_has_a_key_a_format_and_a_portable_name() -> None:
    assert len(entries()) == CATALOG.read_bytes().count(b'"url"')
    for entry in entries():
        name = archive_filename(entry.url)
        assert InstallKey.parse(str(entry.key)) == entry.key
        assert FILENAME.fullmatch(name)
        assert name == entry.url.rsplit("/", 1)[-1].replace("%2B", "-")
        assert archive_format(name) in {"tar.gz", "tar.zst", "zip"}


def test_every_key_selects_itself() -> None:
    for entry in entries()[::50]:
        request = PythonRequest.parse(str(entry.key))
        assert matching(entries(), request)[0] == entry
