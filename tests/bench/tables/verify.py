"""Verifying: a bundle of 1,000 archives by its signatures alone, and all bytes of a large one."""

import random
import shutil
import statistics
from pathlib import Path

from delivered import deliver
from measure import ROUNDS, Case, measure, row
from page import how

from road import run, sha256
from simulator import BundleSimulator, Member, SimArchive

ARCHIVES, SIGNATURES = 1000, 2
FILES, SIZE = 8, 128 * 1024 * 1024


def table(scratch: Path) -> str:
    """Measure, and return the part of the page."""
    many = signatures(scratch)
    measure(many, scratch)
    read = all_bytes(scratch)
    measure(read, scratch)
    openssl = run("openssl", "version").stdout.split()
    return TEMPLATE.format(
        how=how(scratch, ROUNDS, f"{openssl[0]} {openssl[1]}", python=deliver().version),
        many="\n".join(row(case, many[0]) for case in many),
        size=FILES * SIZE // 2**30,
        read="\n".join(_rate(case, read[0]) for case in read),
    )


def signatures(scratch: Path) -> list[Case]:
    """Return a bare start, and verification of a bundle with many archives by two keys."""
    site = BundleSimulator(scratch / "many", keys=SIGNATURES, threshold=SIGNATURES)
    for number in range(ARCHIVES):
        members = (
            Member("bin/tool", b"echo %d\n" % number, executable=True),
            Member("share/doc", b"what it does: %d\n" % number),
        )
        site.add_archive(
            SimArchive(f"tool{number}-1.0", members, links={f"tool{number}": "bin/tool"})
        )
    words = _verify(site, scratch / "prefix-many")
    return [
        Case("`python -c pass`", lambda _: ([str(deliver().python), "-c", "pass"], {})),
        Case("`unseal verify --signatures`", lambda _: ([*words, "--signatures"], {})),
        Case("`unseal verify`, which reads the 2,001 files too", lambda _: (words, {})),
    ]


def all_bytes(scratch: Path) -> list[Case]:
    """Return verification of large files, and openssl over the same ones, by one core and by all."""
    site = BundleSimulator(scratch / "large")
    choose = random.Random(1)
    for number in range(FILES):
        site.payload[f"archives/{number}"] = choose.randbytes(SIZE)
    words = _verify(site, scratch / "prefix-large")
    files = [str(site.path / name) for name in site.payload if name.startswith("archives/")]
    site.payload.clear()
    digest = ["openssl", "dgst", "-sha256", *files]
    alone = ["taskset", "--cpu-list", "0"] if shutil.which("taskset") else []
    return [
        Case("`openssl dgst -sha256`, one core", lambda _: ([*alone, *digest], {})),
        Case("`unseal verify`, one core", lambda _: ([*alone, *words], {})),
        Case("`unseal verify`", lambda _: (words, {})),
    ]


def _verify(site: BundleSimulator, prefix: Path) -> list[str]:
    """Write the bundle; return the command that verifies it, in a prefix that trusts its root."""
    bundle = site.write().path
    root = bundle / "trust" / "root" / "1.root.dsse.json"
    unseal = deliver().unseal
    run(unseal, "trust", "import", root, "--sha256", sha256(root), "--prefix", prefix)
    return [str(word) for word in (unseal, "verify", bundle, "--prefix", prefix)]


def _rate(case: Case, reference: Case) -> str:
    """Return the times of a case, its rate, and that rate against the reference's."""
    wall, other = statistics.median(case.wall), statistics.median(reference.wall)
    return (
        f"| {case.name} | {wall:.3f} | {min(case.wall):.3f} to {max(case.wall):.3f} "
        f"| {statistics.median(case.cpu):.3f} | {FILES * SIZE / 1e9 / wall:.2f} | {other / wall:.2f} |"
    )


TEMPLATE = """
## Verifying

A bundle of 1,000 archives with two signatures, both of them needed. With `--signatures`, \
`unseal verify` checks roots, signatures, terms and that no file is missing or added, and reads \
none of the payload. {how}

| command | median, s | range, s | CPU, s | wall, against `python -c pass` |
| --- | --- | --- | --- | --- |
{many}

All bytes of a bundle with {size} GiB in 8 files, start-up included. Each chunk is hashed once, by \
as many threads as there are cores.

| command | median, s | range, s | CPU, s | GB/s | rate, against openssl |
| --- | --- | --- | --- | --- | --- |
{read}
"""
