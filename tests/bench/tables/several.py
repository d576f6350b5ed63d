"""Every archive by itself, and four at once: `unseal install` and all counterparts, on tmpfs."""

from collections.abc import Sequence
from pathlib import Path

from archives import big_archives
from delivered import deliver
from extractors import bundle, make_cases
from limits import measure_limits
from measure import ROUNDS, Case, measure, measure_memory, row
from page import how, uv_version

FOUR = 4


def table(scratch: Path) -> str:
    """Measure, and return the part of the page."""
    archives = [path for path in big_archives("*") if ".tar." in path.name or path.suffix == ".7z"]
    parts = [_part(scratch, [archive]) for archive in archives]
    zipped = next(archive for archive in archives if archive.name.endswith(".tar.gz"))
    parts.append(_part(scratch, _copies(zipped, scratch)))
    limits = measure_limits(zipped, scratch, ROUNDS)
    return TEMPLATE.format(
        how=how(scratch, ROUNDS, uv_version(), python=deliver().version),
        parts="\n".join(parts),
        limits="\n".join(f"| {name} | {seconds:.3f} |" for name, seconds in limits.items()),
        archive=_called([zipped]),
    )


def _part(scratch: Path, archives: Sequence[Path]) -> str:
    """Measure some archives that are installed by one command; return their heading and rows."""
    name = "-".join(path.name.rpartition(".")[2] for path in archives)
    bundled = bundle(scratch / f"bundle-{name}-{len(archives)}", archives)
    cases = make_cases(bundled, scratch)
    measure(cases, scratch)
    measure_memory(cases, scratch)
    reference = next((case for case in cases if "uv" in case.name), cases[-1])
    rows = "\n".join(_row(case, reference) for case in cases)
    return f"| **{_called(archives)}** | | | | | |\n{rows}"


def _copies(archive: Path, scratch: Path) -> list[Path]:
    """Return four archives with other bytes and the same members: their headers' times differ."""
    data = archive.read_bytes()
    copies = []
    for number in range(1, FOUR + 1):
        copy = scratch / f"copy-{number}" / archive.name
        copy.parent.mkdir()
        copy.write_bytes(data[:4] + number.to_bytes(4, "little") + data[8:])
        copies.append(copy)
    return copies


def _row(case: Case, reference: Case) -> str:
    return f"{row(case, reference)} {case.memory:.0f} |"


def _called(archives: Sequence[Path]) -> str:
    size = sum(path.stat().st_size for path in archives) / 1e6
    if len(archives) == FOUR:
        return f"four at once, {size:.1f} MB"
    (archive,) = archives
    start, _, ending = archive.name.partition("-")
    version = ending.split("-")[0].split("+")[0]
    kind = archive.name[archive.name.index(".tar") :] if ".tar" in archive.name else archive.suffix
    return f"{start} {version} as {kind}, {size:.1f} MB"


TEMPLATE = """
## Every archive, and four at once

Whole commands as above. uv reads neither .7z nor .tar.bz2; where it is missing, the ratio is \
against the last row. Four at once are the .tar.gz four times: four interpreters \
to uv, four tools built for /install to unseal, which does not start tools; `tar` and `bsdtar` are four processes then, the libraries take one after the \
other. {how}

| command | median, s | range, s | CPU, s | wall, against uv | peak memory, MiB |
| --- | --- | --- | --- | --- | --- |
{parts}

The limits, for {archive}: each step by itself in one process that has started.

| step | median, s |
| --- | --- |
{limits}
"""
