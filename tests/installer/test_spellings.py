"""Names that a file system does not tell apart: twins are kept once, what differs is refused."""

import os
import unicodedata
from pathlib import Path

import pytest

from filesystems import mounted_ntfs
from sealift_installer.errors import Damaged, HostError
from sealift_installer.records import Record
from sealift_installer.spellings import respell, settle_entries
from sealift_installer.tree import TreeWriter
from sealift_schemas.index import Entry, Place
from simulator import Member, SimArchive
from target import FORMAT, Target

ONE, OTHER = b"xterm", b"xterms"
COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@pytest.fixture
def ntfs(tmp_path):
    with mounted_ntfs(tmp_path / "ntfs") as place:
        yield place


@pytest.fixture
def normalising(monkeypatch):
    """A file system that takes all spellings of a letter for one, as macOS has it.

    No such one can be mounted on Linux without a kernel that has CONFIG_UNICODE; so this is the
    system calls' own names, where they are given relative to a directory.
    """

    def normal(name):
        text = os.fsdecode(name)
        return os.fsencode(unicodedata.normalize("NFD", text))

    def one_name(function):
        def call(path, *rest, **more):
            given = more.get("dir_fd") is not None
            return function(normal(path) if given else path, *rest, **more)

        return call

    for name in ("open", "mkdir", "stat", "unlink", "rmdir"):
        function = one_name(getattr(os, name))
        monkeypatch.setattr(os, name, function)
        monkeypatch.setattr(os, "supports_dir_fd", {*os.supports_dir_fd, function})
    symlink = os.symlink
    monkeypatch.setattr(
        os, "symlink", lambda target, name, dir_fd: symlink(target, normal(name), dir_fd=dir_fd)
    )


def archive(*members: Member) -> SimArchive:
    return SimArchive("tool-1.0", members, format=FORMAT, prefix="/install")


