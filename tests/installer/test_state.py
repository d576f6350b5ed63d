"""The state and its receipts: in agreement, or refused; and whole after a crash at any point."""

import itertools
import json
import os
from dataclasses import replace

import pytest

from sealift_installer.errors import HostError, Untrusted
from sealift_installer.receipts import Event
from sealift_installer.trust.state import StateStore, StreamState
from sealift_schemas.receipt import LINE_LIMIT
from simulator import NOW, BundleSimulator

IMPORT = Event(clock=NOW, action="trust", detail="root given by hand", root_version=1)
INSTALL = Event(clock=NOW, action="install", detail="installed")


class Target:
    """A state directory with a root and two accepted bundles in it."""

    def __init__(self, directory, site):
        self.store = StateStore(directory)
        self.site = site
        state = self.store.record(site.state, IMPORT)
        for sequence in (1, 2):
            state = self.store.record(self.after(state, sequence), INSTALL)
        self.state = state
        self.file = directory / "trust.json"
        self.log = directory / "receipts.jsonl"

    @staticmethod
    def after(state, sequence):
        accepted = StreamState(1, sequence, "0" * 64, NOW)
        return replace(state, streams={"site": accepted})

    def edit(self, **changes):
        value = json.loads(self.file.read_bytes())
        value.update(changes)
        self.file.write_text(json.dumps(value, indent=2) + "\n")

    def lines(self):
        return self.log.read_bytes().splitlines(keepends=True)


@pytest.fixture
def target(tmp_path):
    target = Target(tmp_path / "state", BundleSimulator(tmp_path / "bundle"))
    assert target.store.load() == target.state
    assert target.state.receipts == 3
    return target


def test_there_is_no_trust_on_first_use(tmp_path):
    store = StateStore(tmp_path / "state")
    assert not store.exists()
    with pytest.raises(Untrusted, match=r"trusts no root yet") as caught:
        store.load()
    assert "unseal trust import FILE --sha256 HEX" in caught.value.hint
    assert not (tmp_path / "state").exists()


def test_what_was_recorded_comes_back(target):
    assert target.state.streams["site"].sequence == 2
    assert [receipt.number for receipt in target.store.log.read()] == [1, 2, 3]
    last = list(target.store.log.read())[-1]
    assert last.state == target.state.sha256
    assert last.floor == NOW
    assert target.store.log.read_tail().head == target.state.head


def test_a_new_root_is_kept_with_its_lineage(target):
    site = target.site
    site.add_root(site.next_root(), site.root_keys)
    new = site.write().authenticate().new_roots
    state = target.store.record(target.state.with_roots(new), IMPORT)
    assert target.store.load() == state
    assert sorted(state.root.lineage) == [1, 2]
    assert state.root.root.version == 2


# Edits


@pytest.mark.parametrize(
    "changes",
    [
        {"streams": {}},
        {"streams": {"site": {"epoch": 1, "sequence": 1, "manifest": "0" * 64, "created": NOW}}},
        {"streams": {"site": {"epoch": 1, "sequence": 2, "manifest": "1" * 64, "created": NOW}}},
        {"receipts": 2},
    ],
)
def test_an_edited_state(target, changes):
    target.edit(**changes)
    with pytest.raises(Untrusted, match=r"the state is not what its last receipt says"):
        target.store.load()


def test_a_state_with_another_lineage(target):
    lineage = json.loads(target.file.read_bytes())["roots"]
    target.edit(roots={**lineage, "2": "0" * 64})
    with pytest.raises(Untrusted, match=r"the stored root is gone"):
        target.store.load()
    target.edit(roots={"1": "0" * 64})
    with pytest.raises(Untrusted, match=r"the stored root was changed"):
        target.store.load()


def test_a_state_without_a_root(target):
    target.edit(roots={})
    with pytest.raises(Untrusted, match=r"trust\.json: .*at least one root"):
        target.store.load()


