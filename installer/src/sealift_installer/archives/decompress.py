"""Compressed chunks in, the bytes of a tar archive out; checked to the last trailer.

The standard readers stop where the tar archive says it ends, and so accept a stream whose checksum
is wrong or whose trailer is missing. Here a stream is read to its end, further streams may follow
(`cat a.gz b.gz`, pbzip2, pzstd), and anything else behind the end is refused.
"""

import sys
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Protocol, cast

from sealift_installer.archives.sniff import SNIFFED, describe
from sealift_installer.archives.source import ArchiveSource
from sealift_installer.errors import Damaged, mismatch, printable
from sealift_installer.limits import LIMITS, MIB, Limits
from sealift_schemas.lean import dataclass

# Measured on 60 MB of Python: smaller steps pay for more calls, larger ones for cold memory.
_INPUT = 256 * 1024
_OUTPUT = MIB
# Where the flags are in a gzip header, and those that have no meaning.
_GZIP_FLAGS, _GZIP_RESERVED = 3, 0xE0
# zstd's words for ZSTD_error_memory_allocation, behind which there is no number.
_ZSTD_NO_MEMORY = "Allocation error"
# For each format: what its data is called.
_CALLED = {
    "tar": "a tar archive",
    "tar.gz": "gzip data",
    "tar.bz2": "bzip2 data",
    "tar.xz": "xz data",
    "tar.zst": "zstd data",
}


_Chunk = bytes | memoryview


class Decoder(Protocol):
    """One compressed stream, as bz2, lzma, isal and zstd spell it."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended, its checksum included."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether all output for the input so far was handed out."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What was given behind the stream's end."""
        ...

    def decompress(self, data: bytes | memoryview, max_length: int, /) -> bytes:
        """Return at most `max_length` bytes of output."""
        ...


@dataclass(frozen=True, slots=True)
class Codec:
    """Makes a decoder for one stream; `errors` are what it raises for bad data."""

    make: Callable[[], Decoder]
    errors: tuple[type[Exception], ...]


class _Zlib:
    """zlib behind the same interface, where there is no isal."""

    def __init__(self, window_bits: int) -> None:
        self._stream = zlib.decompressobj(window_bits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes | memoryview, max_length: int, /) -> bytes:
        output = self._stream.decompress(self._stream.unconsumed_tail + data, max_length)
        pending = self._stream.unconsumed_tail or len(output) == max_length
        self.needs_input = not pending and not self.eof
        return output


class _Around:
    """A decoder whose `decompress` does more than that of `stream`, which raises `error`."""

    def __init__(self, stream: Decoder, error: type[Exception]) -> None:
        self._stream = stream
        self._error = error

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return self._stream.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data


class _Gzip(_Around):
    """isal's reader of gzip, and the check that it leaves out (RFC 1952, 2.3.1.2)."""

    def __init__(self, stream: Decoder, error: type[Exception]) -> None:
        super().__init__(stream, error)
        self._head = b""

    def decompress(self, data: bytes | memoryview, max_length: int, /) -> bytes:
        if len(self._head) < _GZIP_FLAGS + 1:
            self._head += bytes(data[: _GZIP_FLAGS + 1 - len(self._head)])
            if self._head[_GZIP_FLAGS:] and self._head[_GZIP_FLAGS] & _GZIP_RESERVED:
                raise self._error("a reserved flag is set in its header")
        return self._stream.decompress(data, max_length)


class _Zstd(_Around):
    """zstd, which calls it bad data too where this host has not enough memory."""

    def decompress(self, data: bytes | memoryview, max_length: int, /) -> bytes:
        try:
            return self._stream.decompress(data, max_length)
        except self._error as error:
            if _ZSTD_NO_MEMORY in str(error):
                raise MemoryError from error
            raise


def decompress(
    archive_format: str, source: ArchiveSource, limits: Limits = LIMITS
) -> Iterator[bytes]:
    """Yield the tar archive inside of `source`, whose format is one of `tar` and `tar.*`.

    How much may come of it is for the reader to say, who knows what is in it.

    Raises:
        Damaged: it is of another format, broken, truncated, or has something behind its end.
    """
    first, chunks = _peek(source.chunks())
    called = _CALLED[archive_format]
    if archive_format == "tar":
        yield from map(bytes, _pieces(chunks, _OUTPUT))
        return
    found = describe(first)
    if found != called:
        raise Damaged(
            mismatch(f"{printable(source.name)} is not what its format says", called, found)
        )
    codec = _CODECS[archive_format](limits)
    what = f"{printable(source.name)} as {called}"
    counter = _Counter(limits, what)
    yield from counter.limit(_decode(codec, counter.count(chunks), what))


