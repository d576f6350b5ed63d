"""Collect the files of an interpreter, each rewritten for its place in the archive."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from sealift_bundler.relocation.elf import Unpatchable, rewrite_run_paths
from sealift_bundler.relocation.elf_extend import add_run_path
from sealift_bundler.sources.capture_layout import PREFIX, Layout
from sealift_bundler.sources.capture_libraries import collect_libraries
from sealift_bundler.sources.capture_rewrite import Rewriter
from sealift_installer.errors import HostError, host_errors, printable

# Folders of the standard library that are not carried: what the user or the distribution
# installed, caches, and the tests of Python itself.
_LEFT_OUT = frozenset({"site-packages", "dist-packages", "__pycache__"})
_TESTS = frozenset({"test", "tests", "idle_test"})
_TEST_MODULES = re.compile(r"(?:_test\w*|_ctypes_test|_xxtestfuzz|xxlimited(?:_35)?|xxsubtype)\.")
# The host's own customisation, and the distribution's marker: the target gets ours.
_HOST_FILES = frozenset({"sitecustomize.py", "usercustomize.py", "EXTERNALLY-MANAGED"})
_SCRIPTS = ("idle{0}", "pydoc{0}", "2to3-{0}")
_PIP_SCRIPTS = ("pip", "pip3", "pip{0}")


@dataclass(frozen=True, slots=True)
class Item:
    """A member of the archive: a file's bytes on demand, or a link's target.

    `source` is the file of this machine that the bytes are made of; without it they follow from
    what the interpreter told.
    """

    executable: bool = False
    read: Callable[[], bytes] | None = None
    target: str = ""
    source: Path | None = None


class Collector:
    """Collects items by their path in the archive.

    Args:
        layout: the map of the capture.
    """

    def __init__(self, layout: Layout) -> None:
        self.items: dict[str, Item] = {}
        self._layout = layout
        self._facts = layout.facts
        self._rewriter = Rewriter(layout)
        # Where each path of this machine went, and the links that are not settled yet.
        self._places: dict[Path, str] = {}
        self._links: dict[str, Path] = {}

    def collect(self) -> dict[str, Item]:
        """Return all members.

        Raises:
            HostError: a file cannot be read, or a binary cannot be made to find its library.
        """
        with host_errors("cannot read the interpreter"):
            for folder in self._layout.folders:
                self._folder(folder, skip=_left_out)
            self._sysconfig()
            self._program()
            self._scripts()
            self._pkg_config()
            self._pip()
            self._ensurepip_wheels()
            for path, library in collect_libraries(self._layout, self._binaries()).items():
                self._add(path, library)
            for path, link in self._links.items():
                self._settle(path, link)
        return self.items

    def _folder(self, folder: Path, skip: Callable[[str, bool], bool]) -> None:
        place = self._layout.place(folder)
        for path in _walk(folder, skip):
            self._add(f"{place}/{path.relative_to(folder).as_posix()}", path)

    def _add(self, place: str, source: Path) -> None:
        """Add a file, or a link that is settled when all files are known."""
        if not source.exists():
            return
        self._places.setdefault(_known(source), place)
        if source.is_symlink():
            self._links[place] = source
            return
        self.items[place] = self._item(place, source)

    def _settle(self, place: str, source: Path) -> None:
        """Make a link to what is captured too; what leads out of the archive is copied instead."""
        following = _known(source.parent / source.readlink())
        target = self._places.get(following) or self._places.get(source.resolve())
        if target is None and source.is_dir():
            target = self._layout.place(following)
            if target is None or _is_left_out(target):
                return
        if target is not None:
            self.items[place] = Item(target=os.path.relpath(target, PurePosixPath(place).parent))
            return
        self.items[place] = self._item(place, source.resolve())

    def _item(self, place: str, source: Path) -> Item:
        executable = bool(source.stat().st_mode & 0o111)
        return Item(executable, lambda: self._rewritten(place, source), source=source)

    def _rewritten(self, place: str, source: Path) -> bytes:
        with host_errors("cannot read the interpreter"):
            data = source.read_bytes()
        try:
            return self._rewrite(place, data)
        except Unpatchable as error:
            raise HostError(
                f"cannot capture {printable(str(source))}: {printable(str(error))}",
                hint="its library could not be found from another place; use a managed"
                " interpreter, such as cpython@3.13",
            ) from None

    def _rewrite(self, place: str, data: bytes) -> bytes:
        name = PurePosixPath(place).name
        text = self._rewriter.assignments if _has_assignments(place) else None
        if name.startswith("_sysconfig_vars_") or name == "build-details.json":
            text = self._rewriter.json
        if text is not None:
            return text(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        data = rewrite_run_paths(data, lambda entry: self._run_path(place, entry))
        if place == self._layout.program and needs_run_path(self._layout):
            data = add_run_path(data, f"$ORIGIN/../{self._layout.library}")
        return self._rewriter.shebang(data)

    def _run_path(self, place: str, entry: str) -> str:
        """Return a run path's entry relative to the file, where it names a captured folder."""
        captured = self._rewriter.text(entry.rstrip("/")) if entry.startswith("/") else entry
        if Path(entry) == Path(self._facts.setting("LIBDIR") or "/"):
            captured = f"{PREFIX}/{self._layout.library}"
        if captured != PREFIX and not captured.startswith(f"{PREFIX}/"):
            return entry
        relative = os.path.relpath(captured, f"{PREFIX}/{PurePosixPath(place).parent}")
        return "$ORIGIN" if relative == "." else f"$ORIGIN/{relative}"

    def _sysconfig(self) -> None:
        """Write sysconfig's data file anew, and nothing else in its place."""
        data_file = self._facts.data_file
        place = self._layout.place(data_file)
        if place is not None:
            self.items[place] = Item(read=lambda: self._rewriter.data(self._facts.data))

    def _program(self) -> None:
        program = self._layout.program
        self._add(program, self._facts.executable)
        for name in (f"python{self._facts.key.minor}", "python3", "python"):
            self._add_link(f"bin/{name}", self._facts.program)

    def _scripts(self) -> None:
        minor, facts = self._facts.key.minor, self._facts
        folders = (facts.executable.parent, facts.prefix / "bin")
        for pattern in _SCRIPTS:
            name = pattern.format(minor)
            self._script(folders, name, name)
        short = {"idle3": f"idle{minor}", "pydoc3": f"pydoc{minor}", "2to3": f"2to3-{minor}"}
        config = f"{facts.program}-config"
        self._script(folders, config, config)
        for name, target in {**short, "python3-config": config}.items():
            if f"bin/{target}" in self.items:
                self._add_link(f"bin/{name}", target)

    def _script(self, folders: tuple[Path, ...], name: str, place: str) -> None:
        path = f"bin/{place}"
        source = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if source is not None:
            # Resolved: Debian's scripts are links to names with the architecture in front.
            script = source.resolve()
            self.items[path] = replace(self._item(path, script), executable=True)

    def _add_link(self, place: str, target: str) -> None:
        if PurePosixPath(place).name != target:
            self.items[place] = Item(target=target)

    def _pkg_config(self) -> None:
        folder = Path(self._facts.setting("LIBPC") or self._facts.prefix / "lib/pkgconfig")
        minor = self._facts.key.minor
        for name in (f"python-{minor}", f"python-{minor}-embed", "python3", "python3-embed"):
            source = folder / f"{name}.pc"
            # python3.pc may be that of another version on the same system.
            if source.is_file() and f"-{minor}" in source.resolve().name:
                self._add(f"{self._layout.library}/pkgconfig/{name}.pc", source)

    def _pip(self) -> None:
        """Take pip, and nothing else of what was installed, to where this Python looks for it."""
        facts = self._facts
        if facts.pip is None or not facts.pip.is_relative_to(facts.prefix):
            return
        for source in (facts.pip, facts.pip_metadata):
            if source is None or not source.is_relative_to(facts.prefix):
                continue
            place = source.relative_to(facts.prefix).as_posix()
            if source.is_file():
                self._add(place, source)
                continue
            for path in _walk(source, lambda name, _: name == "__pycache__"):
                self._add(f"{place}/{path.relative_to(source).as_posix()}", path)
        folders = (facts.scripts, facts.prefix / "bin")
        for pattern in _PIP_SCRIPTS:
            name = pattern.format(facts.key.minor)
            if any(self._calls_this(folder / name) for folder in folders):
                self._script(folders, name, name)

    def _calls_this(self, script: Path) -> bool:
        if not script.is_file():
            return False
        start = script.read_bytes()
        return self._rewriter.shebang(start) != start

    def _ensurepip_wheels(self) -> None:
        folder = Path(self._facts.setting("WHEEL_PKG_DIR") or "/nonexistent")
        if f"{self._layout.stdlib}/ensurepip/__init__.py" not in self.items:
            return
        for pattern in ("pip-*.whl", "setuptools-*.whl"):
            for wheel in folder.glob(pattern):
                self._add(f"{self._layout.stdlib}/ensurepip/_bundled/{wheel.name}", wheel)

    def _binaries(self) -> dict[str, Path]:
        """Return the captured ELF files by their place, to find which libraries they need."""
        facts = self._facts
        dynamic = f"{self._layout.place(facts.platstdlib)}/lib-dynload/"
        modules = {
            place: facts.platstdlib / "lib-dynload" / place.removeprefix(dynamic)
            for place in self.items
            if place.startswith(dynamic)
        }
        return {self._layout.program: facts.executable, **modules}


