"""A kill at any point leaves something that works, and the next run finishes or cleans up."""

import errno
import os
import shutil
import signal
from itertools import count
from pathlib import Path

import pytest

from changes import in_memory
from sealift_installer import publish
from sealift_installer.errors import HostError, SealiftError
from sealift_installer.prefix import Prefix
from sealift_schemas.strictjson import parse
from stops import full_at, killed_at
from target import Target, content, in_child, python, tool

KEY = python().name


@pytest.fixture
def place():
    """Return a directory for hundreds of installs."""
    with in_memory() as path:
        yield path


# The whole sweep is for `make test-slow`; each run of the tests takes a part of it.
sweep = pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])


def archives(text):
    return tool(content=text), python()


def prepare(tmp_path, *, installed):
    """Return a target with a bundle to be installed, over an older one where `installed`."""
    target = Target(tmp_path)
    target.carry(*archives(b"one\n"))
    target.trust()
    if installed:
        target.install(link=True)
        target.carry(*archives(b"two\n"))
    return target


def restart(target, saved):
    """Put the prefix back to what it was before the kill."""
    shutil.rmtree(target.prefix.path)
    shutil.copytree(saved, target.prefix.path, symlinks=True)


def check_finished(target, expected, receipts):
    assert content(target.tree()) == expected
    assert target.leftovers() == []
    assert (target.prefix.bin / "tool").resolve() == target.tree() / "bin/tool"
    assert target.tree(KEY, "interpreter").is_dir()
    manifest = target.record().manifest
    names = [
        receipt.archive.name
        for receipt in target.receipts()
        if receipt.bundle.manifest == manifest and receipt.archive is not None
    ]
    assert names == receipts
    assert target.store.load().streams["site"].sequence == target.site.sequence


@sweep
@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two-renames"])
@pytest.mark.parametrize("installed", [False, True], ids=["fresh", "over"])
def test_a_kill_at_each_point(place, installed, exchange, step):
    target = prepare(place, installed=installed)
    saved = place / "saved"
    shutil.copytree(target.prefix.path, saved, symlinks=True)
    old = content(target.tree()) if installed else None
    target.install(link=True)
    new = content(target.tree())
    receipts = ["tool-1.0"] if installed else ["tool-1.0", KEY]
    seen = set()
    for point in count(2, step):
        restart(target, saved)
        if not killed_at(point, lambda: target.install(link=True), exchange=exchange):
            break
        standing = content(target.tree()) if target.tree().exists() else None
        seen.add("new" if standing == new else "old" if standing == old else "torn")
        if standing is None and installed:
            # Two renames cannot do without a moment between them; the journal bridges it.
            assert not exchange
        assert standing in (old, new, None)
        report = target.install(link=True)
        assert report.exit_code == 0, point
        check_finished(target, new, receipts)
    assert {"old", "new"} <= seen
    assert point > 40


def test_a_kill_between_the_two_renames_loses_no_tree(place, monkeypatch):
    target = prepare(place, installed=True)
    old = content(target.tree())
    rename = Path.rename

    def killed(self, to):
        if to == target.tree():
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(self, to)

    def install():
        monkeypatch.setattr(publish, "exchange", lambda _first, _second: False)
        monkeypatch.setattr(Path, "rename", killed)
        target.install()

    assert os.WTERMSIG(in_child(install)) == signal.SIGKILL
    assert not target.tree().exists()
    assert publish.recover(target.prefix, lambda _: None) == ()
    assert content(target.tree()) == old
    assert target.leftovers() == []


@pytest.mark.parametrize("installed", [False, True], ids=["fresh", "over"])
def test_a_kill_while_the_next_run_cleans_up(place, installed):
    target = prepare(place, installed=installed)
    saved = place / "saved"
    shutil.copytree(target.prefix.path, saved, symlinks=True)
    target.install(link=True)
    new = content(target.tree())
    receipts = ["tool-1.0"] if installed else ["tool-1.0", KEY]
    for first in range(8, 90, 17):
        restart(target, saved)
        if not killed_at(first, lambda: target.install(link=True)):
            break
        for second in (1, 2, 3, 5, 8, 13):
            killed_at(second, lambda: target.install(link=True))
        assert target.install(link=True).exit_code == 0
        check_finished(target, new, receipts)


