"""repair, relocate and preflight."""

import json
import shutil
from itertools import count

import pytest

from changes import change, in_memory, prepare, program, restart, settle, sound
from sealift_installer import cli
from sealift_installer.check import check
from sealift_installer.errors import Drift, HostError, RefusedByPolicy, UsageError
from sealift_installer.install import InstallOptions
from sealift_installer.lifecycle import Change, rollback
from sealift_installer.rehearsal import rehearse
from sealift_installer.relocate import relocate
from sealift_installer.repair import repair
from sealift_installer.trust.policy import Terms
from sealift_schemas.index import Place
from simulator import NOW, Member, SimArchive
from stops import killed_at
from target import FORMAT, Target, content, python, tool

KEY = python().name


@pytest.fixture
def place():
    with in_memory() as path:
        yield path


@pytest.fixture
def target(place):
    return prepare(place)


@pytest.fixture
def unseal(target, capsys):
    def call(*words):
        code = cli.main([*map(str, words), "--prefix", str(target.prefix.path)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def mend(target, *names, **options):
    wanted = InstallOptions(target.prefix.path, names, **options)
    return repair(target.site.path, wanted)


def damage(target):
    (target.tree() / "bin/tool").write_text("#!/bin/sh\necho evil\n")
    (target.tree() / "lib/new").write_text("x")
    (target.tree() / "lib/where").unlink()


def test_a_drifted_tree_is_written_anew(target):
    before = content(target.tree())
    kept = content(target.prefix.previous("tool", "tool-1.0"))
    damage(target)
    report = mend(target)
    assert report.exit_code == 0
    assert [outcome.status for outcome in report.install.outcomes] == ["repaired"]
    assert content(target.tree()) == before
    assert content(target.prefix.previous("tool", "tool-1.0")) == kept
    sound(target)
    (receipt,) = target.receipts("repair")
    assert receipt.archive == target.receipts()[2].archive
    assert receipt.detail == "repaired"
    assert rollback(change(target)).action == "rollback"
    assert program(target) == b"one"


def test_a_tree_that_is_gone_is_written_anew(target):
    before = content(target.tree())
    shutil.rmtree(target.tree())
    assert mend(target).exit_code == 0
    assert content(target.tree()) == before
    sound(target)


def test_a_kept_index_that_was_changed_is_written_anew(target):
    target.records.index_path(target.record().index).write_text("{}\n")
    assert mend(target).exit_code == 0
    sound(target)


def test_what_is_as_it_was_sealed_is_left_alone(target):
    number = target.store.load().receipts
    inode = target.tree().stat().st_ino
    assert mend(target).install is None
    damage(target)
    (target.tree(KEY, "interpreter") / "new").write_text("x")
    report = mend(target, KEY)
    assert [outcome.name for outcome in report.install.outcomes] == [KEY]
    assert target.tree().stat().st_ino == inode
    assert target.store.load().receipts == number + 1


def test_another_build_is_no_repair(target, unseal):
    bundle = target.site.path
    target.carry(tool(content=b"three\n"), python())
    damage(target)
    code, out, err = unseal("repair", target.site.path)
    assert code == 7
    assert "tool-1.0: left out, this bundle has another build of it" in out
    assert "not repaired: tool-1.0" in err
    assert target.receipts("repair") == []
    code, out, err = unseal("repair", bundle, "tool-1.0", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["good"] is True


def test_what_the_bundle_does_not_have_is_left_out(target, unseal):
    target.carry(python())
    damage(target)
    code, out, _ = unseal("repair", target.site.path)
    assert code == 7
    assert "tool-1.0: left out, it is not in this bundle" in out


def test_an_older_bundle_needs_a_reason(target, unseal):
    older = target.site.path
    target.carry(python())
    target.install()
    damage(target)
    assert unseal("repair", older)[0] == 5
    assert unseal("repair", older, "--allow-downgrade", "the newest lacks it")[0] == 0
    assert target.receipts("repair")[0].overrides == {"allow_downgrade": "the newest lacks it"}


def test_the_command_says_what_it_found(target, unseal):
    assert unseal("repair", target.site.path)[1] == (
        "nothing to repair: 2 trees are as they were sealed\n"
    )
    damage(target)
    code, out, _ = unseal("repair", target.site.path)
    assert code == 0
    assert "changed bin/tool" in out
    assert "tool-1.0: repaired" in out


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two-renames"])
def test_a_kill_at_each_point_of_a_repair(target, exchange):
    good = content(target.tree())
    damage(target)
    saved = target.path / "saved"
    shutil.copytree(target.prefix.path, saved, symlinks=True)
    bad = content(target.tree())
    seen = set()
    for point in count(1, 11):
        restart(target, saved)
        if not killed_at(point, lambda: mend(target), exchange=exchange):
            break
        settle(target)
        now = content(target.tree())
        assert now in (good, bad), point
        assert len(target.receipts("repair")) == (now == good)
        assert target.leftovers() == []
        seen.add(now == good)
        assert mend(target).exit_code == 0
        sound(target)
    assert seen == {True, False}


def move(target, path):
    moved = Target(path, "moved here's $x")
    moved.site = target.site
    target.prefix.path.rename(moved.prefix.path)
    return moved


def escapes():
    members = [Member(f"lib/{name}", b"", template=(b"<>", (Place(1, name),)))
               for name in ("raw", "shell", "make", "json", "pc", "python")]  # fmt: skip
    members.append(Member("lib/other", type="hardlink", target="lib/json"))
    members.append(Member("bin/run", b"#!/bin/sh\n", executable=True))
    return SimArchive("many-1.0", tuple(members), format=FORMAT, links={"run": "bin/run"})


def test_a_tree_gets_the_prefix_that_it_was_moved_to(target, place):
    target.carry(tool(content=b"two\n"), python(), escapes())
    target.install(link=True)
    moved = move(target, place)
    assert check(moved.prefix.path).exit_code == 7
    for key in ("tool-1.0", "many-1.0", KEY):
        assert relocate(change(moved, key)).action == "relocate"
    sound(moved)
    assert str(moved.prefix.path) in (moved.tree() / "lib/where").read_text()
    assert (moved.prefix.bin / "tool").resolve() == moved.tree() / "bin/tool"
    assert (moved.prefix.bin / "python3.13").resolve().is_relative_to(moved.prefix.path)
    fresh = Target(place / "fresh", "x")
    fresh.site = target.site
    fresh.prefix = moved.prefix
    assert [each.status for each in moved.install().outcomes] == ["present"] * 3
    receipts = moved.receipts("relocate")
    assert [each.archive.path for each in receipts] == [
        moved.record(key).path for key in ("tool-1.0", "many-1.0", KEY)
    ]
    with pytest.raises(UsageError, match=r"names the prefix that it stands in"):
        relocate(change(moved))
    with pytest.raises(HostError, match=r"the kept tree names another prefix"):
        rollback(change(moved))


def test_a_prefix_that_was_moved_says_what_to_do(target, place, capsys):
    target.carry(tool(content=b"two\n"), python())
    target.install(link=True)
    moved = move(target, place)
    assert cli.main(["list", "--prefix", str(moved.prefix.path)]) == 0
    listed = capsys.readouterr().out
    assert "(it was moved: unseal relocate tool-1.0)" in listed
    assert "gone" not in listed
    with pytest.raises(HostError, match=r"no link into this prefix") as caught:
        moved.install()
    target.prefix.path.symlink_to(moved.prefix.path)
    assert cli.main(["list", "--prefix", str(moved.prefix.path)]) == 0
    assert "moved:" not in capsys.readouterr().out
    assert "unseal relocate KEY" in str(caught.value.hint)


def test_a_tree_that_drifted_is_not_relocated(target, place):
    moved = move(target, place)
    (moved.tree() / "lib/new").write_text("x")
    with pytest.raises(Drift, match=r"cannot be relocated: added lib/new"):
        relocate(change(moved))
    assert mend(moved, "tool-1.0").exit_code == 0
    assert check(moved.prefix.path, ["tool-1.0"]).exit_code == 0


def test_what_python_left_moves_along(target, place):
    cache = target.tree(KEY, "interpreter") / "lib/__pycache__"
    cache.mkdir()
    (cache / "x.cpython-313.pyc").write_text("x")
    moved = move(target, place)
    relocate(change(moved, KEY))
    assert (moved.tree(KEY, "interpreter") / "lib/__pycache__/x.cpython-313.pyc").exists()


def test_a_kill_at_each_point_of_a_relocation(target, place):
    moved = move(target, place)
    saved = place / "saved"
    shutil.copytree(moved.prefix.path, saved, symlinks=True)
    seen = set()
    for point in count(1, 7):
        restart(moved, saved)
        if not killed_at(point, lambda: relocate(change(moved))):
            break
        settle(moved)
        assert moved.leftovers() == []
        done = moved.record().path == str(moved.tree())
        assert len(moved.receipts("relocate")) == done
        if not done:
            relocate(change(moved))
        assert check(moved.prefix.path, ["tool-1.0"], strict=True).exit_code == 0
        assert (moved.prefix.bin / "tool").resolve() == moved.tree() / "bin/tool"
        seen.add(done)
    assert seen == {True, False}


def ask(target, *names, prefix=None, **options):
    where = prefix or target.prefix.path
    return rehearse(target.site.path, where, Terms(NOW), names=names, **options)


def test_a_preflight_says_what_would_be_done(target, unseal):
    target.carry(tool(content=b"three\n"), python(), tool("other-1.0"))
    before = content(target.prefix.path)
    rehearsal = ask(target, link=True)
    assert [(each.archive.name, each.what) for each in rehearsal.planned] == [
        ("tool-1.0", "replace"),
        (KEY, "present"),
        ("other-1.0", "install"),
    ]
    assert rehearsal.needed < rehearsal.free
    assert "tool in bin/ is offered by tool-1.0, other-1.0" in rehearsal.warnings
    code, out, _ = unseal("preflight", target.site.path)
    assert code == 0
    assert "other-1.0: would be installed" in out
    assert "nothing was written" in out
    code, out, _ = unseal("preflight", target.site.path, "other-1.0", "--json")
    assert [each["what"] for each in json.loads(out)["archives"]] == ["install"]
    assert content(target.prefix.path) == before


def test_a_preflight_refuses_what_an_install_would(target, unseal):
    before = content(target.prefix.path)
    older = target.path / "bundle-1"
    assert unseal("preflight", older)[0] == 5
    code, out, _ = unseal("preflight", older, "--allow-downgrade", "why", "--json")
    assert (code, json.loads(out)["overrides"]) == (0, {"allow_downgrade": "why"})
    with pytest.raises(RefusedByPolicy, match=r"older than the newest"):
        rehearse(older, target.prefix.path, Terms(NOW))
    with pytest.raises(UsageError, match=r"no-such"):
        ask(target, "no-such")
    with pytest.raises(UsageError, match=r"inside of the bundle"):
        ask(target, prefix=target.site.path / "prefix")
    target.carry(tool("wrong-1.0", platform="macos-aarch64-none"))
    with pytest.raises(HostError, match=r"wrong-1\.0 is for macos-aarch64-none"):
        ask(target, "wrong-1.0")
    target.carry(tool("mine-1.0"))
    target.tree("mine-1.0").mkdir()
    with pytest.raises(HostError, match=r"it was not installed by unseal"):
        ask(target)
    target.tree("mine-1.0").rmdir()
    assert content(target.prefix.path) == before


def test_a_change_of_an_unknown_prefix_makes_nothing(tmp_path):
    from sealift_installer.errors import Untrusted

    with pytest.raises(Untrusted, match=r"trusts no root yet"):
        rollback(Change(tmp_path / "new", "tool-1.0"))
    assert not (tmp_path / "new").exists()
