"""The command sealift. Only this package prints and exits."""

from sealift_bundler.cli.main import main

__all__ = ["main"]
