"""The methods by which the members of a zip archive are compressed (APPNOTE.TXT 4.4.5)."""

from collections.abc import Iterator
from itertools import chain

from sealift_installer.archives.decompress import Codec, find_codec, raw_deflate
from sealift_installer.errors import Damaged
from sealift_installer.limits import Limits

STORED = 0
_DEFLATED = 8
LZMA = 14
# The format of a tar archive that is compressed in the same way.
_SAME_AS = {12: "tar.bz2", 93: "tar.zst", 95: "tar.xz"}
READ = frozenset({STORED, _DEFLATED, LZMA, *_SAME_AS})
# What the version of the LZMA SDK and the length of the properties take before these (5.8.8).
_LZMA_HEAD = 4
_LZMA_PROPERTIES = 5
# Methods that are not read, by the names that their packers give them.
CALLED = {1: "Shrink", 6: "Implode", 9: "Deflate64", 96: "JPEG", 97: "WavPack", 98: "PPMd"}


def find_method(method: int, limits: Limits) -> Codec:
    """Return the codec for one of the methods READ but STORED and LZMA."""
    return raw_deflate() if method == _DEFLATED else find_codec(_SAME_AS[method], limits)


def decode_lzma(
    pieces: Iterator[bytes], size: int, limits: Limits, *, ends: bool
) -> Iterator[bytes]:
    """Yield the `size` bytes of a member of the method LZMA; `ends`: its data has an end mark.

    Raises:
        Damaged: the properties before the data are malformed or ask for too much memory, or the
            data is.
    """
    from sealift_installer.archives.seven_methods import decode_sized, lzma_filter, raw_lzma

    first = next(pieces, b"")
    behind = _LZMA_HEAD + _LZMA_PROPERTIES
    if len(first) < behind or first[2] != _LZMA_PROPERTIES or first[3]:
        raise Damaged("the properties of LZMA are malformed")
    chosen = lzma_filter(first[_LZMA_HEAD:behind], limits, second=False)
    yield from decode_sized(raw_lzma([chosen]), chain((first[behind:],), pieces), size, ends=ends)
