"""Two directories exchanged in one step, where the kernel and the file system can."""

import errno
import os
import sys
from functools import cache
from pathlib import Path
from typing import Protocol

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
# The kernel is too old, or the file system does not know the flag.
_NOT_HERE = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM})


class _Renameat2(Protocol):
    def __call__(self, old_at: int, old: bytes, new_at: int, new: bytes, flags: int, /) -> int: ...


def exchange(first: Path, second: Path) -> bool:
    """Exchange two directories of one file system; False: it cannot be done in one step here.

    renameat2(2), RENAME_EXCHANGE: there is no moment at which one of the names is missing.

    Raises:
        OSError: another reason, such as permission.
    """
    renameat2 = _renameat2()
    if renameat2 is None:
        return False
    result = renameat2(
        _AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE
    )
    if result == 0:
        return True
    import ctypes

    number = ctypes.get_errno()
    if number in _NOT_HERE:
        return False
    raise OSError(number, os.strerror(number), str(second))


@cache
def _renameat2() -> _Renameat2 | None:
    """Return the C library's renameat2 (glibc 2.28, musl 1.2.4), or None."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return None
    function.restype = ctypes.c_int
    function.argtypes = [
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_uint,
    ]
    result: _Renameat2 = function
    return result
