"""What a file system refuses to write of a tree, in words."""

from collections.abc import Iterable
from errno import EDQUOT, EEXIST, ENOSPC

from sealift_installer.errors import HostError, printable


def describe_refusal(error: OSError, top: str, path: str, known: Iterable[str]) -> HostError:
    """Return the error to raise.

    Args:
        error: of the system.
        top: the tree's own path, printable.
        path: what was to be written of it; "" for the tree itself.
        known: the paths that it has so far.
    """
    where = f"{top}/{printable(path)}" if path else top
    if error.errno in {ENOSPC, EDQUOT}:
        return HostError(
            f"no space left while writing {where}: {error.strerror}",
            hint="Free some space or inodes, or choose another prefix.",
        )
    if error.errno == EEXIST and path:
        return HostError(_describe_collision(path, where, known))
    return HostError(f"cannot write {where}: {error.strerror or error}")


def _describe_collision(path: str, where: str, known: Iterable[str]) -> str:
    folded = path.casefold()
    for other in known:
        if other != path and other.casefold() == folded:
            return f"this file system does not tell '{printable(path)}' from '{printable(other)}'"
    return f"{where} is there already, and was not written by this installation"
