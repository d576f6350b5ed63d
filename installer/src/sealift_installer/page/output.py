"""Where a page is written: to a file of its own, never into a bundle."""

import os
from pathlib import Path

from sealift_installer.errors import UsageError, host_errors, printable

# What every page begins with, so that one can be told from somebody's other work.
_START = b"<!doctype html>\n"
_MARK = b'name="generator" content="'
_LOOK = 4096  # bytes


def write_page(file: Path, page: bytes, bundle: Path | None = None) -> None:
    """Write `page` to `file` in one step; a page that stands there is replaced, nothing else is.

    Raises:
        UsageError: the file is inside of `bundle`, or is there and is no such page.
        HostError: it cannot be written.
    """
    # The directory may be open to others: no name that they can guess, and no file that is there.
    temporary = file.with_name(f".{os.urandom(8).hex()}.tmp")
    with host_errors("cannot write the report"):
        if bundle is not None and file.resolve().is_relative_to(bundle.resolve()):
            raise UsageError(
                f"the report would be inside of the bundle: {printable(str(file))}",
                hint="a file that is not in the manifest breaks the bundle; choose another place",
            )
        if os.path.lexists(file) and not _is_page(file):
            raise UsageError(
                f"there is such a file already, and it is no report: {printable(str(file))}",
                hint="choose another name with --output",
            )
        try:
            with temporary.open("xb") as stream:
                stream.write(page)
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)


def _is_page(file: Path) -> bool:
    if file.is_symlink() or not file.is_file():
        return False
    with file.open("rb") as opened:
        start = opened.read(_LOOK)
    return start.startswith(_START) and _MARK in start
