"""Stages the archives of one run: one after the other, or several at a time where that helps."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from sealift_installer.authenticate import Authenticated
from sealift_installer.cores import count_cores
from sealift_installer.limits import MIB
from sealift_installer.report import Progress
from sealift_installer.stage import Staged, Work, stage

# Less than this is staged before there could be processes to do it.
_WORTH_PROCESSES = 16 * MIB
# Each takes some 25 MiB of memory for itself.
_MOST_PROCESSES = 4


@contextmanager
def staging(
    authenticated: Authenticated, works: Sequence[Work], progress: Progress
) -> Iterator[Callable[[Work], Staged]]:
    """Stage `works`; what is yielded returns the result of one, or raises what `stage` raises.

    Ask for them in their order. Leaving the context ends what is still being staged.
    """
    processes = _count_processes(works)
    if processes < 2:  # noqa: PLR2004 - one is this one
        yield lambda work: stage(authenticated, work, progress)
        return
    from sealift_installer.jobs import Jobs

    stages = {work.archive.name: partial(stage, authenticated, work) for work in works}
    with Jobs(stages, processes, progress) as jobs:
        yield lambda work: jobs.result(work.archive.name)


def _count_processes(works: Sequence[Work]) -> int:
    # On macOS a fork of a process that has loaded system libraries is not safe; Windows has none.
    # Of several threads, one could hold a lock that nobody lets go of in the other process.
    threading = sys.modules.get("threading")
    several = threading is not None and threading.active_count() > 1
    unpacked = sum(work.archive.unpacked for work in works)
    if sys.platform != "linux" or several or unpacked < _WORTH_PROCESSES:
        return 1
    return min(len(works), count_cores(), _MOST_PROCESSES)
