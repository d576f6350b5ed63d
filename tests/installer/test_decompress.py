import bz2
import gzip
import io
import lzma
import random
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from memory_source import MemorySource
from sealift_installer.archives.decompress import decompress
from sealift_installer.archives.sniff import describe
from sealift_installer.errors import Damaged
from sealift_installer.limits import Limits
from target import in_child

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PLAIN = random.Random(1).randbytes(3000) + bytes(2_000_000) + b"end"
SKIPPABLE = b"\x50\x2a\x4d\x18" + struct.pack("<L", 4) + b"skip"
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "tar.gz": lambda data: gzip.compress(data, mtime=0),
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
    "tar.zst": lambda data: zstd.compress(
        data, options={zstd.CompressionParameter.checksum_flag: 1}
    ),
}
FORMATS = pytest.mark.parametrize("archive_format", COMPRESS)


def plain(
    archive_format: str, data: bytes, step: int = 1 << 20, limits: Limits | None = None
) -> bytes:
    source = MemorySource(data, step=step)
    output = b"".join(decompress(archive_format, source, limits or Limits()))
    assert source.drained
    return output


@FORMATS
@pytest.mark.parametrize("step", [1, 7, 1000, 1 << 20])
def test_any_chunks(archive_format: str, step: int):
    assert plain(archive_format, COMPRESS[archive_format](PLAIN), step) == PLAIN


@FORMATS
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_several_streams(archive_format: str, step: int):
    compress = COMPRESS[archive_format]
    data = compress(b"one") + compress(b"") + compress(PLAIN) + compress(b"two")
    assert plain(archive_format, data, step) == b"one" + PLAIN + b"two"


@FORMATS
@pytest.mark.parametrize("missing", [1, 4, 20])
def test_truncated(archive_format: str, missing: int):
    data = COMPRESS[archive_format](PLAIN)
    with pytest.raises(Damaged, match=r"sample as .* data: it is truncated"):
        plain(archive_format, data[:-missing])


@FORMATS
@pytest.mark.parametrize("step", [1, 1 << 20])
@pytest.mark.parametrize("behind", [b"x", b"garbage that is no stream", bytes(1000)])
def test_something_behind(archive_format: str, behind: bytes, step: int):
    data = COMPRESS[archive_format](PLAIN) + behind
    with pytest.raises(Damaged, match="there is something behind its end"):
        plain(archive_format, data, step)


@FORMATS
def test_no_flipped_bit_changes_what_is_read(archive_format: str):
    data = COMPRESS[archive_format](b"a short text, and again a short text")
    quiet = []
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 0x40
        try:
            output = plain(archive_format, bytes(flipped))
        except Damaged:
            continue
        assert output == b"a short text, and again a short text"
        quiet.append(position)
    # No checksum covers the time in a gzip header, nor the bits that fill up a last byte.
    assert len(quiet) <= (9 if archive_format == "tar.gz" else 1)


@FORMATS
def test_another_format(archive_format: str):
    for other, compress in COMPRESS.items():
        if other != archive_format:
            with pytest.raises(Damaged, match=r"not what its format says\n  Expected: .* data\n"):
                plain(archive_format, compress(PLAIN))


@FORMATS
@pytest.mark.parametrize(
    ("data", "looks"),
    [
        (b"", "nothing"),
        (b"  <!doctype HTML>", "an HTML page"),
        (b"<?xml version='1.0'?><Error/>", "an XML document"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (bytes(2000), "zeros"),
        (b"\x1b[2J", "unknown data that begins with 1b 5b 32 4a"),
    ],
)
@pytest.mark.parametrize("step", [1, 4096])
def test_no_archive_at_all(archive_format: str, data: bytes, looks: str, step: int):
    with pytest.raises(Damaged, match="Computed: ") as caught:
        plain(archive_format, data, step)
    assert caught.value.message.endswith(looks)


def test_zstd_frames_to_skip():
    data = SKIPPABLE + zstd.compress(b"one") + SKIPPABLE + zstd.compress(b"two")
    assert describe(data) == "zstd data"
    assert plain("tar.zst", data) == b"onetwo"


@pytest.mark.skipif(sys.platform != "linux", reason="there is no limit of addresses elsewhere")
def test_a_host_without_memory_is_not_an_archive_that_is_damaged():
    import resource

    options = {zstd.CompressionParameter.window_log: 27}
    compressor = zstd.ZstdCompressor(options=options)
    data = compressor.compress(bytes(1000)) + compressor.flush()

    def read() -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (32 << 20),) * 2)
        with pytest.raises(MemoryError, match=r"^$"):
            plain("tar.zst", data)

    assert in_child(read) == 0


def test_a_decoder_gets_no_more_memory_than_allowed():
    small = Limits(decoder_memory=1 << 20)
    data = lzma.compress(PLAIN, preset=6)
    with pytest.raises(Damaged, match="Memory usage limit"):
        plain("tar.xz", data, limits=small)
    options = {zstd.CompressionParameter.window_log: 24}
    # Of unknown size, so that the window is not made to fit it.
    compressor = zstd.ZstdCompressor(options=options)
    data = compressor.compress(PLAIN) + compressor.flush()
    assert plain("tar.zst", data) == PLAIN
    with pytest.raises(Damaged, match="too much memory"):
        plain("tar.zst", data, limits=small)


@pytest.fixture
def without_isal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)


@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
def test_zlib_does_the_work_of_isal(step: int, without_isal: None):
    data = gzip.compress(PLAIN) + gzip.compress(b"two")
    assert plain("tar.gz", data, step) == PLAIN + b"two"
    with pytest.raises(Damaged, match="truncated"):
        plain("tar.gz", data[:-1], step)
    with pytest.raises(Damaged, match="something behind its end"):
        plain("tar.gz", data + b"behind it", step)
    with pytest.raises(Damaged, match="incorrect data check"):
        plain("tar.gz", data[:-8] + bytes(8), step)


def test_gzip_headers_with_all_fields():
    buffer = io.BytesIO()
    with gzip.GzipFile("a name", "wb", fileobj=buffer, mtime=1) as file:
        file.write(b"text")
    assert plain("tar.gz", buffer.getvalue(), 3) == b"text"


def test_what_waits_to_be_used_is_small_in_any_format():
    data = random.Random(1).randbytes(9 * 1024 * 1024)
    source = MemorySource(data, step=4 * 1024 * 1024)
    blocks = list(decompress("tar", source))
    assert max(map(len, blocks)) == 1024 * 1024
    assert b"".join(blocks) == data
