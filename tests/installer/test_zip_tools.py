"""Zip archives of other tools are read as they meant them, and other tools read ours alike."""

import io
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from hostile.generator import Zip
from hostile.test_hostile import snapshot
from installer.test_zip_methods import METHODS, TEXT, packed_by, with_method
from memory_source import MemorySource, unpack
from sealift_installer.archives import read_members
from sealift_installer.errors import Damaged

# The zipfile of Python 3.14, the first one that has zstd.
if sys.version_info >= (3, 14):
    import zipfile
else:
    from backports.zstd import zipfile


def find(*names: str) -> str:
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    pytest.skip(f"{' or '.join(names)} is not on this machine")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "d" / "empty").mkdir(parents=True)
    (root / "text").write_bytes(TEXT)
    (root / "d" / "zeros").write_bytes(bytes(700_000))
    (root / "d" / "small").write_bytes(b"x")
    (root / "nothing").touch()
    (root / "link").symlink_to("d/small")
    return root


def assert_read_as(path: Path, tree: Path, *, methods: set[int]) -> None:
    data = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as other:
        assert {info.compress_type for info in other.infolist()} <= methods | {0}
        assert any(info.compress_type in methods for info in other.infolist())
    found = path.with_suffix(".found")
    unpack("zip", MemorySource(data), found)
    assert snapshot(found) == snapshot(tree)


SEVEN_METHODS = {"Copy": 0, "Deflate": 8, "BZip2": 12, "LZMA": 14, "XZ": 95}


@pytest.mark.parametrize("method", SEVEN_METHODS)
def test_what_7_zip_writes(method, tree):
    made = tree.with_name("made.zip")
    words = [find("7zz", "7z"), "a", "-tzip", f"-mm={method}", "-snl", str(made), "."]
    done = subprocess.run(words, cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this 7-Zip does not write {method}: {done.stderr.strip()}")
    assert_read_as(made, tree, methods={SEVEN_METHODS[method]})


@pytest.mark.parametrize(("method", "number"), [("Deflate64", 9), ("PPMd", 98)])
def test_methods_of_7_zip_that_are_refused_by_name(method, number, tree):
    made = tree.with_name("made.zip")
    words = [find("7zz", "7z"), "a", "-tzip", f"-mm={method}", str(made), "text"]
    subprocess.run(words, cwd=tree, capture_output=True, check=True)
    with pytest.raises(Damaged, match=rf"compressed by method {number}, {method}, which is not"):
        list(read_members("zip", MemorySource(made.read_bytes())))


@pytest.mark.parametrize(("method", "number"), [("store", 0), ("deflate", 8), ("bzip2", 12)])
def test_what_info_zip_writes(method, number, tree):
    made = tree.with_name("made.zip")
    words = [find("zip"), "-qry", "-Z", method, str(made), "."]
    subprocess.run(words, cwd=tree, check=True)
    assert_read_as(made, tree, methods={number})


@pytest.mark.parametrize(("method", "number"), [("store", 0), ("deflate", 8)])
def test_what_bsdtar_writes(method, number, tree):
    made = tree.with_name("made.zip")
    names = sorted(path.name for path in tree.iterdir())
    options = ("--format=zip", "--options", f"zip:compression={method}")
    subprocess.run([find("bsdtar"), *options, "-cf", str(made), *names], cwd=tree, check=True)
    assert_read_as(made, tree, methods={number})


@pytest.mark.parametrize("number", [0, 8, 12, 14, 93])
def test_what_zipfile_writes(number, tree):
    made = tree.with_name("made.zip")
    with zipfile.ZipFile(made, "w", number) as archive:
        for path in sorted(tree.rglob("*")):
            if not path.is_symlink():
                archive.write(path, path.relative_to(tree))
    (tree / "link").unlink()
    assert_read_as(made, tree, methods={number})


# What of all methods a tool does not know.
UNKNOWN: dict[str, set[str]] = {
    "7zz": set(),
    "bsdtar": set(),
    "unzip": {"LZMA", "ZSTD", "XZ"},
    "zipfile": {"XZ"},
}


@pytest.mark.parametrize(
    ("tool", "method"),
    [
        (tool, method)
        for tool, unknown in UNKNOWN.items()
        for method in METHODS
        if method not in unknown
    ],
)
def test_other_tools_read_what_is_read_here(tool, method, tmp_path):
    """So the packed members of the tests are what the methods' numbers mean."""
    data = with_method(method, packed_by(method), flags=2 * (method == "LZMA"))
    made = tmp_path / "made.zip"
    made.write_bytes(data)
    ((name, ours),) = [
        (member.name, b"".join(member.data)) for member in read_members("zip", MemorySource(data))
    ]
    if tool == "zipfile":
        with zipfile.ZipFile(io.BytesIO(data)) as other:
            theirs = other.read(name)
    else:
        commands = {
            "7zz": lambda: [find("7zz"), "x", "-so", str(made)],
            "bsdtar": lambda: [find("bsdtar"), "-xOf", str(made), name],
            "unzip": lambda: [find("unzip"), "-p", str(made), name],
        }
        theirs = subprocess.run(commands[tool](), capture_output=True, check=True).stdout
    assert ours == theirs == TEXT


def test_many_members_of_zstd_and_xz():
    """Each is a stream of its own, and what one leaves behind is not given to the next one."""
    archive = Zip()
    expected = {}
    for place in range(20):
        method = ("ZSTD", "XZ")[place % 2]
        data = f"{place}\n".encode() * (place * 1000)
        fields = _packed(method, data)
        archive.add(b"%d" % place, packed_by(method, data), local=fields, central=fields)
        expected[str(place)] = data
    found = {
        member.name: b"".join(member.data)
        for member in read_members("zip", MemorySource(archive.build()))
    }
    assert found == expected


def _packed(method: str, data: bytes) -> dict[str, int | bytes]:
    return {"method": METHODS[method], "crc": zlib.crc32(data), "size": len(data)}
