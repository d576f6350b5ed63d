from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogs import document, entry
from sealift_bundler.cache import Cache
from sealift_bundler.catalogs.catalog import Catalog
from sealift_bundler.catalogs.load import load_catalog
from sealift_bundler.sources.found import archive_filename, archive_format
from sealift_bundler.sources.python import find_python
from sealift_bundler.sources.url import find_url
from sealift_installer.errors import UsageError
from sealift_schemas.keys import Platform
from sealift_schemas.lock import FILENAME, LockedArchive
from sealift_schemas.spec import PythonWanted, UrlWanted

LINUX = Platform.parse("linux-x86_64-gnu")
ARM = {"family": "aarch64", "variant": None}


def catalog(tmp_path: Path, *entries: dict[str, Any]) -> Catalog:
    (tmp_path / "c.json").write_bytes(document(*entries))
    return load_catalog("c.json", Cache(tmp_path / "cache"), base=tmp_path)


def test_a_python_is_found_with_all_that_the_lock_holds(tmp_path: Path) -> None:
    wanted = PythonWanted("cpython@3.13", ("linux-aarch64-gnu", "linux-x86_64-gnu"))
    found = find_python(wanted, [catalog(tmp_path, entry(), entry(arch=ARM))], LINUX)
    assert [one.name for one in found] == [
        "cpython-3.13.3-linux-aarch64-gnu",
        "cpython-3.13.3-linux-x86_64-gnu",
    ]
    locked = found[1].locked(size=7)
    assert LockedArchive.from_json(locked.to_json(), "lock") == locked
    filename = "cpython-3.13.3-20250529-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
    assert locked.filename == filename
    assert locked.to_json() == {
        "name": "cpython-3.13.3-linux-x86_64-gnu",
        "kind": "interpreter",
        "source": "python",
        "request": "cpython@3.13",
        "version": "3.13.3",
        "platform": "linux-x86_64-gnu",
        "url": entry()["url"],
        "filename": filename,
        "format": "tar.gz",
        "sha256": "5" * 64,
        "size": 7,
        "digest_source": "catalog",
        "recipe": "cpython",
        "prefix": "/install",
        "build": "20250529",
        "links": {"python3.13": "bin/python3.13"},
    }


@pytest.mark.parametrize(
    ("changes", "links"),
    [
        ({"variant": "freethreaded"}, {"python3.13t": "bin/python3.13t"}),
        ({"variant": "freethreaded+debug"}, {"python3.13td": "bin/python3.13td"}),
        ({"os": "windows", "libc": "none"}, {"python3.13.exe": "python.exe"}),
        ({"name": "pypy"}, {"pypy3.13": "bin/pypy3.13"}),
        ({"name": "pypy", "os": "windows", "libc": "none"}, {"pypy3.13.exe": "pypy3.13.exe"}),
        ({"name": "graalpy"}, {"graalpy3.13": "bin/graalpy"}),
        ({"os": "emscripten", "libc": "musl"}, {"pyodide3.13": "python"}),
    ],
)
def test_links_are_those_that_uv_makes(
    tmp_path: Path, changes: dict[str, Any], links: dict[str, str]
) -> None:
    one = catalog(tmp_path, entry(**changes))
    key = str(one.entries[0].key)
    (found,) = find_python(PythonWanted(key), [one], LINUX)
    assert found.links == links
    assert found.recipe == key.split("-", maxsplit=1)[0]
    assert found.prefix == ("/install" if "bin/python3.13" in str(links) else None)


def test_the_first_catalogue_counts(tmp_path: Path) -> None:
    first = catalog(tmp_path, entry(build="1"))
    second = catalog(tmp_path, entry(build="2"), entry(minor=12))
    (found,) = find_python(PythonWanted("3.13"), [first, second], LINUX)
    assert found.build == "1"
    (found,) = find_python(PythonWanted("3.12"), [first, second], LINUX)
    assert found.version == "3.12.3"


def test_a_platform_named_twice_must_be_the_same(tmp_path: Path) -> None:
    one = catalog(tmp_path, entry())
    key = "cpython-3.13.3-linux-x86_64-gnu"
    (found,) = find_python(PythonWanted(key, ("linux-x86_64-gnu",)), [one], LINUX)
    assert found.name == key
    with pytest.raises(UsageError, match="says x86_64, and its platforms say linux-aarch64-gnu"):
        find_python(PythonWanted(key, ("linux-aarch64-gnu",)), [one], LINUX)


def test_without_a_digest_one_has_to_be_accepted(tmp_path: Path) -> None:
    one = catalog(tmp_path, entry(sha256=None))
    with pytest.raises(UsageError, match="no digest for cpython-3") as caught:
        find_python(PythonWanted("3.13"), [one], LINUX)
    assert "--accept-digest" in (caught.value.hint or "")
    accepted = PythonWanted("3.13", accept_digest="sha256:" + "6" * 64)
    (found,) = find_python(accepted, [one], LINUX)
    assert (found.sha256, found.digest_source) == ("6" * 64, "accepted")


