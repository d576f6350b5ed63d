"""Stops a run before its n-th change of the file system: by SIGKILL, or by a full disk.

Every call that changes something is a point; a sweep over all of them needs no hooks in the code.
"""

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from target import in_child

CALLS = ("link", "mkdir", "rename", "replace", "rmdir", "symlink", "unlink", "write", "fsync")
CALLS += ("pwrite", "fdatasync")
_EXCHANGE = "sealift_installer.publish.exchange"


@contextmanager
def _watched(before: Callable[[str], None], *, exchange: bool) -> Iterator[None]:
    """Call `before` with the name of each call that changes the file system."""

    def wrap(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            before(name)
            return call(*arguments, **options)

        return wrapped

    patches = [mock.patch.object(os, name, wrap(name, getattr(os, name))) for name in CALLS]
    from sealift_installer import publish

    swap = wrap("exchange", publish.exchange) if exchange else (lambda *_: False)
    patches.append(mock.patch(_EXCHANGE, swap))
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


def killed_at(point: int, action: Callable[[], object], *, exchange: bool = True) -> bool:
    """Run `action` in a child that SIGKILLs itself at `point`; False when it ended before."""

    def child() -> None:
        count = 0

        def before(name: str) -> None:
            nonlocal count
            count += 1
            if count == point:
                os.kill(os.getpid(), signal.SIGKILL)

        with _watched(before, exchange=exchange):
            action()

    status = in_child(child)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    assert status == 0, f"the child failed by itself before point {point}"
    return False


def full_at(point: int, action: Callable[[], object], *, exchange: bool = True) -> bool:
    """Run `action` while the disk is full from `point` on; False when it ended before.

    Removing and renaming still work then, as they do on a disk that is full.
    """
    count = 0
    taking = {"mkdir", "symlink", "write", "fsync", "link", "pwrite", "fdatasync"}

    def before(name: str) -> None:
        nonlocal count
        count += name in taking
        if name in taking and count >= point:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with _watched(before, exchange=exchange):
        action()
    return count >= point
