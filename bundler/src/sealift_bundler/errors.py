"""What can go wrong on the connected side alone; all other errors are those of sealift_installer."""

from sealift_installer.errors import SealiftError


class NetworkError(SealiftError):
    """A server could not be reached, or did not deliver what it promised."""

    exit_code = 8
