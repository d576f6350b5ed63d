import io
import lzma
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import py7zr
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py7zr.properties import FILTER_DEFLATE64

from hostile.seven import COPY, Seven, coder, encoded, number
from memory_source import MemorySource, unpack
from sealift_installer.archives import Member, read_members
from sealift_installer.archives.seven_cursor import Cursor
from sealift_installer.errors import Damaged
from sealift_installer.limits import Limits

# Something to compress, with calls in it that the branch filters change.
PLAIN = random.Random(7).randbytes(30_000) + b"\xe8\x01\x02\x00\x00" * 20_000 + bytes(9_999)
LZMA1 = {"id": py7zr.FILTER_LZMA}
LZMA2 = {"id": py7zr.FILTER_LZMA2, "preset": 1}
READ = {
    "lzma2": [LZMA2],
    "lzma": [LZMA1],
    "delta lzma2": [{"id": py7zr.FILTER_DELTA}, LZMA2],
    "x86 lzma2": [{"id": py7zr.FILTER_X86}, LZMA2],
    "arm lzma2": [{"id": py7zr.FILTER_ARM}, LZMA2],
    "x86 lzma": [{"id": py7zr.FILTER_X86}, LZMA1],
    "armthumb lzma": [{"id": py7zr.FILTER_ARMTHUMB}, LZMA1],
    "powerpc bzip2": [{"id": py7zr.FILTER_POWERPC}, {"id": py7zr.FILTER_BZIP2}],
    "sparc deflate": [{"id": py7zr.FILTER_SPARC}, {"id": py7zr.FILTER_DEFLATE}],
    "bzip2": [{"id": py7zr.FILTER_BZIP2}],
    "deflate": [{"id": py7zr.FILTER_DEFLATE}],
    "zstd": [{"id": py7zr.FILTER_ZSTD, "level": 3}],
    "copy": [{"id": py7zr.FILTER_COPY}],
}
NOT_READ = {
    "PPMd": [{"id": py7zr.FILTER_PPMD, "order": 6, "mem": 24}],
    "Brotli": [{"id": py7zr.FILTER_BROTLI, "level": 1}],
    "Deflate64": [{"id": FILTER_DEFLATE64}],
}


def written(filters: list[dict[str, int]] | None, **members: bytes) -> bytes:
    file = io.BytesIO()
    with py7zr.SevenZipFile(file, "w", filters=filters) as archive:
        for name, data in members.items():
            archive.writestr(data, name)
    return file.getvalue()


def members(data: bytes, limits: Limits | None = None) -> Iterator[Member]:
    return read_members("7z", MemorySource(data), limits or Limits())


def contents(data: bytes) -> dict[str, bytes]:
    return {member.name: b"".join(member.data) for member in members(data)}


@pytest.mark.parametrize("name", READ)
def test_methods(name: str):
    data = written(READ[name], a=PLAIN, b=b"", c=b"short", d=PLAIN[::-1])
    assert contents(data) == {"a": PLAIN, "b": b"", "c": b"short", "d": PLAIN[::-1]}


@pytest.mark.parametrize("name", NOT_READ)
def test_methods_that_are_not_read_are_named(name: str):
    data = written(NOT_READ[name], a=PLAIN)
    with pytest.raises(Damaged, match=f"sample: it is compressed by {name}, which cannot") as error:
        list(members(data))
    assert error.value.hint is not None
    assert "-m0=lzma2 -mf=off" in error.value.hint


@pytest.mark.parametrize(
    ("method", "called"),
    [
        ("0a", "the ARM64 filter"),
        ("0b", "the RISCV filter"),
        ("0303011b", "BCJ2"),
        ("04f71104", "LZ4"),
        ("7f7f", "the unknown method 7f7f"),
    ],
)
def test_filters_that_are_not_read_are_named(method: str, called: str):
    lzma2 = coder("21", b"\x18")
    branched = b"\x04\x01" if method == "0303011b" else b""
    archive = Seven(coders=b"\x02" + lzma2 + coder(method, shape=branched), bonds=b"\x01\x00")
    archive.sizes = (1, 1)
    with pytest.raises(Damaged, match=f"sample: it is compressed by {called}, which cannot"):
        list(members(archive.add("a").build()))


