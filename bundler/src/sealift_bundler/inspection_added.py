"""What an interpreter gets that its archive does not have: uv's own additions, and our notice."""

from collections.abc import Collection
from dataclasses import dataclass

from sealift_installer.errors import Damaged, printable
from sealift_schemas.keys import InstallKey
from sealift_schemas.lock import LockedArchive

# PEP 668: pip and others show the text, and refuse to install into the interpreter itself.
EXTERNALLY_MANAGED = b"""\
[externally-managed]
Error=This Python came in a sealed bundle, and each of its files is recorded.
 Make a virtual environment (python -m venv DIRECTORY) and install into that.
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """Where an interpreter has its parts: its program, `python` beside it, its standard library."""

    program: str
    python: str
    library: str


def find_interpreter(archive: LockedArchive, paths: Collection[str]) -> Interpreter:
    """Return where the interpreter `archive` has its parts (uv's rules for each implementation).

    Args:
        archive: an archive of the kind `interpreter`, whose name is an install key.
        paths: the installed paths of all files and links.

    Raises:
        Damaged: there is no program or no standard library where they must be.
    """
    try:
        parts = _parts(InstallKey.parse(archive.name))
    except ValueError as error:
        raise Damaged(f"{archive.filename}: {printable(str(error))}") from None
    if parts.program not in paths:
        raise Damaged(f"{archive.filename}: no interpreter at {parts.program}")
    if parts.library and not any(path.startswith(f"{parts.library}/") for path in paths):
        raise Damaged(f"{archive.filename}: no standard library at {parts.library}")
    return parts


def _parts(key: InstallKey) -> Interpreter:
    windows = key.platform.os == "windows"
    ending = ".exe" if windows else ""
    version = f"{key.minor}{key.suffix}"
    threads = "t" if "t" in key.suffix else ""
    if key.implementation == "cpython":
        if windows:
            return Interpreter("python.exe", "python.exe", "Lib")
        return Interpreter(f"bin/python{version}", "bin/python", f"lib/python{key.minor}{threads}")
    if key.implementation == "pypy":
        if windows:
            return Interpreter(f"pypy{version}.exe", "python.exe", "Lib")
        return Interpreter(f"bin/pypy{version}", "bin/python", f"lib/pypy{key.minor}")
    if key.implementation == "graalpy":
        library = "Lib" if windows else f"lib/python{key.minor}"
        return Interpreter(f"bin/graalpy{ending}", f"bin/python{ending}", library)
    return Interpreter("python", "python", "")
