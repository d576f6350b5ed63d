"""Sizes and numbers for people, in the units of the installer."""

from sealift_installer.text import size as show_size

__all__ = ["show_count", "show_size"]


def show_count(number: int, noun: str) -> str:
    """Return `number` with its noun, as in `1 archive` and `2 archives`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
