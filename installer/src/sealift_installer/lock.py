"""An exclusive lock on an open file, by the means of the operating system.

The system lets go of it when its holder ends, however it ends, so there are no stale locks. The
branch for Windows is written by the documentation of `msvcrt.locking` and has not been run there.
"""

import errno
import os
import sys

if sys.platform == "win32":
    import msvcrt

    # Windows lets nobody else read bytes that are locked, and who waits reads who holds the lock.
    # A byte can be locked far behind the end of a file.
    _PLACE = 2**30
    _HELD = frozenset({errno.EACCES, errno.EDEADLOCK})

    def take_lock(descriptor: int) -> bool:
        """Take the lock on the open file, or tell by False that another process holds it.

        Raises:
            OSError: the file system has no locks.
        """
        os.lseek(descriptor, _PLACE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in _HELD:
                return False
            raise
        return True

else:
    import fcntl

    def take_lock(descriptor: int) -> bool:
        """Take the lock on the open file, or tell by False that another process holds it.

        Raises:
            OSError: the file system has no locks.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
