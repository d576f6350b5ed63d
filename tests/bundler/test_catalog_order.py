import json
from pathlib import Path

import pytest

from catalogs import document, entry
from loopback import Body, LoopbackServer, Status
from sealift_bundler import web
from sealift_bundler.access import Access
from sealift_bundler.cache import Cache
from sealift_bundler.catalogs import embedded, order
from sealift_bundler.catalogs.catalog import Catalog, merge
from sealift_bundler.catalogs.embedded import load_embedded
from sealift_bundler.catalogs.metadata import read_catalog
from sealift_bundler.catalogs.order import load_catalogs
from sealift_installer.errors import Damaged, HostError, UsageError
from sealift_schemas.keys import InstallKey
from sealift_schemas.network import Host


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch, tmp_path):
    monkeypatch.delenv("UV_PYTHON_DOWNLOADS_JSON_URL", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture
def server(tmp_path, monkeypatch):
    served = tmp_path / "served"
    served.mkdir()
    (served / "list.json").write_bytes(document(entry()))
    with LoopbackServer(served) as running:
        monkeypatch.setattr(order, "DEFAULT", f"{running.url}/list.json")
        yield running


def url_of(catalogs):
    (catalog,) = catalogs
    return catalog.url


def test_the_spec_counts_before_uvs_variable(tmp_path, monkeypatch, cache):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.json").write_bytes(document(entry()))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS_JSON_URL", "c.json")
    named = load_catalogs(("a.json", "b.json"), cache, base=tmp_path)
    assert [catalog.url for catalog in named] == ["a.json", "b.json"]
    assert url_of(load_catalogs((), cache)) == "c.json"


def test_uvs_list_is_the_default_and_is_not_asked_for_at_every_step(server, cache):
    assert url_of(load_catalogs((), cache)) == order.DEFAULT
    assert url_of(load_catalogs((), cache)) == order.DEFAULT
    assert server.paths == ["/list.json"]


def test_the_copy_serves_where_uvs_list_cannot_be_reached(server, cache, monkeypatch):
    load_catalogs((), cache)
    monkeypatch.setattr(order, "FRESH", 0)
    server.faults["/list.json"] = [Status(503)]
    told = []
    (catalog,) = load_catalogs((), cache, tell=told.append)
    assert (catalog.url, len(catalog.entries)) == (order.DEFAULT, 1)
    assert len(told) == 1
    assert "using the copy of uv's list of 20" in told[0]
    assert load_catalogs((), cache, offline=True) == [catalog]


@pytest.mark.parametrize("offline", [True, False])
def test_the_embedded_list_serves_where_there_is_no_copy(server, cache, offline):
    server.faults["/list.json"] = [Status(503)]
    told = []
    (catalog,) = load_catalogs((), cache, offline=offline, tell=told.append)
    assert catalog.url.startswith("pbs-installer==20")
    assert f"using the list that came with sealift ({catalog.url})" in told[0]
    # One try: nobody named this address, and there is something else.
    assert server.paths == ([] if offline else ["/list.json"])


def test_a_page_of_a_proxy_does_not_replace_the_copy(server, cache, monkeypatch):
    load_catalogs((), cache)
    monkeypatch.setattr(order, "FRESH", 0)
    server.faults["/list.json"] = [Body(b"[]", "application/json")]
    with pytest.raises(Damaged, match="the catalogue"):
        load_catalogs((), cache)
    assert len(load_catalogs((), cache, offline=True)[0].entries) == 1


def test_a_catalogue_that_was_named_is_not_replaced_by_another(server, cache, monkeypatch):
    monkeypatch.setattr(web, "PATIENCE", web.Patience(pause=0.01))
    server.faults["/list.json"] = [Status(404)]
    with pytest.raises(Exception, match="404"):
        load_catalogs((order.DEFAULT,), cache)


