"""How bundles are to be copied to a medium, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sealift_bundler.media import plan
from sealift_bundler.media.plan import Carried, Facts
from sealift_bundler.media.stage import settle
from sealift_bundler.media.uncached import Way
from sealift_bundler.progress import Progress
from sealift_bundler.sizes import show_size
from sealift_installer.trust.roots import TrustedRoot


@dataclass(frozen=True, slots=True)
class System:
    """What is asked of the host: what it knows of a medium, and to forget what it has written.

    A test puts others in their place, such as a medium that keeps something else.
    """

    read_facts: Callable[[Path], Facts] = plan.read_facts
    settle: Callable[[Path], None] = settle


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """How to write: trusting whom, under which name, and who is told of it.

    `watch` makes a Progress, by the word for what is done with a file; `report` is told what was
    done and `step` what is being done.
    """

    root: TrustedRoot
    name: str | None = None
    watch: Callable[[str], Progress] = lambda _: Progress()
    report: Callable[[str], None] = lambda _: None
    step: Callable[[str], None] = lambda _: None
    system: System = field(default_factory=System)


@dataclass(frozen=True, slots=True)
class Pace:
    """So many bytes in so many seconds."""

    size: int
    seconds: float

    def __str__(self) -> str:
        """Return size and rate for people."""
        if self.seconds <= 0 or not self.size:
            return show_size(self.size)
        return f"{show_size(self.size)} at {show_size(round(self.size / self.seconds))}/s"


@dataclass(frozen=True, slots=True)
class Copied:
    """One bundle that stands on the medium now; `state` is written, resumed or present."""

    carried: Carried
    path: Path
    state: str
    written: int


@dataclass(frozen=True, slots=True)
class Copies:
    """What stands on the medium, and how it was written and read."""

    bundles: tuple[Copied, ...]
    facts: Facts
    written: Pace
    read: Pace
    way: Way
