"""The verb: write anew what is not as it was sealed any more, from a bundle that has it."""

from pathlib import Path
from typing import Any

from sealift_installer.check import CheckReport, check
from sealift_installer.errors import Drift
from sealift_installer.install import InstallOptions, install
from sealift_installer.report import InstallReport, Progress
from sealift_schemas.lean import dataclass, replace


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What was found, what came of each drifted tree, and what is found now.

    `install` is None where nothing had drifted; `after` is what a check finds in the end.
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
            "install": None if self.install is None else self.install.to_json(),
            "after": self.after.to_json(),
        }


def repair(bundle: Path, options: InstallOptions, progress: Progress | None = None) -> RepairReport:
    """Check the trees called `options.names`, or all, and write those anew that have drifted.

    A tree is written anew only from a bundle that has it as it is installed: the same archive, the
    same index. The drifted tree goes; the one that is kept for a rollback stays.

    Raises:
        Untrusted, Damaged, RefusedByPolicy, HostError, UsageError: as `check` and `install` say.
    """
    before = check(options.prefix, options.names, progress=progress)
    drifted = tuple(tree.name for tree in before.trees if tree.drift)
    if not drifted:
        return RepairReport(before, None, before)
    report = install(bundle, replace(options, names=drifted, repair=True), progress)
    return RepairReport(before, report, check(options.prefix, options.names, progress=progress))


def drift_left(report: RepairReport) -> Drift | None:
    """Return the error of what still is not as it was sealed, or None."""
    left = [tree.name for tree in report.after.trees if tree.drift]
    if not left:
        return None
    return Drift(
        f"not repaired: {', '.join(left)}", hint="repair it from the bundle that brought it"
    )
