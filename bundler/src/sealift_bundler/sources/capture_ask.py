"""Ask an interpreter what it is made of: its own sysconfig, in a process of its own."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sealift_bundler.relocation.elf import ElfFacts, read_elf
from sealift_installer.errors import HostError, UsageError, host_errors, printable
from sealift_schemas.keys import InstallKey, Platform

OLDEST = (3, 8)
_SECONDS = 60
# Runs in the interpreter that is asked, so it keeps to what Python 3.8 understands. The base of a
# virtual environment is told, never the environment itself.
_QUESTIONS = """
import importlib, importlib.util, json, os, platform, sys, sysconfig
base = sys.prefix == sys.base_prefix
vars = {k: v for k, v in sysconfig.get_config_vars().items() if isinstance(v, (str, int))}
facts = {
    "base": base,
    "executable": getattr(sys, "_base_executable", None) or sys.executable,
    "implementation": sys.implementation.name,
    "version": list(sys.version_info),
    "prefix": sys.base_prefix,
    "exec_prefix": sys.base_exec_prefix,
    "system": sys.platform,
    "machine": platform.machine(),
    "multiarch": getattr(sys.implementation, "_multiarch", ""),
    "paths": {k: sysconfig.get_path(k) for k in ("stdlib", "platstdlib", "include", "scripts")},
    "vars": vars,
}
if base and os.name == "posix" and facts["implementation"] == "cpython":
    name = sysconfig._get_sysconfigdata_name()
    data = importlib.import_module(name)
    facts["data"] = data.build_time_vars
    facts["data_file"] = data.__file__
    pip = importlib.util.find_spec("pip")
    if pip is not None and pip.submodule_search_locations:
        facts["pip"] = list(pip.submodule_search_locations)[0]
        try:
            from importlib.metadata import distribution
            facts["pip_metadata"] = str(distribution("pip")._path)
        except Exception:
            pass
print(json.dumps(facts))
"""
_LEVELS = {"alpha": "a", "beta": "b", "candidate": "rc", "final": ""}
# e_machine to uv's names. Byte order and word size tell the rest.
_ARCHITECTURES = {
    "EM_X86_64": "x86_64",
    "EM_386": "x86",
    "EM_AARCH64": "aarch64",
    "EM_ARM": "armv7",
    "EM_PPC64": "powerpc64le",
    "EM_S390": "s390x",
    "EM_RISCV": "riscv64gc",
    "EM_LOONGARCH": "loongarch64",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What an interpreter told about itself; all paths are absolute paths of this machine.

    `executable` is the program itself, no link; `settings` are sysconfig's variables,
    `data` those of its data file alone (what is written there), `data_file` that file.
    """

    executable: Path
    key: InstallKey
    prefix: Path
    stdlib: Path
    platstdlib: Path
    include: Path
    scripts: Path
    settings: Mapping[str, str | int]
    data: Mapping[str, str | int]
    data_file: Path
    pip: Path | None
    pip_metadata: Path | None
    elf: ElfFacts

    def setting(self, name: str) -> str:
        """Return a variable of sysconfig as text, empty where there is none."""
        value = self.settings.get(name)
        return value if isinstance(value, str) else ""

    @property
    def program(self) -> str:
        """The interpreter's name with version and variant, `python3.13t`."""
        return f"python{self.key.minor}{self.key.suffix}"


def ask(path: str) -> Facts:
    """Ask the interpreter at `path`; a virtual environment's is answered by its base.

    Raises:
        UsageError: there is no such program, or it is none that can be captured.
        HostError: it does not run.
    """
    program = Path(path).expanduser()
    if not program.is_file() or not os.access(program, os.X_OK):
        raise UsageError(
            f"no interpreter to capture at {printable(path)}",
            hint="name its executable, such as /usr/bin/python3",
        )
    told = _answers(program)
    if not told["base"]:
        told = _answers(Path(str(told["executable"])))
    _check_kind(told, path)
    return _facts(told)