def installed(target: Target, *members: Member) -> tuple[dict[str, bytes], Record]:
    """Install, and return the files by path, and the record."""
    target.carry(archive(*members))
    if not target.store.exists():
        target.trust()
    (outcome,) = target.install().outcomes
    if outcome.error is not None:
        raise outcome.error
    assert target.leftovers() == []
    tree = target.tree()
    found = {
        path.relative_to(tree).as_posix(): path.read_bytes()
        for path in tree.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    return found, target.record()


def test_a_file_system_that_tells_all_names_apart(tmp_path):
    found, record = installed(
        Target(tmp_path), Member("a/x", ONE), Member("A/x", OTHER), Member("a/X", b"more")
    )
    assert found == {"a/x": ONE, "A/x": OTHER, "a/X": b"more"}
    assert record.merged == {}
    assert "merged" not in record.to_json()


def test_twins_are_kept_once_and_recorded(ntfs, tmp_path):
    members = (
        Member("share/N/ncr", ONE),
        Member("share/n/NCR", ONE),
        Member("share/n/news", OTHER),
        Member("share/X/l", type="link", target="../N/ncr"),
        Member("share/x/L", type="link", target="../N/ncr"),
        Member("share/x/again", type="hardlink", target="share/n/NCR"),
        Member("where", b"prefix=/install\n", template=(b"prefix=\n", (Place(7, "raw"),))),
        Member("WHERE", b"prefix=/install\n", template=(b"prefix=\n", (Place(7, "raw"),))),
    )
    target = Target(tmp_path / "site", prefix=str(ntfs / "prefix"))
    found, record = installed(target, *members)
    # The driver writes all names small.
    prefix = f"prefix={target.tree()}\n".encode()
    assert found == {
        "share/n/ncr": ONE,
        "share/n/news": OTHER,
        "share/x/again": ONE,
        "where": prefix,
    }
    assert (target.tree() / "share/x/l").readlink() == Path("../N/ncr")
    assert record.merged == {
        "share/n": "share/N",
        "share/n/NCR": "share/N/ncr",
        "share/x": "share/X",
        "share/x/L": "share/X/l",
        "WHERE": "where",
    }
    assert (
        target.receipts()[-1].detail == "installed; names that this file system takes for others: 5"
    )
    # What a later check compares with: the index as it stands here.
    expected = settle_entries(target.site.entries["tool-1.0"], record.merged)
    standing = {entry.path: entry for entry in expected if entry.path is not None}
    assert sorted(standing) == [
        "share/N/ncr", "share/N/news", "share/X/again", "share/X/l", "where",
    ]  # fmt: skip
    for path, entry in standing.items():
        assert os.path.lexists(target.tree() / path)
        if entry.type == "hardlink":
            assert (target.tree() / entry.link_target).samefile(target.tree() / path)
    # All names of the index lead somewhere.
    for entry in target.site.entries["tool-1.0"]:
        assert os.path.lexists(target.tree() / (entry.path or ""))
    (outcome,) = target.install().outcomes
    assert outcome.status == "present"


DIFFERENT = {
    "other-bytes": ((Member("a", ONE), Member("A", OTHER)), "'a' from 'A'"),
    "other-mode": ((Member("a", ONE), Member("A", ONE, executable=True)), "'a' from 'A'"),
    "in-merged-folders": ((Member("d/a", ONE), Member("D/a", OTHER)), "'d/a' from 'D/a'"),
    "other-target": (
        (Member("l", type="link", target="x"), Member("L", type="link", target="X")),
        "'l' from 'L'",
    ),
    "file-and-link": ((Member("a", ONE), Member("A", type="link", target="b")), "'a' from 'A'"),
    "file-and-folder": ((Member("a", ONE), Member("A/x", ONE)), "'a' from 'A'"),
    "link-and-folder": ((Member("A/x", ONE), Member("a", type="link", target="b")), "'a' from 'A'"),
    "empty-folder": ((Member("A", type="directory"), Member("a", ONE)), "'A' from 'a'"),
    "other-template": (
        (
            Member("a", ONE, template=(ONE, (Place(0, "raw"),))),
            Member("A", ONE, template=(ONE, (Place(1, "raw"),))),
        ),
        "'a' from 'A'",
    ),
    "folder-and-link-to-one": (
        (Member("d/x", ONE), Member("A", type="directory"), Member("a", type="link", target="d")),
        "'A' from 'a'",
    ),
    "link-to-other-bytes": (
        (Member("a", ONE), Member("b", OTHER), Member("A", type="link", target="b")),
        "'a' from 'A'",
    ),
    "links-that-dangle": (
        (Member("a", type="link", target="b"), Member("A", type="link", target="c")),
        "'a' from 'A'",
    ),
    "hard-link-to-another": (
        (Member("a", ONE), Member("b", OTHER), Member("A", type="hardlink", target="b")),
        "'a' from 'A'",
    ),
}  # fmt: skip


def test_a_link_to_its_own_twin(ntfs, tmp_path):
    """As in terminfo: where one is the other's link, the file is what is kept."""
    members = (
        Member("L/LFT", type="link", target="../l/lft"),
        Member("l/lft", ONE),
        Member("N/x", type="link", target="../n/X"),
        Member("n/X", type="link", target="../l/lft"),
        Member("f/G", type="link", target="../F/g"),
        Member("F/g", type="hardlink", target="l/lft"),
    )
    target = Target(tmp_path / "site", prefix=str(ntfs / "prefix"))
    found, record = installed(target, *members)
    assert found == {"l/lft": ONE, "f/g": ONE}
    for member in members:
        assert (target.tree() / member.name).read_bytes() == ONE
    assert (target.tree() / "n/x").readlink() == Path("../l/lft")
    settled = settle_entries(target.site.entries["tool-1.0"], record.merged)
    assert [entry.path for entry in settled] == [None, "L/LFT", None, "N/x", None, "f/G"]


def test_what_differs_is_refused_before_anything_is_written(ntfs, tmp_path):
    for name, (members, names) in DIFFERENT.items():
        target = Target(tmp_path / name, prefix=str(ntfs / name))
        with pytest.raises(HostError, match=f"does not tell {names}, and they are not the same"):
            installed(target, *members)
        assert not target.tree().exists()
        assert target.leftovers() == []


def test_a_link_cannot_leave_the_tree_in_another_spelling(ntfs, tmp_path):
    members = (
        Member("a/b/c", type="link", target="../.."),
        Member("d", type="link", target="A/B/C/.."),
    )
    with pytest.raises(Damaged, match=r"unsafe link 'd' to 'a/b/c/\.\.': it leaves the tree"):
        installed(Target(tmp_path / "site", prefix=str(ntfs / "prefix")), *members)


def test_two_letters_that_are_two_names_everywhere(ntfs, tmp_path):
    """What all foldings together could merge is asked of the file system at hand."""
    found, record = installed(
        Target(tmp_path / "site", prefix=str(ntfs / "prefix")),
        Member(COMPOSED, ONE),
        Member(DECOMPOSED, OTHER),
    )
    assert found == {COMPOSED: ONE, DECOMPOSED: OTHER}
    assert record.merged == {}


def test_a_file_system_that_normalises(normalising, tmp_path):
    found, record = installed(
        Target(tmp_path / "one"),
        Member(f"{COMPOSED}/x", ONE),
        Member(f"{DECOMPOSED}/x", ONE),
        Member(f"{DECOMPOSED}/y", OTHER),
        Member("A", ONE),
        Member("a", OTHER),
    )
    assert found == {f"{DECOMPOSED}/x": ONE, f"{DECOMPOSED}/y": OTHER, "A": ONE, "a": OTHER}
    assert record.merged == {DECOMPOSED: COMPOSED}
    with pytest.raises(HostError, match="does not tell 'caf\u00e9' from 'cafe\u0301', and they"):
        installed(Target(tmp_path / "two"), Member(COMPOSED, ONE), Member(DECOMPOSED, OTHER))


def test_a_hard_link_to_a_twin(tmp_path):
    """A hard link may come before the file that is the twin of its name."""
    entries = (
        Entry("hardlink", "NCR", "m1", target="t", installed_target="ncr"),
        Entry("file", "ncr", "m2", mode="644", size=1, sha256="0" * 64),
        Entry("hardlink", "third", "m3", target="t", installed_target="NCR"),
    )
    settled = settle_entries(entries, {"ncr": "NCR"})
    assert [(entry.path, entry.dropped) for entry in settled] == [
        (None, "one with 'NCR' on this file system"),
        ("NCR", None),
        ("third", None),
    ]
    assert settled[2].link_target == "NCR"


def test_nothing_of_the_probe_is_left(tmp_path):
    with TreeWriter(tmp_path / "tree") as tree:
        tree.finish()
    assert list((tmp_path / "tree").iterdir()) == []


def test_names_that_are_listed_otherwise(ntfs):
    """A listing has them all small; what is asked for by its own name is there."""
    (ntfs / "Folder").mkdir()
    (ntfs / "Folder" / "README").write_bytes(ONE)
    (ntfs / "Folder" / "added").write_bytes(OTHER)
    listed = {
        path.relative_to(ntfs).as_posix(): path.lstat()
        for path in ntfs.rglob("*")
    }  # fmt: skip
    assert "folder/readme" in listed
    found = respell(listed, ["Folder", "Folder/README", "Folder/GONE"], os.fsencode(ntfs))
    assert set(found) == {"Folder", "Folder/README", "folder/added"}


def test_names_that_are_two_are_not_listed_as_one(tmp_path):
    (tmp_path / "readme").write_bytes(ONE)
    found = {"readme": (tmp_path / "readme").lstat()}
    assert respell(found, ["README"], os.fsencode(tmp_path)) == found
