"""What a run tells: progress while it goes on, and the outcome of each archive at its end."""

from collections.abc import Mapping
from typing import Any, Protocol

from sealift_installer.errors import SealiftError
from sealift_schemas.lean import dataclass, field


class Progress(Protocol):
    """Is told what happens; the command decides what of it is shown."""

    def step(self, archive: str, what: str) -> None:
        """Say that `archive` reached the step `what`."""
        ...

    def note(self, text: str) -> None:
        """Say something that needs no action."""
        ...

    def warn(self, text: str) -> None:
        """Say something that a person should know."""
        ...


class Silence:
    """Progress that nobody sees."""

    def step(self, archive: str, what: str) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one archive.

    `status` is "installed", "replaced" (another build stood there), "repaired" (the same one did,
    changed), "present" (nothing was to be done) or "failed"; `seconds` maps each step to how long
    it took; `error` is the failure.
    """

    name: str
    status: str
    path: str
    archive: str
    members: int = 0
    unpacked: int = 0
    relocated: int = 0
    links: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    error: SealiftError | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as JSON values, times in seconds."""
        result: dict[str, Any] = {
            "name": self.name,
            "status": self.status,
            "path": self.path,
            "archive": self.archive,
            "members": self.members,
            "unpacked": self.unpacked,
            "relocated": self.relocated,
            "links": list(self.links),
            "seconds": {step: round(value, 4) for step, value in self.seconds.items()},
        }
        if self.error is not None:
            result["error"] = {
                "message": self.error.message,
                "hint": self.error.hint,
                "exit_code": self.error.exit_code,
            }
        return result


@dataclass(frozen=True, slots=True)
class InstallReport:
    """What came of an install: the bundle, each archive, and what was left out and why."""

    stream: str
    epoch: int
    sequence: int
    manifest: str
    root_version: int
    signers: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0, or the exit code of the first archive that failed."""
        return next((each.error.exit_code for each in self.outcomes if each.error), 0)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values, times in seconds."""
        return {
            "stream": self.stream,
            "epoch": self.epoch,
            "sequence": self.sequence,
            "manifest": self.manifest,
            "root_version": self.root_version,
            "signers": list(self.signers),
            "archives": [outcome.to_json() for outcome in self.outcomes],
            "skipped": dict(self.skipped),
            "warnings": list(self.warnings),
            "overrides": dict(self.overrides),
            "seconds": {step: round(value, 4) for step, value in self.seconds.items()},
        }
