"""Files of the cache, opened such that whatever stands in a file's place is not waited for.

A cache may be shared, or be on a disk that was damaged: a pipe or a device would be read without
end.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

# A link that leads to itself, and a socket.
_NO_FILE = (errno.ELOOP, errno.ENXIO)


def open_kept(path: Path, flags: int = os.O_RDONLY) -> BinaryIO | None:
    """Open a file of the cache, unbuffered; None for what is no file, and can be replaced by one.

    That is a pipe, a socket, a device, a link to itself, and with O_NOFOLLOW any link.

    Args:
        path: of the file.
        flags: O_RDONLY, or O_RDWR with more.

    Raises:
        FileNotFoundError: there is none.
        IsADirectoryError: there is a folder.
        OSError: it cannot be opened.
    """
    try:
        # Without O_NONBLOCK, opening a pipe would wait for a writer.
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind):
        return os.fdopen(descriptor, "r+b" if flags & os.O_RDWR else "rb", 0)
    os.close(descriptor)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return None


def read_kept(path: Path, limit: int) -> bytes | None:
    """Return the bytes of a file of the cache; None where there is none, or one beyond `limit`.

    Raises:
        OSError: it cannot be read.
    """
    try:
        file = open_kept(path)
    except (FileNotFoundError, IsADirectoryError):
        return None
    if file is None:
        return None
    with file:
        data = file.read(limit + 1)
    return data if len(data) <= limit else None