def raw_deflate() -> Codec:
    """Return the codec of deflate without a header, as zip archives have it."""
    return _deflate(gzip=False)


def find_codec(archive_format: str, limits: Limits = LIMITS) -> Codec:
    """Return the codec of one of the formats `tar.*`, for what else is compressed in that way."""
    return _CODECS[archive_format](limits)


class _Counter:
    """Compares what comes out of a decoder with what went in, chunk by chunk."""

    def __init__(self, limits: Limits, what: str) -> None:
        self._limits = limits
        self._what = what
        self._packed = 0

    def count(self, chunks: Iterator[_Chunk]) -> Iterator[_Chunk]:
        for chunk in chunks:
            self._packed += len(chunk)
            yield chunk

    def limit(self, outputs: Iterator[bytes]) -> Iterator[bytes]:
        limits, unpacked = self._limits, 0
        for output in outputs:
            unpacked += len(output)
            if limits.is_bomb(self._packed, unpacked):
                raise Damaged(
                    f"{self._what}: {self._packed} bytes unpack to {unpacked}, and there is more"
                )
            yield output


def _peek(chunks: Iterator[_Chunk]) -> tuple[bytes, Iterator[_Chunk]]:
    """Return the first bytes, and all chunks; one that is too small for them is kept apart."""
    held: list[_Chunk] = []
    first = b""
    while len(first) < SNIFFED and (chunk := next(chunks, None)) is not None:
        first += bytes(chunk[: SNIFFED - len(first)])
        held.append(chunk if len(chunk) >= SNIFFED else bytes(chunk))
    return first, chain(held, chunks)


def _decode(codec: Codec, chunks: Iterator[_Chunk], what: str) -> Iterator[bytes]:
    """Decode the streams in `chunks`, one after the other."""
    decoder = codec.make()
    ended = False  # whether a stream came to its end before the one at hand
    produced = False
    for piece in _pieces(chunks):
        data: bytes | memoryview = piece
        while True:
            if decoder.eof:
                decoder, ended, produced = codec.make(), True, False
            try:
                output = decoder.decompress(data, _OUTPUT)
            except codec.errors as error:
                raise Damaged(_fault(what, ended and not produced, str(error))) from None
            if output:
                produced = True
                yield output
            data = decoder.unused_data if decoder.eof else b""
            if not data and (decoder.eof or decoder.needs_input):
                break
    if not decoder.eof:
        raise Damaged(_fault(what, ended and not produced, "it is truncated"))


def _fault(what: str, behind: bool, reason: str) -> str:  # noqa: FBT001 - a private helper
    if behind:
        return f"{what}: there is something behind its end that is no further stream: {reason}"
    return f"{what}: {reason}"


def _pieces(chunks: Iterator[_Chunk], step: int = _INPUT) -> Iterator[memoryview]:
    for chunk in chunks:
        view = memoryview(chunk)
        for start in range(0, len(chunk), step):
            yield view[start : start + step]


def _deflate(*, gzip: bool) -> Codec:
    try:
        from isal import igzip_lib
    except ImportError:
        window_bits = 16 + zlib.MAX_WBITS if gzip else -zlib.MAX_WBITS
        return Codec(lambda: _Zlib(window_bits), (zlib.error,))
    flag = igzip_lib.DECOMP_GZIP if gzip else igzip_lib.DECOMP_DEFLATE
    # Its type stub says that the class is an instance.
    error = cast("type[Exception]", igzip_lib.IsalError)
    if gzip:
        return Codec(lambda: _Gzip(igzip_lib.IgzipDecompressor(flag), error), (error,))
    return Codec(lambda: igzip_lib.IgzipDecompressor(flag), (error,))


def _gzip(_limits: Limits) -> Codec:
    return _deflate(gzip=True)


def _bzip2(_limits: Limits) -> Codec:
    import bz2

    return Codec(bz2.BZ2Decompressor, (OSError, ValueError))


def _xz(limits: Limits) -> Codec:
    import lzma

    def make() -> Decoder:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=limits.decoder_memory)

    return Codec(make, (lzma.LZMAError,))


def _zstd(limits: Limits) -> Codec:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    # A window is a power of two; half of the memory, for the decoder needs more than its window.
    window = (limits.decoder_memory // 2).bit_length() - 1
    options = {int(zstd.DecompressionParameter.window_log_max): window}
    error = zstd.ZstdError
    return Codec(lambda: _Zstd(zstd.ZstdDecompressor(options=options), error), (error,))


_CODECS: dict[str, Callable[[Limits], Codec]] = {
    "tar.gz": _gzip,
    "tar.bz2": _bzip2,
    "tar.xz": _xz,
    "tar.zst": _zstd,
}
