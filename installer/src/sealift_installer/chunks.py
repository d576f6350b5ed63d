"""Authenticated reads: each chunk of a file is compared with the manifest before it is used.

The file is read once and never trusted again: a stick whose files are exchanged after they were
verified shows as a wrong chunk when they are installed.
"""

import hashlib
import io
import mmap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from sealift_installer.bundle import Bundle
from sealift_installer.errors import Damaged, host_errors, mismatch, printable
from sealift_schemas.payload import CHUNK_SIZE, BundleFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# A reader that jumps (the directory of a zip, then its members) comes back to a few chunks.
_KEPT_CHUNKS = 4
_HUGE_PAGE = 2 * 1024 * 1024


class AuthenticatedFile:
    """An archive, or any file, as the manifest describes it: the bytes of its parts in order.

    Args:
        bundle: where the files stand.
        files: the parts, from the manifest.
        sha256: of all bytes together; from the manifest.
        name: for messages.
    """

    def __init__(self, bundle: Bundle, files: Sequence[BundleFile], sha256: str, name: str) -> None:
        self._bundle = bundle
        self._files = tuple(files)
        self._sha256 = sha256
        self._name = name
        self._compared = False

    @property
    def name(self) -> str:
        """What messages call it."""
        return self._name

    @property
    def size(self) -> int:
        """All bytes together."""
        return sum(file.size for file in self._files)

    def chunks(self) -> Iterator[memoryview]:
        """Yield all bytes in order, each chunk authenticated before it is handed out.

        A chunk is valid until the next one is asked for, which comes to stand in its place: memory
        that is new to a process costs more than to hash what is put into it.

        Raises:
            Damaged: a chunk, a part or the whole is not what the manifest says. The whole is
                compared after the last chunk, so read to the end before anything is published.
        """
        whole = hashlib.sha256()
        room = _room(self._files)
        several = len(self._files) > 1
        first = True
        for file in self._files:
            part = hashlib.sha256()
            for chunk, digest in _read_chunks(self._bundle, file, room):
                if several:
                    part.update(chunk)
                if first:
                    whole, first = digest.copy(), False  # it is that of the whole so far
                else:
                    whole.update(chunk)
                yield chunk
            if several:
                _compare(file.path, file.sha256, part.hexdigest())
        _compare(self._name, self._sha256, whole.hexdigest())
        self._compared = True

    def compare(self) -> None:
        """Compare the SHA-256 of the whole, reading it unless `chunks` was read to its end.

        Raises:
            Damaged: as for `chunks`.
        """
        if not self._compared:
            for _ in self.chunks():
                pass

    def seekable(self) -> BinaryIO:
        """Return a reader that can jump. Each chunk is authenticated whenever it is fetched.

        The SHA-256 of the whole is not compared by it: call `compare` before publishing.
        """
        return io.BufferedReader(_ChunkReader(self._bundle, self._files), 64 * 1024)


def read_authenticated(bundle: Bundle, file: BundleFile, limit: int) -> bytes:
    """Return the bytes of `file`, at most `limit` of them.

    Raises:
        Damaged: it is larger, or not what the manifest says.
    """
    if file.size > limit:
        raise Damaged(
            mismatch(
                f"too large: {printable(file.path)}",
                f"at most {limit} bytes",
                f"{file.size} bytes",
            )
        )
    source = AuthenticatedFile(bundle, (file,), file.sha256, file.path)
    return b"".join([bytes(chunk) for chunk in source.chunks()])


def _room(files: Sequence[BundleFile]) -> memoryview:
    """Return memory for any chunk of `files`.

    Where there are huge pages, it is one or two of these: a thousand small ones take longer to be
    had than to be filled.
    """
    size = min(CHUNK_SIZE, max((file.size for file in files), default=0))
    if size < _HUGE_PAGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return memoryview(bytearray(size))
    room = mmap.mmap(-1, CHUNK_SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel without them
        room.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(room)


def _read_chunks(
    bundle: Bundle, file: BundleFile, room: memoryview
) -> Iterator[tuple[memoryview, "hashlib._Hash"]]:
    """Yield the chunks of one file, each compared, and their hashes.

    The file must end where the manifest says.
    """
    with bundle.open(file.path) as stream:
        for number in range(len(file.chunks)):
            yield _read_chunk(stream, file, number, room)
        if _read(stream, memoryview(bytearray(1)), file.path):
            raise Damaged(
                mismatch(f"too long: {file.path}", f"{file.size} bytes", "more than that")
            )


def _read_chunk(
    stream: io.FileIO, file: BundleFile, number: int, room: memoryview
) -> tuple[memoryview, "hashlib._Hash"]:
    """Read the chunk at the stream's position into `room` and compare it; return its hash too."""
    size = min(CHUNK_SIZE, file.size - number * CHUNK_SIZE)
    chunk = room[:size]
    if (found := _read(stream, chunk, file.path)) != size:
        computed = f"{number * CHUNK_SIZE + found} bytes"
        raise Damaged(mismatch(f"cut short: {file.path}", f"{file.size} bytes", computed))
    digest = hashlib.sha256(chunk)
    where = file.path if len(file.chunks) == 1 else f"{file.path}, chunk {number + 1}"
    _compare(where, file.chunks[number], digest.hexdigest())
    return chunk, digest


def _read(stream: io.FileIO, room: memoryview, name: str) -> int:
    """Fill `room`, or as much of it as there is; return how many bytes."""
    filled = 0
    with host_errors(f"cannot read {name}"):
        # One read of an unbuffered file may return less than asked for.
        while filled < len(room) and (more := stream.readinto(room[filled:])):
            filled += more
    return filled


def _compare(name: str, expected: str, computed: str) -> None:
    if expected != computed:
        raise Damaged(mismatch(f"wrong SHA-256: {printable(name)}", expected, computed))


class _ChunkReader(io.RawIOBase):
    """Reads at any position; keeps the last few chunks, which are authenticated already."""

    def __init__(self, bundle: Bundle, files: Sequence[BundleFile]) -> None:
        super().__init__()
        self._bundle = bundle
        self._files = files
        self._size = sum(file.size for file in files)
        self._position = 0
        self._kept: dict[tuple[int, int], memoryview] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("a position before the start")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        if self._position >= self._size or not view:
            return 0
        number, inside = self._locate()
        chunk = self._chunk(number, inside // CHUNK_SIZE)
        piece = chunk[inside % CHUNK_SIZE :][: len(view)]
        view[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def _locate(self) -> tuple[int, int]:
        """Return the part at the position, and the offset in it."""
        inside = self._position
        for number, file in enumerate(self._files):
            if inside < file.size:
                return number, inside
            inside -= file.size
        raise ValueError("a position behind the end")

    def _chunk(self, number: int, chunk: int) -> memoryview:
        key = (number, chunk)
        if key not in self._kept:
            file = self._files[number]
            with self._bundle.open(file.path) as stream:
                stream.seek(chunk * CHUNK_SIZE)
                room = memoryview(bytearray(min(CHUNK_SIZE, file.size - chunk * CHUNK_SIZE)))
                data, _ = _read_chunk(stream, file, chunk, room)
            if len(self._kept) >= _KEPT_CHUNKS:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = data
        return self._kept[key]
