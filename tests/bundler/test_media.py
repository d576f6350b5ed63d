"""media write: what is asked of a medium first, what is written, what is found out by reading."""

import io
import json
import os
import random
import re
import shutil
import stat
from dataclasses import replace

import pytest

from media import on_the_medium
from sealift_bundler.media import copy
from sealift_bundler.media.copy import copy_bundles
from sealift_bundler.media.outcome import CopyOptions, System
from sealift_bundler.media.plan import Facts, check_fits, read_facts, read_source
from sealift_bundler.media.stage import Stage, settle
from sealift_bundler.media.uncached import UncachedBundle
from sealift_bundler.progress import Bars, Progress
from sealift_bundler.seal import read_trusted_root
from sealift_installer.bundle import Bundle
from sealift_installer.errors import Damaged, HostError, UsageError
from sealift_schemas.payload import CHUNK_SIZE, BundleFile
from workshop import Workshop, digest, tree

BIG = 9_000_000


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A site with two bundles of its stream; each has an archive of three chunks."""
    workshop = Workshop(tmp_path_factory.mktemp("media")).found()
    data = random.Random(7).randbytes(BIG)
    big = workshop.serve("big-1.0.tar.gz", {"big-1.0/data": data})
    added = workshop.sealift(
        *("add", "--url", big.as_uri(), "--sha256", digest(big)),
        *("--name", "big", "--version", "1.0"),
    )
    assert added == 0
    workshop.build()
    workshop.add_tool()
    workshop.build(name="second")
    return workshop


@pytest.fixture
def bundle(shop):
    return shop.folder / "bundle"


@pytest.fixture
def stick(tmp_path):
    place = tmp_path / "stick"
    place.mkdir()
    return place


@pytest.fixture
def root(shop):
    return read_trusted_root(shop.root.read_bytes(), digest(shop.root))


def archive_of(place):
    (archive,) = (place / "archives").glob("*big*")
    return archive


def flip(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def keeping(change):
    """A host whose medium is changed when everything was written to it."""

    def settled(place):
        settle(place)
        change(place)

    return System(settle=settled)


def test_a_bundle_is_written_and_read_back(shop, bundle, stick, capsys):
    capsys.readouterr()
    before = os.umask(0o077)
    try:
        assert shop.sealift("media", "write", bundle, stick, "--json") == 0
    finally:
        os.umask(before)
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert tree(stick / "bundle") == tree(bundle)
    assert [path.name for path in stick.iterdir()] == ["bundle"]
    (one,) = report["bundles"]
    assert one["path"] == str(stick / "bundle")
    assert (one["state"], one["sequence"], one["files"]) == ("written", 1, len(manifest(bundle)))
    assert one["manifest"] == digest(bundle / "manifest.json")
    assert one["written"] == sum(len(data) for data in tree(bundle).values())
    assert report["written"]["bytes"] == report["read"]["bytes"] == one["written"]
    assert report["read"]["way"] in {"direct", "driver", "dropped", "cached"}
    assert f"wrote archives/{archive_of(bundle).name}, 8.6 MiB\n" in shown.err
    for path in bundle.rglob("*"):
        copied = (stick / "bundle" / path.relative_to(bundle)).stat()
        wanted = 0o755 if path.is_dir() else 0o644
        assert stat.S_IMODE(copied.st_mode) == wanted
        if path.is_file():
            assert copied.st_mtime_ns == path.stat().st_mtime_ns


def manifest(bundle):
    return json.loads((bundle / "manifest.json").read_text())["predicate"]["files"]


def test_what_is_said_to_a_person(shop, bundle, stick, capsys):
    capsys.readouterr()
    assert shop.sealift("media", "write", bundle, stick) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(f"written: {stick}/bundle\n  stream site, sequence 1, made ")
    assert ": good\nnow eject it, plug it in again, and run: sealift media check " in shown.out
    assert f"warning: {stick} is on the same file system as {bundle}" in shown.err
    assert shop.sealift("media", "write", bundle, stick, "--quiet", "--name", "again") == 0
    assert capsys.readouterr() == ("", "")


def test_one_that_is_there_is_only_read(shop, bundle, stick, capsys):
    assert shop.sealift("media", "write", bundle, stick) == 0
    (stick / "bundle" / "._manifest.json").write_bytes(b"left by macOS")
    before = {path: path.stat().st_mtime_ns for path in stick.rglob("*")}
    capsys.readouterr()
    assert shop.sealift("media", "write", bundle, stick) == 0
    shown = capsys.readouterr().out
    assert f"there already: {stick}/bundle\n" in shown
    assert "\nwrote" not in shown
    assert {path: path.stat().st_mtime_ns for path in stick.rglob("*")} == before


def test_one_that_is_there_and_damaged(shop, bundle, stick, capsys):
    assert shop.sealift("media", "write", bundle, stick) == 0
    flip(archive_of(stick / "bundle"), 5_000_000)
    assert shop.sealift("media", "write", bundle, stick) == 6
    shown = capsys.readouterr().err
    assert "the bundle is on the medium, and has changed there" in shown
    assert "bytes 4194304 to 8388607: other bytes" in shown
    assert "hint: remove it there" in shown


def test_another_one_is_left_alone(shop, bundle, stick, capsys):
    second = shop.folder / "second"
    assert shop.sealift("media", "write", second, stick, "--name", "bundle") == 0
    before = tree(stick)
    assert shop.sealift("media", "write", bundle, stick) == 2
    shown = capsys.readouterr().err
    assert "error: another bundle has this name on the medium" in shown
    assert f"  Expected: {digest(bundle / 'manifest.json')}\n" in shown
    assert f"  Computed: {digest(second / 'manifest.json')}\n" in shown
    assert tree(stick) == before


@pytest.mark.parametrize("what", ["a file", "a link", "a full directory", "a dangling link"])
def test_something_else_has_the_name(shop, bundle, stick, tmp_path, what):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    target = stick / "bundle"
    if what == "a file":
        target.touch()
    elif what == "a full directory":
        target.mkdir()
        (target / "mine").touch()
    else:
        target.symlink_to(elsewhere if what == "a link" else elsewhere / "none")
    assert shop.sealift("media", "write", bundle, stick) == 2
    assert [path.name for path in stick.iterdir()] == ["bundle"]
    assert [*elsewhere.iterdir()] == []


def test_an_empty_directory_becomes_the_bundle(shop, bundle, stick):
    (stick / "bundle").mkdir()
    assert shop.sealift("media", "write", bundle, stick) == 0
    assert tree(stick / "bundle") == tree(bundle)


def test_several_bundles(shop, bundle, stick, capsys):
    second = shop.folder / "second"
    assert shop.sealift("media", "write", bundle, stick) == 0
    capsys.readouterr()
    assert shop.sealift("media", "write", bundle, second, stick, "--json") == 0
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert [one["state"] for one in report["bundles"]] == ["present", "written"]
    assert tree(stick / "second") == tree(second)
    assert shop.sealift("media", "write", bundle, second, stick, "--name", "x") == 2
    assert "--name is for one bundle" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["bundle", "BUNDLE"])
def test_two_bundles_with_one_name(shop, bundle, stick, tmp_path, name, capsys):
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / name
    shutil.copytree(shop.folder / "second", other)
    assert shop.sealift("media", "write", bundle, other, stick) == 2
    assert "two bundles have one name" in capsys.readouterr().err
    assert [*stick.iterdir()] == []


def test_a_bad_source_is_not_written(shop, bundle, stick, tmp_path, capsys):
    bad = tmp_path / "bundle"
    shutil.copytree(bundle, bad)
    flip(archive_of(bad), 100)
    assert shop.sealift("media", "write", bad, stick) == 4
    (bad / "manifest.dsse.json").unlink()
    assert shop.sealift("media", "write", bad, stick) == 4
    other = Workshop(folder(tmp_path)).found()
    assert other.sealift("media", "write", bundle, stick) == 3
    assert shop.sealift("media", "write", tmp_path / "none", stick) == 6
    assert [*stick.iterdir()] == []


def folder(tmp_path):
    place = tmp_path / "strangers"
    place.mkdir()
    return place


def test_what_is_left_in_the_source_stays_there(bundle, stick, root, tmp_path):
    littered = tmp_path / "bundle"
    shutil.copytree(bundle, littered)
    (littered / ".DS_Store").touch()
    (littered / "archives" / "._x").touch()
    told = []
    copy_bundles([littered], stick, CopyOptions(root, report=told.append))
    assert tree(stick / "bundle") == tree(bundle)
    assert "warning: left by an operating system, ignored: .DS_Store" in told


def test_a_source_that_changes_while_it_is_read(bundle, stick, tmp_path, root):
    copied = tmp_path / "bundle"
    shutil.copytree(bundle, copied)

    class Meddler(Progress):
        def expect(self, files, size):
            flip(archive_of(copied), 100)

    with pytest.raises(Damaged, match=r"wrong SHA-256: archives/.*, chunk 1"):
        copy_bundles([copied], stick, CopyOptions(root, watch=on_the_medium(Meddler())))
    assert not (stick / "bundle").exists()


def test_places_that_are_none(shop, bundle, stick, capsys):
    assert shop.sealift("media", "write", bundle, stick / "none") == 2
    assert "hint: is the medium mounted?" in capsys.readouterr().err
    assert [*stick.iterdir()] == []
    inside = shop.folder / "second" / "archives"
    assert shop.sealift("media", "write", bundle, inside) == 2
    assert "a bundle is no place for another one" in capsys.readouterr().err
    assert shop.sealift("media", "write", bundle, bundle.parent) == 2
    assert "the bundle stands there" in capsys.readouterr().err
    for name in ("..", "a/b", ""):
        assert shop.sealift("media", "write", bundle, stick, "--name", name) == 2
    assert shop.sealift("media", "write", bundle, stick, "--name", ".x.partial") == 2
    assert "the name of an unfinished bundle" in capsys.readouterr().err


def test_a_name_that_is_too_long(shop, bundle, stick, capsys):
    assert shop.sealift("media", "write", bundle, stick, "--name", "x" * 300) == 6
    assert "the medium cannot hold the name xxx" in capsys.readouterr().err
    assert [*stick.iterdir()] == []


def test_a_medium_that_keeps_another_byte(bundle, stick, root):
    told = []
    liar = keeping(lambda place: flip(archive_of(place), 5_000_000))
    where = r"archives/.*big.*, bytes 4194304 to 8388607: other bytes"
    with pytest.raises(HostError, match=where):
        copy_bundles([bundle], stick, CopyOptions(root, report=told.append, system=liar))
    assert told[-1] == f"unfinished: {stick}/.bundle.partial; the next run goes on with it"
    assert [path.name for path in stick.iterdir()] == [".bundle.partial"]
    # Only what is wrong is written again.
    copies = copy_bundles([bundle], stick, CopyOptions(root))
    (copied,) = copies.bundles
    assert (copied.state, copied.written) == ("resumed", CHUNK_SIZE)
    assert tree(stick / "bundle") == tree(bundle)


def test_a_medium_that_lies_about_one_bundle_of_two(shop, bundle, stick, root):
    """What was written first is read when everything was written: a small stick wraps around."""
    first = []

    def wrap(place):
        first.append(place)
        if len(first) == 2:
            flip(archive_of(first[0]), 0)

    bundles = [bundle, shop.folder / "second"]
    with pytest.raises(HostError, match=r"  bundle/archives/.*, bytes 0 to 4194303: other bytes"):
        copy_bundles(bundles, stick, CopyOptions(root, system=keeping(wrap)))
    assert sorted(path.name for path in stick.iterdir()) == [".bundle.partial", ".second.partial"]


def lose(place):
    archive_of(place).unlink()


def cut(place):
    os.truncate(archive_of(place), CHUNK_SIZE + 1)


def add(place):
    with archive_of(place).open("ab") as file:
        file.write(b"more")


def swap(place):
    archive = archive_of(place)
    archive.unlink()
    archive.symlink_to("/etc/passwd")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lose, "bytes 0 to 90.*: missing"),
        (cut, "bytes 4194304 to 90.*: cut short"),
        (add, "bytes 90.* to 90.*: too long"),
        (swap, "bytes 0 to 90.*: not a regular file"),
    ],
)
def test_a_medium_that_keeps_less_or_more(bundle, stick, root, change, reason):
    with pytest.raises(HostError, match=reason):
        copy_bundles([bundle], stick, CopyOptions(root, system=keeping(change)))
    copies = copy_bundles([bundle], stick, CopyOptions(root))
    assert copies.bundles[0].state == "resumed"
    assert tree(stick / "bundle") == tree(bundle)
    assert archive_of(stick / "bundle").is_symlink() is False


def test_what_was_left_is_gone_on_with(bundle, stick, root, tmp_path):
    """Nothing outside is touched by it, whatever stands in the place of files."""
    place = stick / ".bundle.partial"
    shutil.copytree(bundle, place)
    outside = tmp_path / "outside"
    outside.mkdir()
    victim = outside / "victim"
    victim.write_bytes(b"mine")
    (place / "README.txt").unlink()
    (place / "README.txt").symlink_to(victim)
    (place / "VERIFY.txt").unlink()
    (place / "VERIFY.txt").hardlink_to(victim)
    shutil.rmtree(place / "index")
    (place / "index").symlink_to(outside)
    shutil.rmtree(place / "evidence")
    os.mkfifo(place / "evidence")
    (place / "archives" / "stranger").mkdir()
    (place / "archives" / "stranger" / "x").touch()
    (place / "stranger").symlink_to(outside)
    os.truncate(place / "manifest.dsse.json", 10)
    with (place / "SHA256SUMS").open("ab") as file:
        file.write(b"more")
    copies = copy_bundles([bundle], stick, CopyOptions(root))
    (copied,) = copies.bundles
    assert copied.state == "resumed"
    assert 0 < copied.written < BIG
    assert tree(stick / "bundle") == tree(bundle)
    assert (victim.read_bytes(), [*outside.iterdir()]) == (b"mine", [victim])


def test_a_link_in_the_place_of_the_stage(shop, bundle, stick, tmp_path, capsys):
    (tmp_path / "elsewhere").mkdir()
    (stick / ".bundle.partial").symlink_to(tmp_path / "elsewhere")
    assert shop.sealift("media", "write", bundle, stick) == 6
    assert "cannot write the bundle" in capsys.readouterr().err
    assert [*(tmp_path / "elsewhere").iterdir()] == []


class Stop(Progress):
    """Something happens when a file was written."""

    def __init__(self, action):
        self.action = action

    def finish(self, name, size, *, fetched):
        self.action(name)


def test_an_interrupt(bundle, stick, root):
    def stop(name):
        if name.startswith("archives/"):
            raise KeyboardInterrupt("a person")

    told = []
    options = CopyOptions(root, watch=on_the_medium(Stop(stop)), report=told.append)
    with pytest.raises(KeyboardInterrupt, match=r"^a person$"):
        copy_bundles([bundle], stick, options)
    assert told[-1].startswith("unfinished: ")
    assert [path.name for path in stick.iterdir()] == [".bundle.partial"]
    # What nobody takes for a bundle has no envelope.
    assert (stick / ".bundle.partial" / "manifest.dsse.json").read_bytes() == b""
    copies = copy_bundles([bundle], stick, CopyOptions(root))
    assert copies.bundles[0].written < BIG


def test_two_runs_at_a_time(bundle, stick, root):
    refused = []

    def again(name):
        if not refused:
            with pytest.raises(UsageError, match="another sealift is writing") as error:
                copy_bundles([bundle], stick, CopyOptions(root))
            refused.append(error)

    copy_bundles([bundle], stick, CopyOptions(root, watch=on_the_medium(Stop(again))))
    assert refused
    assert tree(stick / "bundle") == tree(bundle)


def test_files_that_are_lost_with_the_name(bundle, stick, root):
    """As a driver of FAT in user space does."""
    carried = read_source(bundle, None, root)
    shutil.copytree(bundle, stick / "bundle")
    job = copy._Job(carried, Stage(stick / "bundle", carried.files))
    copy._check_named([job], stick)
    (stick / "bundle" / "README.txt").unlink()
    with pytest.raises(HostError, match="the medium lost files when the bundle got its name"):
        copy._check_named([job], stick)


def facts(**changes):
    return replace(Facts(kind="vfat", block=4096, free=1 << 40, entries=None), **changes)


def test_room_is_counted_in_blocks(bundle, stick, root):
    carried = read_source(bundle, None, root)
    check_fits(facts(free=carried.size + 300_000), [carried])
    few = r"room: \d+\.\d MiB are needed in blocks of 131072 bytes, 8\.9 MiB are free"
    with pytest.raises(HostError, match=few):
        check_fits(facts(free=carried.size + 300_000, block=131072), [carried])
    check_fits(facts(free=None), [carried])
    with pytest.raises(HostError, match="room: "):
        check_fits(facts(free=carried.size * 2), [carried, carried])
    # What is there already is not needed any more.
    sizes = [file.size for file in carried.files]
    check_fits(facts(free=100_000), [carried], sizes)
    with pytest.raises(HostError, match=r"files: \d+ are needed, and 5 can be made"):
        check_fits(facts(entries=5), [carried])
    check_fits(facts(entries=5), [carried], [*sizes, 1, 1, 1, 1])


def test_what_a_file_system_holds_by_its_rules(bundle, root):
    carried = read_source(bundle, None, root)
    large = BundleFile("archives/large", 1 << 32, "0" * 64, ())
    huge = replace(carried, files=(*carried.files, large))
    with pytest.raises(HostError, match=r"bundle/archives/large: 4\.0 GiB, and FAT32 holds"):
        check_fits(facts(), [huge])
    check_fits(facts(kind="exfat"), [huge])
    check_fits(facts(), [replace(huge, files=(replace(large, size=(1 << 32) - 1),))])
    for name, reason in {
        "a:b": "no : in names",
        "a\tb": r"no \\t in names",
        "end.": "no name ends with a dot",
        "CON": "Windows keeps it for a device",
        "lpt1.txt": "Windows keeps it for a device",
    }.items():
        named = replace(carried, name=name)
        check_fits(facts(kind="ext4"), [named])
        for kind in ("vfat", "exfat", "ntfs3", "fuseblk"):
            with pytest.raises(HostError, match=reason):
                check_fits(facts(kind=kind), [named])


def test_nothing_is_left_of_what_does_not_fit(bundle, stick, root):
    small = System(read_facts=lambda _: facts(free=1000))
    with pytest.raises(HostError, match="the medium cannot hold this:\n  room: "):
        copy_bundles([bundle], stick, CopyOptions(root, system=small))
    assert [*stick.iterdir()] == []
    # But what an earlier run has left stays.
    place = stick / ".bundle.partial"
    place.mkdir()
    shutil.copy(bundle / "README.txt", place)
    with pytest.raises(HostError, match="room: "):
        copy_bundles([bundle], stick, CopyOptions(root, system=small))
    assert tree(place).keys() == {"README.txt"}


def test_every_name_is_tried_first(stick):
    long = "x" * 300
    files = [BundleFile(path, 0, "", ()) for path in ("a", f"{long}/b", f"d/{long}", "d/e")]
    stage = Stage(stick, files)
    with pytest.raises(HostError, match="the medium cannot hold this") as error:
        stage.lay_out()
    lines = error.value.message.split("\n")[1:]
    # What is in a folder that cannot be made is not told as well.
    assert [line.rpartition(": ")[0] for line in lines] == [
        f"  the name {long}",
        f"  the name d/{long}",
    ]
    assert tree(stick) == {"a": b"", "d/e": b""}


def test_facts_of_this_machine(tmp_path):
    found = read_facts(tmp_path)
    status = os.statvfs(tmp_path)
    assert found.block == status.f_frsize
    assert found.free is not None
    with pytest.raises(HostError, match="cannot ask about the medium"):
        read_facts(tmp_path / "none")


def test_reads_past_the_cache_are_the_same_bytes(tmp_path):
    rng = random.Random(3)
    for size in (0, 1, 511, 4095, 4096, 4097, 1 << 20, (1 << 20) + 5, 3_000_001):
        (tmp_path / "file").write_bytes(data := rng.randbytes(size))
        with UncachedBundle(tmp_path).open("file") as file:
            assert file.read() == data
            assert file.read(1) == b""
            for _ in range(20):
                at, count = rng.randrange(size + 10), rng.randrange(1, 1 << 21)
                file.seek(at)
                buffer = bytearray(count)
                read = file.readinto(buffer)
                assert buffer[:read] == data[at : at + read]
                assert (read > 0) == (at < size)
                assert file.tell() == max(at, at + read)
            file.seek(0)
            assert b"".join(iter(lambda file=file: file.read(70_000), b"")) == data
    assert UncachedBundle(tmp_path).read("file", 1 << 30) == Bundle(tmp_path).read("file", 1 << 30)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_bars_keep_their_numbers_in_one_row(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    stream = io.StringIO()
    bars = Bars(stream)
    with bars:
        bars.expect(3, 900 * CHUNK_SIZE)
        for done in range(0, 300 * CHUNK_SIZE, 10 * CHUNK_SIZE):
            bars.show("archives/012345678-a-name-that-is-rather-long", done, 300 * CHUNK_SIZE)
            bars._bars.refresh()
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    rows = [row for row in re.split(r"[\r\n]+", shown) if row.strip()]
    assert len(rows) > 10
    assert [row for row in rows if not re.search(r"\d/\d+\.\d [MG]iB ", row)] == []
    assert max(map(len, rows)) <= columns
