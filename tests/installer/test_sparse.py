"""Files with holes: what real writers make of a tree is that tree again."""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostile import sparse
from hostile.generator import END
from hostile.test_hostile import snapshot
from memory_source import MemorySource, unpack
from sealift_installer.archives import read_members
from sealift_installer.archives.sparse import _HOLE

WRITERS = {
    "gnu": ("tar", "-S", "--format=gnu"),
    "0.0": ("tar", "-S", "--format=posix", "--sparse-version=0.0"),
    "0.1": ("tar", "-S", "--format=posix", "--sparse-version=0.1"),
    "1.0": ("tar", "-S", "--format=posix", "--sparse-version=1.0"),
    "searched": ("tar", "-S", "--format=gnu", "--hole-detection=raw"),
    "bsdtar": ("bsdtar", "--format=pax", "--read-sparse"),
}
LONG = f"{'n' * 90}/{'m' * 150}"


def write_holes(root: Path) -> None:
    """Make files with holes before, between and behind data."""
    (root / LONG).parent.mkdir(parents=True)
    pieces: dict[str, tuple[list[tuple[int, bytes]], int]] = {
        "many": ([(place * 65536, b"%d" % place * 100) for place in range(60)], 60 * 65536 + 77),
        "end": ([(1 << 20, b"end" * 200)], 0),
        "start": ([(0, b"start" * 1000)], 1 << 20),
        "hole": ([], 3 << 20),
        "caf\u00e9": ([(1 << 18, b"x")], 0),
        LONG: ([(1 << 18, b"x")], 0),
        "whole": ([(0, b"x" * 5000)], 0),
    }
    for name, (parts, size) in pieces.items():
        with (root / name).open("wb") as file:
            for offset, data in parts:
                file.seek(offset)
                file.write(data)
            if size:
                file.truncate(size)
    (root / "many").chmod(0o755)


@pytest.mark.parametrize("writer", WRITERS)
def test_the_archives_of_other_tools(writer, tmp_path):
    command = WRITERS[writer]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not on this machine")
    root = tmp_path / "root"
    root.mkdir()
    write_holes(root)
    names = sorted(path.name for path in root.iterdir())
    made = tmp_path / "made.tar"
    if (
        subprocess.run([command[0], "--version"], capture_output=True, check=True).stdout.find(
            b"GNU tar" if command[0] == "tar" else b"libarchive"
        )
        < 0
    ):
        pytest.skip(f"{command[0]} is another program here")
    subprocess.run([*command, "-cf", str(made), *names], cwd=root, check=True)
    assert made.stat().st_size < 600_000
    for step in (1 << 20, 100):
        found = tmp_path / f"found-{step}"
        unpack("tar", MemorySource(made.read_bytes(), step=step), found)
        assert snapshot(found) == snapshot(root)
        assert found.joinpath("many").stat().st_mode & 0o777 == 0o755


REGIONS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=40)


@settings(max_examples=150, deadline=None)
@given(
    layout=REGIONS,
    tail=st.integers(0, 1000),
    last=st.integers(0, 511),
    step=st.sampled_from([100, 512, 1 << 20]),
    write=st.sampled_from(
        [sparse.old, sparse.version_00, sparse.version_01, sparse.version_10],
    ),
)
def test_any_map_is_read_as_tarfile_reads_it(layout, tail, last, step, write):
    regions, whole, data = [], b"", b""
    for gap, blocks in [*layout, (1, 1)]:
        whole += bytes(gap * 100)
        piece = bytes([len(regions) % 250 + 1]) * (512 * blocks)
        regions.append((len(whole), len(piece)))
        whole += piece
        data += piece
    if last:
        offset, size = regions[-1]
        regions[-1] = (offset, size - last)
        whole, data = whole[:-last], data[:-last]
    whole += bytes(tail)
    archive = write(b"a", regions, len(whole), data) + END
    (member,) = read_members("tar", MemorySource(archive, step=step))
    assert member.size == len(whole)
    with tarfile.open(fileobj=io.BytesIO(archive)) as other:
        file = other.extractfile("a")
        assert file is not None
        assert file.read() == whole
    for found in read_members("tar", MemorySource(archive, step=step)):
        assert b"".join(found.data) == whole


def test_a_hole_is_yielded_in_pieces_that_are_one_object():
    size = 200 << 20
    archive = sparse.version_10(b"a", ((size, 0),), size, b"") + END
    for member in read_members("tar", MemorySource(archive)):
        pieces = list(member.data)
        assert sum(map(len, pieces)) == size
        assert all(piece is _HOLE for piece in pieces)


def test_a_member_that_is_not_read_is_skipped():
    many = tuple((4096 * place, 4096) for place in range(0, 400, 2))
    data = bytes(range(256)) * 16 * 200
    archive = sparse.version_10(b"a", many, 400 * 4096, data) + sparse.old(b"b") + END
    members = read_members("tar", MemorySource(archive, step=1000))
    first = next(members)
    next(first.data)
    assert b"".join(next(members).data) == sparse.WHOLE
    with pytest.raises(RuntimeError, match="after the next member was asked for"):
        list(first.data)
    assert list(members) == []
