"""Wheels inside of archives, and those of unseal, read in memory, with the reader of every zip."""

import io
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from sealift_bundler.evidence.limits import EVIDENCE_LIMITS
from sealift_installer.archives import read_members
from sealift_installer.errors import Damaged

# One file of a wheel that is held as a whole (bytes): no text of a licence is longer.
_FILE = EVIDENCE_LIMITS.licence


class _Bytes:
    """An archive in memory (an ArchiveSource)."""

    def __init__(self, name: str, data: bytes) -> None:
        self._name, self._data = name, data

    @property
    def name(self) -> str:
        return self._name

    def chunks(self) -> Iterator[bytes]:
        yield self._data

    def seekable(self) -> BinaryIO:
        return io.BytesIO(self._data)


def read_wheel(
    name: str,
    data: bytes,
    see: Callable[[str, bytes], None],
    see_large: Callable[[str, Iterable[bytes]], None],
) -> str:
    """Hand each file of the wheel to `see`, and return why not all of them could be read, or "".

    A file that is too large to be held is handed to `see_large`, a piece at a time.

    A wheel in an archive is data of that archive: one that is malformed makes it no less whole.
    """
    try:
        for member in read_members("zip", _Bytes(name, data)):
            if member.type != "file":
                continue
            if member.size <= _FILE:
                see(member.name, b"".join(member.data))
            else:
                see_large(member.name, member.data)
    except Damaged:
        return "not to be read as a wheel"
    return ""
