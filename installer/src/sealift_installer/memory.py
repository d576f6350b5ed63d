"""How the C library keeps memory that this process will want again."""

import sys

# Parameters of mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT = 32 * 1024 * 1024  # the most that mallopt takes for the second


def keep_memory() -> None:
    """Let freed memory stay with this process, where that can be asked for (glibc).

    What is decompressed passes through blocks of a MiB. glibc gives such blocks back to the kernel
    and asks for them again, and new pages cost more time than what is done with them: a third of
    all page faults of an installation were of this kind.
    """
    if sys.platform != "linux":
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_MMAP_THRESHOLD, _KEPT)
