"""activate, rollback and uninstall: what they do, what they refuse, and a kill at each point."""

import errno
import json
import os
import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path
from unittest import mock

import pytest

from changes import change, in_memory, prepare, program, restart, settle, sound
from sealift_installer import cli
from sealift_installer.errors import Drift, HostError, RefusedByPolicy, SealiftError, UsageError
from sealift_installer.journal import Journal
from sealift_installer.lifecycle import activate, rollback, uninstall
from simulator import Member
from stops import full_at, killed_at
from target import Target, content, python, tool

KEY = python().name
OLDER = python("3.13.1").name


@pytest.fixture
def place():
    with in_memory() as path:
        yield path


@pytest.fixture
def target(place):
    return prepare(place)


def test_a_rollback_brings_back_the_tree_that_was_replaced(target):
    assert program(target) == b"two"
    done = rollback(change(target))
    assert (done.action, program(target)) == ("rollback", b"one")
    sound(target)
    (receipt,) = target.receipts("rollback")
    assert receipt.archive == target.receipts()[0].archive
    assert receipt.bundle.sequence == 1
    assert "back from archive" in receipt.detail
    assert target.store.load().streams["site"].sequence == 2
    assert rollback(change(target)).record.archive == target.receipts()[2].archive.sha256
    assert program(target) == b"two"
    sound(target)
    assert rollback(change(target)).action == "rollback"


def test_an_install_after_a_rollback_replaces_the_tree_again(target):
    rollback(change(target))
    assert target.install().outcomes[0].status == "replaced"
    assert program(target) == b"two"
    assert rollback(change(target)).record.archive == target.receipts()[0].archive.sha256


def test_only_one_tree_is_kept(target):
    target.carry(tool(content=b"three\n"))
    target.install()
    rollback(change(target))
    assert program(target) == b"two"
    rollback(change(target))
    assert program(target) == b"three"
    sound(target)


def test_there_is_nothing_to_go_back_to(target):
    with pytest.raises(UsageError, match=r"no tree was kept that cpython-3\.13\.3"):
        rollback(change(target, KEY))
    with pytest.raises(UsageError, match="no tree was kept") as raised:
        rollback(change(target, KEY))
    assert "--allow-downgrade" in raised.value.hint
    policy = target.prefix.state / "policy.json"
    policy.write_text('{"format": 1, "forbidden_overrides": ["allow_downgrade"]}')
    with pytest.raises(UsageError, match="no tree was kept") as raised:
        rollback(change(target, KEY))
    assert "forbids to go back" in raised.value.hint
    with pytest.raises(UsageError, match=r"not installed: other-1\.0"):
        rollback(change(target, "other-1.0"))


def test_a_kept_tree_that_was_changed_stays_where_it_is(target):
    kept = target.prefix.previous("tool", "tool-1.0")
    (kept / "bin/tool").write_text("#!/bin/sh\necho evil\n")
    with pytest.raises(Drift, match=r"(?s)is not what was sealed.*changed bin/tool"):
        rollback(change(target))
    assert program(target) == b"two"
    assert "Drift: the kept tree of tool-1.0" in target.receipts("refuse")[0].detail
    sound(target)


def test_a_kept_tree_of_a_withdrawn_bundle_stays_where_it_is(target):
    manifest = target.receipts()[0].bundle.manifest
    target.site.withdraw(manifest)
    target.carry(tool(content=b"two\n"), python())
    target.install()
    with pytest.raises(RefusedByPolicy, match=r"withdrawn by root version 2"):
        rollback(change(target))
    assert program(target) == b"two"
    assert "withdrawn by root version 2" in target.receipts("refuse")[0].detail


def test_a_link_to_a_program_that_the_older_build_lacks(place):
    target = Target(place)
    target.carry(tool(content=b"one\n"))
    target.trust()
    target.install(link=True)
    newer = tool(content=b"two\n")
    members = (*newer.members, Member("bin/more", b"#!/bin/sh\n", executable=True))
    from dataclasses import replace

    target.carry(replace(newer, members=members, links={**newer.links, "more": "bin/more"}))
    target.install(link=True)
    assert (target.prefix.bin / "more").exists()
    rollback(change(target))
    assert not (target.prefix.bin / "more").is_symlink()
    sound(target)


