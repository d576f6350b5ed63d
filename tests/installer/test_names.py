"""Names in `bin/`: what `check` says of those that are not as they were made, and `repair` does."""

import json
import re
from pathlib import Path

import pytest

from changes import change, in_memory
from installer.test_links import UNPATCHED
from sealift_installer import cli
from sealift_installer.check import check
from sealift_installer.errors import HostError
from sealift_installer.install import InstallOptions
from sealift_installer.lifecycle import Change, activate, uninstall
from sealift_installer.pointers import read_link, read_wrapper, render_wrapper
from sealift_installer.records import Records
from sealift_installer.relocate import relocate
from sealift_installer.repair import repair
from target import Target, python, tool

KEY = python().name


@pytest.fixture
def place():
    with in_memory() as path:
        yield path


@pytest.fixture
def linked(place):
    """A target with links to a tool, and to an interpreter that got a wrapper."""
    target = Target(place)
    target.carry(tool(), python(script=UNPATCHED), python("3.12.9"))
    target.trust()
    target.install(link=True)
    activate(change(target, python("3.12.9").name))
    return target


def found(target, *names):
    report = check(target.prefix.path, names)
    assert (report.exit_code == 7) == bool(report.names)
    return [(Path(each.path).name, each.what, each.detail) for each in report.names]


def aim(path, target):
    path.unlink()
    path.symlink_to(target)


CHANGES = {
    "gone": (Path.unlink, r"^$"),
    "elsewhere": (lambda path: aim(path, "/bin/false"), r"^a link to /bin/false, not a "),
    "nowhere": (lambda path: aim(path, "/nonexistent"), r"^a link to /nonexistent, not a "),
    "relative": (lambda path: aim(path, "../bin/x"), r"^a link to ../bin/x, not a "),
    "a file": (
        lambda path: (path.unlink(), path.write_text("#!/bin/sh\nevil\n")),
        r"^something that is not ours, not a ",
    ),
    "a directory": (lambda path: (path.unlink(), path.mkdir()), r"^something that is not ours, "),
    "a wrapper": (
        lambda path: (path.unlink(), path.write_bytes(render_wrapper(Path("/bin/false")))),
        r"^a script to /bin/false, not a ",
    ),
}


@pytest.mark.parametrize("name", ["tool", "python3.13", "python3"])
@pytest.mark.parametrize("what", CHANGES)
def test_a_name_that_is_not_as_it_was_made(linked, name, what):
    assert found(linked) == []
    path = linked.prefix.bin / name
    former = (path.is_symlink(), read_link(path) or read_wrapper(path))
    do, detail = CHANGES[what]
    do(path)
    ((changed, kind, said),) = found(linked)
    assert (changed, kind) == (name, "missing" if what == "gone" else "changed")
    if what != "gone":
        assert re.search(detail, said), said
    trees = {"tool": "tool-1.0", "python3.13": KEY, "python3": python("3.12.9").name}
    assert len(found(linked, trees[name])) == 1
    assert found(linked, *(set(trees.values()) - {trees[name]})) == []
    options = InstallOptions(linked.prefix.path)
    if what == "gone":
        report = repair(linked.site.path, options)
        assert (report.install, report.exit_code) == (None, 0)
        assert found(linked) == []
        assert (path.is_symlink(), read_link(path) or read_wrapper(path)) == former
    else:
        with pytest.raises(HostError, match=f"{name} is there already, and it is no link into"):
            repair(linked.site.path, options)


def test_a_name_that_leads_to_another_tree_of_ours_is_made_anew(linked, capsys):
    path = linked.prefix.bin / "python3"
    aim(path, linked.tree(KEY, "interpreter") / "bin/python3.13")
    words = ["--prefix", str(linked.prefix.path)]
    assert cli.main(["check", *words]) == 7
    out = capsys.readouterr().out.splitlines()
    assert out[-2] == "names in bin/: not as they were made"
    assert out[-1].startswith(f"  changed {path}: a link to ")
    (linked.tree() / "bin/tool").write_text("drifted")
    assert cli.main(["repair", str(linked.site.path), *words]) == 0
    out = capsys.readouterr().out
    assert "tool-1.0: repaired" in out
    assert "names in bin/: made anew\n  changed " in out
    assert cli.main(["check", *words]) == 0
    assert path.readlink() if path.is_symlink() else read_wrapper(path)
    capsys.readouterr()
    path.unlink()
    assert cli.main(["check", "--json", *words]) == 7
    assert [each["what"] for each in json.loads(capsys.readouterr().out)["names"]] == ["missing"]


def test_names_that_nobody_asked_for_are_not_missed(place):
    target = Target(place)
    target.carry(tool())
    target.trust()
    target.install()
    assert found(target) == []
    assert not (target.prefix.state / "bin").exists()


def test_the_names_of_a_tree_that_is_gone_are_not_missed(linked):
    uninstall(change(linked))
    assert found(linked) == []
    assert not (linked.prefix.state / "bin/tool.json").exists()
    linked.install(None, "tool-1.0")  # without --link
    assert found(linked) == []


def test_a_name_goes_on_to_the_next_patch_version(place):
    target = Target(place)
    target.carry(python("3.13.2"), python("3.13.3"))
    target.trust()
    target.install(link=True)
    uninstall(change(target, KEY))
    assert found(target) == []
    (target.prefix.bin / "python3.13").unlink()
    assert [each[:2] for each in found(target, python("3.13.2").name)] == [
        ("python3.13", "missing")
    ]
    uninstall(change(target, python("3.13.2").name))
    assert list((target.prefix.state / "bin").iterdir()) == []


def test_a_prefix_that_was_moved(linked, place):
    moved = place / "elsewhere"
    linked.prefix.path.rename(moved)
    report = check(moved)
    assert {each.what for each in report.names} == {"changed"}
    for record in Records(moved / "state").all():
        relocate(Change(moved, record.name))
    assert check(moved).exit_code == 0


def test_a_prefix_that_is_reached_by_a_link(linked, place):
    other = place / "other"
    other.symlink_to(linked.prefix.path)
    report = check(other)
    assert report.names == ()


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"format": 1, "name": "other", "tree": "x", "target": "y", "wrapper": true}'],
)
def test_what_was_kept_of_a_name_was_changed(linked, text):
    (linked.prefix.state / "bin/tool.json").write_text(text)
    with pytest.raises(HostError, match=r"malformed: .*/state/bin/tool\.json"):
        check(linked.prefix.path)
