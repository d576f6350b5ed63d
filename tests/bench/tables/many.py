"""Bundles of 10, 100 and 1,000 archives over loopback: what a build takes of time and memory."""

from pathlib import Path

from archives import big_archive
from measure import Peak, watch
from page import how

from loopback import LoopbackServer
from many import ManyArchives
from road import PROGRAMS, sha256
from workshop import Workshop

COUNTS = (10, 100, 1000)


def table(scratch: Path) -> str:
    """Build the bundles, each in a site of its own, and return the part of the page."""
    archive = big_archive("cpython-*-install_only_stripped.tar.gz")
    rows = []
    for count in COUNTS:
        small = build(scratch / f"small{count}", count, None)
        large = build(scratch / f"large{count}", count, archive)
        rows.append(
            f"| {count:,} | {small.wall:.1f} | {small.cpu:.1f} | {1000 * small.wall / count:.0f} "
            f"| {small.memory:.0f} | {large.memory:.0f} |"
        )
    name, size = archive.name.split("+")[0], archive.stat().st_size / 1e6
    return TEMPLATE.format(
        how=how(scratch, 1), archive=f"`{name}...tar.gz`, {size:.1f} MB", rows="\n".join(rows)
    )


def build(folder: Path, count: int, archive: Path | None) -> Peak:
    """Return what `sealift build` takes for `count` archives.

    With `archive` it is one of them, and unseal travels along, as it does if nobody says otherwise.
    """
    folder.mkdir()
    workshop = Workshop(folder).found(installer=archive is not None)
    more = ""
    if archive is not None:
        count -= 1
        more = (
            f'[[url]]\nurl = "{archive.as_uri()}"\nname = "python"\nversion = "1.0"\n'
            f'sha256 = "{sha256(archive)}"\nprefix = "/install"\n'
        )
    with LoopbackServer(workshop.served) as server:
        site = ManyArchives(workshop, server, count, more)
        site.write()
        words = [str(PROGRAMS / "sealift"), "build", "--quiet", "--output", str(folder / "bundle")]
        return watch(words, site.environment, workshop.site)


TEMPLATE = """
## Many archives

`sealift build` of archives that a server on loopback has, none of them in the cache: looked up, \
fetched, inspected, written, signed and verified. The archives are tools of 2 kB, and nothing \
else is in the bundle; in the last column one of them is a CPython, {archive}, and unseal with its \
wheels for four Pythons travels along, as it does if nobody says otherwise. {how}

| archives | wall, s | CPU, s | wall for each, ms | peak memory, MiB | with CPython and unseal, MiB |
| --- | --- | --- | --- | --- | --- |
{rows}

Archives are read in blocks, and an archive's index is forgotten when it is written. Looking into \
one archive of an interpreter's size takes more than what is held of a thousand, so the last \
column does not grow. In a bundle of nothing but small ones it can be seen: some 5 KiB an archive, \
which spec, lock, manifest and evidence say of it; of 1,000 the manifest alone has 1.8 MB, and \
what is signed, or whose signatures are verified, is held once \
([ADR 18](adr/0018-what-a-build-holds.md)).
"""