def test_an_uninstall_leaves_nothing_of_a_tree(target):
    done = uninstall(change(target))
    assert done.detail == "uninstalled"
    assert not target.tree().exists()
    assert not target.prefix.previous("tool", "tool-1.0").exists()
    assert not (target.prefix.bin / "tool").is_symlink()
    assert [record.name for record in target.records.all()] == [KEY]
    sound(target)
    (receipt,) = target.receipts("uninstall")
    assert receipt.archive == target.receipts()[-1].archive
    assert receipt.bundle.sequence == 2
    with pytest.raises(UsageError, match=r"not installed: tool-1\.0"):
        uninstall(change(target))
    assert target.install(link=True).outcomes[0].status == "installed"
    sound(target)


def test_the_minor_version_link_leads_to_the_next_one(place):
    target = Target(place)
    target.carry(python("3.13.1"), python())
    target.trust()
    target.install(link=True)
    minor = target.prefix.path / "installs" / f"cpython-3.13-{KEY.split('-', 2)[2]}"
    assert minor.readlink().name == KEY
    activate(change(target, KEY))
    uninstall(change(target, KEY))
    assert minor.readlink().name == OLDER
    assert sorted(path.name for path in target.prefix.bin.iterdir()) == []
    target.install(None, OLDER, link=True)
    assert (target.prefix.bin / "python3.13").exists()
    uninstall(change(target, OLDER))
    assert not minor.is_symlink()
    assert list(target.prefix.bin.iterdir()) == []
    sound(target)


def test_a_tree_whose_directory_is_gone_can_be_forgotten(target):
    shutil.rmtree(target.tree())
    assert uninstall(change(target)).detail == "uninstalled; its directory was gone"
    assert [record.name for record in target.records.all()] == [KEY]
    sound(target)


def test_what_unseal_did_not_install_is_left_alone(target):
    shutil.rmtree(target.tree())
    target.tree().symlink_to("/etc")
    with pytest.raises(HostError, match=r"it was not installed by unseal"):
        uninstall(change(target))
    assert target.tree().is_symlink()


def test_names_of_others_in_bin_stay(target):
    (target.prefix.bin / "mine").symlink_to("/bin/sh")
    (target.prefix.bin / "gone").symlink_to("/nowhere/at/all")
    uninstall(change(target))
    assert sorted(path.name for path in target.prefix.bin.iterdir()) == [
        "gone",
        "mine",
        "python3.13",
    ]


def test_activate_chooses_among_versions(place):
    target = Target(place)
    target.carry(python("3.13.1"), python(), tool("tool-1.0"), tool("tool-2.0"))
    target.trust()
    target.install()
    assert not target.prefix.bin.exists()
    for key in (OLDER, KEY, OLDER):
        done = activate(change(target, key))
        tree = target.tree(key, "interpreter")
        for name in ("python3.13", "python3", "python"):
            assert (target.prefix.bin / name).resolve() == tree / "bin/python3.13"
        assert [Path(link).name for link in done.links] == ["python3.13", "python3", "python"]
    for key in ("tool-1.0", "tool-2.0"):
        activate(change(target, key))
        assert (target.prefix.bin / "tool").resolve() == target.tree(key) / "bin/tool"
    sound(target)
    assert [receipt.archive.name for receipt in target.receipts("activate")] == [
        OLDER, KEY, OLDER, "tool-1.0", "tool-2.0",
    ]  # fmt: skip


def test_activate_leaves_what_is_not_ours(target):
    path = target.prefix.bin / "python"
    path.write_text("somebody's")
    with pytest.raises(HostError, match=r"no link into this prefix"):
        activate(change(target, KEY))
    assert path.read_text() == "somebody's"
    assert not (target.prefix.bin / "python3").is_symlink()
    sound_state = target.leftovers()
    assert sound_state == []
    assert target.receipts("activate") == []


