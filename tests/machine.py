"""A machine with an /etc of its own, for tests of the whole command: a mount namespace.

The place of the host's policy cannot be named to `unseal`, so it cannot be named to it here either.
"""

import hashlib
import json
import shlex
import shutil
import subprocess
from pathlib import Path

from road import PROGRAMS, run
from simulator import BundleSimulator
from target import tool

NEEDED = ("passwd", "group", "nsswitch.conf", "ld.so.cache", "ld.so.conf", "localtime")
NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")

SPACE = ("unshare", "--map-root-user", "--mount")


def succeeds(*words: str) -> bool:
    """Tell whether a command is there and ends well."""
    if shutil.which(words[0]) is None:
        return False
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


class Machine:
    """A machine with an /etc of its own, and a site whose bundles come to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.etc = path / "etc"
        self.etc.mkdir()
        for name in NEEDED:
            if (Path("/etc") / name).is_file():
                shutil.copy(Path("/etc") / name, self.etc / name)
        self.host = self.etc / "sealift"
        self.site = BundleSimulator(path / "bundle-1")
        self.site.add_archive(tool())
        self.site.write()

    def carry(self, content: bytes) -> Path:
        """Make the next bundle."""
        site = self.site
        site.sequence += 1
        site.path = self.path / f"bundle-{site.sequence}"
        site.archives, site.entries = [], {}
        site.payload = {"README.txt": b"What this is.\n"}
        site.add_archive(tool(content=content))
        return site.write().path

    def obey(self, **rules: object) -> None:
        """Write the policy of the host."""
        self.host.mkdir(exist_ok=True)
        self.host.chmod(0o755)  # whatever the umask
        policy = self.host / "policy.json"
        policy.write_text(json.dumps({"format": 1, **rules}))
        policy.chmod(0o644)

    def unseal(
        self, *words: object, nobody: bool = False, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the command as root of this machine, or as somebody without privileges."""
        space = ("unshare", "--mount") if nobody else SPACE
        command = shlex.join(
            [*(NOBODY if nobody else ()), str(PROGRAMS / "unseal"), *map(str, words)]
        )
        return self.shell(f"exec {command}", space=space, **environment)

    def shell(
        self, script: str, *, space: tuple[str, ...] = SPACE, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a script of the shell as root of this machine, which stands in its folder."""
        mounted = f"mount --bind {shlex.quote(str(self.etc))} /etc && {script}"
        return run(*space, "sh", "-ec", mounted, env=environment, cwd=self.path, check=False)

    def trust(self, *where: object) -> None:
        """Import the first root."""
        root = self.site.path / "trust/root/1.root.dsse.json"
        digest = hashlib.sha256(root.read_bytes()).hexdigest()
        done = self.unseal("trust", "import", root, "--sha256", digest, *where)
        assert done.returncode == 0, done.stderr
