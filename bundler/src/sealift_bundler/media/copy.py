"""Sealed bundles to a medium: what fits is written, all of it is read back, then it gets its name.

Nothing is read back before everything is written. A stick that claims to be larger than it is
writes over what it has taken before, and shows that only then.
"""

import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from sealift_bundler.media import plan
from sealift_bundler.media.check import BundleCheck, check_bundle
from sealift_bundler.media.faults import find_faults
from sealift_bundler.media.outcome import Copied, Copies, CopyOptions, Pace
from sealift_bundler.media.place import check_directory, is_present
from sealift_bundler.media.plan import Carried, Facts
from sealift_bundler.media.stage import NAME_ERRORS, Stage, name_refusal
from sealift_bundler.media.uncached import UncachedBundle, Way
from sealift_bundler.progress import Progress
from sealift_bundler.write import staged
from sealift_installer.bundle import Bundle
from sealift_installer.durable import sync_directory
from sealift_installer.errors import (
    HostError,
    host_errors,
)
from sealift_schemas.payload import CHUNK_SIZE, BundleFile

_SHOWN = 5
# Of smaller files there are many, and a line for each would say little.
_WORTH_A_LINE = 1024 * 1024
_AGAIN = "the bundle is good: run it again to write these bytes anew, and if that does not help, take another medium"


