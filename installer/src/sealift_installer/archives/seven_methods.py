"""The methods by which the blocks of a 7z archive are compressed.

What liblzma, bzip2, zlib and zstd do is done by them, for their output can be limited. py7zr does
what liblzma cannot: branch filters behind anything but LZMA2 (liblzma holds back the last bytes
of a stream without an end mark). It takes a fifth of a second to import, so it is imported then.
"""

import lzma
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, cast

from sealift_installer.archives.decompress import Codec, Decoder, find_codec, raw_deflate
from sealift_installer.archives.seven_blocks import Block, Coder
from sealift_installer.errors import Damaged
from sealift_installer.limits import MIB, Limits

_COPY = b"\x00"
_LZMA = bytes.fromhex("030101")
_LZMA2 = bytes.fromhex("21")
_DELTA = bytes.fromhex("03")
_BZIP2 = bytes.fromhex("040202")
_DEFLATE = bytes.fromhex("040108")
_ZSTD = bytes.fromhex("04f71101")
_ENCRYPTION = bytes.fromhex("06f10701")
# liblzma's name for each branch filter, and py7zr's.
_BRANCHES = {
    "03030103": (lzma.FILTER_X86, "BCJDecoder"), "04": (lzma.FILTER_X86, "BCJDecoder"),
    "03030205": (lzma.FILTER_POWERPC, "BcjPpcDecoder"),
    "05": (lzma.FILTER_POWERPC, "BcjPpcDecoder"),
    "03030501": (lzma.FILTER_ARM, "BcjArmDecoder"), "07": (lzma.FILTER_ARM, "BcjArmDecoder"),
    "03030701": (lzma.FILTER_ARMTHUMB, "BcjArmtDecoder"),
    "08": (lzma.FILTER_ARMTHUMB, "BcjArmtDecoder"),
    "03030805": (lzma.FILTER_SPARC, "BcjSparcDecoder"),
    "09": (lzma.FILTER_SPARC, "BcjSparcDecoder"),
}  # fmt: skip
# Methods that are not read, for the message; docs/adr/0010 says why.
_CALLED = {
    "0303011b": "BCJ2", "06": "the IA64 filter", "03030401": "the IA64 filter",
    "0a": "the ARM64 filter", "0b": "the RISCV filter", "020302": "SWAP2", "020304": "SWAP4",
    "030401": "PPMd", "040109": "Deflate64", "04f71102": "Brotli", "04f71104": "LZ4",
    "04f71105": "LZ5", "04f71106": "Lizard", "06f10701": "AES-256",
}  # fmt: skip
_HINT = "Pack it anew, as with `7z a -m0=lzma2 -mf=off`, or take another format."
_MOST_LZMA2 = 40


class _Filter(Protocol):
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Copy:
    """Data that is not compressed, behind the same interface."""

    eof = False
    needs_input = True
    unused_data = b""

    def decompress(self, data: bytes | memoryview, max_length: int, /) -> bytes:  # noqa: ARG002 - a decoder's
        return bytes(data)


def refuse_branched(coders: Iterable[Coder]) -> None:
    """Refuse a block whose coders have several inputs or outputs.

    Raises:
        Damaged: always.
    """
    for coder in coders:
        _refuse_unknown(coder)
    raise Damaged("a block has a coder of several streams", hint=_HINT)


def check_block(block: Block, limits: Limits) -> None:
    """Check that a block can be unpacked, as far as its header tells.

    Raises:
        Damaged: it is compressed by a method that is not read, or needs too much memory.
    """
    _Steps(block, limits)


def unpack_block(block: Block, pieces: Iterator[bytes], limits: Limits) -> Iterator[bytes]:
    """Yield the `block.size` bytes of a block, whose packed bytes are `pieces`.

    Raises:
        Damaged: by a method that cannot be read, of too much memory, broken, or with something
            behind its end.
    """
    steps = _Steps(block, limits)
    data = decode_sized(steps.codec, pieces, block.size, ends=steps.ends)
    for step in steps.filters:
        data = _filter(step, data)
    size = 0
    for piece in data:
        size += len(piece)
        yield piece
    if size != block.size:
        raise Damaged(f"its filters made {size} bytes of {block.size}")


class _Steps:
    """How a block is unpacked: one decoder, and filters that liblzma does not do with it."""

    def __init__(self, block: Block, limits: Limits) -> None:
        for coder in block.coders:
            _refuse_unknown(coder)
        first, *others = block.coders
        self.filters: list[_Filter] = []
        # Whether the stream says itself where it ends.
        self.ends = first.method not in {_COPY, _LZMA}
        together: list[dict[str, int]] = []
        for coder in others:
            branch = _BRANCHES.get(coder.method.hex())
            if coder.method == _DELTA and first.method in {_LZMA, _LZMA2} and not self.filters:
                together.insert(0, {"id": lzma.FILTER_DELTA, "dist": _single(coder) + 1})
            elif branch and first.method == _LZMA2 and not self.filters and not coder.properties:
                together.insert(0, {"id": branch[0]})
            elif branch and not coder.properties:
                self.filters.append(_branch_filter(branch[1], block.size))
            else:
                raise Damaged("the filters of a block are in an order that is not read", hint=_HINT)
        self.codec = _codec(first, together, limits)


