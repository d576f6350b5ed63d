"""The verb: is what stands in the prefix what was sealed?

Asked is the record of what was done, whose chain is checked first: it says which archive stands
where, and which index says what belongs there. The record of an install and the kept index are
believed as far as they agree with it.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sealift_installer.compare import Comparison, Difference, compare
from sealift_installer.errors import Drift, HostError, UsageError, host_errors, printable
from sealift_installer.journal import Journal
from sealift_installer.limits import LIMITS
from sealift_installer.names import find_changed
from sealift_installer.prefix import Prefix, open_kept
from sealift_installer.records import Record, Records
from sealift_installer.report import Progress, Silence
from sealift_installer.spellings import settle_entries
from sealift_installer.trail import installed_by, read_trail
from sealift_installer.trust.state import StateStore
from sealift_schemas.index import Entry, read_lines
from sealift_schemas.lean import dataclass
from sealift_schemas.receipt import ArchiveIdentity
from sealift_schemas.strictjson import DocumentError


@dataclass(frozen=True, slots=True)
class TreeReport:
    """What came of one tree. `members` is what the index installs, zero where there is none."""

    name: str
    path: str
    members: int
    drift: tuple[Difference, ...]
    tolerated: tuple[Difference, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "name": self.name,
            "path": self.path,
            "members": self.members,
            "good": not self.drift,
            "drift": [each.to_json() for each in self.drift],
            "tolerated": [each.to_json() for each in self.tolerated],
        }


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All trees that were looked at, and directories among them that unseal did not install.

    `unfinished` names trees with which a killed run was busy: the next command that changes
    something settles them. `names` are those in `bin/` that are not as they were made.
    """

    trees: tuple[TreeReport, ...]
    strangers: tuple[str, ...]
    unfinished: tuple[str, ...] = ()
    names: tuple[Difference, ...] = ()

    @property
    def exit_code(self) -> int:
        """Zero, or that of drift."""
        return Drift.exit_code if self.names or any(tree.drift for tree in self.trees) else 0

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "good": self.exit_code == 0,
            "trees": [tree.to_json() for tree in self.trees],
            "names": [each.to_json() for each in self.names],
            "strangers": list(self.strangers),
            "unfinished": list(self.unfinished),
        }


def check(
    path: Path,
    names: Sequence[str] = (),
    *,
    strict: bool = False,
    progress: Progress | None = None,
) -> CheckReport:
    """Check what is installed in the prefix at `path`: all of it, or the trees called `names`.

    With `strict` nothing is tolerated: bytecode that was written since, and what uv changes, are
    drift as well.

    Raises:
        Untrusted: the receipts do not hold.
        UsageError: a name is not installed.
        HostError: something cannot be read.
    """
    progress = progress or Silence()
    prefix = Prefix(path)
    with _still(prefix, progress):
        return _check(prefix, names, progress, strict=strict)


@contextmanager
def _still(prefix: Prefix, progress: Progress) -> Iterator[None]:
    """Keep others from changing anything meanwhile, if this run may; nothing is written for it."""
    if os.access(prefix.state / "lock", os.W_OK):
        with prefix.lock(progress.note):
            yield
    else:
        yield


def _check(
    prefix: Prefix, names: Sequence[str], progress: Progress, *, strict: bool
) -> CheckReport:
    claims = installed_by(read_trail(StateStore(prefix.state)).receipts)
    records = {record.name: record for record in Records(prefix.state).all()}
    wanted = _select({*claims, *records}, names)
    trees = []
    for name in wanted:
        progress.step(name, "check")
        report = _check_one(prefix, name, claims.get(name), records.get(name))
        trees.append(_strictly(report) if strict else report)
    strangers = () if names else tuple(_strangers(prefix, {*claims, *records}))
    unfinished = tuple(entry.record.name for entry in Journal(prefix).entries())
    return CheckReport(tuple(trees), strangers, unfinished, tuple(_names(prefix, wanted)))


def compare_tree(prefix: Prefix, record: Record, tree: Path) -> Comparison:
    """Compare a tree with the index that its record names, which is kept in the state.

    Raises:
        HostError: something cannot be read.
        Drift: the kept index is not the one that the record names.
    """
    return compare(tree, kept_index(prefix, record), record.path)


