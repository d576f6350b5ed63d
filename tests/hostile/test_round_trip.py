"""Any tree, by any of the three usual writers, comes out equal."""

import io
import os
import stat
import tarfile
import tempfile
import zipfile
from pathlib import Path

import py7zr
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hostile.test_hostile import snapshot
from memory_source import MemorySource, unpack

NAMES = st.text("abcABC019_-+é日\u0301 .", min_size=1, max_size=12).filter(
    lambda name: name.strip(". ") != ""
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
CONTENTS = st.one_of(st.binary(max_size=200), st.sampled_from([bytes(300_000), b"y" * 70_000]))
NODES = st.one_of(
    st.tuples(st.just("file"), CONTENTS),
    st.tuples(st.just("program"), CONTENTS),
    st.tuples(st.just("directory"), st.just(b"")),
    # To a file beside it, by two ways: py7zr cannot write links that dangle.
    st.tuples(st.just("link"), st.sampled_from([b"goal", b"./../HERE/goal"])),
)
TREES = st.dictionaries(PATHS, NODES, max_size=8)
FILTERS = {
    "lzma2": [{"id": py7zr.FILTER_LZMA2, "preset": 0}],
    "bcj": [{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA}],
    "bzip2": [{"id": py7zr.FILTER_BZIP2}],
    "copy": [{"id": py7zr.FILTER_COPY}],
    "zstd": [{"id": py7zr.FILTER_ZSTD, "level": 1}],
}


def lay_out(root: Path, tree: dict[str, tuple[str, bytes]]) -> None:
    """Make the tree on disk; a path below what is no directory is left out."""
    root.mkdir()
    for path, (kind, data) in sorted(tree.items()):
        place = root / path
        if any(above.is_symlink() or above.is_file() for above in place.parents):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if kind == "directory":
            place.mkdir(exist_ok=True)
        elif kind == "link":
            (place.parent / "goal").write_bytes(b"reached")
            above = place.parent.name if place.parent != root else ""
            target = data.decode().replace("./../HERE", f"../{above}") if above else "goal"
            place.symlink_to(target)
        else:
            place.write_bytes(data)
            place.chmod(0o755 if kind == "program" else 0o644)


def below(root: Path) -> list[Path]:
    return sorted(root.rglob("*"))


def by_tarfile(root: Path, form: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for path in below(root):
            archive.add(path, path.relative_to(root).as_posix(), recursive=False)
    return buffer.getvalue()


def by_zipfile(root: Path, method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for path in below(root):
            name = path.relative_to(root).as_posix()
            if path.is_symlink():
                info = zipfile.ZipInfo(name)
                info.create_system = 3
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
                archive.writestr(info, os.fsencode(path.readlink()))
            elif path.is_dir():
                # Not `write`: from Python 3.14 on it does not say how a folder's name is encoded.
                archive.writestr(zipfile.ZipInfo.from_file(path, name), b"")
            else:
                archive.write(path, name)
    return buffer.getvalue()


def by_py7zr(root: Path, filters: str) -> bytes:
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w", filters=FILTERS[filters]) as archive:
        for path in below(root):
            archive.write(path, path.relative_to(root).as_posix())
    return buffer.getvalue()


def executables(root: Path) -> set[str]:
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o111
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    tree=TREES,
    form=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
    method=st.sampled_from(
        [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    ),
    filters=st.sampled_from(sorted(FILTERS)),
)
@example(tree={"a": ("directory", b"")}, form=tarfile.PAX_FORMAT, method=0, filters="bcj")
@example(tree={"a": ("directory", b"")}, form=tarfile.PAX_FORMAT, method=0, filters="lzma2")
def test_any_tree_comes_out_equal(tree, form, method, filters):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "tree"
        lay_out(root, tree)
        expected = snapshot(root), executables(root)
        packed = {
            "tar": by_tarfile(root, form),
            "zip": by_zipfile(root, method),
            "7z": by_py7zr(root, filters),
        }
        for archive_format, data in packed.items():
            found = Path(folder) / archive_format
            unpack(archive_format, MemorySource(data), found)
            assert (snapshot(found), executables(found)) == expected, archive_format