def test_a_receipt_that_no_reader_would_take_is_not_written(target):
    before = target.file.read_bytes(), target.log.read_bytes()
    event = replace(INSTALL, detail="x" * LINE_LIMIT)
    with pytest.raises(HostError, match=r"a receipt would be too long"):
        target.store.record(target.after(target.state, 3), event)
    assert (target.file.read_bytes(), target.log.read_bytes()) == before


@pytest.mark.parametrize("clock", ["10000-01-01T00:00:00Z", "12-01-01T00:00:00Z"])
def test_a_receipt_that_nobody_could_read_is_not_written(target, clock):
    """A clock with an empty battery says anything, and the last receipt is read by each command."""
    before = target.file.read_bytes(), target.lines()
    with pytest.raises(HostError, match=r"no receipt can be written: .*clock") as caught:
        target.store.record(target.after(target.state, 3), replace(INSTALL, clock=clock))
    assert "such as the clock" in caught.value.hint
    assert (target.file.read_bytes(), target.lines()) == before
    assert target.store.load() == target.state


def test_another_root_file(target, tmp_path):
    other = BundleSimulator(tmp_path / "other")
    path = target.file.parent / "roots" / "1.root.dsse.json"
    path.write_bytes(other.roots[1])
    with pytest.raises(Untrusted, match=r"the stored root was changed"):
        target.store.load()


@pytest.mark.parametrize("text", ["", "{}", "[1", '{"format": 2}', "\x00"])
def test_a_malformed_state(target, text):
    target.file.write_text(text)
    with pytest.raises(Untrusted, match=r"the state is malformed"):
        target.store.load()


def test_an_older_state_put_back(target):
    """Without the receipts of that time, which only grow."""
    before = target.file.read_bytes()
    target.store.record(Target.after(target.state, 3), INSTALL)
    target.file.write_bytes(before)
    with pytest.raises(Untrusted, match=r"the receipts do not end where the state says"):
        target.store.load()


def test_the_state_is_gone(target):
    target.file.unlink()
    with pytest.raises(Untrusted, match=r"the state is gone, but not its receipts"):
        target.store.load()
    with pytest.raises(Untrusted, match=r"the state is gone, but not its receipts"):
        target.store.record(target.site.state, IMPORT)


def test_the_receipts_are_gone(target):
    target.log.unlink()
    with pytest.raises(Untrusted, match=r"the receipts do not end where the state says"):
        target.store.load()


def test_receipts_cut_off_at_the_end(target):
    lines = target.lines()
    target.log.write_bytes(b"".join(lines[:1]))
    with pytest.raises(Untrusted, match=r"the receipts do not end where the state says"):
        target.store.load()


def test_a_receipt_added_by_somebody_else(target):
    target.log.write_bytes(b"".join([*target.lines(), target.lines()[0]]))
    with pytest.raises(Untrusted, match=r"the receipts do not end where the state says"):
        target.store.load()


# Crashes and company


def test_a_crash_before_the_receipt_loses_nothing(target):
    """The state was renamed into place, the line was not appended, or in part."""
    *before, last = target.lines()
    for written in range(len(last)):
        target.log.write_bytes(b"".join(before) + last[:written])
        assert target.store.load() == target.state
    after = target.store.record(Target.after(target.state, 3), INSTALL)
    assert target.lines()[:3] == [*before, last]
    assert [receipt.number for receipt in target.store.log.read()] == [1, 2, 3, 4]
    assert target.store.load() == after


def test_a_torn_line_that_is_none_of_ours(target):
    *before, _ = target.lines()
    target.log.write_bytes(b"".join(before) + b'{"format":1,"number":4')
    with pytest.raises(Untrusted, match=r"the receipts do not end where the state says"):
        target.store.load()


def test_a_crash_before_the_state_leaves_the_old_one(target):
    (target.file.parent / ".trust.json.tmp").write_bytes(b"half a sta")
    assert target.store.load() == target.state
    after = target.store.record(Target.after(target.state, 3), INSTALL)
    assert target.store.load() == after


