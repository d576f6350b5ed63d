"""A target under attack: what it accepts, what it refuses with which code, and what that leaves.

    field = Field(tmp_path, capsys)
    field.accepted()
    ...                      # change the bundle
    field.refused(3, "too few signatures")

`accepted` installs the bundle as it stands to a prefix of its own. `refused` runs `unseal verify`
and `unseal install` on it and holds both to the exit code and to a message that ends with what to
do; and the target to what stood there before: nothing is written outside of state/, no counter
moves, and the refusal has a receipt.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sealift_installer import cli
from sealift_installer.trust.state import StateStore
from simulator import BundleSimulator
from target import tool


class Field:
    """A site, and a target with a prefix that trusts it and has nothing installed yet."""

    def __init__(
        self, path: Path, capsys: pytest.CaptureFixture[str], *, keys: int = 1, threshold: int = 1
    ) -> None:
        self.path = path
        self.prefix = path / "prefix"
        self.site = BundleSimulator(path / "bundle-1", keys=keys, threshold=threshold)
        self._capsys = capsys
        self._witnesses = 0
        self.carry()
        self.trust(self.prefix)

    def carry(self, sequence: int | None = None, content: bytes = b"one\n") -> Path:
        """Make the site's next bundle, or one with this sequence; return its directory."""
        site = self.site
        if site.path.exists():
            site.sequence = sequence or site.sequence + 1
            site.path = self.path / f"bundle-{len(list(self.path.glob('bundle-*'))) + 1}"
            site.archives, site.entries = [], {}
            site.payload = {"README.txt": b"What this is.\n"}
        site.add_archive(tool(content=content))
        return site.write().path

    def trust(self, prefix: Path) -> None:
        """Import the first root by hand."""
        file = self.path / "1.root.dsse.json"
        file.write_bytes(self.site.roots[1])
        digest = hashlib.sha256(self.site.roots[1]).hexdigest()
        assert self.unseal("trust", "import", file, "--sha256", digest, prefix=prefix)[0] == 0

    def unseal(self, *words: object, prefix: Path | None = None) -> tuple[int, str, str]:
        """Run a command; return its exit code and what it printed to stdout and stderr."""
        where = str(prefix or self.prefix)
        code = cli.main([*map(str, words), "--prefix", where])
        return code, *self._capsys.readouterr()

    def accepted(self, *options: str) -> None:
        """Show that the bundle as it stands is good: a fresh prefix verifies and installs it."""
        self._witnesses += 1
        witness = self.path / f"witness-{self._witnesses}"
        self.trust(witness)
        for command in ("verify", "install"):
            code, _, said = self.unseal(command, self.site.path, *options, prefix=witness)
            assert code == 0, said

    def install(self, bundle: Path | None = None, *options: str) -> str:
        """Install to the prefix, which must work; return what was said on stderr."""
        code, _, said = self.unseal("install", bundle or self.site.path, *options)
        assert code == 0, said
        return said

    def refused(
        self, code: int, message: str, *options: str, roots: int = 0, verify: bool = True
    ) -> str:
        """Show that the bundle is refused; return what `install` said.

        Args:
            code: the exit code.
            message: a pattern for what is said.
            options: for both commands.
            roots: how many receipts about roots the bundle leaves, although it is refused.
            verify: whether `verify` refuses it as well.
        """
        before, state = self.listing(), self.state()
        counters, receipts = dict(state.streams), state.receipts
        commands = ("verify", "install") if verify else ("install",)
        for command in commands:
            found, shown, said = self.unseal(command, self.site.path, *options)
            assert found == code, (command, said)
            assert re.search(message, said, re.DOTALL), (command, said)
            assert re.search(r"^hint: \w", said, re.MULTILINE), (command, said)
            assert "Traceback" not in said
            assert shown == ""
        assert self.listing() == before
        after = self.state()
        assert dict(after.streams) == counters
        assert after.receipts == receipts + roots + 1
        *_, last = StateStore(self.prefix / "state").log.read()
        assert last.action == "refuse"
        return said

    def state(self) -> Any:
        """Return what the prefix trusts."""
        return StateStore(self.prefix / "state").load()

    def listing(self) -> dict[str, object]:
        """Return all that stands in the prefix outside of state/, with the bytes of files."""
        return dict(self._listing())

    def _listing(self) -> Iterator[tuple[str, object]]:
        for path in sorted(self.prefix.rglob("*")):
            name = path.relative_to(self.prefix).as_posix()
            if name.split("/")[0] != "state":
                is_file = path.is_file() and not path.is_symlink()
                yield name, path.read_bytes() if is_file else path.lstat().st_mode
