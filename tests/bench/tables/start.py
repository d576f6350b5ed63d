"""Starting: what a command takes that has next to nothing to do."""

from pathlib import Path
from platform import python_version

from delivered import deliver
from measure import ROUNDS, Case, measure, row
from page import how

from catalogs import document, entry
from road import PROGRAMS, run, sha256
from simulator import small_bundle


def table(scratch: Path) -> str:
    """Measure, and return the part of the page."""
    cases = make_cases(scratch)
    measure(cases, scratch)
    return TEMPLATE.format(
        how=how(scratch, ROUNDS, python=deliver().version),
        rows="\n".join(row(case, cases[0]) for case in cases),
    )


def make_cases(scratch: Path) -> list[Case]:
    """Return commands that do next to nothing, beside an interpreter that does nothing."""
    small = small_bundle(scratch / "small")
    root = small.path / "trust" / "root" / "1.root.dsse.json"
    prefix = scratch / "prefix"
    unseal = deliver().unseal
    trust = [unseal, "trust", "import", root, "--sha256", sha256(root)]
    run(*trust, "--prefix", prefix)
    run(unseal, "install", small.path, "--prefix", prefix)

    catalogue = scratch / "downloads.json"
    catalogue.write_bytes(
        document(*(entry(minor=minor, patch=patch) for minor in range(34) for patch in range(200)))
    )
    environment = {
        "UV_PYTHON_DOWNLOADS_JSON_URL": str(catalogue),
        "SEALIFT_CACHE_DIR": str(scratch / "cache"),
    }

    def case(name: str, *words: object) -> Case:
        return Case(name, lambda _place: ([str(word) for word in words], environment))

    search = (PROGRAMS / "sealift", "search", ">=3.12")
    return [
        case("`python -c pass`", deliver().python, "-c", "pass"),
        case("`unseal --help`", unseal, "--help"),
        case("`unseal list`, one tool installed", unseal, "list", "--prefix", prefix),
        case(f"`sealift search '>=3.12'`, 6,800 entries, Python {python_version()}", *search),
        case("`unseal verify`, a bundle of 2 kB", unseal, "verify", small.path, "--prefix", prefix),
    ]


TEMPLATE = """
## Starting

What a command takes that has next to nothing to do. {how}

| command | median, s | range, s | CPU, s | wall, against `python -c pass` |
| --- | --- | --- | --- | --- |
{rows}
"""