def _walk(folder: Path, skip: Callable[[str, bool], bool]) -> Iterator[Path]:
    """Yield the files and links below `folder`, sorted; links to folders are not followed."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        is_folder = entry.is_dir(follow_symlinks=False)
        if skip(entry.name, is_folder):
            continue
        if is_folder:
            yield from _walk(Path(entry.path), skip)
        else:
            yield Path(entry.path)


def _left_out(name: str, is_folder: bool) -> bool:  # noqa: FBT001 - a callback of _walk
    if is_folder:
        return name in _LEFT_OUT or name in _TESTS
    if name in _HOST_FILES or name.endswith((".pyc", ".pyo")):
        return True
    if name.startswith("libpython") and name.endswith(".a"):
        return True
    return name.endswith(".so") and _TEST_MODULES.match(name) is not None


def _is_left_out(folder: str) -> bool:
    return not (_LEFT_OUT | _TESTS).isdisjoint(PurePosixPath(folder).parts)


def _known(path: Path) -> Path:
    """Return a path by which a file is known: its folder resolved, its own name as it is."""
    return path.parent.resolve() / path.name


def _has_assignments(place: str) -> bool:
    path = PurePosixPath(place)
    in_config = path.parent.name.startswith("config-") and path.name == "Makefile"
    return in_config or path.suffix == ".pc" or path.name.endswith("-config")


def needs_run_path(layout: Layout) -> bool:
    """Say whether the interpreter finds its libpython by the loader's own search alone."""
    elf = layout.facts.elf
    return layout.facts.setting("INSTSONAME") in elf.needed and not elf.run_path
