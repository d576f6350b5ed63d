"""A target for tests: a prefix that trusts a simulated site, and looks at what stands in it."""

import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sealift_installer.account import utc_now
from sealift_installer.first_root import import_root
from sealift_installer.host import current_platform
from sealift_installer.install import InstallOptions, install
from sealift_installer.prefix import Prefix
from sealift_installer.records import Record, Records
from sealift_installer.report import InstallReport, Silence
from sealift_installer.trust.state import StateStore
from sealift_schemas.index import Place
from sealift_schemas.receipt import Receipt
from simulator import BundleSimulator, Member, SimArchive

# Without a compressor that writes the time, the same members are the same archive.
FORMAT = "tar"
# What the smoke test asks for, answered without an interpreter.
FAKE_PYTHON = """#!/bin/sh
case "$4" in *_base_executable*) readlink -f "$0"; exit;; esac
here=$(cd "$(dirname "$0")/.." && pwd -P)
configured=$(cat "$here/lib/prefix")
here=$(printf '%s' "$here" | sed 's/["\\\\]/\\\\&/g')
printf '{"implementation": "%s", "version": "%s", "prefix": "%s", "configured": "%s"}\\n' \\
    {implementation} {version} "$here" "$configured"
"""


def tool(name: str = "tool-1.0", content: bytes = b"one\n", **fields: Any) -> SimArchive:
    """Return an archive of a tool with a program, a link, and a file that names the prefix."""
    members = (
        Member("bin", type="directory"),
        Member("bin/tool", b"#!/bin/sh\necho " + content, executable=True),
        Member("bin/again", type="link", target="tool"),
        Member("lib/twin", type="hardlink", target="bin/tool"),
        Member("lib/where", b"prefix=/install\n", template=(b"prefix=\n", (Place(7, "raw"),))),
    )
    fields.setdefault("format", FORMAT)
    return SimArchive(name, members, prefix="/install", links={"tool": "bin/tool"}, **fields)


def python(version: str = "3.13.3", **fields: Any) -> SimArchive:
    """Return an archive of an interpreter that answers the smoke test and does nothing else."""
    claims = fields.pop("claims", version)
    implementation = fields.pop("implementation", "cpython")
    script = fields.pop("script", FAKE_PYTHON)
    minor = ".".join(version.split(".")[:2])
    program = script.replace("{implementation}", implementation).replace("{version}", claims)
    members = (
        Member(f"bin/python{minor}", program.encode(), executable=True),
        Member("bin/python", type="link", target=f"python{minor}"),
        Member("lib/prefix", b"/install", template=(b"", (Place(0, "json"),))),
    )
    archive = SimArchive(
        name=f"cpython-{version}-{current_platform()}",
        members=members,
        kind="interpreter",
        version=version,
        platform=str(current_platform()),
        format=FORMAT,
        prefix="/install",
        interpreter=f"bin/python{minor}",
        links={f"python{minor}": f"bin/python{minor}"},
    )
    return replace(archive, **fields)


class Target:
    """A prefix, the site that it trusts, and what was installed from it.

    Args:
        path: for the bundles and the prefix, `PATH/prefix`, which is made.
    """

    def __init__(self, path: Path, prefix: str = "prefix") -> None:
        self.path = path
        self.prefix = Prefix(path / prefix)
        self.site = BundleSimulator(path / "bundle-1")
        self.store = StateStore(self.prefix.state)
        self.records = Records(self.prefix.state)

    def carry(self, *archives: SimArchive) -> Path:
        """Write the next bundle of the site with these archives; return its directory."""
        site = self.site
        if site.path.exists():
            site.sequence += 1
            site.path = self.path / f"bundle-{site.sequence}"
            site.archives, site.entries = [], {}
            site.payload = {"README.txt": b"What this is.\n"}
        for archive in archives:
            site.add_archive(archive)
        return site.write().path

    def trust(self) -> None:
        """Import the first root."""
        self.path.mkdir(exist_ok=True)
        file = self.path / "1.root.dsse.json"
        file.write_bytes(self.site.roots[1])
        import_root(file, self.root_sha256, self.prefix, utc_now(), Silence())

    @property
    def root_sha256(self) -> str:
        return hashlib.sha256(self.site.roots[1]).hexdigest()

    def install(self, bundle: Path | None = None, *names: str, **options: Any) -> InstallReport:
        """Install from the newest bundle, or from another one."""
        wanted = InstallOptions(self.prefix.path, names, **options)
        return install(bundle or self.site.path, wanted)

    def receipts(self, action: str = "install") -> list[Receipt]:
        """Return the receipts of an action, the whole chain checked."""
        return [receipt for receipt in self.store.log.read() if receipt.action == action]

    def record(self, name: str = "tool-1.0") -> Record:
        record = self.records.get(name)
        assert record is not None
        return record

    def tree(self, name: str = "tool-1.0", kind: str = "tool") -> Path:
        return self.prefix.destination(kind, name)

    def leftovers(self) -> list[str]:
        """Return what no run may leave: staged trees, journal entries, temporary files."""
        root = self.prefix.path
        found = [
            path
            for pattern in ("*/.staging/*", "state/journal/*", "state/**/.*", "bin/.*")
            for path in root.glob(pattern)
        ]
        return sorted(path.relative_to(root).as_posix() for path in found)


def content(tree: Path) -> dict[str, object]:
    """Return a tree's files, links and modes, by path."""
    found: dict[str, object] = {}
    for path in sorted(tree.rglob("*")):
        name = path.relative_to(tree).as_posix()
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = (path.read_bytes(), path.stat().st_mode & 0o777)
        else:
            found[name] = path.stat().st_mode & 0o777
    return found


def in_child(action: Callable[[], object], reading: int | None = None) -> int:
    """Run `action` in a forked child process and return its wait status."""
    child = os.fork()
    if child == 0:
        status = 70
        try:
            action()
            status = 0
        except BaseException as error:  # noqa: BLE001 - a child must not return into pytest
            os.write(2, f"in the child: {error!r}\n".encode())
        finally:
            sys.stderr.flush()
            os._exit(status)
    return os.waitpid(child, 0)[1]