@pytest.mark.parametrize("header", [True, False])
def test_encrypted(header: bool):
    file = io.BytesIO()
    with py7zr.SevenZipFile(file, "w", password="secret", header_encryption=header) as archive:
        archive.writestr(b"x", "a")
    with pytest.raises(Damaged, match="sample: it is encrypted"):
        list(members(file.getvalue()))


def test_members_that_were_not_read_are_skipped():
    data = written(READ["lzma2"], a=PLAIN, b=b"2", c=PLAIN, d=b"4")
    found = {}
    for member in members(data):
        if member.name == "c":
            assert next(member.data)
        elif member.name != "a":
            found[member.name] = b"".join(member.data)
    assert found == {"b": b"2", "d": b"4"}


def test_coders_in_any_order():
    chain = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    packed = lzma.compress(PLAIN, lzma.FORMAT_RAW, filters=chain)
    lzma2, branch = coder("21", b"\x10"), coder("03030103")
    for coders, bonds in ((lzma2 + branch, b"\x01\x00"), (branch + lzma2, b"\x00\x01")):
        archive = Seven(coders=b"\x02" + coders, bonds=bonds, packed=packed)
        archive.sizes = (len(PLAIN),) * 2
        assert contents(archive.add("a", PLAIN).build()) == {"a": PLAIN}


def test_limits():
    data = written(None, a=PLAIN, b=b"x")
    with pytest.raises(Damaged, match="sample: it has more than 1 members"):
        list(members(data, Limits(members=1)))
    with pytest.raises(Damaged, match="sample: it unpacks to more than 99 bytes"):
        list(members(data, Limits(unpacked=99)))
    with pytest.raises(Damaged, match="sample: its header is too long\n  Expected: at most 20"):
        list(members(data, Limits(seven_header=20)))
    with pytest.raises(Damaged, match="sample: it needs more than 70000 bytes of memory"):
        list(members(data, Limits(decoder_memory=70_000)))
    with pytest.raises(Damaged, match="a block of 19 bytes says that it unpacks to 1000"):
        list(members(written(None, a=bytes(1000)), Limits(ratio=10, unsuspected=999)))


def test_a_header_that_becomes_too_long_is_not_unpacked():
    packed = lzma.compress(
        bytes(1 << 20), lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    )
    data = encoded(b"", packed, size=1 << 20, coders=b"\x01" + coder("21", b"\x10"))
    with pytest.raises(Damaged, match=r"header is too long\n.* at most 1000\n.*: 1048576"):
        list(members(data, Limits(seven_header=1000)))


def test_a_header_that_is_not_compressed_or_twice():
    archive = Seven().add("a")
    assert contents(encoded(b"x", archive.header())) == {"a": b"x"}
    inner = archive.header()
    twice = encoded(b"x", encoded(b"", inner)[32 + len(inner) :])
    with pytest.raises(Damaged, match="sample: its header has a part 0x17 where 0x01 belongs"):
        list(members(twice))


def test_large_members_stream_in_pieces():
    data = written(None, a=bytes(20_000_000))
    sizes = [len(piece) for member in members(data) for piece in member.data]
    assert sum(sizes) == 20_000_000
    assert max(sizes) <= 1 << 20


def test_the_whole_file_is_read_for_its_hash():
    source = MemorySource(written(None, a=b"x"))
    assert [member.name for member in read_members("7z", source)] == ["a"]
    assert source.drained


def test_an_archive_cut_anywhere_is_refused():
    data = written(None, a=b"x" * 100, b=b"y")
    for length in range(len(data)):
        with pytest.raises(Damaged, match="sample: "):
            contents(data[:length])


def test_no_flipped_byte_does_more_than_be_refused():
    data = written(None, a=b"x" * 100, b=b"y")
    expected = contents(data)
    # The second half of the version says nothing; all else has a checksum.
    for place in set(range(len(data))) - {7}:
        broken = bytearray(data)
        broken[place] ^= 0x41
        with pytest.raises(Damaged, match="sample: "):
            assert contents(bytes(broken)) == expected