def kept_index(prefix: Prefix, record: Record) -> tuple[Entry, ...]:
    """Return the index that a tree was made from, as it is kept in the state.

    Raises:
        HostError: it cannot be read.
        Drift: it is gone, or not the one that the record names.
    """
    path = Records(prefix.state).index_path(record.index)
    with host_errors("cannot read a kept index"):
        try:
            with open_kept(path) as file:
                data = file.read(LIMITS.index + 1)
        except FileNotFoundError:
            raise Drift(f"the kept index is gone: {printable(str(path))}", hint=_NO_INDEX) from None
    if hashlib.sha256(data).hexdigest() != record.index:
        raise Drift(f"the kept index was changed: {printable(str(path))}", hint=_NO_INDEX)
    try:
        entries = tuple(read_lines(data, what=path.name, limit=LIMITS.index))
    except DocumentError as error:
        # It has the hash that was signed, so an unseal that knew more wrote it.
        raise HostError(f"this unseal cannot read an index: {printable(str(error))}") from None
    return settle_entries(entries, record.merged) if record.merged else entries


_NO_INDEX = "without it nothing says what belongs there: install the bundle again"


def _select(known: Iterable[str], names: Sequence[str]) -> list[str]:
    ordered = sorted(known)
    for name in names:
        if name not in ordered:
            raise UsageError(
                f"not installed: {printable(name)}", hint="unseal list shows what is installed"
            )
    return [name for name in ordered if not names or name in names]


def _check_one(
    prefix: Prefix, name: str, claim: ArchiveIdentity | None, record: Record | None
) -> TreeReport:
    if record is None:
        path = claim.path if claim else ""
        detail = "the receipts have it installed, and no record of it is left"
        return TreeReport(name, path, 0, (Difference("", "missing", detail),))
    contradiction = _contradiction(claim, record)
    if contradiction is not None:
        return TreeReport(name, record.path, 0, (Difference("", "changed", contradiction),))
    tree = prefix.destination(record.kind, record.name)
    if tree.is_symlink() or not tree.is_dir():
        gone = Difference("", "missing", "its directory is gone")
        return TreeReport(name, record.path, record.members, (gone,))
    try:
        found = compare_tree(prefix, record, tree)
    except Drift as error:
        changed = Difference("", "changed", error.message)
        return TreeReport(name, record.path, record.members, (changed,))
    drift = found.drift
    if str(tree) != record.path:
        drift = (Difference("", "changed", f"it was moved: it names {record.path}"), *drift)
    return TreeReport(name, str(tree), record.members, drift, found.tolerated)


def _names(prefix: Prefix, trees: Sequence[str]) -> Iterator[Difference]:
    """Yield which names in `bin/` are not as they were made for these trees."""
    for made, found in find_changed(prefix, trees):
        path = str(prefix.bin / made.name)
        wanted = f"{'a script' if made.wrapper else 'a link'} to {prefix.path / made.target}"
        if found:
            yield Difference(path, "changed", f"{found}, not {wanted}")
        else:
            yield Difference(path, "missing", wanted)


def _contradiction(claim: ArchiveIdentity | None, record: Record) -> str | None:
    """Return how the record of an install contradicts the receipts."""
    if claim is None:
        return "the receipts do not have it installed"
    for what, wanted, found in (
        ("archive", claim.sha256, record.archive),
        ("index", claim.index or record.index, record.index),
        ("path", claim.path, record.path),
    ):
        if wanted != found:
            return f"its record has the {what} {found}, the receipts have {wanted}"
    return None


def _strictly(report: TreeReport) -> TreeReport:
    both = (*report.drift, *report.tolerated)
    return TreeReport(report.name, report.path, report.members, both)


def _strangers(prefix: Prefix, known: Mapping[str, object] | set[str]) -> Iterable[str]:
    """Yield directories beside the installed trees that nobody has a record of."""
    for parent in map(prefix.parent, ("interpreter", "tool")):
        with host_errors("cannot look at what is installed"):
            if not parent.is_dir():
                continue
            with os.scandir(parent) as entries:
                names = sorted(
                    entry.name for entry in entries if entry.is_dir(follow_symlinks=False)
                )
        yield from (
            str(parent / name) for name in names if name not in known and not name.startswith(".")
        )
