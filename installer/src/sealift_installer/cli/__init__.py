"""The command `unseal`. The modules of this package alone print and exit."""

from sealift_installer.cli.entry import main

__all__ = ["main"]