def test_a_crash_while_the_first_root_is_imported(target, tmp_path):
    store = StateStore(tmp_path / "fresh")
    state = store.record(target.site.state, IMPORT)
    store.log.path.unlink()
    assert store.load() == state
    after = store.record(Target.after(state, 1), INSTALL)
    assert (store.load(), after.receipts) == (after, 2)


def test_somebody_else_wrote_in_between(target):
    target.store.record(Target.after(target.state, 3), INSTALL)
    with pytest.raises(HostError, match=r"the state was changed by somebody else meanwhile"):
        target.store.record(Target.after(target.state, 4), INSTALL)
    assert target.store.load().streams["site"].sequence == 3


def test_a_counter_never_goes_down(target):
    manifest = replace(target.site.manifest(), sequence=1)
    assert target.state.with_bundle(manifest, "1" * 64) == target.state
    higher = replace(manifest, sequence=9)
    assert target.state.with_bundle(higher, "1" * 64).streams["site"].sequence == 9


def test_a_folder_that_cannot_be_made(target, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(HostError, match=r"cannot make the folder of the state: "):
        StateStore(tmp_path / "file" / "state").record(target.site.state, IMPORT)


def test_a_kill_at_any_write(target):
    """The process dies just before its n-th call that changes or syncs a file, for each n."""
    state = target.state
    for call in itertools.count(1):
        child = os.fork()
        if child == 0:
            _die_before(call)
            target.store.record(Target.after(state, state.receipts + 1), INSTALL)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in {0, 9}
        seen = target.store.load()
        assert seen.receipts - state.receipts in {0, 1}
        state = target.store.record(Target.after(seen, seen.receipts + 1), INSTALL)
        assert target.store.load() == state
        numbers = [receipt.number for receipt in target.store.log.read()]
        assert numbers == list(range(1, state.receipts + 1))
        if status == 0:
            break
    assert call > 8


def _die_before(call):
    calls = 0

    def dying(original):
        def wrapped(*arguments, **keywords):
            nonlocal calls
            calls += 1
            if calls == call:
                os._exit(9)
            return original(*arguments, **keywords)

        return wrapped

    for name in ("open", "write", "fsync", "replace", "fchmod", "close"):
        setattr(os, name, dying(getattr(os, name)))


def test_what_stands_behind_the_last_receipt_is_said(target):
    target.log.write_bytes(target.log.read_bytes() + b"xyz")
    with pytest.raises(Untrusted, match=r"Computed: [0-9a-f]{64}, and 3 bytes behind it"):
        target.store.load()


def test_a_stored_root_that_was_changed_is_said(target):
    root = target.store.directory / "roots" / "1.root.dsse.json"
    root.write_bytes(root.read_bytes() + b" ")
    with pytest.raises(
        Untrusted, match=r"the stored root was changed: .*1\.root\.dsse\.json"
    ) as caught:
        target.store.load()
    assert "restore the folder of the state" in caught.value.hint


def test_a_removed_root_is_loaded_by_those_who_ask_for_it(target):
    removed = replace(target.state, removed=True)
    target.store.record(removed, replace(IMPORT, detail="removed"))
    with pytest.raises(Untrusted, match=r"trusts no root any more, it was removed") as caught:
        target.store.load()
    assert "unseal trust import FILE --sha256 HEX" in caught.value.hint
    state = target.store.load(removed=True)
    assert (state.removed, state.streams) == (True, target.state.streams)
    target.edit(removed=False)
    with pytest.raises(Untrusted, match=r"the state is malformed.*true, where it is there"):
        target.store.load(removed=True)
    value = json.loads(target.file.read_bytes())
    del value["removed"]
    target.file.write_text(json.dumps(value))
    with pytest.raises(Untrusted, match=r"the state is not what its last receipt says"):
        target.store.load()