@settings(max_examples=300)
@given(st.data())
def test_a_header_of_anything_is_refused_or_read(data: st.DataObject):
    header = bytearray(Seven().add("a").add("b/c", b"yz").add("d", None, None).header())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(header) - 1))
        header[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
        if not header:
            return
    try:
        found = [member.name for member in members(Seven().add("a", b"xyz").build(bytes(header)))]
    except Damaged as error:
        assert error.message.startswith("sample: ")  # noqa: PT017 - both outcomes are fine
    else:
        assert len(found) <= len(header)


@given(st.integers(0, (1 << 64) - 1))
def test_numbers(value: int):
    cursor = Cursor(number(value))
    assert cursor.number() == value
    assert cursor.left == 0


def test_the_types_of_members():
    found = {
        member.name: (member.type, member.size, member.executable, member.target)
        for member in members(
            Seven()
            .add("file")
            .add("program", b"xy", 0x8000 | 0o100755 << 16)
            .add("link", b"file", 0x8000 | 0o120777 << 16)
            .add("windows", b"x", 0x20)
            .add("bare", b"x", None)
            .add("folder", None, 0x10)
            .add("folder-posix", None, 0x8010 | 0o040755 << 16)
            .add("folder-bare", None, None)
            .add("empty", None, 0x20, empty_file=True)
            .add("./dot", b"z")
            .build()
        )
    }
    assert found == {
        "file": ("file", 1, False, ""),
        "program": ("file", 2, True, ""),
        "link": ("link", 0, False, "file"),
        "windows": ("file", 1, False, ""),
        "bare": ("file", 1, False, ""),
        "folder": ("directory", 0, False, ""),
        "folder-posix": ("directory", 0, False, ""),
        "folder-bare": ("directory", 0, False, ""),
        "empty": ("file", 0, False, ""),
        "dot": ("file", 1, False, ""),
    }


def test_py7zr_is_imported_for_filters_alone():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from memory_source import MemorySource\n"
        "from sealift_installer.archives import read_members\n"
        "for member in read_members('7z', MemorySource(sys.stdin.buffer.read())):\n"
        "    assert b''.join(member.data)\n"
        "print('py7zr' in sys.modules)\n"
    )
    tests = str(Path(__file__).parents[1])
    for name, expected in (("x86 lzma2", b"False\n"), ("x86 lzma", b"True\n")):
        data = written(READ[name], a=PLAIN)
        done = subprocess.run(
            [sys.executable, "-c", program, tests], input=data, capture_output=True, check=True
        )
        assert done.stdout == expected


@pytest.mark.parametrize("options", ["-ms=on", "-ms=off", "-mhc=off", "-m0=lzma -mf=bcj", "-mx=0"])
def test_what_7zip_writes(options: str, tmp_path: Path):
    command = shutil.which("7zz") or shutil.which("7z")
    if command is None:
        pytest.skip("there is no 7-Zip")
    tree = tmp_path / "tree"
    (tree / "b" / "empty").mkdir(parents=True)
    (tree / "a").write_bytes(PLAIN)
    (tree / "b" / "nothing").touch()
    (tree / "b" / "program").write_bytes(b"#!/bin/sh\n")
    (tree / "b" / "program").chmod(0o755)
    (tree / "b" / "link").symlink_to("../a")
    archive = tmp_path / "a.7z"
    filters = [] if "-mf" in options else ["-mf=off"]
    subprocess.run(
        [command, "a", "-bd", "-snl", *options.split(), *filters, archive, "."],
        cwd=tree,
        check=True,
        capture_output=True,
    )
    unpack("7z", MemorySource(archive.read_bytes()), tmp_path / "found")
    found = tmp_path / "found"
    assert (found / "a").read_bytes() == PLAIN
    assert (found / "b" / "nothing").read_bytes() == b""
    assert (found / "b" / "empty").is_dir()
    assert (found / "b" / "program").stat().st_mode & 0o777 == 0o755
    assert str((found / "b" / "link").readlink()) == "../a"


def test_what_is_not_compressed_has_no_more_than_it_says():
    archive = Seven(packed=b"xy")
    archive.sizes = (1,)
    with pytest.raises(Damaged, match="sample: member 'a': there is more in it than its header"):
        contents(archive.add("a").build())
    archive = Seven(packed=b"", coders=b"\x01" + COPY)
    with pytest.raises(Damaged, match="sample: member 'a': it is truncated"):
        contents(archive.add("a").build())