def _codec(coder: Coder, filters: list[dict[str, int]], limits: Limits) -> Codec:
    if coder.method in {_LZMA, _LZMA2}:
        chain = [*filters, lzma_filter(coder.properties, limits, second=coder.method == _LZMA2)]
        return raw_lzma(chain)
    if coder.method == _BZIP2:
        return find_codec("tar.bz2", limits)
    if coder.method == _DEFLATE:
        return raw_deflate()
    if coder.method == _ZSTD:
        return find_codec("tar.zst", limits)
    if coder.method == _COPY:
        return Codec(_Copy, ())
    raise Damaged("a block has a filter where its compression belongs")


def raw_lzma(chain: list[dict[str, int]]) -> Codec:
    """Return the codec of LZMA without a header of its own."""

    def make() -> Decoder:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)

    return Codec(make, (lzma.LZMAError, EOFError))


def lzma_filter(properties: bytes, limits: Limits, *, second: bool) -> dict[str, int]:
    """Return liblzma's description of LZMA, or of the `second` LZMA, from its properties.

    Raises:
        Damaged: they are malformed, or ask for too much memory.
    """
    chosen: dict[str, int] = {}
    if second:
        if len(properties) != 1 or properties[0] > _MOST_LZMA2:
            raise Damaged("the properties of LZMA2 are malformed")
        step = properties[0]
        window = (2 | step & 1) << (step // 2 + 11)
        chosen["id"] = lzma.FILTER_LZMA2
    else:
        if len(properties) != 5 or properties[0] >= 9 * 5 * 5:  # noqa: PLR2004 - lc, lp, pb, window
            raise Damaged("the properties of LZMA are malformed")
        rest, literal = divmod(properties[0], 9)
        window = int.from_bytes(properties[1:], "little")
        chosen |= {"id": lzma.FILTER_LZMA1, "lc": literal, "lp": rest % 5, "pb": rest // 5}
    if window > limits.decoder_memory:
        raise Damaged(f"it needs more than {limits.decoder_memory} bytes of memory to be unpacked")
    return chosen | {"dict_size": max(window, 4096)}


def decode_sized(
    codec: Codec, pieces: Iterator[bytes], size: int, *, ends: bool
) -> Iterator[bytes]:
    """Yield exactly `size` bytes, at most a MiB at once; `ends`: the data says where it ends.

    Raises:
        Damaged: there are fewer or more, or something is behind the end.
    """
    left = size
    errors: tuple[type[Exception], ...] = (*codec.errors, ValueError)
    try:
        decoder = codec.make()
        for piece in pieces:
            for output in _feed(decoder, piece, left, ends=ends):
                left -= len(output)
                yield output
            if decoder.eof or not (left or ends):
                break
        if decoder.unused_data or next(pieces, b""):
            raise Damaged("there is something behind the compressed data")
    except errors as error:
        raise Damaged(f"it cannot be decompressed: {error}") from None
    if left or (ends and not decoder.eof):
        raise Damaged("it is truncated")


def _feed(decoder: Decoder, piece: bytes, left: int, *, ends: bool) -> Iterator[bytes]:
    """Yield what comes of `piece`, at most `left` bytes; a decoder gets the next one only then."""
    data = piece
    while data or not (decoder.eof or decoder.needs_input):
        # A byte more than is left shows that there is more; without an end mark nobody can tell.
        output = decoder.decompress(data, min(left + ends, MIB))
        data = b""
        if len(output) > left:
            raise Damaged("there is more in it than its header says")
        left -= len(output)
        if output:
            yield output
        if not (left or ends):
            break


def _filter(step: _Filter, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield step.decompress(piece)
    # The last bytes are held back until nothing more can come.
    yield step.decompress(b"")


def _branch_filter(name: str, size: int) -> _Filter:
    from py7zr import compressor

    make = cast("Callable[[int], _Filter]", getattr(compressor, name))
    return make(size)


def _refuse_unknown(coder: Coder) -> None:
    number = coder.method.hex()
    known = {_COPY, _LZMA, _LZMA2, _DELTA, _BZIP2, _DEFLATE, _ZSTD}
    if coder.method in known or number in _BRANCHES:
        return
    if coder.method == _ENCRYPTION:
        raise Damaged("it is encrypted")
    called = _CALLED.get(number, f"the unknown method {number or 'without a number'}")
    raise Damaged(f"it is compressed by {called}, which cannot be read", hint=_HINT)


def _single(coder: Coder) -> int:
    if len(coder.properties) != 1:
        raise Damaged("the properties of a filter are malformed")
    return coder.properties[0]
