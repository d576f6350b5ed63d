"""Errors that pass from one process of this program to another, and are raised there again."""

import marshal
from typing import NoReturn

from sealift_installer import errors
from sealift_installer.errors import SealiftError


def pack_error(error: Exception) -> bytes:
    """Return an error as bytes: class, message and hint of ours, else what it is called."""
    if isinstance(error, SealiftError):
        return marshal.dumps((type(error).__name__, error.message, error.hint))
    return marshal.dumps((type(error).__name__, f"{error!a}", None))


def raise_packed(data: bytes) -> NoReturn:
    """Raise what `pack_error` made bytes of.

    Raises:
        SealiftError: of the same class, with the same message and hint.
        MemoryError, RuntimeError: it was another one.
    """
    name, message, hint = marshal.loads(data)  # noqa: S302 - our own
    kind = getattr(errors, name, None)
    if kind is not None:
        raise kind(message, hint=hint)
    raise MemoryError if name == "MemoryError" else RuntimeError(message)
