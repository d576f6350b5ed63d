"""The verb: write anew what is not as it was sealed any more, from a bundle that has it."""

from pathlib import Path
from typing import Any

from sealift_installer.check import CheckReport, check
from sealift_installer.errors import Drift
from sealift_installer.install import InstallOptions, install
from sealift_installer.names import check_names, find_changed, make_names
from sealift_installer.prefix import Prefix
from sealift_installer.records import Records
from sealift_installer.report import InstallReport, Progress, Silence
from sealift_schemas.lean import dataclass, replace


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What was found, what came of each drifted tree, and what is found now.

    `install` is None where no tree had drifted; `after` is what a check finds in the end.
    """

    before: CheckReport
    install: InstallReport | None
    after: CheckReport

    @property
    def exit_code(self) -> int:
        """Zero where all is as it was sealed; else that of a failure, or that of drift."""
        if self.install is not None and self.install.exit_code:
            return self.install.exit_code
        return self.after.exit_code

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "good": self.after.exit_code == 0,
            "drifted": [tree.to_json() for tree in self.before.trees if tree.drift],
            "names": [each.to_json() for each in self.before.names],
            "install": None if self.install is None else self.install.to_json(),
            "after": self.after.to_json(),
        }


def repair(bundle: Path, options: InstallOptions, progress: Progress | None = None) -> RepairReport:
    """Check the trees called `options.names`, or all, and write those anew that have drifted.

    A tree is written anew only from a bundle that has it as it is installed: the same archive, the
    same index. The drifted tree goes; the one that is kept for a rollback stays. Names in `bin/`
    need no bundle: what they lead to was kept.

    Raises:
        Untrusted, Damaged, RefusedByPolicy, HostError, UsageError: as `check` and `install` say.
    """
    before = check(options.prefix, options.names, progress=progress)
    drifted = tuple(tree.name for tree in before.trees if tree.drift)
    report = None
    if before.names:
        _make_names(options, progress or Silence(), only_look=True)
    if drifted:
        report = install(bundle, replace(options, names=drifted, repair=True), progress)
    if before.names:
        _make_names(options, progress or Silence())
    if not drifted and not before.names:
        return RepairReport(before, None, before)
    return RepairReport(before, report, check(options.prefix, options.names, progress=progress))


def _make_names(options: InstallOptions, progress: Progress, *, only_look: bool = False) -> None:
    """Make the names in `bin/` anew that are not as they were made, or look whether that can be."""
    prefix = Prefix(options.prefix)
    records = {record.name: record for record in Records(prefix.state).all()}
    trees = set(options.names or records)
    with prefix.lock(progress.note, seconds=options.lock_seconds):
        changed = [made for made, _ in find_changed(prefix, trees & records.keys())]
        check_names(prefix, changed)
        if not only_look:
            make_names(prefix, ((made, records[made.tree]) for made in changed))


def drift_left(report: RepairReport) -> Drift | None:
    """Return the error of what still is not as it was sealed, or None."""
    left = [tree.name for tree in report.after.trees if tree.drift]
    left += [each.path for each in report.after.names]
    if not left:
        return None
    return Drift(
        f"not repaired: {', '.join(left)}", hint="repair it from the bundle that brought it"
    )
