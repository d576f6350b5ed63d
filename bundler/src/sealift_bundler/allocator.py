"""What the C library's allocator does with memory that is free again.

glibc gives each thread an arena of its own and, once a large block was freed, keeps blocks of that
size for itself. A build of a thousand archives fetches with some threads and then handles a few
documents of megabytes, one after the other: what one of them took shall serve the next, or go back
to the system.
"""

from sealift_installer.memory import ARENA_MAX, MMAP_THRESHOLD, adjust_allocator

# Bytes from which on a block is taken from the system and given back to it.
_LARGE = 256 * 1024


def share_memory() -> None:
    """Let all threads take memory from one place, and give large blocks back when they are free.

    It is to be called before the first thread starts.
    """
    adjust_allocator({ARENA_MAX: 1, MMAP_THRESHOLD: _LARGE})
