import bz2
import lzma
import struct
import sys
import zlib
from collections.abc import Iterator

import pytest

from hostile.generator import Zip
from memory_source import MemorySource
from sealift_installer.archives import Member, read_members
from sealift_installer.errors import Damaged
from sealift_installer.limits import LIMITS, Limits

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def members(data: bytes, limits: Limits = LIMITS) -> Iterator[Member]:
    return read_members("zip", MemorySource(data), limits)


def contents(data: bytes) -> dict[str, bytes]:
    return {member.name: b"".join(member.data) for member in members(data)}


METHODS = {"Deflate": 8, "BZip2": 12, "LZMA": 14, "ZSTD": 93, "XZ": 95}
TEXT = b"a line of text, and another\n" * 20_000


def packed_by(method: str, data: bytes = TEXT) -> bytes:
    """Return `data` as a member of a zip archive has it, with what LZMA has before its data."""
    if method == "BZip2":
        return bz2.compress(data)
    if method == "XZ":
        return lzma.compress(data)
    if method == "ZSTD":
        return zstd.compress(data)
    if method == "Deflate":
        packer = zlib.compressobj(wbits=-15)
        return packer.compress(data) + packer.flush()
    chain = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 20}]
    return struct.pack("<2BH", 9, 4, 5) + b"\x5d\0\0\x10\0" + lzma.compress(
        data, lzma.FORMAT_RAW, filters=chain
    )  # fmt: skip


def with_method(method: str, packed: bytes, size: int = len(TEXT), flags: int = 0) -> bytes:
    same: dict[str, int | bytes] = {
        "method": METHODS[method], "crc": zlib.crc32(TEXT), "size": size, "flags": flags,
    }  # fmt: skip
    return Zip().add(b"a", packed, local=same, central=same).build()


@pytest.mark.parametrize("method", METHODS)
def test_methods(method: str):
    packed = packed_by(method)
    assert contents(with_method(method, packed, flags=2 * (method == "LZMA"))) == {"a": TEXT}
    with pytest.raises(Damaged, match=r"sample: member 'a'.*truncated|is damaged"):
        contents(with_method(method, packed[:-20]))
    with pytest.raises(Damaged, match=r"sample: member 'a'.*something behind"):
        contents(with_method(method, packed + b"behind it", flags=2 * (method == "LZMA")))
    with pytest.raises(Damaged, match=r"sample: member 'a'( is damaged|: there is more in it)"):
        contents(with_method(method, packed, size=1000))


def test_lzma_without_an_end_mark():
    chain = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 20}]
    alone = lzma.compress(TEXT, lzma.FORMAT_ALONE, filters=chain)
    # The standard library always writes the mark; a reader that is told of none stops before it.
    packed = packed_by("LZMA")
    assert alone[13:] == packed[9:]
    assert contents(with_method("LZMA", packed)) == {"a": TEXT}


def test_lzma_that_needs_too_much_memory():
    packed = bytearray(packed_by("LZMA"))
    packed[5:9] = b"\xff" * 4
    with pytest.raises(Damaged, match=r"sample: member 'a': it needs more than .* bytes of memory"):
        contents(with_method("LZMA", bytes(packed)))
    with pytest.raises(Damaged, match="the properties of LZMA are malformed"):
        contents(with_method("LZMA", b"\x09\x04\x06\x00" + bytes(packed[4:])))


def test_a_member_that_says_too_much_of_itself():
    data = with_method("BZip2", packed_by("BZip2"))
    with pytest.raises(Damaged, match=r"member 'a' of [0-9]+ bytes says that it unpacks to 560000"):
        list(members(data, Limits(ratio=10, unsuspected=1000)))
