"""Starting: what a command takes that has next to nothing to do."""

from pathlib import Path

from measure import ROUNDS, Case, measure, row
from page import how

from road import PROGRAMS, run, sha256
from simulator import small_bundle


def table(scratch: Path) -> str:
    """Measure, and return the part of the page."""
    cases = make_cases(scratch)
    measure(cases, scratch)
    return TEMPLATE.format(
        how=how(scratch, ROUNDS), rows="\n".join(row(case, cases[0]) for case in cases)
    )


def make_cases(scratch: Path) -> list[Case]:
    """Return commands that do next to nothing, beside an interpreter that does nothing."""
    small = small_bundle(scratch / "small")
    root = small.path / "trust" / "root" / "1.root.dsse.json"
    prefix = scratch / "prefix"
    trust = [PROGRAMS / "unseal", "trust", "import", root, "--sha256", sha256(root)]
    run(*trust, "--prefix", prefix)
    run(PROGRAMS / "unseal", "install", small.path, "--prefix", prefix)

    def case(name: str, *words: object) -> Case:
        return Case(name, lambda _place: ([str(word) for word in words], {}))

    unseal = PROGRAMS / "unseal"
    return [
        case("`python -c pass`", PROGRAMS / "python", "-c", "pass"),
        case("`unseal --help`", unseal, "--help"),
        case("`unseal list`, one tool installed", unseal, "list", "--prefix", prefix),
        case("`unseal verify`, a bundle of 2 kB", unseal, "verify", small.path, "--prefix", prefix),
    ]


TEMPLATE = """
## Starting

What a command takes that has next to nothing to do. {how}

| command | median, s | range, s | CPU, s | wall, against `python -c pass` |
| --- | --- | --- | --- | --- |
{rows}
"""
