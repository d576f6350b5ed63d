"""Start a captured interpreter from a place of its own, before anyone relies on it."""

import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

from sealift_bundler.sources.capture_layout import Layout
from sealift_installer.errors import HostError, host_errors, printable

_SECONDS = 60
# A libpython of this machine would do here, and be missed on the target; so it is told apart.
_QUESTIONS = """
import encodings, json, os, struct, sys, sysconfig
try:
    with open("/proc/self/maps") as maps:
        mapped = {line.rstrip("\\n").partition("/")[2] for line in maps if "libpython" in line}
except OSError:
    mapped = set()
libraries = ["/" + path for path in sorted(mapped)]
print(json.dumps([sys.prefix, sys.exec_prefix, os.__file__, *sys.path, *libraries]))
"""


def check_captured(archive: Path, layout: Layout) -> None:
    """Unpack the archive to a folder with a space in its name and start the interpreter there.

    Raises:
        HostError: it does not start, or it still looks for its library where it came from.
    """
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix="captured ") as name:
        folder = Path(name).resolve()
        with host_errors("cannot unpack the captured interpreter"):
            _unpack(archive, folder)
        root = folder / "python"
        paths = _start(root / layout.program)
        strangers = [path for path in paths if not Path(path).is_relative_to(root)]
        if strangers:
            raise HostError(
                f"the captured {layout.facts.program} still depends on"
                f" {printable(', '.join(strangers))}",
                hint="this interpreter cannot be moved; use a managed one, such as cpython@3.13",
            )


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack what this process wrote a moment ago; `extractall` wants a filter from 3.14 on."""
    with tarfile.open(archive) as members:
        for member in members:
            path = folder / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            content = members.extractfile(member) if member.isfile() else None
            if content is None:
                path.symlink_to(member.linkname)
                continue
            path.write_bytes(content.read())
            path.chmod(member.mode)


def _start(program: Path) -> list[str]:
    try:
        with host_errors("cannot start the captured interpreter"):
            done = subprocess.run(
                [str(program), "-I", "-B", "-c", _QUESTIONS],
                capture_output=True,
                check=False,
                timeout=_SECONDS,
                # Nothing of this machine's settings may help it to find its parts.
                env={"PATH": "/nonexistent", "LC_ALL": "C.UTF-8"},
                cwd=program.parent,
            )
    except subprocess.TimeoutExpired:
        raise HostError(f"the captured interpreter gave no answer in {_SECONDS} s") from None
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise HostError(
            "the captured interpreter does not start from another place:"
            f" {printable(lines[-1]) if lines else f'exit code {done.returncode}'}"
        )
    answers = json.loads(done.stdout)
    return [str(path) for path in answers]
