"""Wheels inside of archives, and those of unseal, read in memory, with the reader of every zip."""

import io
from collections.abc import Callable, Iterator
from typing import BinaryIO

from sealift_installer.archives import read_members
from sealift_installer.errors import Damaged

# One file of a wheel that is looked at as a whole (bytes).
_FILE = 16 * 1024 * 1024


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
    name: str, data: bytes, see: Callable[[str, bytes], None], leave: Callable[[str], None]
) -> str:
    """Hand each file of the wheel to `see`, and return why not all of them could be read, or "".

    Of a file that is too large to be held `leave` is told the name.

    A wheel in an archive is data of that archive: one that is malformed makes it no less whole.
    """
    try:
        for member in read_members("zip", _Bytes(name, data)):
            if member.type != "file":
                continue
            if member.size <= _FILE:
                see(member.name, b"".join(member.data))
            else:
                leave(member.name)
    except Damaged:
        return "not to be read as a wheel"
    return ""
