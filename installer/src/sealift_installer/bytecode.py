"""Bytecode that an interpreter writes into its own tree when it is asked something.

CPython writes none with -B. PyPy looks up the encoding of the locale before it reads its options,
compiles `codecs` and `encodings` for that, and keeps what it compiled, whatever -B,
PYTHONDONTWRITEBYTECODE and PYTHONPYCACHEPREFIX say. A locale that cannot be had keeps it from that,
but then it does not start where the prefix is not ASCII. So what is new is removed.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from sealift_installer.errors import host_errors

_CACHE = "__pycache__"
# Windows has none of these, and no bundle is opened there.
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def unwritten(tree: Path, name: str) -> Iterator[None]:
    """Remove the bytecode that the interpreter of `tree` writes in this context.

    What was there before stays: of an installed tree, others may have written it.

    Args:
        tree: where it stands.
        name: its key.

    Raises:
        HostError: the tree cannot be read.
    """
    if name.startswith("cpython-"):
        yield
        return
    with host_errors(f"cannot look for the bytecode of {name}"):
        before = {folder: set(files) for folder, _, files, _ in _folders(tree)}
    try:
        yield
    finally:
        with host_errors(f"cannot remove the bytecode of {name}"):
            _remove(tree, before)


def _remove(tree: Path, before: Mapping[str, Collection[str]]) -> None:
    for folder, descriptor, files, parent in _folders(tree):
        for file in files:
            if file not in before.get(folder, ()):
                # Gone already, no file, or in a tree of somebody else, who must have written it.
                with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
                    os.unlink(file, dir_fd=descriptor)
        if folder not in before:
            with suppress(OSError):  # somebody else may have put something there meanwhile
                os.rmdir(_CACHE, dir_fd=parent)


def _folders(tree: Path) -> Iterator[tuple[str, int, list[str], int]]:
    """Yield each `__pycache__`: its path and descriptor, its files, and its parent's descriptor.

    No link is followed: a tree that is installed may be one that others can change.
    """
    for above, folders, _, parent in os.fwalk(tree):
        if _CACHE not in folders:
            continue
        folders.remove(_CACHE)
        try:
            descriptor = os.open(_CACHE, _DIRECTORY, dir_fd=parent)
        except OSError:
            continue  # it is a link, or gone
        try:
            with os.scandir(descriptor) as entries:
                files = [entry.name for entry in entries]
            yield f"{above}/{_CACHE}", descriptor, files, parent
        finally:
            os.close(descriptor)
