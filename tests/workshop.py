"""A site with small archives to bundle, for tests of the bundler: made in process, and quick."""

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from catalogs import entry
from sealift_bundler.cli.main import run

TOOL = "tool-1.0-linux-x86_64-gnu"
PYTHON = "cpython-3.13.3-linux-x86_64-gnu"
TOOL_FILES = {
    "tool-1.0/bin/tool": b"#!/bin/sh\necho a tool\n",
    "tool-1.0/lib/pkgconfig/tool.pc": b"prefix=/opt/tool\nlibdir=/opt/tool/lib\n",
}
SYSCONFIG = (
    b"# system configuration generated and used by the sysconfig module\n"
    b"build_time_vars = {'prefix': '/install', 'CC': 'clang -pthread'}\n"
)
DATA = "lib/python3.13/_sysconfigdata__linux_x86_64-linux-gnu.py"
# What unseal's smoke test asks for, answered without an interpreter.
FAKE_PYTHON = f"""#!/bin/sh
here=$(cd "$(dirname "$0")/.." && pwd -P)
configured=$(sed -n 's/.*"prefix": "\\(.*\\)".*/\\1/p' "$here/{DATA}")
printf '{{"implementation": "cpython", "version": "3.13.3", "prefix": "%s", "configured": "%s"}}\\n' \\
    "$here" "$configured"
"""
PYTHON_FILES = {
    "python/bin/python3.13": FAKE_PYTHON.encode(),
    "python/lib/python3.13/os.py": b"# the landmark\n",
    f"python/{DATA}": SYSCONFIG,
}


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return a .tar.gz with `files`; those below bin/ are executable."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            member.mode = 0o755 if "/bin/" in name else 0o644
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(tar.getvalue(), mtime=0)


class Workshop:
    """A site in `folder`/site, archives and a catalogue in `folder`/served, a cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.served = folder / "served"
        self.site = folder / "site"
        self.served.mkdir()
        self.environment = {
            "SEALIFT_CACHE_DIR": str(folder / "cache"),
            "UV_PYTHON_DOWNLOADS_JSON_URL": str(self.served / "downloads.json"),
            "SOURCE_DATE_EPOCH": "1700000000",
        }
        self.tool = self.serve("tool-1.0.tar.gz", TOOL_FILES)
        self.python = self.serve("cpython-3.13.3-install_only.tar.gz", PYTHON_FILES)
        self.publish()

    def serve(self, name: str, files: Mapping[str, bytes]) -> Path:
        """Put an archive where it can be fetched from by a file:// address."""
        path = self.served / name
        path.write_bytes(pack(files))
        return path

    def publish(self, **changes: object) -> None:
        """Write the catalogue: one CPython, with `changes` to its fields."""
        offer = {"url": self.python.as_uri(), "sha256": digest(self.python), **changes}
        (self.served / "downloads.json").write_text(json.dumps({"any name": entry(**offer)}))

    def found(self, *, installer: bool = False, upstream: bool = False) -> "Workshop":
        """Make the site, a key and a root; without the travelling installer, whose wheels come
        from an index, and without asking publishers, whose requests would be among those counted.
        """
        assert self.sealift("init", self.site, cwd=self.folder) == 0
        assert self.sealift("key", "new", "release", "--no-passphrase") == 0
        assert self.sealift("root", "init", "--key", "release") == 0
        if not installer:
            with self.spec.open("a") as file:
                file.write("\n[installer]\npythons = []\n")
        if not upstream:
            with self.spec.open("a") as file:
                file.write('\n[upstream]\ncheck = "off"\n')
        return self

    def add_tool(self, *more: str) -> int:
        """Add the tool to the spec."""
        return self.sealift(
            *("add", "--url", self.tool.as_uri(), "--sha256", digest(self.tool)),
            *("--name", "tool", "--version", "1.0", "--platform", "linux-x86_64-gnu"),
            *("--link", "tool=bin/tool", "--prefix", "/opt/tool", *more),
        )

    def add_python(self) -> int:
        """Add the CPython to the spec."""
        return self.sealift("add", "cpython@3.13", "--platform", "linux-x86_64-gnu")

    def build(self, *words: str, name: str = "bundle") -> Path:
        """Build a bundle in `folder`/`name` and return its path."""
        bundle = self.folder / name
        assert self.sealift("build", "--output", bundle, *words) == 0
        return bundle

    def sealift(self, *words: str | Path, cwd: Path | None = None) -> int:
        """Run `sealift` in the site and return its exit code."""
        with _surroundings(cwd or self.site, self.environment):
            return run([str(word) for word in words])

    @property
    def spec(self) -> Path:
        """The site's sealift.toml."""
        return self.site / "sealift.toml"

    @property
    def lock(self) -> Path:
        """The site's sealift.lock."""
        return self.site / "sealift.lock"

    @property
    def root(self) -> Path:
        """The file of the first root."""
        return self.site / "root" / "1.root.dsse.json"


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files below `folder` by relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@contextmanager
def _surroundings(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    before, kept = Path.cwd(), os.environ.copy()
    os.chdir(folder)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(kept)
        sys.stdout.flush()
