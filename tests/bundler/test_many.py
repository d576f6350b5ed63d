"""Bundles of many archives: each is fetched once, and none is held in memory.

The measured process builds over a loopback server; its peak memory comes from the kernel.
"""

import os

import pytest

from loopback import LoopbackServer
from many import ManyArchives
from workshop import Workshop, digest

MIB = 1024 * 1024


@pytest.fixture
def make(tmp_path):
    servers = []

    def make(count, *, large=False):
        folder = tmp_path / f"{count}"
        folder.mkdir()
        workshop = Workshop(folder).found()
        server = LoopbackServer(workshop.served)
        servers.append(server.__enter__())
        site = ManyArchives(workshop, server, count, large_archive(workshop) if large else "")
        site.write()
        return site

    yield make
    for server in servers:
        server.__exit__(None, None, None)


def large_archive(workshop):
    """Return the table of an archive of the size that an interpreter's has."""
    path = workshop.serve("large-1.0.tar.gz", {"large/lib/liblarge.so": os.urandom(24 * MIB)})
    return (
        f'[[url]]\nurl = "{path.as_uri()}"\nname = "large"\n'
        f'version = "1.0"\nsha256 = "{digest(path)}"\n'
    )


def rebuild_fetches_one(site):
    assert len(site.server.paths) == len(set(site.server.paths)) == site.count
    site.server.requests.clear()
    site.write(site.count // 2)
    site.build("second")
    assert site.server.paths == [f"/tool{site.count // 2}-2.0.tar.gz"]
    bundle = site.workshop.folder / "second"
    assert len(list((bundle / "archives").iterdir())) == site.count


def test_a_hundred_archives(make):
    few, many = make(10), make(100)
    small, _ = few.build("first")
    large, _ = many.build("first")
    # What grows is one copy of a long document at a time, and the values that it is made from.
    assert large - small < 1.5 * MIB
    rebuild_fetches_one(many)


@pytest.mark.slow
def test_a_thousand_archives(make):
    least, few, many = make(10), make(100), make(1000)
    smallest, _ = least.build("first")
    small, quick = few.build("first")
    large, slow = many.build("first")
    # A manifest of 1.8 MB is among what is held, and what allocators keep of what was.
    assert small - smallest < 1.5 * MIB
    assert large - smallest < 6.5 * MIB
    # In proportion: ten times the archives take less than ten times the time, start-up included.
    assert slow < 11 * quick
    rebuild_fetches_one(many)


@pytest.mark.slow
def test_a_thousand_archives_beside_a_large_one(make):
    few, many = make(10, large=True), make(1000, large=True)
    small, _ = few.build("first")
    large, _ = many.build("first")
    # What a thousand take is less than what it takes to look into one of an interpreter's size.
    assert abs(large - small) < 2 * MIB
