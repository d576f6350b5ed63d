"""What becomes of installed trees, as people read it; nothing is printed here."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sealift_installer.errors import printable
from sealift_installer.text import bundle_line, install_lines, size

if TYPE_CHECKING:
    from sealift_installer.check import CheckReport, TreeReport
    from sealift_installer.compare import Difference
    from sealift_installer.lifecycle import Changed
    from sealift_installer.rehearsal import Rehearsal
    from sealift_installer.repair import RepairReport

_SHOWN = 20


def check_lines(report: "CheckReport") -> Iterator[str]:
    """Yield what a check found."""
    if not report.trees:
        yield "nothing is installed"
    for tree in report.trees:
        yield from _tree_lines(tree)
    if report.names:
        yield "names in bin/: not as they were made"
        yield from difference_lines(report.names)
    for name in report.unfinished:
        yield f"note: a run was killed at {name}; the next command that changes something settles it"
    for path in report.strangers:
        yield f"note: not installed by unseal: {printable(path)}"


def _tree_lines(tree: "TreeReport") -> Iterator[str]:
    if tree.drift:
        yield f"{tree.name}: not as it was sealed, {printable(tree.path)}"
        yield from difference_lines(tree.drift)
    else:
        yield f"{tree.name}: as it was sealed, {tree.members} members"
    if tree.tolerated:
        bytecode = sum(each.what == "added" for each in tree.tolerated)
        parts = [f"{bytecode} paths of new bytecode"] if bytecode else []
        parts += [
            f"{printable(each.path)} by uv" for each in tree.tolerated if each.what != "added"
        ]
        yield f"  tolerated: {', '.join(parts)}"


def difference_lines(differences: "Sequence[Difference]") -> Iterator[str]:
    """Yield the first of what differs, and how many more there are."""
    for each in differences[:_SHOWN]:
        where = f" {printable(each.path)}:" if each.path else ""
        yield f"  {each.what}{where} {printable(each.detail)}"
    rest = len(differences) - _SHOWN
    if rest > 0:
        yield f"  and {rest} more (--json has them all)"


def change_lines(done: "Changed") -> Iterator[str]:
    """Yield what became of one tree."""
    yield f"{done.record.name}: {printable(done.detail)}"
    yield f"  {printable(done.record.path)}, archive {done.record.archive}"
    yield from (f"  {printable(link)}" for link in done.links)


_PLANS = {
    "install": "would be installed",
    "replace": "would replace another build",
    "present": "is there already",
}


def rehearsal_lines(rehearsal: "Rehearsal") -> Iterator[str]:
    """Yield what an install would do."""
    authenticated = rehearsal.authenticated
    root_version = authenticated.root.root.version
    yield bundle_line(authenticated.manifest, authenticated.signers, root_version)
    for planned in rehearsal.planned:
        yield f"{planned.archive.name}: {_PLANS[planned.what]}, {printable(planned.path)}"
    for name, reason in rehearsal.skipped.items():
        yield f"{name}: would be left out, {reason}"
    for name in rehearsal.unfinished:
        yield f"{name}: a run was killed here; the next one finishes or takes back what it did"
    yield f"needs {size(rehearsal.needed)}, {size(rehearsal.free)} are free; nothing was written"


def repair_lines(report: "RepairReport") -> Iterator[str]:
    """Yield what was drifted, and what came of it."""
    if report.install is None and not report.before.names:
        yield f"nothing to repair: {len(report.before.trees)} trees are as they were sealed"
        return
    for tree in report.before.trees:
        if tree.drift:
            yield from _tree_lines(tree)
    if report.install is not None:
        yield from install_lines(report.install)
    if report.before.names:
        yield "names in bin/: made anew"
        yield from difference_lines(report.before.names)
