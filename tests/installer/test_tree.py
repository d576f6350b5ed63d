import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from changes import in_memory
from memory_source import MemorySource, unpack
from sealift_installer import flush
from sealift_installer.errors import Damaged, HostError
from sealift_installer.limits import Limits
from sealift_installer.tree import TreeWriter

ARCHIVES = os.environ.get("SEALIFT_TEST_ARCHIVES", "")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "tree"


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o137])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_modes_do_not_depend_on_the_umask(root: Path, umask: int):
    with TreeWriter(root) as tree:
        tree.add_file("bin/program", [b"x"], executable=True)
        tree.add_file("lib/a/text", [b"y", b"", b"z"], executable=False)
        tree.add_directory("empty")
        tree.finish()
    assert {path.relative_to(root).as_posix(): oct(mode(path)) for path in root.rglob("*")} == {
        "bin": "0o755",
        "bin/program": "0o755",
        "lib": "0o755",
        "lib/a": "0o755",
        "lib/a/text": "0o644",
        "empty": "0o755",
    }
    assert mode(root) == 0o755
    assert (root / "lib/a/text").read_bytes() == b"yz"


def test_links_are_made_at_the_end(root: Path):
    with TreeWriter(root) as tree:
        tree.add_link("lib64", "lib")
        tree.add_hardlink("bin/python", "bin/python3")
        tree.add_hardlink("bin/py", "bin/python")
        tree.add_link("bin/dangling", "../missing")
        tree.add_file("bin/python3", [b"x"], executable=True)
        tree.add_file("lib/a", [b"y"], executable=False)
        assert not (root / "lib64").is_symlink()
        tree.finish()
    assert (root / "lib64").readlink() == Path("lib")
    assert (root / "bin/dangling").readlink() == Path("../missing")
    assert (root / "bin/py").stat().st_ino == (root / "bin/python3").stat().st_ino
    assert (root / "lib64/a").read_bytes() == b"y"


@pytest.mark.parametrize("second", ["file", "link", "hardlink"])
@pytest.mark.parametrize("first", ["file", "link", "hardlink", "directory"])
def test_two_members_at_one_place(root: Path, first: str, second: str):
    with TreeWriter(root) as tree:
        add(tree, first)
        with pytest.raises(Damaged, match=f"two members are installed at 'a': a {first} and a"):
            add(tree, second)


@pytest.mark.parametrize("first", ["file", "link", "hardlink"])
def test_nothing_is_below_what_is_no_directory(root: Path, first: str):
    with TreeWriter(root) as tree:
        add(tree, first)
        with pytest.raises(Damaged, match=f"'a' is a {first} and has members below it"):
            tree.add_file("a/b", [b""], executable=False)
        with pytest.raises(Damaged, match=f"'a' is a {first} and has members below it"):
            tree.add_directory("a")


def add(tree: TreeWriter, kind: str) -> None:
    if kind == "file":
        tree.add_file("a", [b"x"], executable=False)
    elif kind == "link":
        tree.add_link("a", "b")
    elif kind == "hardlink":
        tree.add_hardlink("a", "b")
    else:
        tree.add_directory("a")


def test_a_directory_may_come_twice_and_late(root: Path):
    with TreeWriter(root) as tree:
        tree.add_file("a/b", [b"x"], executable=False)
        tree.add_directory("a")
        tree.add_directory("a")
        tree.finish()
    assert (root / "a/b").read_bytes() == b"x"


def test_every_path_is_checked(root: Path):
    with TreeWriter(root) as tree:
        with pytest.raises(Damaged, match="leaves the tree"):
            tree.add_file("../a", [b""], executable=False)
        with pytest.raises(Damaged, match="is absolute"):
            tree.add_directory("/a")
        with pytest.raises(Damaged, match="leaves the tree"):
            tree.add_link("../a", "b")
        with pytest.raises(Damaged, match="leaves the tree"):
            tree.add_link("a", "../b")
        with pytest.raises(Damaged, match="is absolute"):
            tree.add_hardlink("a", "/etc/passwd")
        with pytest.raises(Damaged, match="leaves the tree"):
            tree.add_hardlink("../a", "b")
    assert list(root.iterdir()) == []
    assert list(root.parent.iterdir()) == [root]


def test_a_hard_link_needs_a_file_of_the_tree(root: Path):
    with TreeWriter(root) as tree:
        tree.add_directory("d")
        tree.add_hardlink("a", "d")
        with pytest.raises(Damaged, match="hard link 'a' is to 'd', which is a directory in this"):
            tree.finish()


