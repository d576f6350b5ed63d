"""What can go wrong on the connected side alone; all other errors are those of sealift_installer."""

from collections.abc import Sequence

from sealift_installer.errors import HostError, SealiftError, UsageError

# Of very many messages a person reads the first ones.
_SHOWN = 20


class NetworkError(SealiftError):
    """A server could not be reached, or did not deliver what it promised."""

    exit_code = 8


class AwayError(NetworkError):
    """Nothing that was asked for a file has served, in all attempts; it may later."""


class NothingFitsError(UsageError):
    """No catalogue has what a request asks for."""


class LocalFileError(HostError):
    """A file of this machine that was to be taken cannot be read; others may well be."""


def join_messages(errors: Sequence[SealiftError]) -> str:
    """Return the messages one below the other: of very many the first, and how many more."""
    lines = [error.message for error in errors[:_SHOWN]]
    if len(errors) > _SHOWN:
        lines.append(f"and {len(errors) - _SHOWN} more")
    return "\n".join(lines)