def _answers(program: Path) -> dict[str, object]:
    """Run the questions. `-I` keeps the user's environment and site out of the answers."""
    # Absolute but not resolved: a virtual environment is known by the place of its link.
    command = [str(program.absolute()), "-I", "-B", "-c", _QUESTIONS]
    try:
        with host_errors("cannot run the interpreter"):
            # Not the current folder: what lies there must not be imported.
            done = subprocess.run(
                command, capture_output=True, check=False, timeout=_SECONDS, cwd="/"
            )
    except subprocess.TimeoutExpired:
        raise HostError(f"{printable(str(program))} gave no answer in {_SECONDS} s") from None
    try:
        answers = json.loads(done.stdout)
    except ValueError:
        answers = None
    if done.returncode != 0 or not isinstance(answers, dict):
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        last = printable(lines[-1]) if lines else "it printed nothing"
        raise HostError(
            f"{printable(str(program))} does not tell what it is: {last}",
            hint="only CPython 3.8 or newer can be captured",
        )
    return answers


def _check_kind(told: Mapping[str, object], path: str) -> None:
    implementation, system = told["implementation"], told["system"]
    if implementation != "cpython":
        raise UsageError(
            f"{printable(path)} is {printable(str(implementation))}; only CPython is captured",
            hint="others are had by request, such as pypy@3.11",
        )
    if system != "linux":
        raise UsageError(f"an interpreter is captured on Linux alone, not on {system}")
    version = told["version"]
    if not isinstance(version, list) or tuple(version[:2]) < OLDEST:
        raise UsageError(f"{printable(path)} is older than CPython 3.8")
    if not told["base"] or "data" not in told:
        raise UsageError(f"{printable(path)} does not name the interpreter that it is based on")


def _facts(told: Mapping[str, object]) -> Facts:
    paths, settings, data = (_texts(told[name]) for name in ("paths", "vars", "data"))
    with host_errors("cannot read the interpreter"):
        executable = Path(str(told["executable"])).resolve(strict=True)
        elf = read_elf(executable.read_bytes())
    if elf is None:
        raise UsageError(
            f"{printable(str(executable))} is no ELF executable",
            hint="name the interpreter itself, not a script that starts it",
        )
    pip, metadata = told.get("pip"), told.get("pip_metadata")
    return Facts(
        executable=executable,
        key=InstallKey("cpython", _version(told["version"]), _variant(settings), _platform(elf)),
        prefix=Path(str(told["prefix"])),
        stdlib=Path(str(paths["stdlib"])),
        platstdlib=Path(str(paths["platstdlib"])),
        include=Path(str(paths["include"])),
        scripts=Path(str(paths["scripts"])),
        settings=settings,
        data=data,
        data_file=Path(str(told["data_file"])),
        pip=Path(pip) if isinstance(pip, str) else None,
        pip_metadata=Path(metadata) if isinstance(metadata, str) else None,
        elf=elf,
    )


def _texts(value: object) -> dict[str, str | int]:
    items = value.items() if isinstance(value, dict) else ()
    return {str(name): item for name, item in items if isinstance(item, str | int)}


def _version(value: object) -> str:
    """Return `3.14.0rc1` of sys.version_info's five fields."""
    major, minor, patch, level, serial = value if isinstance(value, list) else ("",) * 5
    suffix = _LEVELS[str(level)]
    return f"{major}.{minor}.{patch}{suffix}{serial if suffix else ''}"


def _variant(settings: Mapping[str, str | int]) -> str | None:
    names = ("freethreaded", settings.get("Py_GIL_DISABLED")), ("debug", settings.get("Py_DEBUG"))
    return "+".join(name for name, on in names if on) or None


def _platform(elf: ElfFacts) -> Platform:
    """Return the platform that the executable itself is for: a 32-bit one runs on 64 bits too."""
    architecture = _ARCHITECTURES.get(elf.machine)
    if architecture is None:
        raise UsageError(f"no platform is known for an interpreter of {elf.machine}")
    loader = Path(elf.interpreter or "").name
    libc = "musl" if loader.startswith("ld-musl") else "gnu"
    if architecture == "armv7":
        libc += "eabihf" if "armhf" in loader else "eabi"
    return Platform("linux", architecture, libc)
