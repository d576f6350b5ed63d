"""Makes the tree of one archive in its staging directory, up to the point where it can be published."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sealift_installer.archives import ArchiveReader
from sealift_installer.authenticate import Authenticated
from sealift_installer.errors import Scarce, host_errors
from sealift_installer.memory import keep_memory
from sealift_installer.prefix import remove_tree
from sealift_installer.preflight import check_offered, check_paths
from sealift_installer.report import Progress
from sealift_schemas.index import Entry
from sealift_schemas.lean import dataclass
from sealift_schemas.manifest import Archive

if TYPE_CHECKING:
    from sealift_installer.tree import TreeWriter


@dataclass(frozen=True, slots=True)
class Staged:
    """What was staged.

    `relocated` is how many files the prefix was put into, `merged` which paths the file system
    takes for others, `seconds` what the steps took.
    """

    relocated: int
    merged: Mapping[str, str]
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Work:
    """One archive, the directory that it is staged in, and where it will stand."""

    archive: Archive
    staging: Path
    destination: Path


def stage(authenticated: Authenticated, work: Work, progress: Progress) -> Staged:
    """Write the tree of one archive, relocated to where it will stand, started and synced.

    Raises:
        Damaged: the archive is not what was sealed, or an interpreter is another one.
        HostError: it cannot be written here, or an interpreter does not start.
    """
    archive = work.archive
    seconds: dict[str, float] = {}
    progress.step(archive.name, "extract")
    with ExitStack() as closing:
        closing.enter_context(_refusals_named(archive.name))
        with timed(seconds, "extract"):
            source = authenticated.source(archive)
            reader = closing.enter_context(ArchiveReader(archive.format, source))
            # It reads ahead while these are imported, and the index is read.
            from sealift_installer.extract import Job, extract
            from sealift_installer.spellings import settle_entries

            tree, entries = _begin(authenticated, work, closing)
            merged = tree.find_merged(entries)
            if merged:
                progress.note(f"names that this file system takes for others: {len(merged)}")
            job = Job(archive, settle_entries(entries, merged), str(work.destination))
            counts = extract(authenticated, job, reader, tree)
            reader.close()  # its thread counts among the processes that this user may have
            tree.make_links()
            check_offered(archive, work.staging)
        _finish(work, tree, progress, seconds)
    return Staged(counts.relocated, merged, seconds)


def _begin(
    authenticated: Authenticated, work: Work, closing: ExitStack
) -> tuple["TreeWriter", tuple[Entry, ...]]:
    """Make the top of the tree, whose index can be written there; return both."""
    from sealift_installer.tree import TreeWriter

    keep_memory()
    if work.archive.interpreter is not None:
        from sealift_installer.smoke import prepare

        prepare()
    entries = authenticated.entries(work.archive)
    check_paths(entries, work.destination)
    if work.staging.exists():  # a process left it that had too little of something
        remove_tree(work.staging)
    return closing.enter_context(TreeWriter(work.staging)), entries


def _finish(work: Work, tree: "TreeWriter", progress: Progress, seconds: dict[str, float]) -> None:
    """Sync the tree, and start its interpreter beside that."""
    archive = work.archive
    if archive.kind != "interpreter" or archive.interpreter is None:
        with timed(seconds, "extract"):
            tree.flush()
        return
    from sealift_installer.smoke import smoke_testing

    progress.step(archive.name, "start")
    program = work.staging / archive.interpreter
    with (
        timed(seconds, "start"),
        smoke_testing(program, work.staging, archive.name, work.destination),
    ):
        tree.flush()


@contextmanager
def _refusals_named(name: str) -> Iterator[None]:
    """Say of which archive it is what the operating system refuses, in whichever process."""
    try:
        with host_errors(f"cannot install {name}"):
            yield
    except MemoryError:
        raise Scarce(f"cannot install {name}: not enough memory") from None


@contextmanager
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Add what is done in this context to the seconds of `step`."""
    began = time.perf_counter()
    yield
    seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - began
