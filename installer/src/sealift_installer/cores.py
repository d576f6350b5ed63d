"""How much can be done at a time."""

import os

_most: list[int] = []


def count_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return min([count, *_most])


def limit_cores(count: int) -> None:
    """Leave the other cores to the processes that work beside this one."""
    _most[:] = [count]