def test_an_accepted_digest_does_not_overrule_the_catalogue(tmp_path: Path) -> None:
    one = catalog(tmp_path, entry())
    same = PythonWanted("3.13", accept_digest="sha256:" + "5" * 64)
    (found,) = find_python(same, [one], LINUX)
    assert found.digest_source == "catalog"
    other = PythonWanted("3.13", accept_digest="sha256:" + "6" * 64)
    with pytest.raises(UsageError, match=r"Expected: 5{64}\n  Computed: 6{64}"):
        find_python(other, [one], LINUX)


def test_a_format_that_nobody_reads_is_told(tmp_path: Path) -> None:
    one = catalog(tmp_path, entry(url="https://host/python.rar"))
    with pytest.raises(UsageError, match=r"a format that cannot be read: python\.rar"):
        find_python(PythonWanted("3.13"), [one], LINUX)


TOOL = UrlWanted("https://host/d/Node-v22.tar.xz", "node", "22.1.0", sha256="5" * 64)


def test_an_archive_by_address(tmp_path: Path) -> None:
    wanted = replace(
        TOOL, platform="linux-x86_64-gnu", strip=1, links={"node": "bin/node"}, prefix="/opt/node"
    )
    locked = find_url(wanted).locked(size=7)
    assert LockedArchive.from_json(locked.to_json(), "lock") == locked
    assert (locked.name, locked.kind) == ("node-22.1.0-linux-x86_64-gnu", "tool")
    assert (locked.filename, locked.format) == ("Node-v22.tar.xz", "tar.xz")
    assert (locked.digest_source, locked.recipe) == ("spec", "generic")
    assert (locked.strip, locked.prefix, locked.links) == (1, "/opt/node", {"node": "bin/node"})


def test_a_name_without_platform_and_one_in_lower_case() -> None:
    assert find_url(TOOL).name == "node-22.1.0"
    assert find_url(replace(TOOL, version="1!2.0RC1")).name == "node-1-2.0rc1"
    assert find_url(replace(TOOL, url="https://host/a.whl")).recipe == "wheel"
    with pytest.raises(UsageError, match="not fit for a directory"):
        find_url(replace(TOOL, name="n" * 98))


@pytest.mark.parametrize("url", ["host/a.tar.gz", "ftp://host/a.tar.gz", "/tmp/a.tar.gz", ""])
def test_only_addresses_that_can_be_fetched(url: str) -> None:
    with pytest.raises(UsageError, match="not an address"):
        find_url(replace(TOOL, url=url))


@pytest.mark.parametrize("url", ["https://host/get", "https://host/a.rar", "https://host/?a.zip"])
def test_an_ending_that_says_nothing_is_told(url: str) -> None:
    with pytest.raises(UsageError, match="does not say which format the archive has"):
        find_url(replace(TOOL, url=url))


def test_an_address_without_digest_needs_an_accepted_one() -> None:
    bare = replace(TOOL, sha256=None, url="https://host/a.zip?hunter2")
    with pytest.raises(UsageError, match=r"no digest is known for https://host/a\.zip$") as caught:
        find_url(bare)
    assert "--accept-digest sha256:HEX" in (caught.value.hint or "")
    found = find_url(replace(bare, accept_digest="sha256:" + "6" * 64))
    assert (found.sha256, found.digest_source) == ("6" * 64, "accepted")
    with pytest.raises(UsageError, match="sha256 and accept_digest differ"):
        find_url(replace(TOOL, accept_digest="sha256:" + "6" * 64))


@pytest.mark.parametrize(
    ("url", "filename", "archive"),
    [
        ("https://host/a%2Bb+c.tar.gz?x#y", "a-b+c.tar.gz", "tar.gz"),
        ("https://host/a~b.TGZ", "a-b.TGZ", "tar.gz"),
        ("https://host/%20.zip", "20.zip", "zip"),
        ("https://host/.zip", "archive.zip", "zip"),
        ("https://host/", "archive", None),
        ("https://host/" + "a" * 200 + ".tar.zst", "a" * 105 + ".tar.zst", "tar.zst"),
        ("https://host/a.tar.bz2", "a.tar.bz2", "tar.bz2"),
        ("https://host/a.whl", "a.whl", "zip"),
        ("https://host/a.7z", "a.7z", "7z"),
        ("https://host/a.gz", "a.gz", None),
    ],
)
def test_the_name_that_an_archive_is_kept_under(
    url: str, filename: str, archive: str | None
) -> None:
    assert archive_filename(url) == filename
    assert archive_format(filename) == archive


@given(st.text(max_size=200))
def test_every_name_is_portable(text: str) -> None:
    assert FILENAME.fullmatch(archive_filename(f"https://host/{text}"))
