"""An archive in memory, and the shortest way from an archive to a tree."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sealift_installer.archives import read_members
from sealift_installer.limits import LIMITS, Limits
from sealift_installer.tree import TreeWriter


@dataclass
class MemorySource:
    """Hands out `data` in chunks of `step` bytes; `drained` tells whether all of it was read."""

    data: bytes
    name: str = "sample"
    step: int = 1 << 20
    drained: bool = False

    def chunks(self) -> Iterator[bytes]:
        for start in range(0, len(self.data), self.step):
            yield self.data[start : start + self.step]
        self.drained = True

    def seekable(self) -> BinaryIO:
        return io.BytesIO(self.data)


def unpack(archive_format: str, source: MemorySource, root: Path, limits: Limits = LIMITS) -> None:
    """Write all members of the archive to the new directory `root`."""
    with TreeWriter(root, limits) as tree:
        for member in read_members(archive_format, source, limits):
            if member.type == "file":
                tree.add_file(member.name, member.data, executable=member.executable)
            elif member.type == "link":
                tree.add_link(member.name, member.target)
            elif member.type == "hardlink":
                tree.add_hardlink(member.name, member.target)
            else:
                tree.add_directory(member.name)
        tree.finish()