def test_a_tree_that_is_gone_cannot_be_activated(target):
    shutil.rmtree(target.tree())
    for verb in (activate, rollback):
        with pytest.raises(HostError, match=r"the directory of tool-1\.0 is gone"):
            verb(change(target))


@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_files_of_somebody_else_in_an_old_tree_keep_nobody_from_the_next_run(
    target, monkeypatch, capsys, verb
):
    """Root has run an interpreter of a user: its bytecode in the tree is not the user's to remove."""
    for tree in (target.tree(), target.prefix.previous("tool", "tool-1.0")):
        (tree / "lib/__pycache__").mkdir()
        (tree / "lib/__pycache__/of_root.pyc").touch()
    unlink = os.unlink

    def refuse(path, **options):
        if os.fsencode(path).endswith(b"of_root.pyc"):
            raise PermissionError(errno.EPERM, "not yours", path)
        unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        if verb == "install":
            target.carry(tool(content=b"three\n"))
            assert target.install().exit_code == 0
            assert program(target) == b"three"
        else:
            assert uninstall(change(target)).action == "uninstall"
        assert not list((target.prefix.state / "journal").iterdir())
        bundle, prefix = str(target.site.path), str(target.prefix.path)
        assert cli.main(["install", bundle, "--quiet", "--prefix", prefix]) == 0
        assert "an old tree is left, with files that are not yours to remove" in (
            capsys.readouterr().err
        )
    assert target.leftovers() != []
    target.install()
    sound(target)


def test_a_prefix_that_was_moved(target, place):
    moved = Target(place, "moved")
    target.prefix.path.rename(moved.prefix.path)
    for verb in (activate, rollback):
        with pytest.raises(HostError, match=r"the prefix was moved"):
            verb(change(moved))


@pytest.mark.parametrize("verb", ["activate", "rollback", "uninstall"])
def test_the_commands(target, capsys, verb):
    prefix = ["--prefix", str(target.prefix.path)]
    assert cli.main([verb, "other-1.0", *prefix]) == 2
    assert "not installed: other-1.0" in capsys.readouterr().err
    assert cli.main([verb, "tool-1.0", "--json", *prefix]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["action"], done["name"]) == (verb, "tool-1.0")
    assert cli.main([verb, KEY, *prefix]) == (2 if verb == "rollback" else 0)
    assert "Traceback" not in capsys.readouterr().err


def picture(target):
    """Return what a user sees: trees, links and records, but for times."""
    trees = content(target.tree()) if target.tree().exists() else None
    bin_ = {path.name: str(path.readlink()) for path in sorted(target.prefix.bin.iterdir())}
    return trees, bin_, [(record.name, record.archive) for record in target.records.all()]


VERBS = {
    "rollback": (rollback, "tool-1.0"),
    "uninstall": (uninstall, "tool-1.0"),
    "uninstall-python": (uninstall, KEY),
    "activate": (activate, KEY),
}
sweep = pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])


@sweep
@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two-renames"])
@pytest.mark.parametrize("name", VERBS)
def test_a_kill_at_each_point(place, name, exchange, step):
    verb, key = VERBS[name]
    if not exchange and name != "rollback":
        pytest.skip("nothing is exchanged")
    target = prepare(place)
    saved = place / "saved"
    shutil.copytree(target.prefix.path, saved, symlinks=True)
    old = picture(target)
    action = verb(change(target, key)).action
    new = picture(target)
    assert old != new
    seen = set()
    for point in count(1, step):
        restart(target, saved)
        if not killed_at(point, lambda: verb(change(target, key)), exchange=exchange):
            break
        if name == "rollback":
            assert target.tree().exists() or not exchange
        settle(target)
        now = picture(target)
        assert now in (old, new), point
        sound(target)
        assert len(target.receipts(action)) == (now == new), point
        seen.add(now == new)
    assert seen == {True, False}
    assert point > 10