def test_nothing_is_written_through_a_link_that_somebody_else_made(root: Path, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    with TreeWriter(root) as tree:
        (root / "a").symlink_to(outside)
        with pytest.raises(HostError, match="is there already"):
            tree.add_file("a/b", [b"x"], executable=False)
        tree.add_directory("c")
        tree.close()
    with TreeWriter(tmp_path / "second") as tree:
        for number in range(70):
            tree.add_directory(f"d{number}")
        (tmp_path / "second/d0").rmdir()
        (tmp_path / "second/d0").symlink_to(outside)
        with pytest.raises(HostError, match=r"cannot write .*second/d0"):
            tree.add_file("d0/b", [b"x"], executable=False)
        (tmp_path / "second/f").symlink_to(outside / "f")
        with pytest.raises(HostError, match="is there already"):
            tree.add_file("f", [b"x"], executable=False)
    assert list(outside.iterdir()) == []


def test_names_that_the_file_system_does_not_tell_apart(root: Path):
    with TreeWriter(root) as tree:
        tree.add_file("README", [b"x"], executable=False)
        # What a case-insensitive file system would answer.
        (root / "readme").hardlink_to(root / "README")
        with pytest.raises(HostError, match="does not tell 'readme' from 'README'"):
            tree.add_file("readme", [b"y"], executable=False)


def test_the_root_must_be_new(root: Path, tmp_path: Path):
    root.mkdir()
    with pytest.raises(HostError, match=r"cannot write .*tree: File exists"):
        TreeWriter(root)
    with pytest.raises(HostError, match="No such file or directory"):
        TreeWriter(tmp_path / "missing" / "tree")


def test_limits_are_those_given(root: Path):
    with (
        TreeWriter(root, Limits(depth=1)) as tree,
        pytest.raises(Damaged, match="more than 1 components"),
    ):
        tree.add_file("é/b", [b""], executable=False)


def test_a_write_may_take_several_calls(root: Path, monkeypatch: pytest.MonkeyPatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:3]))
    with TreeWriter(root) as tree:
        tree.add_file("a", [b"0123456789", b"abc"], executable=False)
    assert (root / "a").read_bytes() == b"0123456789abc"


def test_errors_of_the_data_pass(root: Path):
    def data() -> Iterator[bytes]:
        yield b"x"
        raise Damaged("chunk 2 is damaged")

    with TreeWriter(root) as tree, pytest.raises(Damaged, match="chunk 2 is damaged"):
        tree.add_file("a", data(), executable=False)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_few_directories_are_held(root: Path):
    before = open_files()
    with TreeWriter(root) as tree:
        for turn in range(2):
            for number in range(200):
                tree.add_file(f"d{number}/e/{turn}", [b"x"], executable=False)
        for number in range(200):
            tree.add_hardlink(f"d{number}/f", f"d{199 - number}/e/0")
        tree.add_file("/".join(["deep"] * 64), [b"x"], executable=False)
        assert open_files() <= before + 66
        tree.finish()
    assert open_files() == before
    assert len(list(root.rglob("f"))) == 200


FILL = """
import sys
from pathlib import Path
from sealift_installer.errors import HostError
from sealift_installer.tree import TreeWriter
try:
    with TreeWriter(Path(sys.argv[1]) / "tree") as tree:
        for number in range(100):
            tree.add_file(f"d/{number}", [bytes(10_000)], executable=False)
except HostError as error:
    print(error.message, error.hint, sep="|")
"""


@pytest.mark.parametrize("option", ["size=100k", "nr_inodes=20"])
def test_a_full_disk(tmp_path: Path, option: str):
    script = f'mount -t tmpfs -o {option} tmpfs "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh"]
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, to mount a small file system")
    result = subprocess.run(
        [*command, str(tmp_path), sys.executable, FILL], capture_output=True, text=True, check=False
    )
    if result.returncode:
        pytest.skip(f"no small file system can be mounted here: {result.stderr.strip()}")
    assert result.stdout.startswith(f"no space left while writing {tmp_path}/tree/d/")
    assert "|Free some space or inodes, or choose another prefix." in result.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_parent_that_is_read_only(tmp_path: Path):
    tmp_path.chmod(0o555)
    with pytest.raises(HostError, match="Permission denied"):
        TreeWriter(tmp_path / "tree")
    tmp_path.chmod(0o755)


def test_each_file_is_synced_where_the_file_system_cannot_be(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    synced = []
    monkeypatch.setattr(flush, "_flush_file_system", lambda _: False)
    monkeypatch.setattr(
        os, "fsync", lambda file: synced.append(str(Path(f"/proc/self/fd/{file}").readlink()))
    )
    with TreeWriter(root) as tree:
        tree.add_file("a/b", [b"x"], executable=False)
        tree.add_link("a/c", "b")
        tree.add_link("d", "a")
        tree.finish()
    assert sorted(synced) == [str(root), f"{root}/a", f"{root}/a/b"]


def test_an_error_while_syncing_is_no_success(root: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(_: int) -> bool:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(flush, "_flush_file_system", fail)
    with TreeWriter(root) as tree, pytest.raises(HostError, match="Input/output error"):
        tree.finish()


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is room: ten thousand files take a disk many seconds."""
    with in_memory() as folder:
        yield folder


@pytest.mark.archives
@pytest.mark.skipif(not ARCHIVES, reason="SEALIFT_TEST_ARCHIVES names no folder")
@pytest.mark.parametrize("ending", ["tar.gz", "tar.zst", "tar.bz2"])
def test_real_archives_are_as_tar_unpacks_them(ending: str, memory: Path):
    for counterpart in ("tar", {"gz": "gzip", "zst": "zstd", "bz2": "bzip2"}[ending[4:]]):
        if shutil.which(counterpart) is None:
            pytest.skip(f"there is no {counterpart} to compare with")
    for path in Path(ARCHIVES).glob(f"*.{ending}"):
        ours, theirs = memory / f"{path.name}.ours", memory / f"{path.name}.theirs"
        unpack(ending, MemorySource(path.read_bytes(), step=4 << 20), ours)
        theirs.mkdir()
        subprocess.run(["tar", "-xf", path, "-C", theirs], check=True)
        subprocess.run(["diff", "-r", "--no-dereference", ours, theirs], check=True)
        assert executables(ours) == executables(theirs)


def executables(root: Path) -> set[str]:
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink() and mode(path) & 0o111
    }
