"""Bundles of many archives: each is fetched once, and none is held in memory.

The measured process builds over a loopback server; its peak memory comes from the kernel.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from loopback import LoopbackServer
from workshop import Workshop, digest

MEASURE = """
import json, resource, sys
from sealift_bundler.cli.main import run
code = run(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
with open(sys.argv[-1] + ".json", "w") as file:
    json.dump({"code": code, "peak": used.ru_maxrss * 1024, "cpu": used.ru_utime}, file)
"""
MIB = 1024 * 1024


@dataclass
class Site:
    """A site that asks for `count` archives of a server."""

    workshop: Workshop
    server: LoopbackServer
    count: int

    def table(self, number, version="1.0"):
        path = self.workshop.serve(
            f"tool{number}-{version}.tar.gz",
            {
                f"tool{number}/bin/tool": f"{number} {version}".encode(),
                f"tool{number}/data": os.urandom(2000),
            },
        )
        return (
            f'[[url]]\nurl = "{self.server.url}/{path.name}"\nname = "tool{number}"\n'
            f'version = "{version}"\nsha256 = "{digest(path)}"\n'
        )

    def write(self, *newer):
        """Write the spec; the archives whose numbers are given have a newer version."""
        text = self.workshop.spec.read_text().partition("[[url]]")[0]
        kept = getattr(self, "tables", {})
        self.tables = {
            number: kept.get(number) or self.table(number) for number in range(self.count)
        }
        self.tables.update({number: self.table(number, "2.0") for number in newer})
        self.workshop.spec.write_text(text + "".join(self.tables.values()))

    def build(self, name):
        """Build in a process of its own; return its peak memory in bytes, and its CPU seconds."""
        output = self.workshop.folder / name
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, "build", "--quiet", "--output", output],
            cwd=self.workshop.site,
            env={**os.environ, **self.workshop.environment, "no_proxy": "127.0.0.1"},
            capture_output=True,
            text=True,
            check=False,
        )
        measured = json.loads(Path(f"{output}.json").read_text())
        assert measured["code"] == 0, done.stderr
        return measured["peak"], measured["cpu"]


@pytest.fixture
def make(tmp_path):
    servers = []

    def make(count):
        folder = tmp_path / f"{count}"
        folder.mkdir()
        workshop = Workshop(folder).found()
        server = LoopbackServer(workshop.served)
        servers.append(server.__enter__())
        site = Site(workshop, server, count)
        site.write()
        return site

    yield make
    for server in servers:
        server.__exit__(None, None, None)


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
    # What grows is the manifest, its envelope, and what is read from them.
    assert large - small < 12 * MIB
    rebuild_fetches_one(many)


@pytest.mark.slow
def test_a_thousand_archives(make):
    few, many = make(100), make(1000)
    small, quick = few.build("first")
    large, slow = many.build("first")
    assert large - small < 60 * MIB
    # In proportion: ten times the archives take less than ten times the time, start-up included.
    assert slow < 11 * quick
    rebuild_fetches_one(many)
