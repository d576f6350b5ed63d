"""The two commands as a user runs them, and small things that tests of the whole road share."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

PROGRAMS = Path(sys.executable).parent
ARCHIVES = os.environ.get("SEALIFT_TEST_ARCHIVES")
needs_archives = pytest.mark.skipif(
    ARCHIVES is None, reason="SEALIFT_TEST_ARCHIVES names no folder with the big archives"
)
NO_NETWORK = ("unshare", "-rn")


def namespaces_work() -> bool:
    """Tell whether a network namespace without interfaces can be had without privileges."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*NO_NETWORK, "true"], capture_output=True, check=False).returncode == 0


def run(
    *command: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    offline: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it printed; fail the test with its output if it fails."""
    words = [str(word) for word in command]
    if offline and namespaces_work():
        words = [*NO_NETWORK, *words]
    done = subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=840,
    )
    if check and done.returncode != 0:
        pytest.fail(f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Site:
    """A directory where a bundle is made, as a user makes one."""

    def __init__(self, path: Path, env: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.env = {"SEALIFT_CACHE_DIR": str(path.parent / "cache"), **(env or {})}
        run(PROGRAMS / "sealift", "init", path, env=self.env)
        self("key", "new", "release", "--no-passphrase")
        self("root", "init", "--key", "release")

    def __call__(self, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `sealift` in the site."""
        return run(PROGRAMS / "sealift", *words, cwd=self.path, env=self.env, check=check)

    @property
    def root(self) -> Path:
        """The file of the first root."""
        return self.path / "root" / "1.root.dsse.json"

    def without_travelling_installer(self) -> None:
        """Leave unseal's wheels out, where a test is not about them: they come from an index."""
        spec = self.path / "sealift.toml"
        spec.write_text(spec.read_text("utf-8") + "\n[installer]\npythons = []\n", "utf-8")


class Target:
    """A prefix that trusts a site."""

    def __init__(self, prefix: Path, site: Site) -> None:
        self.prefix = prefix
        self("trust", "import", site.root, "--sha256", sha256(site.root))

    def __call__(self, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `unseal` with this prefix, in an empty network namespace where there is one."""
        return run(PROGRAMS / "unseal", *words, "--prefix", self.prefix, check=check, offline=True)


def catalogue(entries: Mapping[str, Sequence[str]]) -> str:
    """Return download metadata in uv's format for linux-x86_64-gnu.

    Each key of `entries` is `NAME-MAJOR.MINOR.PATCH`, its value `(url, sha256, build)`.
    """
    values = {}
    for key, (url, digest, build) in entries.items():
        name, version = key.split("-")
        major, minor, patch = (int(number) for number in version.split("."))
        values[f"{key}-linux-x86_64-gnu"] = {
            "name": name,
            "arch": {"family": "x86_64", "variant": None},
            "os": "linux",
            "libc": "gnu",
            "major": major,
            "minor": minor,
            "patch": patch,
            "prerelease": "",
            "url": url,
            "sha256": digest,
            "variant": None,
            "build": build,
        }
    return json.dumps(values)
