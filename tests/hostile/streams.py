"""Tar archives in streams that are compressed: whole, cut, joined, with something behind them."""

import bz2
import gzip
import lzma
import sys
from collections.abc import Callable

from hostile.generator import END, Case, Zip, header, member

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def _zstd(data: bytes) -> bytes:
    checked = {int(zstd.CompressionParameter.checksum_flag): 1}
    return zstd.compress(data, options=checked)


PACKERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "tar.gz": (lambda data: gzip.compress(data, mtime=0), "gzip data"),
    "tar.bz2": (bz2.compress, "bzip2 data"),
    "tar.xz": (lzma.compress, "xz data"),
    "tar.zst": (_zstd, "zstd data"),
}


def stream_cases() -> list[Case]:
    """Return the cases of each compression."""
    reserved = bytearray(PACKERS["tar.gz"][0](member(b"a") + END))
    reserved[3] |= 0x20
    flagged = Case("tar.gz-reserved-flag", "tar.gz", bytes(reserved), "flag", {}, "rejected")
    bomb = Case("tar.zst-bomb", "tar.zst", _bomb(300), "and there is more", {}, "malicious")
    return [flagged, bomb, *(case for archive_format in PACKERS for case in _cases(archive_format))]


def _bomb(size: int) -> bytes:
    """Return an archive of one file with so many MiB of zeros, packed to a ten-thousandth."""
    packer = zstd.ZstdCompressor()
    packed = packer.compress(header(b"a", size=size << 20))
    zeros = bytes(1 << 20)
    packed += b"".join(packer.compress(zeros) for _ in range(size))
    return packed + packer.compress(END) + packer.flush()


def _cases(archive_format: str) -> list[Case]:
    pack, called = PACKERS[archive_format]
    plain = member(b"a") + END
    data = pack(plain)
    half = len(member(b"a")) // 2
    several = b"".join(pack(part) for part in (plain[:half], plain[half : half * 2], END))
    first = pack(plain[:half])
    broken = [
        ("cut", data[:-1], "truncated", "rejected"),
        ("cut-in-half", data[: len(data) // 2], "truncated", "rejected"),
        ("cut-between-streams", first, "truncated: it ends inside of a member", "rejected"),
        ("checksum", _flip(archive_format, data), "[Cc]hecksum|incorrect data check|Corrupt input|Invalid data",
         "rejected"),
        ("garbage-behind", data + b"garbage behind it", "something behind", "malicious"),
        ("zeros-behind", data + bytes(64), "something behind", "rejected"),
        ("tar-behind", pack(plain + member(b"hidden")), "something behind its end", "malicious"),
        ("stream-behind", data + pack(member(b"b")), "something behind its end", "malicious"),
        ("twice-packed", pack(data), f"Computed: {called}",
         "rejected"),
        ("is-zip", Zip().add(b"a").build(), "Computed: a zip archive", "rejected"),
        ("is-tar", plain, "Computed: a tar archive", "rejected"),
        ("is-html", b"<html>Not Found</html>", "Computed: an HTML page", "rejected"),
        ("is-empty", b"", "Computed: nothing", "rejected"),
    ]  # fmt: skip
    tree: dict[str, bytes | str | None] = {"a": b"x"}
    return [
        *(
            Case(f"{archive_format}-{name}", archive_format, bad, match, {}, kind)
            for name, bad, match, kind in broken
        ),
        Case(f"{archive_format}-good", archive_format, data, None, tree, "accept"),
        Case(f"{archive_format}-several", archive_format, several, None, tree, "odd"),
    ]


def _flip(archive_format: str, data: bytes) -> bytes:
    """Flip a bit of the checksum of all data."""
    places = {"tar.gz": -8, "tar.bz2": -2, "tar.xz": -30, "tar.zst": -1}
    flipped = bytearray(data)
    flipped[places[archive_format]] ^= 0x10
    return bytes(flipped)
