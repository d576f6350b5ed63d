"""A cache in which something else stands where a file should: pipes, links, folders, sockets."""

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from catalogs import document, entry
from loopback import LoopbackServer
from sealift_bundler.access import Access
from sealift_bundler.cache import Cache
from sealift_bundler.catalogs.copies import CatalogCopy
from sealift_bundler.catalogs.load import load_catalog
from sealift_bundler.fetch import Fetching, Wanted, fetch
from sealift_bundler.patience import Patience
from sealift_bundler.sources.capture_memo import recall, remember
from sealift_bundler.upkeep import check_archives, prune
from sealift_bundler.upstream.store import EvidenceStore
from sealift_installer.errors import HostError

DATA = b"an archive"
SHA256 = hashlib.sha256(DATA).hexdigest()
NAME = "a.tar.gz"


def make_socket(path: Path) -> None:
    """Leave a socket at a path, which may be longer than the system takes."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


ODD: dict[str, Callable[[Path], None]] = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a socket": make_socket,
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to itself": lambda path: path.symlink_to(path.name),
}


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def ask(cache: Cache, folder: Path) -> Path:
    """Fetch the archive from a server into the cache."""
    (folder / "served").mkdir(exist_ok=True)
    (folder / "served" / NAME).write_bytes(DATA)
    with LoopbackServer(folder / "served") as server:
        how = Fetching(cache, Access(patience=Patience(attempts=1)))
        return fetch(Wanted(f"{server.url}/{NAME}", NAME, SHA256, len(DATA)), how)


def put(make: Callable[[Path], None], path: Path) -> None:
    """Put something odd in the place of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    make(path)


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("place", [f"archives/{SHA256[:9]}-{NAME}", f"partial/{SHA256}"])
def test_what_is_no_file_is_replaced(kind: str, place: str, cache: Cache, tmp_path: Path) -> None:
    put(ODD[kind], cache.directory / place)
    path = ask(cache, tmp_path)
    assert path.read_bytes() == DATA
    assert not path.is_symlink()


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_file_is_told_and_taken_away(kind: str, cache: Cache, tmp_path: Path) -> None:
    path = ask(cache, tmp_path)
    put(ODD[kind], path)
    (damaged,) = check_archives(cache, {}).damaged
    assert damaged.path == path
    check_archives(cache, {}, remove=True)
    assert not os.path.lexists(path)
    put(ODD[kind], path)
    assert [one.path for one in prune(cache, {}).removed] == [path]
    assert not os.path.lexists(path)


def test_a_folder_is_told_with_the_way_out(cache: Cache, tmp_path: Path) -> None:
    path = ask(cache, tmp_path)
    path.unlink()
    path.mkdir()
    (path / "something").touch()
    with pytest.raises(HostError, match="a folder in the place of an archive") as caught:
        ask(cache, tmp_path)
    assert caught.value.hint == "sealift cache verify --remove takes it away"
    assert len(check_archives(cache, {}, remove=True).damaged) == 1
    assert ask(cache, tmp_path).read_bytes() == DATA


def test_links_to_archives_are_archives(cache: Cache, tmp_path: Path) -> None:
    path = ask(cache, tmp_path)
    elsewhere = tmp_path / "elsewhere"
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)
    assert cache.lookup(SHA256, NAME) == path
    assert check_archives(cache, {}).damaged == ()
    elsewhere.write_bytes(b"other bytes")
    assert len(check_archives(cache, {}).damaged) == 1
    assert cache.lookup(SHA256, NAME) is None
    assert elsewhere.read_bytes() == b"other bytes"


@pytest.mark.parametrize("name", [SHA256, f"{SHA256}.json", f"{SHA256}.new"])
def test_a_link_leads_no_download_elsewhere(name: str, cache: Cache, tmp_path: Path) -> None:
    """In a cache that several people share, one could let another write over a file of his own."""
    own = tmp_path / "a file of one's own"
    own.write_bytes(b"kept")
    put(lambda path: path.symlink_to(own), cache.directory / "partial" / name)
    assert ask(cache, tmp_path).read_bytes() == DATA
    assert own.read_bytes() == b"kept"


def test_old_oddities_do_not_stand_in_the_way(cache: Cache, tmp_path: Path) -> None:
    for folder in ("partial", "tmp"):
        for number, make in enumerate((Path.mkdir, *ODD.values())):
            path = cache.directory / folder / f"odd{number}"
            put(make, path)
            os.utime(path, (0, 0), follow_symlinks=False)
    with cache.temporary():
        pass
    ask(cache, tmp_path)
    for folder in ("partial", "tmp"):
        assert [path.name for path in (cache.directory / folder).iterdir()] == ["odd0"]


@pytest.mark.parametrize("kind", [*ODD, "deep JSON", "numbers"])
def test_odd_notes_are_as_good_as_none(kind: str, cache: Cache) -> None:
    texts = {
        "deep JSON": b"[" * 100_000 + b"\n",
        "numbers": json.dumps({"sha256": 1, "etag": 2}).encode() + b"\n",
    }

    def spoil(path: Path) -> None:
        put(ODD.get(kind) or (lambda each: each.write_bytes(texts[kind]) and None), path)

    copy = CatalogCopy(cache, "https://example.org/list.json")
    copy.save(DATA, '"one"')
    store = EvidenceStore(cache)
    store.keep_answer("https://example.org/", DATA, None)
    store.keep(DATA)
    remember(cache, "a fingerprint", SHA256)
    for folder in ("catalogs", "evidence/answers", "evidence", "captured"):
        for path in (cache.directory / folder).iterdir():
            if not path.is_dir():
                spoil(path)
    assert copy.load() is None
    assert store.answer("https://example.org/") is None
    assert store.find(SHA256) is None
    assert recall(cache, "a fingerprint", NAME) is None
    assert len(check_archives(cache, {}).damaged) == 1
    # What is put there anew takes its place.
    copy.save(DATA, '"one"')
    store.keep(DATA)
    assert copy.load() == (DATA, '"one"')
    assert store.find(SHA256) == DATA


def test_a_catalogue_serves_where_no_copy_can_be_kept(cache: Cache, tmp_path: Path) -> None:
    cache.directory.mkdir()
    (cache.directory / "tmp").touch()
    with LoopbackServer(tmp_path) as server:
        (tmp_path / "list.json").write_bytes(document(entry()))
        assert load_catalog(f"{server.url}/list.json", cache).entries
