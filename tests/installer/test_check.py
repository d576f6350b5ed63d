"""`unseal check`: what stands there is what was sealed, or it says what is not."""

import json
import os
import shutil
import stat
from itertools import count
from pathlib import Path

import pytest

from sealift_installer import cli
from sealift_installer.check import check
from sealift_installer.errors import Untrusted, UsageError
from sealift_installer.lifecycle import Change, uninstall
from sealift_schemas.index import Place
from simulator import Member, SimArchive
from stops import killed_at
from target import FORMAT, Target, python, tool

KEY = python().name
UV_MARKER = b"[externally-managed]\nError=This Python installation is managed by uv.\n"


@pytest.fixture
def target(tmp_path):
    target = Target(tmp_path)
    target.carry(tool(), python())
    target.trust()
    target.install()
    return target


@pytest.fixture
def unseal(target, capsys):
    def call(*words):
        code = cli.main(["check", *map(str, words), "--prefix", str(target.prefix.path)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def drift(target, *names, **options):
    report = check(target.prefix.path, names, **options)
    return [(each.what, each.path, each.detail) for tree in report.trees for each in tree.drift]


def test_a_tree_is_as_it_was_sealed(target, unseal):
    assert drift(target) == []
    code, out, err = unseal()
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"{KEY}: as it was sealed, 3 members",
        "tool-1.0: as it was sealed, 5 members",
    ]


def append(tree):
    with (tree / "bin/tool").open("ab") as file:
        file.write(b"x")


def same_size(tree):
    path = tree / "bin/tool"
    path.write_bytes(path.read_bytes().replace(b"one", b"two"))


def other_link(tree):
    (tree / "bin/again").unlink()
    (tree / "bin/again").symlink_to("/bin/sh")


def file_for_link(tree):
    (tree / "bin/again").unlink()
    (tree / "bin/again").write_text("x")


def link_for_file(tree):
    (tree / "lib/where").rename(tree.parent / "where")
    (tree / "lib/where").symlink_to(tree.parent / "where")


def link_for_directory(tree):
    (tree / "lib").rename(tree.parent / "lib")
    (tree / "lib").symlink_to(tree.parent / "lib")


def pipe_for_file(tree):
    (tree / "lib/where").unlink()
    os.mkfifo(tree / "lib/where")


def other_prefix(tree):
    (tree / "lib/where").write_text("prefix=/somewhere/else\n")


def behind_the_prefix(tree):
    path = tree / "lib/where"
    path.write_text(path.read_text() + "more\n")


def grown(tree):
    with (tree / "lib/where").open("ab") as file:
        file.truncate(10**9)


def broken_twin(tree):
    (tree / "lib/twin").unlink()
    (tree / "lib/twin").write_text("x")
    (tree / "lib/twin").chmod(0o755)


def set_user_id(tree):
    (tree / "bin/tool").chmod(0o4755)


def a_socket(tree):
    os.mknod(tree / "s", stat.S_IFSOCK | 0o644)  # the module socket is not for the trusted side


# What is done to the tree, and what is said of it: (what, path, a part of the detail).
DRIFT = {
    append: [("changed", "bin/tool", "bytes, not"), ("changed", "lib/twin", "bytes, not")],
    same_size: [("changed", "bin/tool", "sha256"), ("changed", "lib/twin", "sha256")],
    lambda tree: (tree / "bin/tool").unlink(): [("missing", "bin/tool", "a file")],
    lambda tree: (tree / "lib/twin").unlink(): [("missing", "lib/twin", "a file")],
    broken_twin: [("changed", "lib/twin", "1 bytes, not")],
    lambda tree: (tree / "bin/tool").chmod(0o700): [
        ("changed", "bin/tool", "mode 0700, not 0755"),
        ("changed", "lib/twin", "mode 0700, not 0755"),
    ],
    set_user_id: [
        ("changed", "bin/tool", "mode 4755, not 0755"),
        ("changed", "lib/twin", "mode 4755, not 0755"),
    ],
    lambda tree: (tree / "lib").chmod(0o777): [("changed", "lib", "mode 0777, not 0755")],
    other_link: [("changed", "bin/again", "leads to /bin/sh, not to tool")],
    file_for_link: [("changed", "bin/again", "a file, not a link")],
    link_for_file: [("changed", "lib/where", "a link, not a file")],
    link_for_directory: [
        ("changed", "lib", "a link, not a directory"),
        ("missing", "lib/twin", "a file"),
        ("missing", "lib/where", "a file"),
    ],
    pipe_for_file: [("changed", "lib/where", "a device, socket or pipe, not a file")],
    other_prefix: [("changed", "lib/where", "no longer names the prefix where it did")],
    behind_the_prefix: [("changed", "lib/where", "without its prefix sha256")],
    grown: [("changed", "lib/where", "far more than its template's")],
    lambda tree: (tree / "lib/new").write_text("x"): [("added", "lib/new", "a file")],
    lambda tree: (tree / "new").mkdir(): [("added", "new", "a directory")],
    lambda tree: (tree / "new").symlink_to("/etc"): [("added", "new", "a link")],
    a_socket: [("added", "s", "a device, socket or pipe")],
    lambda tree: (tree / "lib/tool.pyc").write_text("x"): [("added", "lib/tool.pyc", "a file")],
    shutil.rmtree: [("missing", "", "its directory is gone")],
}


@pytest.mark.parametrize("change", DRIFT, ids=range(len(DRIFT)))
def test_drift(target, unseal, change):
    change(target.tree())
    found = drift(target)
    assert [(what, path) for what, path, _ in found] == [each[:2] for each in DRIFT[change]]
    for (_, _, detail), (_, _, expected) in zip(found, DRIFT[change], strict=True):
        assert expected in detail
    code, out, _ = unseal()
    assert code == 7
    assert "tool-1.0: not as it was sealed" in out
    assert f"{KEY}: as it was sealed" in out
    assert unseal(KEY)[0] == 0
    code, out, _ = unseal("tool-1.0", "--json")
    report = json.loads(out)
    assert (code, report["good"], len(report["trees"])) == (7, False, 1)


def test_names_that_a_terminal_would_obey(target, unseal):
    (target.tree() / "lib/\x1b[2Jnew\nline").write_text("x")
    code, out, _ = unseal()
    assert code == 7
    assert "added lib/\\x1b[2Jnew\\nline: a file" in out


def test_names_that_are_no_unicode(target, unseal):
    with Path(os.fsdecode(os.fsencode(target.tree()) + b"/\xff")).open("wb"):
        pass
    code, out, _ = unseal()
    assert code == 7
    assert "added \\xff: a file" in out
    assert json.loads(unseal("--json")[1])["good"] is False


def test_long_lists_are_cut(target, unseal):
    for number in range(30):
        (target.tree() / f"new-{number}").write_text("x")
    out = unseal()[1]
    assert "and 10 more" in out
    assert len(json.loads(unseal("--json")[1])["trees"][1]["drift"]) == 30


def test_a_directory_that_inherits_its_group(target):
    (target.tree() / "lib").chmod(0o2755)
    assert drift(target) == []


@pytest.fixture
def managed(tmp_path):
    """A target with a tree as a Python's, with what uv and Python change in it."""
    target = Target(tmp_path)
    members = (
        Member("lib/python3.13/os.py", b"import sys\n"),
        Member("lib/python3.13/EXTERNALLY-MANAGED", template=(b"[externally-managed]\n", ())),
    )
    target.carry(SimArchive("tool-1.0", members, format=FORMAT))
    target.trust()
    target.install()
    return target, target.tree() / "lib/python3.13"


def test_what_python_and_uv_leave_is_no_drift(managed):
    target, library = managed
    (library / "EXTERNALLY-MANAGED").write_bytes(UV_MARKER)
    (library / "__pycache__").mkdir()
    (library / "__pycache__/os.cpython-313.pyc").write_bytes(b"code")
    for name in (".lock", ".gitignore"):
        (target.tree().parent / name).write_text("")
    report = check(target.prefix.path)
    assert report.exit_code == 0
    assert [each.path for each in report.trees[0].tolerated] == [
        "lib/python3.13/EXTERNALLY-MANAGED",
        "lib/python3.13/__pycache__",
        "lib/python3.13/__pycache__/os.cpython-313.pyc",
    ]
    assert len(drift(target, strict=True)) == 3


@pytest.mark.parametrize(
    "data", [b"", b"#!/bin/sh\n", UV_MARKER + b"x" * 5000], ids=["empty", "script", "long"]
)
def test_not_everything_is_uvs_marker(managed, data):
    target, library = managed
    (library / "EXTERNALLY-MANAGED").write_bytes(data)
    assert [each[:2] for each in drift(target)] == [
        ("changed", "lib/python3.13/EXTERNALLY-MANAGED")
    ]


def test_a_marker_that_everybody_can_write(managed):
    target, library = managed
    (library / "EXTERNALLY-MANAGED").chmod(0o666)
    assert drift(target)[0][2] == "mode 0666, not 0644"


@pytest.mark.parametrize("name", ["os.py", "os.so", "a/x.pyc", "link.pyc"])
def test_not_everything_in_the_folder_of_bytecode_is_bytecode(managed, name):
    target, library = managed
    path = library / "__pycache__" / name
    path.parent.mkdir(parents=True)
    path.symlink_to("/etc/passwd") if name == "link.pyc" else path.write_text("x")
    assert ("added", f"lib/python3.13/__pycache__/{name}") in [each[:2] for each in drift(target)]


def test_directories_that_nobody_installed(target, unseal):
    (target.prefix.path / "installs/cpython-3.12.0-linux-x86_64-gnu").mkdir()
    code, out, _ = unseal()
    assert code == 0
    assert "note: not installed by unseal: " in out
    assert "cpython-3.12.0" not in unseal("tool-1.0")[1]


def test_a_name_that_is_not_installed(target):
    with pytest.raises(UsageError, match=r"not installed: other-1\.0"):
        check(target.prefix.path, ["other-1.0"])


def record_path(target):
    return target.prefix.state / "installs/tool-1.0.json"


def other_archive(target):
    path = record_path(target)
    path.write_text(path.read_text().replace(target.record().archive, "0" * 64))


def forged_index(target):
    """Tree, index and record changed together: the receipts have another index."""
    append(target.tree())
    index = target.records.index_path(target.record().index)
    data = index.read_bytes().replace(b'"path":"bin/tool"', b'"path":"bin/loot"')
    (target.tree() / "bin/tool").rename(target.tree() / "bin/loot")
    import hashlib

    sha256 = hashlib.sha256(data).hexdigest()
    target.records.keep_index(sha256, data)
    path = record_path(target)
    path.write_text(path.read_text().replace(target.record().index, sha256))


STATE = {
    other_archive: "its record has the archive 0000",
    forged_index: "its record has the index",
    lambda target: record_path(target).unlink(): "no record of it is left",
    lambda target: target.records.index_path(target.record().index).unlink(): "kept index is gone",
    lambda target: target.records.index_path(target.record().index).write_text("{}\n"): (
        "kept index was changed"
    ),
}


@pytest.mark.parametrize("change", STATE, ids=range(len(STATE)))
def test_a_state_that_was_changed(target, unseal, change):
    said = STATE[change]
    change(target)
    code, out, _ = unseal("tool-1.0")
    assert code == 7
    assert said in out


def test_receipts_that_were_changed(target):
    path = target.store.log.path
    path.write_bytes(path.read_bytes().replace(b'"installed"', b'"instaIIed"', 1))
    with pytest.raises(Untrusted, match=r"receipt"):
        check(target.prefix.path)


def test_a_prefix_that_was_moved(target, tmp_path):
    moved = Target(tmp_path, "moved")
    target.prefix.path.rename(moved.prefix.path)
    assert "it was moved: it names " in drift(moved, "tool-1.0")[0][2]
    assert len(drift(moved, "tool-1.0")) == 1


def test_each_escaping_is_taken_out_again(tmp_path):
    target = Target(tmp_path, "a prefix's $place")
    escapings = ("raw", "shell", "make", "json", "pc", "python")
    members = [
        Member(f"lib/{name}", b"", template=(b"<>", (Place(1, name),))) for name in escapings
    ]
    target.carry(SimArchive("tool-1.0", tuple(members), format=FORMAT))
    target.trust()
    target.install()
    assert drift(target) == []
    for name in escapings:
        path = target.tree() / "lib" / name
        path.write_bytes(path.read_bytes().replace(b"prefix", b"prefiy"))
    assert len(drift(target)) == len(escapings)


def test_a_check_waits_for_who_changes_something(target):
    """In the middle of an install record and receipts disagree: that is no drift."""
    import threading

    held, done = threading.Event(), threading.Event()

    def change():
        with target.prefix.lock(lambda _: None):
            record = record_path(target)
            good = record.read_bytes()
            record.write_bytes(good.replace(target.record().archive.encode(), b"0" * 64))
            held.set()
            done.wait(0.3)
            record.write_bytes(good)

    thread = threading.Thread(target=change)
    thread.start()
    held.wait()
    assert drift(target) == []
    thread.join()


def test_a_run_that_was_killed_is_named(target, unseal):
    journal = target.prefix.state / "journal"
    for point in count(10):
        assert killed_at(point, lambda: uninstall(Change(target.prefix.path, "tool-1.0")))
        if list(journal.glob("[!.]*")):
            break
    assert json.loads(unseal("--json")[1])["unfinished"] == ["tool-1.0"]
    assert "a run was killed at tool-1.0" in unseal()[1]


def test_each_flipped_byte_of_a_tree_is_drift(target):
    for path in sorted(target.prefix.path.glob("[it][no]*/*/**/*")):
        if not path.is_file() or path.is_symlink():
            continue
        good = path.read_bytes()
        for place in range(0, len(good), 17):
            path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
            assert drift(target), (path, place)
        path.write_bytes(good)
    assert drift(target) == []
