"""Sizes for people, in the units of the installer."""

from sealift_installer.text import size as show_size

__all__ = ["show_size"]
