"""media check: what is found of bundles on a medium, and what is said of it."""

import json
import os
import random
import re
import shutil

import pytest

from sealift_bundler.media.check import check_bundle, find_bundles
from sealift_bundler.progress import Progress
from sealift_bundler.seal import read_trusted_root
from sealift_installer.errors import HostError
from simulator import BundleSimulator, SimArchive
from workshop import Workshop, digest

BIG = 10_000_000


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    workshop = Workshop(tmp_path_factory.mktemp("check")).found()
    workshop.add_tool()
    workshop.build()
    return workshop


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """A bundle with an archive of three chunks, and the file of its root."""
    folder = tmp_path_factory.mktemp("big")
    site = BundleSimulator(folder / "big")
    data = random.Random(13).randbytes(BIG)
    site.add_archive(SimArchive("big-1.0", (), data=data, format="tar"))
    site.write()
    root = folder / "root.json"
    root.write_bytes(site.roots[1])
    return site, root


@pytest.fixture
def stick(shop, tmp_path):
    place = tmp_path / "stick"
    shutil.copytree(shop.folder / "bundle", place / "bundle")
    return place


@pytest.fixture
def carried(big, tmp_path):
    """A stick with the big bundle alone, and how to look at it."""
    site, root = big
    place = tmp_path / "stick" / "big"
    shutil.copytree(site.path, place)
    return place, read_trusted_root(root.read_bytes(), digest(root))


def archive_of(place):
    (archive,) = (place / "archives").iterdir()
    return archive


def flip(path, *positions):
    data = bytearray(path.read_bytes())
    for position in positions:
        data[position] ^= 1
    path.write_bytes(data)


