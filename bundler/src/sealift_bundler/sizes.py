"""Sizes for people."""

_KIB = 1024
_UNITS = ("B", "KiB", "MiB", "GiB")


def show_size(size: int) -> str:
    """Return a number of bytes in the unit that keeps it below 1024 (up to GiB)."""
    amount, power = float(size), 0
    while amount >= _KIB and power < len(_UNITS) - 1:
        amount, power = amount / _KIB, power + 1
    return f"{size} B" if power == 0 else f"{amount:.1f} {_UNITS[power]}"
