import json

import pytest

from sealift_bundler.difference import Carried, Contents, compare, read_contents
from workshop import PYTHON, PYTHON_FILES, TOOL, Workshop, digest, pack


@pytest.fixture
def workshop(tmp_path):
    return Workshop(tmp_path).found()


def contents(*archives):
    carried = [
        Carried(name, version, line, digest, size) for name, version, line, digest, size in archives
    ]
    return Contents("site", 1, tuple(carried))


def archive(version, size=10, sha256="0", tool="tool"):
    return (f"{tool}-{version}", version, tool, sha256 * 64, size)


def versions(pairs):
    return [(before.version, after.version) for before, after in pairs]


def test_the_newest_of_a_line_belong_together():
    before = contents(archive("1.9"), archive("1.10"), archive("2.0", tool="gone"))
    after = contents(archive("1.11"), archive("3.0", tool="new"))
    found = compare(before, after)
    assert versions(found.upgraded) == [("1.10", "1.11")]
    assert [one.name for one in found.removed] == ["gone-2.0", "tool-1.9"]
    assert [one.name for one in found.added] == ["new-3.0"]
    assert found.new_bytes == 20
    back = compare(after, before)
    assert versions(back.upgraded) == [("1.11", "1.10")]
    assert [one.name for one in back.added] == ["gone-2.0", "tool-1.9"]


def test_other_bytes_of_one_name_are_a_rebuild():
    found = compare(contents(archive("1")), contents(archive("1", sha256="1", size=30)))
    assert versions(found.rebuilt) == [("1", "1")]
    assert (found.added, found.removed, found.upgraded, found.new_bytes) == ((), (), (), 30)


def test_versions_of_no_known_scheme():
    found = compare(contents(archive("blue"), archive("1")), contents(archive("green")))
    assert versions(found.upgraded) == [("1", "green")]


def test_of_two_bundles_and_of_their_locks(workshop, capsys):
    workshop.add_python()
    workshop.add_tool()
    first = workshop.build()
    old = workshop.folder / "old.lock"
    old.write_bytes(workshop.lock.read_bytes())
    newer = workshop.serve("cpython-3.13.4.tar.gz", {**PYTHON_FILES, "python/new": b"new"})
    workshop.publish(patch=4, url=newer.as_uri(), sha256=digest(newer))
    text, before = workshop.spec.read_text(), digest(workshop.tool)
    workshop.tool.write_bytes(pack({"tool-1.0/bin/tool": b"x" * 5000}))
    workshop.spec.write_text(text.replace(before, digest(workshop.tool)))
    assert workshop.sealift("lock", "--upgrade") == 0
    second = workshop.build(name="second")
    capsys.readouterr()
    shown = []
    for one, two in ((first, second), (old, workshop.lock), (old, workshop.site)):
        assert workshop.sealift("diff", one, two) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] == shown[2]
    python, tool, total = shown[0].splitlines()
    assert python.startswith("~ cpython-3.13.4-linux-x86_64-gnu  3.13.3 to 3.13.4, +")
    assert tool.startswith(f"~ {TOOL}  sha256 {before[:12]}... to {digest(workshop.tool)[:12]}...,")
    assert total.startswith("sequence 1 to 2: 2 to 2 archives, ")
    assert workshop.sealift("diff", first, second, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["upgraded"][0]["from"]["name"] == PYTHON
    assert report["new_bytes"] == newer.stat().st_size + workshop.tool.stat().st_size
    assert (report["first"]["sequence"], report["second"]["sequence"]) == (1, 2)


def test_what_came_and_what_went(workshop, capsys):
    workshop.add_tool()
    workshop.build()
    old = workshop.folder / "old.lock"
    old.write_bytes(workshop.lock.read_bytes())
    workshop.spec.write_text(workshop.spec.read_text().partition("[[url]]")[0])
    workshop.add_python()
    assert workshop.sealift("lock") == 0
    capsys.readouterr()
    assert workshop.sealift("diff", old, workshop.lock) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [["-", TOOL], ["+", PYTHON]]


def test_the_same_twice(workshop, capsys):
    workshop.add_tool()
    bundle = workshop.build()
    capsys.readouterr()
    assert workshop.sealift("diff", bundle, bundle) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("0 B of it new")


def test_what_is_neither(workshop, capsys):
    assert workshop.sealift("diff", workshop.folder, workshop.folder) == 2
    assert "there is no lock and no bundle" in capsys.readouterr().err
    bundle = workshop.folder / "broken"
    bundle.mkdir()
    (bundle / "manifest.json").write_text("{}")
    assert workshop.sealift("diff", bundle, bundle) == 4
    assert "manifest.json" in capsys.readouterr().err


def test_wheels_count(workshop):
    workshop.add_tool()
    bundle = workshop.build()
    read = read_contents(bundle)
    assert read.size == workshop.tool.stat().st_size
    assert read.archives[0].line == "tool-linux-x86_64-gnu"


def test_a_wheel_that_is_new_counts_as_new():
    first = Contents("site", 1, (), {"a" * 64: 10, "b" * 64: 20})
    second = Contents("site", 2, (), {"b" * 64: 20, "c" * 64: 5})
    found = compare(first, second)
    assert (found.new_bytes, found.new_wheel_bytes, found.second.size) == (5, 5, 25)
    assert compare(second, first).new_bytes == 10