@pytest.mark.parametrize("name", VERBS)
def test_a_full_disk_at_each_point(place, name):
    verb, key = VERBS[name]
    target = prepare(place)
    saved = place / "saved"
    shutil.copytree(target.prefix.path, saved, symlinks=True)
    old = picture(target)
    action = verb(change(target, key)).action
    new = picture(target)

    def attempt():
        try:
            verb(change(target, key))
        except SealiftError as error:
            assert "No space left" in error.message  # noqa: PT017 - and none is fine as well

    for point in count(1, 5):
        restart(target, saved)
        if not full_at(point, attempt):
            break
        settle(target)
        now = picture(target)
        assert now in (old, new), point
        sound(target)
        assert len(target.receipts(action)) == (now == new), point


def test_a_kill_while_the_next_run_settles(place):
    target = prepare(place)
    saved = place / "saved"
    shutil.copytree(target.prefix.path, saved, symlinks=True)
    for verb, key in VERBS.values():
        for first in range(6, 60, 18):
            restart(target, saved)
            if not killed_at(first, lambda verb=verb, key=key: verb(change(target, key))):
                break
            for second in (1, 2, 3, 5, 8):
                killed_at(second, lambda: settle(target))
            settle(target)
            sound(target)


# A disk that is really full: a tmpfs in a user namespace, with a file that takes what is left of it.
ON_A_FULL_DISK = """
set -e
mount -t tmpfs -o size=2m none "$1"
cp -a "$2/." "$1/prefix"
cat /dev/zero >"$1/filler" 2>/dev/null || :
! printf x 2>/dev/null >"$1/one-more"
cp -a "$1/prefix" "$1.before"
shift 2
"$@" || code=$?
cp -a "$0/prefix/." "$0.after"
exit ${code-0}
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no unshare")
def test_an_uninstall_on_a_full_disk(tmp_path):
    """What makes room needs none: the entry of the journal is the record, by another name."""
    target = prepare(tmp_path)
    disk = tmp_path / "disk"
    disk.mkdir()
    words = [sys.executable, "-m", "sealift_installer", "uninstall", "tool-1.0", "--prefix"]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", ON_A_FULL_DISK, disk, disk, target.prefix.path,
         *words, disk / "prefix"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip("user namespaces are closed here")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("tool-1.0: uninstalled")
    after = Target(tmp_path, "disk.after")
    assert after.records.get("tool-1.0") is None
    assert not after.tree().exists()
    assert after.leftovers() == []
    (receipt,) = after.receipts("uninstall")
    assert receipt.bundle is not None
    assert receipt.bundle.manifest == target.receipts()[-1].bundle.manifest


@pytest.mark.parametrize("point", range(1, 30))
def test_a_kill_of_an_uninstall_on_a_full_disk(place, point):
    """Nothing can be written for the journal, what follows can; killed at each point of it."""
    target = prepare(place)
    opened = Journal.open

    def full(journal, publication):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with mock.patch.object(Journal, "open", full):
        killed = killed_at(point, lambda: uninstall(change(target)))
    assert Journal.open is opened
    settle(target)
    sound(target)
    gone = not target.tree().exists()
    assert (target.records.get("tool-1.0") is None) == gone
    assert len(target.receipts("uninstall")) == gone
    assert killed or gone


@pytest.mark.parametrize("name", ["tool-1.0.uninstall", "tool-1.0.x.1.uninstall"])
def test_an_entry_of_an_uninstall_that_says_nothing(target, name):
    record = target.records.record_path("tool-1.0")
    record.rename(target.prefix.state / "journal" / name)
    with pytest.raises(HostError, match=r"journal of an unfinished install is malformed"):
        settle(target)


def test_what_cannot_be_renamed_is_put_back(target, monkeypatch):
    """On a full disk, of a tree that a lower layer of the file system holds."""

    def full(journal, publication):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(prefix, publication):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), "tool-1.0")

    monkeypatch.setattr(Journal, "open", full)
    monkeypatch.setattr("sealift_installer.publish._rename", refuse)
    with pytest.raises(HostError, match="a lower layer of the file system"):
        uninstall(change(target))
    assert target.records.get("tool-1.0") is not None
    assert target.leftovers() == []
    sound(target)
