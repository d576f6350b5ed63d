"""What becomes of installed trees, as people read it; nothing is printed here."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sealift_installer.errors import printable

if TYPE_CHECKING:
    from sealift_installer.check import CheckReport, TreeReport
    from sealift_installer.compare import Difference
    from sealift_installer.lifecycle import Changed

_SHOWN = 20


def check_lines(report: "CheckReport") -> Iterator[str]:
    """Yield what a check found."""
    if not report.trees:
        yield "nothing is installed"
    for tree in report.trees:
        yield from _tree_lines(tree)
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
