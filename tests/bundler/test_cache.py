import hashlib
import os
import resource
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from sealift_bundler.cache import Cache
from sealift_bundler.fetch import Fetching, Wanted, fetch
from sealift_installer.errors import HostError, UsageError

DATA = b"an archive" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()


def put(cache: Cache, data: bytes = DATA, sha256: str = SHA256) -> Path:
    with cache.temporary() as temporary:
        temporary.write_bytes(data)
        return cache.adopt(temporary, sha256, "a.tar.gz")


def test_an_adopted_file_has_uvs_name_and_is_found(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    path = put(cache)
    assert path == tmp_path / "archives" / f"{SHA256[:9]}-a.tar.gz"
    assert cache.lookup(SHA256, "a.tar.gz") == path
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_adopted_file_has_the_modes_of_the_umask(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        assert stat.S_IMODE(put(Cache(tmp_path)).stat().st_mode) == 0o644
    finally:
        os.umask(mask)


def test_a_corrupt_file_is_removed(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    path = put(cache)
    path.write_bytes(DATA[:-1] + b"!")
    assert cache.lookup(SHA256, "a.tar.gz") is None
    assert not path.exists()


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    assert Cache(tmp_path / "none").lookup(SHA256, "a.tar.gz") is None
    assert not (tmp_path / "none").exists()


def test_a_temporary_file_goes_with_the_block(tmp_path: Path) -> None:
    with suppress(InterruptedError), Cache(tmp_path).temporary() as temporary:
        temporary.write_bytes(DATA)
        raise InterruptedError
    assert temporary.parent == tmp_path / "tmp"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_is_new_stays(tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    (folder / "old").touch()
    (folder / "new").touch()
    before = time.time() - 2 * 24 * 60 * 60
    os.utime(folder / "old", (before, before))
    with Cache(tmp_path).temporary():
        pass
    assert [path.name for path in folder.iterdir()] == ["new"]


def test_many_may_adopt_the_same_archive_at_once(tmp_path: Path) -> None:
    found: list[Path | None] = []

    def work() -> None:
        cache = Cache(tmp_path)
        put(cache)
        found.append(cache.lookup(SHA256, "a.tar.gz"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [tmp_path / "archives" / f"{SHA256[:9]}-a.tar.gz"] * 8


@pytest.mark.parametrize("name", ["../a.tar.gz", "a/b", ".hidden", "", "a\nb", "a" * 200])
def test_a_name_that_is_no_plain_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="not a portable file name"):
        Cache(tmp_path).lookup(SHA256, name)


def test_a_cache_that_cannot_be_made_is_the_hosts_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(HostError, match="cannot write the cache: Not a directory"),
        Cache(tmp_path / "file").temporary(),
    ):
        pass


def test_the_directory_is_that_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALIFT_CACHE_DIR", str(tmp_path / "here"))
    assert Cache().directory == tmp_path / "here"
    monkeypatch.setenv("SEALIFT_CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert Cache().directory.name == "sealift"


def test_a_disk_that_takes_no_more_is_told_and_what_came_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "a.tar.gz"
    source.write_bytes(DATA)
    cache = Cache(tmp_path / "cache")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(DATA) // 2, hard))
    try:
        with pytest.raises(HostError, match="cannot write the cache: File too large"):
            fetch(Wanted(source.as_uri(), "a.tar.gz", SHA256), Fetching(cache))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(cache.archives.glob("*")) == []
    assert (cache.directory / "partial" / SHA256).read_bytes() == DATA[: len(DATA) // 2]


def test_a_folder_in_an_archives_place_is_told(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.path(SHA256, "a.tar.gz").mkdir(parents=True)
    with pytest.raises(HostError, match="a folder in the place of an archive"):
        cache.lookup(SHA256, "a.tar.gz")
