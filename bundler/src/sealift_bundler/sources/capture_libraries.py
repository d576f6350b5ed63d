"""The shared libraries that travel with an interpreter: its own, and those of its own prefix."""

from collections.abc import Mapping
from pathlib import Path

from sealift_bundler.relocation.elf import read_elf
from sealift_bundler.sources.capture_layout import Layout
from sealift_installer.errors import host_errors


def collect_libraries(layout: Layout, binaries: Mapping[str, Path]) -> dict[str, Path]:
    """Return libraries by their place in the archive.

    libpython is taken wherever it stands. What else is needed is taken from the folder of
    libraries of a prefix that is the interpreter's own, and what that needs in turn; all others
    stay the host's, and inspection lists them as demanded.

    Args:
        layout: the map of the capture.
        binaries: the captured ELF files by place.

    Raises:
        HostError: a library cannot be read.
    """
    folder = Path(layout.facts.setting("LIBDIR") or layout.facts.prefix / "lib")
    found: dict[str, Path] = {}
    with host_errors("cannot read the interpreter's libraries"):
        for name in _own_names(layout):
            _add(found, layout, folder / name)
        queue = [*binaries.values(), *(path for path in found.values() if not path.is_symlink())]
        seen = set(queue)
        while queue and layout.private:
            elf = read_elf(queue.pop().read_bytes())
            for soname in elf.needed if elf is not None else ():
                library = folder / soname
                if library not in seen and library.is_file():
                    seen.add(library)
                    _add(found, layout, library)
                    queue.append(library)
    return found


def _own_names(layout: Layout) -> list[str]:
    names = (layout.facts.setting("LDLIBRARY"), layout.facts.setting("INSTSONAME"), "libpython3.so")
    shared = [name for name in names if ".so" in name]
    # libpython3.so is the stable interface of whichever version was installed last.
    return shared if layout.private else shared[:-1]


def _add(found: dict[str, Path], layout: Layout, library: Path) -> None:
    """Add a library, and the links on the way to the file itself."""
    while library.is_symlink():
        target = library.parent / library.readlink()
        if target.parent.resolve() != library.parent.resolve():
            break
        found[f"{layout.library}/{library.name}"] = library
        library = library.parent / target.name
    if library.is_file():
        found[f"{layout.library}/{library.name}"] = library
