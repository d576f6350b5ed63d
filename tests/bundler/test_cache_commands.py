import json
import multiprocessing
import os
import time

import pytest

from sealift_bundler import cache as caches
from sealift_bundler.cache import Cache
from sealift_bundler.upkeep import check_archives, prune
from sealift_installer.errors import HostError
from workshop import Workshop, digest, pack


@pytest.fixture
def workshop(tmp_path):
    workshop = Workshop(tmp_path).found()
    assert workshop.add_tool() == 0
    workshop.build()
    return workshop


@pytest.fixture
def cache(workshop):
    return Cache(workshop.folder / "cache")


def names(cache):
    return sorted(path.name for path in cache.archives.iterdir())


def tool_name(workshop):
    return f"{digest(workshop.tool)[:9]}-tool-1.0.tar.gz"


def old_version(workshop, capsys):
    """Let the tool change at its source: the cache then has two of them."""
    before = tool_name(workshop)
    text = workshop.spec.read_text()
    old = digest(workshop.tool)
    workshop.tool.write_bytes(pack({"tool-1.0/bin/tool": b"new"}))
    workshop.spec.write_text(text.replace(old, digest(workshop.tool)))
    assert workshop.sealift("lock") == 0
    capsys.readouterr()
    return before


def test_dir(workshop, capsys):
    capsys.readouterr()
    assert workshop.sealift("cache", "dir") == 0
    assert capsys.readouterr().out == f"{workshop.folder / 'cache'}\n"


def test_list(workshop, capsys):
    capsys.readouterr()
    assert workshop.sealift("cache", "list") == 0
    first, last = capsys.readouterr().out.splitlines()
    size = workshop.tool.stat().st_size
    assert first.split() == [str(size), "B", f"archives/{tool_name(workshop)}"]
    assert last == f"1 file, {size} B"
    assert workshop.sealift("cache", "list", "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["name"], entry["size"]) == (tool_name(workshop), size)


def test_an_empty_cache(tmp_path, capsys):
    workshop = Workshop(tmp_path).found()
    capsys.readouterr()
    for words in (("list",), ("verify",), ("prune", "--all")):
        assert workshop.sealift("cache", *words) == 0
    assert capsys.readouterr().out == "0 files, 0 B\n"


def test_verify_finds_what_is_damaged_and_takes_it_away(workshop, cache, capsys):
    capsys.readouterr()
    assert workshop.sealift("cache", "verify") == 0
    assert "1 file," in capsys.readouterr().err
    (cache.archives / tool_name(workshop)).write_bytes(b"damaged")
    assert workshop.sealift("cache", "verify", "--json") == 4
    shown = capsys.readouterr()
    assert [one["name"] for one in json.loads(shown.out)["damaged"]] == [tool_name(workshop)]
    assert "1 file of the cache with other bytes than the name says" in shown.err
    assert workshop.sealift("cache", "verify", "--remove") == 0
    assert names(cache) == []


def test_verify_compares_the_whole_digest_of_what_a_lock_names(workshop, cache):
    name = tool_name(workshop)
    assert check_archives(cache, {}).damaged == ()
    (damaged,) = check_archives(cache, {name: name[:9] + "0" * 55}).damaged
    assert damaged.path.name == name


def test_prune_keeps_what_the_lock_needs(workshop, cache, capsys):
    old = old_version(workshop, capsys)
    unfinished = cache.directory / "tmp" / "left"
    fresh = cache.directory / "tmp" / "fresh"
    resumed = cache.directory / "partial" / digest(workshop.tool)
    for path in (unfinished, fresh, resumed):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"12345")
    for path in (unfinished, resumed):
        os.utime(path, (0, 0))
    before = names(cache)
    assert workshop.sealift("cache", "prune", "--dry-run") == 0
    shown = capsys.readouterr()
    assert [line.split()[-1] for line in shown.out.splitlines()] == [f"archives/{old}", "tmp/left"]
    assert "would be removed; 1 file," in shown.err
    assert names(cache) == before
    assert workshop.sealift("cache", "prune", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in report["removed"]] == [old, "left"]
    assert report["kept"] == {"files": 1, "bytes": workshop.tool.stat().st_size}
    assert names(cache) == [tool_name(workshop)]
    assert [path.exists() for path in (unfinished, fresh, resumed)] == [False, True, True]
    workshop.build("--offline", name="again")


def test_prune_takes_locks_of_several_sites(workshop, cache, capsys):
    kept = workshop.folder / "kept.lock"
    kept.write_bytes(workshop.lock.read_bytes())
    old_version(workshop, capsys)
    assert workshop.sealift("cache", "prune", kept, workshop.site) == 0
    assert len(names(cache)) == 2
    assert workshop.sealift("cache", "prune", workshop.folder / "none.lock") == 2
    assert "there is no lock" in capsys.readouterr().err


def test_prune_needs_to_know_what_is_needed(workshop, cache, capsys):
    assert workshop.sealift("cache", "prune", cwd=workshop.folder) == 2
    assert "no lock says what is needed" in capsys.readouterr().err
    assert workshop.sealift("cache", "prune", workshop.site, "--all") == 2
    assert "--all leaves nothing to a lock" in capsys.readouterr().err
    assert len(names(cache)) == 1
    assert workshop.sealift("cache", "prune", "--all", cwd=workshop.folder) == 0
    assert names(cache) == []


def test_nothing_is_pruned_while_somebody_builds(workshop, cache, capsys):
    with cache.hold():
        assert workshop.sealift("cache", "prune", "--all") == 6
        assert "the cache is in use by another process" in capsys.readouterr().err
        # Others may build meanwhile.
        workshop.build(name="meanwhile")
    assert len(names(cache)) == 1
    assert workshop.sealift("cache", "prune", "--all") == 0


def test_a_build_waits_for_somebody_who_prunes(cache, monkeypatch):
    monkeypatch.setattr(caches, "_PATIENCE", 0.2)
    with cache.hold(alone=True):
        start = time.monotonic()
        with pytest.raises(HostError, match="in use by another process"), cache.hold():
            pass
        assert time.monotonic() - start >= 0.2


def test_a_cache_that_cannot_be_written_is_held_by_itself(tmp_path):
    (tmp_path / "file").write_text("no directory")
    cache = Cache(tmp_path / "file" / "cache")
    with cache.hold():
        pass
    with pytest.raises(HostError, match="cannot write the cache"), cache.hold(alone=True):
        pass


def _fill(directory, number, enough):
    cache = Cache(directory)
    data = b"%d" % number * 1000
    sha256 = caches.hashlib.sha256(data).hexdigest()
    while not enough.is_set():
        time.sleep(0.003)
        with cache.hold():
            path = cache.lookup(sha256, "a.zip")
            if path is None:
                with cache.temporary() as temporary:
                    temporary.write_bytes(data)
                    path = cache.adopt(temporary, sha256, "a.zip")
            time.sleep(0.002)
            assert path.read_bytes() == data


def test_builds_and_prunes_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    enough = context.Event()
    builders = [context.Process(target=_fill, args=(tmp_path, number, enough)) for number in (1, 2)]
    for builder in builders:
        builder.start()
    cache, pruned = Cache(tmp_path), 0
    while pruned < 20 and all(builder.is_alive() for builder in builders):
        try:
            with cache.hold(alone=True):
                pruned += len(prune(cache, {}).removed)
        except HostError:
            time.sleep(0.001)
    enough.set()
    for builder in builders:
        builder.join()
    assert [builder.exitcode for builder in builders] == [0, 0]
    assert pruned >= 20
