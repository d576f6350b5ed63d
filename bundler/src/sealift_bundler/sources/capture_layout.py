"""Where each part of an interpreter stands on this machine, and where it stands in the archive.

An interpreter with a prefix of its own keeps its shape. One that shares its prefix with the whole
system (/usr) gives just its own parts: program, library, standard library, headers, pkg-config
files. The standard library keeps its place below the prefix in any case, because the interpreter
searches for that very path from its own place upwards (Modules/getpath.py of CPython).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sealift_bundler.sources.capture_ask import Facts
from sealift_installer.errors import UsageError, printable

PREFIX = "/install"
# Prefixes that no interpreter has for itself.
_SHARED = frozenset({"/", "/usr", "/usr/local", "/opt", "/opt/local", "/opt/homebrew"})


@dataclass(frozen=True, slots=True)
class Layout:
    """The map of a capture.

    `folders` are folders of this machine that are taken as a whole, with their place in the
    archive; `places` are all paths of this machine that are captured, with what stands for each
    below PREFIX; `settings` says the same for variables of sysconfig whose value is a folder that
    others use too, and so may be rewritten there alone.
    """

    facts: Facts
    stdlib: str
    library: str
    folders: Mapping[Path, str]
    places: Mapping[str, str]
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def private(self) -> bool:
        """Whether the prefix is the interpreter's alone."""
        return is_private(self.facts.prefix)

    @property
    def program(self) -> str:
        """The interpreter's path in the archive."""
        return f"bin/{self.facts.program}"

    def place(self, path: Path) -> str | None:
        """Return where `path` of this machine stands in the archive, None where it is left out."""
        for folder, place in self.folders.items():
            if path.is_relative_to(folder):
                return str(PurePosixPath(place, path.relative_to(folder).as_posix()))
        return None


def is_private(prefix: Path) -> bool:
    """Say whether a prefix is an interpreter's alone."""
    return str(prefix) not in _SHARED


def lay_out(facts: Facts) -> Layout:
    """Make the map.

    Raises:
        UsageError: the interpreter does not have the shape of one that was installed.
    """
    stdlib = _below(facts, facts.stdlib)
    if stdlib is None or not (facts.stdlib / "os.py").is_file():
        raise UsageError(
            f"the standard library is not below the prefix: {printable(str(facts.stdlib))}",
            hint="only an interpreter that was installed can be captured, not a build tree",
        )
    library = (_below(facts, Path(facts.setting("LIBDIR"))) if _private(facts) else None) or "lib"
    folders = {facts.stdlib: stdlib}
    platform_stdlib = _below(facts, facts.platstdlib)
    if platform_stdlib is not None and facts.platstdlib != facts.stdlib:
        folders[facts.platstdlib] = platform_stdlib
    include = f"include/{facts.include.name}"
    folders[facts.include] = include
    for folder in _multiarch_headers(facts):
        # The header in `include` names the one for its architecture by this very path.
        folders[folder] = f"{include}/{folder.relative_to(folder.parents[1])}"
    places = {str(folder): f"{PREFIX}/{place}" for folder, place in folders.items()}
    places |= dict.fromkeys(_programs(facts), f"{PREFIX}/bin/{facts.program}")
    if _private(facts):
        places[str(facts.prefix)] = PREFIX
    return Layout(facts, stdlib, library, folders, places, _settings(facts, stdlib, library))


def _private(facts: Facts) -> bool:
    return is_private(facts.prefix)


def _below(facts: Facts, folder: Path) -> str | None:
    if folder.is_relative_to(facts.prefix) and folder != facts.prefix:
        return folder.relative_to(facts.prefix).as_posix()
    return None


def _multiarch_headers(facts: Facts) -> list[Path]:
    """Return Debian's second folder of headers, /usr/include/TRIPLET/pythonX.Y."""
    triplet = facts.setting("MULTIARCH")
    folder = facts.include.parent / triplet / facts.include.name
    return [folder] if triplet and folder.is_dir() else []


def _programs(facts: Facts) -> list[str]:
    """Return the paths by which scripts of this machine call this very interpreter."""
    names = (facts.program, f"python{facts.key.minor}", "python3", "python")
    folders = (facts.executable.parent, facts.prefix / "bin")
    paths = [folder / name for folder in folders for name in names]
    same = [str(path) for path in paths if path.exists() and path.resolve() == facts.executable]
    return list(dict.fromkeys([str(facts.executable), *same]))


def _settings(facts: Facts, stdlib: str, library: str) -> dict[str, str]:
    include = f"include/{facts.include.name}"
    config = Path(facts.setting("LIBPL")).name
    folders = {
        "prefix": "",
        "exec_prefix": "",
        "host_prefix": "",
        "host_exec_prefix": "",
        "BINDIR": "bin",
        "LIBDIR": library,
        "LIBPC": f"{library}/pkgconfig",
        "SCRIPTDIR": str(PurePosixPath(stdlib).parent),
        "LIBDEST": stdlib,
        "DESTLIB": stdlib,
        "BINLIBDEST": stdlib,
        "MACHDESTLIB": stdlib,
        "DESTSHARED": f"{stdlib}/lib-dynload",
        "LIBPL": f"{stdlib}/{config}",
        "INCLUDEDIR": "include",
        "CONFINCLUDEDIR": "include",
        "INCLUDEPY": include,
        "CONFINCLUDEPY": include,
        "MANDIR": "share/man",
        "datarootdir": "share",
        # Distributions keep the wheels of ensurepip elsewhere; here they are where CPython looks.
        "WHEEL_PKG_DIR": f"{stdlib}/ensurepip/_bundled",
    }
    return {name: f"{PREFIX}/{place}".rstrip("/") for name, place in folders.items()}