@dataclass(slots=True)
class _Job:
    """A bundle that is being written: `missing` are the chunks that each file lacks on the medium.

    `begun` tells that an earlier run has left something of it.
    """

    carried: Carried
    stage: Stage
    begun: bool = False
    missing: dict[str, list[int]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many bytes are to be written."""
        return sum(_bytes(file, self.missing[file.path]) for file in self.files)

    @property
    def files(self) -> list[BundleFile]:
        """The files that are to be written to, in their order."""
        return [file for file in self.carried.files if file.path in self.missing]


def copy_bundles(bundles: Sequence[Path], directory: Path, options: CopyOptions) -> Copies:
    """Verify bundles and write each to `directory`, on a medium, under its own name.

    What a run has left that was interrupted is read, and what of it is good is kept. A bundle that
    is there already is only read.

    Raises:
        Untrusted, Damaged, RefusedByPolicy: a bundle is bad; nothing is written.
        UsageError: the directory is none, or something else has the name of a bundle there.
        HostError: the medium cannot hold them, or did not keep what was written.
    """
    check_directory(directory, bundles, options)
    carried = []
    for path in bundles:
        options.step(f"verify {path}")
        carried.append(
            plan.read_source(path, options.name, options.root, options.watch("verified"))
        )
        for warning in carried[-1].verified.authenticated.warnings:
            options.report(f"warning: {warning}")
    plan.check_names(carried)
    present = [is_present(each, directory / each.name) for each in carried]
    wanted = [each for each, is_there in zip(carried, present, strict=True) if not is_there]
    facts = options.system.read_facts(directory)
    with ExitStack() as stack:
        jobs = [_claim(each, directory, facts, stack) for each in wanted]
        try:
            _prepare(jobs, facts, options)
            written = _write(jobs, options)
            read, way = _read_back(jobs, options)
            for each, is_there in zip(carried, present, strict=True):
                if is_there:
                    check = _check_present(directory / each.name, options)
                    read = Pace(read.size + check.size, read.seconds + check.seconds)
                    way = max(way, check.way)
        except BaseException:
            _tell_unfinished(jobs, options)
            raise
    _check_named(jobs, directory)
    done = {id(job.carried): job for job in jobs}
    copied = [_copied(each, directory, done.get(id(each))) for each in carried]
    return Copies(tuple(copied), facts, written, read, way)


def _claim(carried: Carried, directory: Path, facts: Facts, stack: ExitStack) -> _Job:
    """Take the place where a bundle is written; when `stack` is left it becomes the bundle."""
    try:
        place = stack.enter_context(staged(directory / carried.name, resume=True))
    except HostError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno in NAME_ERRORS:
            raise name_refusal(carried.name, cause.strerror or str(cause)) from cause
        # Not even a directory can be made: say how much is needed.
        plan.check_fits(facts, [carried])
        raise
    return _Job(carried, Stage(place, carried.files))


def _prepare(jobs: Sequence[_Job], facts: Facts, options: CopyOptions) -> None:
    """Check that all fits, make every name, and find what is there already.

    Raises:
        HostError: the medium cannot hold them; what was made by this run is gone again.
    """
    there = [job.stage.clean() for job in jobs]
    try:
        sizes = [size for each in there for size in each]
        plan.check_fits(facts, [job.carried for job in jobs], sizes)
        for job in jobs:
            job.stage.try_name(job.carried.name)
            job.begun = job.stage.lay_out()
    except BaseException:
        for job, found in zip(jobs, there, strict=True):
            if not found:
                shutil.rmtree(job.stage.place, ignore_errors=True)
        raise
    for job in jobs:
        if not job.begun:
            job.missing = {file.path: [*range(len(file.chunks))] for file in job.carried.files}
            continue
        options.step(f"look at what an earlier run has left of {job.carried.name}")
        options.system.settle(job.stage.place)
        bundle, within = UncachedBundle(job.stage.place), _within(job, jobs)
        for fault in find_faults(bundle, job.carried.files, options.watch("read"), within):
            job.missing.setdefault(fault.path, []).extend(fault.chunks)


def _write(jobs: Sequence[_Job], options: CopyOptions) -> Pace:
    """Write what is missing, and have it all reach the medium."""
    begin = time.monotonic()
    size = sum(job.size for job in jobs)
    watch = options.watch("wrote")
    with watch:
        watch.expect(sum(len(job.files) for job in jobs), size)
        for job in jobs:
            for file in job.files:
                _write_file(job, file, watch, _within(job, jobs))
    options.step("wait for the medium to take it all")
    for job in jobs:
        options.system.settle(job.stage.place)
    return Pace(size, time.monotonic() - begin)


def _write_file(job: _Job, file: BundleFile, watch: Progress, within: str) -> None:
    name, missing = within + file.path, job.missing[file.path]
    size = _bytes(file, missing)

    def seen(written: int) -> None:
        if len(missing) > 1:
            watch.show(name, written, size)

    job.stage.write(job.carried.bundle, file, missing, seen)
    watch.finish(name, size, fetched=size >= _WORTH_A_LINE)


def _read_back(jobs: Sequence[_Job], options: CopyOptions) -> tuple[Pace, Way]:
    """Read everything, and compare it with what was signed.

    Raises:
        HostError: the medium has something else.
    """
    begin = time.monotonic()
    way, problems = Way.DIRECT, []
    for job in jobs:
        options.step(f"read {job.carried.name} back")
        bundle = UncachedBundle(job.stage.place)
        within = _within(job, jobs)
        faults = find_faults(bundle, job.carried.files, options.watch("read"), within)
        problems += [f"{within}{fault}" for fault in faults]
        way = max(way, bundle.way)
    _check_kept(problems)
    return Pace(sum(job.carried.size for job in jobs), time.monotonic() - begin), way


def _check_named(jobs: Sequence[_Job], directory: Path) -> None:
    """Check that what was read back stands under the names that it has now.

    Raises:
        HostError: it does not. There are drivers that lose files when their directory is renamed.
    """
    with host_errors("the medium did not take the name of the bundle"):
        sync_directory(directory)
    for job in jobs:
        target = directory / job.carried.name
        expected = {file.path: file.size for file in job.carried.files}
        if target not in directory.iterdir() or Bundle(target).scan().sizes != expected:
            raise HostError(
                f"the medium lost files when the bundle got its name: {target}",
                hint="remove it there, and take another medium or another driver for it",
            )


def _check_present(target: Path, options: CopyOptions) -> BundleCheck:
    """Read a bundle that was there already.

    Raises:
        HostError: it is not what it was when it was written.
    """
    options.step(f"read {target.name}, which is there already")
    check = check_bundle(target, options.root, options.watch("read"))
    if check.error is not None:
        reasons = [str(fault) for fault in check.faults] or [check.error.message]
        lines = "".join(f"\n  {reason}" for reason in reasons[:_SHOWN])
        raise HostError(
            f"the bundle is on the medium, and has changed there: {target}{lines}",
            hint="remove it there, and write it again",
        )
    return check


def _check_kept(problems: Sequence[str]) -> None:
    if not problems:
        return
    lines = [f"\n  {problem}" for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"\n  and {len(problems) - _SHOWN} more")
    raise HostError("the medium did not keep what was written to it:" + "".join(lines), hint=_AGAIN)


def _tell_unfinished(jobs: Sequence[_Job], options: CopyOptions) -> None:
    for job in jobs:
        if job.missing and job.stage.place.exists():
            options.report(f"unfinished: {job.stage.place}; the next run goes on with it")


def _copied(carried: Carried, directory: Path, job: _Job | None) -> Copied:
    path = directory / carried.name
    if job is None:
        return Copied(carried, path, "present", 0)
    return Copied(carried, path, "resumed" if job.begun else "written", job.size)


def _within(job: _Job, jobs: Sequence[_Job]) -> str:
    """Return what stands before the paths of a bundle where there are several."""
    return f"{job.carried.name}/" if len(jobs) > 1 else ""


def _bytes(file: BundleFile, chunks: Sequence[int]) -> int:
    """Return how many bytes some chunks of a file have."""
    starts = (number * CHUNK_SIZE for number in chunks)
    return sum(min(CHUNK_SIZE, file.size - start) for start in starts)
