"""What the C library's allocator does with memory that is free again (mallopt(3))."""

import sys
from collections.abc import Mapping

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
_KEPT = 32 * 1024 * 1024  # the most that mallopt takes for MMAP_THRESHOLD


def adjust_allocator(options: Mapping[int, int]) -> None:
    """Set options of glibc's allocator; where there is no glibc this does nothing."""
    if sys.platform != "linux":
        return
    try:
        import ctypes

        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    except (ImportError, OSError):
        # An interpreter that is linked statically, as it is with musl, cannot look into itself.
        return
    if mallopt is not None:
        for option, value in options.items():
            mallopt(option, value)


def keep_memory() -> None:
    """Let freed memory stay with this process.

    What is decompressed passes through blocks of a MiB. glibc gives such blocks back to the kernel
    and asks for them again, and new pages cost more time than what is done with them: a third of
    all page faults of an installation were of this kind.
    """
    adjust_allocator({TRIM_THRESHOLD: _KEPT, MMAP_THRESHOLD: _KEPT})