def test_good_bundles(shop, stick, capsys):
    shutil.copytree(stick / "bundle", stick / "again")
    capsys.readouterr()
    assert shop.sealift("media", "check", stick) == 0
    shown = capsys.readouterr()
    head, *rows, way = shown.out.splitlines()
    assert head.split() == ["bundle", "sequence", "files", "size", "rate"]
    assert [re.split(" {2,}", row)[::5] for row in rows] == [["again", "good"], ["bundle", "good"]]
    assert way.startswith("read ")
    assert shown.err == ""
    assert shop.sealift("media", "check", stick, "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_the_directory_is_the_bundle(shop, stick, capsys):
    capsys.readouterr()
    assert shop.sealift("media", "check", stick / "bundle", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["unfinished"] == []
    (one,) = report["bundles"]
    assert one["state"] == "good"
    assert (one["error"], one["faults"], one["warnings"]) == (None, [], [])
    assert (one["stream"], one["sequence"]) == ("site", 1)
    assert one["manifest"] == digest(stick / "bundle" / "manifest.json")
    assert len(one["signers"]) == 1
    assert one["bytes"] > 0
    assert one["way"] in {"direct", "driver", "dropped", "cached"}


def test_the_directory_that_one_is_in(shop, stick, capsys):
    (stick / "bundle" / "README.txt").write_bytes(b"other")
    words = ["--root", shop.root]
    assert shop.sealift("media", "check", ".", *words, cwd=stick / "bundle") == 4
    shown = capsys.readouterr()
    assert "  ./README.txt, bytes 0 to " in shown.err
    assert "\n.       site 1 " in shown.out


def test_a_root_by_hand(shop, stick, capsys):
    assert shop.sealift("media", "check", stick, "--root", shop.root, cwd=stick) == 0
    assert shop.sealift("media", "check", stick, cwd=stick) == 2
    assert "there is no root to verify the bundle with" in capsys.readouterr().err


def test_every_wrong_byte_is_named(big, carried, shop, capsys):
    place, _ = carried
    archive = archive_of(place)
    flip(archive, 0, 4_194_304, 9_000_000)
    (place / "README.txt").write_bytes(b"What this is?\n")
    (place / "archives" / "added").touch()
    capsys.readouterr()
    words = ["media", "check", place.parent, "--root", big[1]]
    assert shop.sealift(*words, "--json") == 4
    shown = capsys.readouterr()
    (one,) = json.loads(shown.out)["bundles"]
    assert one["state"] == "damaged"
    name = f"archives/{archive.name}"
    assert one["faults"] == [
        {"path": "README.txt", "first": 0, "last": 13, "reason": "other bytes"},
        {"path": name, "first": 0, "last": BIG - 1, "reason": "other bytes"},
        {"path": "archives/added", "first": None, "last": None, "reason": "not listed in the manifest"},
    ]  # fmt: skip
    assert "error: 1 of 1 bundles on" in shown.err
    assert f"  big/{name}, bytes 0 to 9999999: other bytes\n" in shown.err
    assert "hint: remove it there, write it again with sealift media write" in shown.err


def test_chunks_that_do_not_follow_each_other(carried):
    place, root = carried
    flip(archive_of(place), 1, BIG - 1)
    found = check_bundle(place, root, Progress())
    assert [(fault.start, fault.end) for fault in found.faults] == [
        (0, 4_194_304),
        (8_388_608, BIG),
    ]
    assert not found.good


@pytest.mark.parametrize(
    ("size", "faults"),
    [
        (BIG + 5, [(BIG, BIG + 5, "too long")]),
        (5_000_000, [(4_194_304, BIG, "cut short")]),
        (0, [(0, BIG, "cut short")]),
        (None, [(0, BIG, "missing")]),
    ],
)
def test_files_that_are_shorter_or_longer(carried, size, faults):
    place, root = carried
    archive = archive_of(place)
    if size is None:
        archive.unlink()
    else:
        os.truncate(archive, size)
    found = check_bundle(place, root, Progress())
    assert [(fault.start, fault.end, fault.reason) for fault in found.faults] == faults
    assert found.error is not None
    assert found.error.message == "1 file is not what was sealed"


@pytest.mark.parametrize(
    ("name", "message", "listed"),
    [
        ("manifest.json", "manifest.json is not the payload that was signed", True),
        ("SHA256SUMS", "SHA256SUMS is not what the manifest says", True),
        ("manifest.dsse.json", "", False),
    ],
)
def test_damaged_documents(carried, name, message, listed):
    """With the envelope whole, all other damage is found as well."""
    place, root = carried
    flip(place / name, (place / name).stat().st_size // 2)
    flip(archive_of(place), BIG - 1)
    found = check_bundle(place, root, Progress())
    assert found.error is not None
    assert message in found.error.message
    assert [fault.start for fault in found.faults] == ([8_388_608] if listed else [])


def test_a_bundle_of_strangers(shop, big, stick, capsys):
    shutil.copytree(big[0].path, stick / "strangers")
    flip(stick / "bundle" / "README.txt", 0)
    capsys.readouterr()
    assert shop.sealift("media", "check", stick) == 3
    shown = capsys.readouterr()
    assert "error: 2 of 2 bundles on" in shown.err
    assert "  strangers: root version 1 in the bundle is not the one that was trusted" in shown.err
    assert "  bundle/README.txt, bytes 0 to " in shown.err
    assert [line.rpartition("  ")[2] for line in shown.out.splitlines()[1:3]] == [
        "damaged",
        "not trusted",
    ]


def test_a_bundle_that_is_withdrawn(tmp_path):
    site = BundleSimulator(tmp_path / "bundle")
    site.add_archive(SimArchive("x-1", ()))
    site.write()
    site.withdraw(digest(site.path / "manifest.json"))
    site.write()
    found = check_bundle(site.path, site.first_root, Progress())
    assert found.error is not None
    assert found.error.exit_code == 5


def test_what_stands_beside_bundles(shop, stick, tmp_path, capsys):
    for name in ("System Volume Information", ".Trashes", "photographs", ".bundle.partial"):
        (stick / name).mkdir()
    shutil.copy(stick / "bundle" / "manifest.json", stick / ".bundle.partial")
    (stick / "._bundle").touch()
    (stick / "a link").symlink_to(tmp_path)
    shutil.copytree(stick / "bundle", tmp_path / "elsewhere")
    (stick / "linked").symlink_to(tmp_path / "elsewhere")
    (stick / "bundle" / ".DS_Store").touch()
    capsys.readouterr()
    assert shop.sealift("media", "check", stick, "--json") == 0
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert [one["path"] for one in report["bundles"]] == [str(stick / "bundle")]
    assert report["unfinished"] == [str(stick / ".bundle.partial")]
    assert f"warning: a link, not followed: {stick}/linked\n" in shown.err
    assert f"warning: unfinished, not read: {stick}/.bundle.partial;" in shown.err
    assert "left by an operating system, ignored: .DS_Store" in shown.err


def test_no_bundle(shop, tmp_path, capsys):
    assert shop.sealift("media", "check", tmp_path / "none") == 2
    assert "hint: is the medium mounted?" in capsys.readouterr().err
    assert shop.sealift("media", "check", tmp_path) == 4
    assert f"error: no bundle on the medium: {tmp_path}\n" in capsys.readouterr().err
    (tmp_path / ".x.partial").mkdir()
    assert shop.sealift("media", "check", tmp_path) == 4
    assert "; unfinished: .x.partial" in capsys.readouterr().err


def test_a_link_inside_of_a_bundle(carried, tmp_path):
    place, root = carried
    archive = archive_of(place)
    shutil.copy(archive, tmp_path / "same")
    archive.unlink()
    archive.symlink_to(tmp_path / "same")
    found = check_bundle(place, root, Progress())
    assert [fault.reason for fault in found.faults] == ["not a regular file"]


def test_a_medium_that_is_pulled_out(carried):
    place, root = carried

    class Pull(Progress):
        def show(self, name, done, total):
            shutil.rmtree(place.parent, ignore_errors=True)
            place.parent.mkdir()

    with pytest.raises(HostError, match="the medium is gone, or cannot be read any more") as error:
        check_bundle(place, root, Pull())
    assert error.value.exit_code == 6


def test_what_is_taken_for_a_bundle(tmp_path):
    documents = {
        "whole": ("manifest.dsse.json", "manifest.json", "SHA256SUMS"),
        "cut off": ("manifest.dsse.json",),
        "without an envelope": ("manifest.json", "SHA256SUMS"),
        "an extension of a browser": ("manifest.json",),
        "images of a system": ("SHA256SUMS",),
        "photographs": (),
    }
    for name, files in documents.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
    found = [path.name for path in find_bundles(tmp_path).bundles]
    assert found == ["cut off", "whole", "without an envelope"]