def test_a_catalogue_comes_by_the_way_that_the_spec_names(server, cache, monkeypatch):
    monkeypatch.setenv("CATALOGUE_TOKEN", "hunter2")
    host = Host(server.url.removeprefix("http://"), token_env="CATALOGUE_TOKEN")
    access = Access(hosts={host.name: host})
    load_catalogs((order.DEFAULT,), cache, access=access)
    load_catalogs((), Cache(cache.directory / "other"), access=access)
    assert [request.headers["authorization"] for request in server.requests] == [
        "Bearer hunter2",
        "Bearer hunter2",
    ]


def test_the_embedded_list_can_be_named_among_others(tmp_path, cache):
    (tmp_path / "own.json").write_bytes(document(entry(patch=99)))
    own, ours = load_catalogs(("own.json", "embedded"), cache, base=tmp_path)
    entries = merge((own, ours))
    assert len(entries) == 1 + len(ours.entries)
    assert ours.locked().sha256 == load_embedded().sha256


def test_of_two_catalogues_with_one_key_the_first_counts():
    def catalog(name, *entries):
        return Catalog(name, "0" * 64, read_catalog(document(*entries), name))

    first = catalog("first", entry(sha256="1" * 64), entry(patch=4, sha256="2" * 64))
    second = catalog("second", entry(sha256="3" * 64), entry(patch=5, sha256="4" * 64))
    assert [one.sha256[:1] for one in merge((first, second))] == ["1", "2", "4"]
    assert [one.sha256[:1] for one in merge((second, first))] == ["3", "4", "2"]


def test_the_embedded_list_has_keys_digests_and_builds():
    catalog = load_embedded()
    keys = {str(one.key): one for one in catalog.entries}
    assert len(keys) == len(catalog.entries) > 1000
    for one in catalog.entries:
        assert InstallKey.parse(str(one.key)) == one.key
    known = keys["cpython-3.13.3-linux-x86_64-gnu"]
    assert known.sha256 == "532a6db30bcf8f8609a0c4e0a7c985315572364c19868bc9650a64df534954e7"
    assert known.build == "20250529"
    assert known.url.endswith("-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz")
    assert keys["pypy-3.11.15-linux-x86_64-gnu"].build == "7.3.23"
    # A build tree is taken where there is nothing that is ready to be installed.
    assert keys["cpython-3.13.3+freethreaded-macos-aarch64-none"].url.endswith(".tar.zst")
    assert any(one.sha256 is None for one in catalog.entries)


def test_data_of_another_shape_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "versions.json"
    monkeypatch.setattr(embedded, "_locate", lambda: (path, "1"))
    with pytest.raises(HostError, match="cannot read the embedded catalogue"):
        load_embedded()
    for data in (b"{", b'["x"]', b'[{"files": [{}]}]'):
        path.write_bytes(data)
        with pytest.raises(Damaged, match="the data of pbs-installer 1 is not as expected"):
            load_embedded()
    file = {"platform": "linux", "arch": "x86_64", "install_only": True, "sha256": None}
    group = {"implementation": "cpython", "major": 3, "minor": 13, "micro": 1, "freethreaded": 0}
    for url in ("http://example.invalid/a.tar.gz", "https://example.invalid/a.tar.gz"):
        path.write_text(json.dumps([{"files": [{**file, "url": url}], "python_version": group}]))
        if url.startswith("https"):
            assert load_embedded().entries[0].sha256 is None
        else:
            with pytest.raises(Damaged, match=r"http://example\.invalid"):
                load_embedded()


def test_a_missing_package_is_told(monkeypatch):
    monkeypatch.setattr(embedded, "_PACKAGE", "no-such-distribution")
    with pytest.raises(HostError, match="the package no-such-distribution is missing"):
        load_embedded()


def test_a_file_that_is_not_there(tmp_path: Path, cache):
    with pytest.raises(UsageError, match="there is no catalogue"):
        load_catalogs(("none.json",), cache, base=tmp_path)