@sweep
@pytest.mark.parametrize("installed", [False, True], ids=["fresh", "over"])
def test_a_full_disk_at_each_point(place, installed, step):
    target = prepare(place, installed=installed)
    saved = place / "saved"
    shutil.copytree(target.prefix.path, saved, symlinks=True)
    old = content(target.tree()) if installed else None
    target.install(link=True)
    new = content(target.tree())
    receipts = ["tool-1.0"] if installed else ["tool-1.0", KEY]
    said = set()

    def attempt():
        try:
            report = target.install(link=True)
        except HostError as error:
            said.add(error.message)
        else:
            said.update(each.error.message for each in report.outcomes if each.error is not None)

    for point in count(1, step):
        restart(target, saved)
        said.clear()
        if not full_at(point, attempt):
            break
        assert said, point
        assert all("No space left" in text or "disk is full" in text for text in said), said
        standing = content(target.tree()) if target.tree().exists() else None
        assert standing in (old, new)
        assert target.install(link=True).exit_code == 0
        check_finished(target, new, receipts)
    assert point > 20


def test_a_tree_of_a_lower_layer_stays_as_it_is(tmp_path, monkeypatch):
    """In a container, what its image brought cannot be renamed."""
    target = prepare(tmp_path, installed=True)
    old = content(target.tree())

    def refuse(_, second):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(second))

    with monkeypatch.context() as patch:
        patch.setattr(publish, "exchange", refuse)
        error = target.install().outcomes[0].error
    assert error is not None
    assert "a lower layer of the file system holds the tree" in error.message
    assert "--prefix" in str(error.hint)
    assert content(target.tree()) == old
    assert target.leftovers() == []
    assert target.install().exit_code == 0


def test_a_journal_that_somebody_changed_is_not_obeyed(tmp_path):
    target = prepare(tmp_path, installed=True)
    journal = target.prefix.state / "journal"
    (journal / "tool-1.0.json").write_text('{"format": 1}')
    with pytest.raises(HostError, match="journal of an unfinished install is malformed"):
        target.install()
    (journal / "tool-1.0.json").unlink()
    assert target.install().exit_code == 0


def stop_before_the_rename(target):
    """Kill a run when its journal is written and its rename is not done."""
    journal = target.prefix.state / "journal" / "tool-1.0.json"
    for point in count(1):
        assert killed_at(point, target.install)
        if journal.exists():
            return journal
    raise AssertionError("unreachable")


@pytest.mark.parametrize("staging", ["../tool-1.0.x", "other-1.0.x", "/etc"])
def test_a_journal_names_nothing_outside_of_the_staging_area(tmp_path, staging):
    target = prepare(tmp_path, installed=False)
    journal = stop_before_the_rename(target)
    text = journal.read_text()
    value = parse(text.encode(), what="journal", limit=10**6)
    journal.write_text(text.replace(value["staging"], staging))
    with pytest.raises(HostError, match="staging"):
        target.install()


def test_a_journal_names_an_interpreter_by_its_key(tmp_path):
    """Its name says which links are made, so that it is read before anything is done."""
    target = prepare(tmp_path, installed=False)
    journal = stop_before_the_rename(target)
    text = journal.read_text().replace('"kind": "tool"', '"kind": "interpreter"')
    journal.write_text(text.replace("tool-1.0", "cpython-x"))
    journal.rename(journal.with_name("cpython-x.json"))
    with pytest.raises(HostError, match="expected an install key"):
        target.install()


def test_a_journal_says_nothing_to_a_terminal(tmp_path):
    target = prepare(tmp_path, installed=False)
    journal = stop_before_the_rename(target)
    journal.rename(journal.with_name("x\x1b[2J.json"))
    with pytest.raises(HostError, match="is malformed") as caught:
        target.install()
    assert "\x1b" not in str(caught.value)


def test_a_record_that_somebody_changed_is_said(tmp_path):
    target = prepare(tmp_path, installed=True)
    record = target.prefix.state / "installs" / "tool-1.0.json"
    record.write_text(record.read_text().replace("tool-1.0", "tool-2.0"))
    with pytest.raises(HostError, match="record of an install is malformed"):
        target.install()


def test_a_tree_of_another_prefix_is_no_business_of_ours(tmp_path):
    target = prepare(tmp_path, installed=True)
    other = Prefix(tmp_path / "other")
    shutil.copytree(target.prefix.path / "tools", other.path / "tools", symlinks=True)
    target.prefix = other
    with pytest.raises(SealiftError, match="trusts no root yet"):
        target.install()
    assert Path(other.path / "tools/tool-1.0/bin/tool").exists()


def test_a_file_where_the_journal_goes_leaves_nothing_behind(tmp_path):
    target = prepare(tmp_path, installed=False)
    (target.prefix.state / "journal").write_text("")
    report = target.install()
    assert report.exit_code == 6
    assert "Not a directory" in str(report.outcomes[0].error)
    assert target.leftovers() == []
    (target.prefix.state / "journal").unlink()
    assert target.install().exit_code == 0
