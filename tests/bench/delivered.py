"""unseal as a target has it: from the wheels of a bundle, made by its install.sh.

The interpreter is the system's, as on most targets; SEALIFT_BENCH_PYTHON names another one.
"""

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from page import MEMORY

from road import Site, run, sha256

_SYSTEM = "/usr/bin/python3"
_FITS = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))"


@dataclass(frozen=True)
class Delivered:
    """The programs `unseal` and `python` of one environment, and what that Python is called."""

    unseal: Path
    python: Path
    version: str


@functools.cache
def deliver() -> Delivered:
    """Build a bundle that carries unseal, and let it install itself; once in a process."""
    folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    python = _interpreter()
    minor = run(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").stdout.strip()
    packed = folder / "nothing-1.0.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("nothing"))
    site = Site(folder / "site")
    with (site.path / "sealift.toml").open("a") as spec:
        spec.write(f'\n[installer]\npythons = ["{minor}"]\n')
        spec.write(f'\n[[url]]\nurl = "{packed.as_uri()}"\nsha256 = "{sha256(packed)}"\n')
        spec.write('name = "nothing"\nversion = "1.0"\n')
    site("build", "--output", folder / "bundle")
    place = folder / "unseal"
    run("sh", folder / "bundle" / "install.sh", place, env={"PYTHON": python})
    own = place / "bin" / "python"
    version = run(own, "-c", "import platform; print(platform.python_version())").stdout.strip()
    return Delivered(place / "bin" / "unseal", own, version)


def _interpreter() -> str:
    """Return the interpreter to deliver for: the system's, where it can."""
    named = os.environ.get("SEALIFT_BENCH_PYTHON")
    if named:
        return named
    if Path(_SYSTEM).exists():
        asked = subprocess.run([_SYSTEM, "-c", _FITS], capture_output=True, check=False)
        if asked.returncode == 0:
            return _SYSTEM
    return sys.executable
