"""The site's roots: the folder that holds every version of the list of trusted keys.

`root/N.root.dsse.json`, numbered from 1 without gaps. A published version never changes.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from sealift_installer.errors import UsageError, documents_damaged, host_errors
from sealift_installer.limits import LIMITS
from sealift_schemas.envelope import Envelope
from sealift_schemas.root import Root

FILE = re.compile(r"([1-9][0-9]{0,3})\.root\.dsse\.json")


@dataclass(frozen=True, slots=True)
class RootFile:
    """One version as it is published: its number, its bytes, and their meaning."""

    version: int
    data: bytes
    root: Root

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file, which goes on paper."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.version}.root.dsse.json"


def read_roots(directory: Path) -> tuple[RootFile, ...]:
    """Return all versions in `directory`, from 1; nothing here says that they are authentic.

    Raises:
        UsageError: there is none, or one is missing in between.
        Damaged: one is malformed, or its number is not that of its name.
        HostError: they cannot be read.
    """
    with host_errors("cannot read the roots"):
        found = dict(sorted(list_roots(directory)))
        if not found:
            draft = (directory / "1.root.draft.json").exists()
            hint = "sign the draft: sealift root sign --key NAME; `sealift root show` says who"
            raise UsageError(
                f"there is no root: {directory}",
                hint=hint if draft else "make one: sealift root init --key NAME",
            )
        files = tuple(read_root(path) for path in found.values())
    expected = tuple(range(1, len(found) + 1))
    if tuple(found) != expected or tuple(file.version for file in files) != expected:
        raise UsageError(f"the root versions are not numbered from 1 without a gap: {directory}")
    return files


def newest_root(directory: Path) -> RootFile:
    """Return the newest version in `directory`; nothing here says that it is authentic.

    Raises:
        UsageError, Damaged, HostError: as `read_roots`.
    """
    return read_roots(directory)[-1]


def newest_version(directory: Path) -> int:
    """Return the number of the newest version in `directory`, by its name; 1 if there is none yet.

    Raises:
        HostError: the directory cannot be looked at.
    """
    with host_errors("cannot read the roots"):
        return max((version for version, _ in list_roots(directory)), default=1)


def read_root(path: Path) -> RootFile:
    """Return the root at `path`; nothing here says that it is authentic.

    Raises:
        Damaged: it is malformed.
        HostError: it cannot be read.
    """
    with host_errors("cannot read the root"), path.open("rb") as file:
        data = file.read(LIMITS.root + 1)
    with documents_damaged(str(path)):
        envelope = Envelope.read(data, what=path.name, limit=LIMITS.root)
        root = Root.read(envelope.payload, what="root", limit=LIMITS.root)
    return RootFile(root.version, data, root)


def list_roots(directory: Path) -> list[tuple[int, Path]]:
    """Return the numbers and paths of the versions in `directory`, by their names alone.

    Raises:
        OSError: it cannot be looked at.
    """
    if not directory.is_dir():
        return []
    matches = [(FILE.fullmatch(path.name), path) for path in directory.iterdir()]
    return [(int(match[1]), path) for match, path in matches if match is not None]
