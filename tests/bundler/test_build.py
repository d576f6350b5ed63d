import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loopback import LoopbackServer, Stalled
from sealift_bundler import build, seal
from sealift_bundler.draft import Draft
from sealift_bundler.inspect import Inspection
from sealift_bundler.lock import read_lock
from sealift_bundler.progress import Progress
from sealift_bundler.seal import verify_bundle
from sealift_bundler.write import check_output, staged
from sealift_installer.errors import Damaged, HostError, UsageError
from sealift_schemas.index import Entry
from sealift_schemas.lean import replace
from sealift_schemas.lock import Lock, LockedArchive
from sealift_schemas.manifest import Manifest, Requirements
from sealift_schemas.payload import CHUNK_SIZE
from simulator import BundleSimulator, Member, SimArchive
from workshop import PYTHON, TOOL, TOOL_FILES, Workshop, digest, pack, tree

CREATED = "2026-01-31T09:00:00Z"


@pytest.fixture
def workshop(tmp_path):
    return Workshop(tmp_path).found()


def manifest_of(bundle):
    return Manifest.read((bundle / "manifest.json").read_bytes(), limit=1 << 30)


def test_a_sealed_bundle_has_the_files_of_format_1(workshop):
    workshop.add_tool()
    workshop.add_python()
    bundle = workshop.build()
    manifest = manifest_of(bundle)
    names = {path.split("/")[0] for path in tree(bundle)} - {"SHA256SUMS"}
    assert {name for name in names if not name.startswith("SHA256SUMS.")} == {
        *("manifest.json", "manifest.dsse.json", "VERIFY.txt", "README.txt", "report.html"),
        *("archives", "evidence", "index", "templates", "trust", "python-downloads.json"),
    }
    assert [archive.name for archive in manifest.archives] == [PYTHON, TOOL]
    assert manifest.created == "2023-11-14T22:13:20Z"
    python, tool = manifest.archives
    assert tool.links == {"tool": "bin/tool"}
    assert tool.source.url == "https://site.invalid/tool-1.0.tar.gz"
    assert python.interpreter == "bin/python3.13"
    assert python.links == {"python3.13": "bin/python3.13"}
    assert str(workshop.folder) not in json.dumps(manifest.to_json())


def test_bytes_that_serve_two_platforms_are_carried_once(workshop):
    workshop.add_tool()
    workshop.spec.write_text(
        workshop.spec.read_text().replace("linux-x86_64-gnu", "linux-x86_64-musl", 1)
    )
    workshop.add_tool()
    bundle = workshop.build()
    gnu, musl = manifest_of(bundle).archives
    assert [gnu.name, musl.name] == [TOOL, "tool-1.0-linux-x86_64-musl"]
    assert (gnu.parts, gnu.index) == (musl.parts, musl.index)
    assert len(list((bundle / "archives").iterdir())) == 1
    assert workshop.sealift("build", "--output", workshop.folder / "again") == 0
    assert tree(workshop.folder / "again") == tree(bundle)


def test_archives_are_carried_byte_for_byte(workshop):
    workshop.add_tool()
    bundle = workshop.build()
    (part,) = manifest_of(bundle).archives[0].parts
    assert part == f"archives/{digest(workshop.tool)[:9]}-tool-1.0.tar.gz"
    assert (bundle / part).read_bytes() == workshop.tool.read_bytes()


def test_sealing_holds_every_document_against_its_schema(workshop, monkeypatch):
    workshop.add_tool()
    bundle = workshop.build()
    checked = {}

    def check(name, documents):
        checked.setdefault(name, set()).update(what for what, _ in documents)

    monkeypatch.setattr(seal, "check_documents", check)
    root = seal.read_trusted_root(workshop.root.read_bytes(), digest(workshop.root))
    seal.seal_bundle(bundle, root)
    assert checked == {
        "manifest": {"manifest.json"},
        "envelope": {
            "manifest.dsse.json",
            "trust/root/1.root.dsse.json",
            "evidence/provenance.dsse.json",
            "evidence/vsa.dsse.json",
        },
        "root": {"trust/root/1.root.dsse.json"},
        "provenance": {"evidence/provenance.dsse.json"},
        "vsa": {"evidence/vsa.dsse.json"},
        "index": {f"index/{digest(workshop.tool)}.jsonl"},
    }


def test_the_same_lock_and_keys_give_the_same_bytes(workshop):
    workshop.add_tool()
    workshop.add_python()
    first = tree(workshop.build())
    shutil.rmtree(workshop.folder / "cache")
    workshop.environment["SOURCE_DATE_EPOCH"] = "1800000000"  # times come from the lock
    assert tree(workshop.build(name="again")) == first


def test_a_bundle_needs_a_new_or_empty_directory(workshop, capsys):
    workshop.add_tool()
    output = workshop.folder / "bundle"
    output.mkdir()
    workshop.build()
    assert workshop.sealift("build", "--output", output) == 2
    assert "error: the directory is not empty" in capsys.readouterr().err
    file = workshop.folder / "file"
    file.touch()
    assert workshop.sealift("build", "--output", file) == 2
    assert "error: not a directory" in capsys.readouterr().err


def test_a_bundle_is_never_the_root_of_a_volume():
    with pytest.raises(UsageError, match="not the root of a volume"):
        check_output(Path("/"))


def test_the_default_place_is_named_after_stream_and_sequence(workshop, capsys):
    workshop.add_tool()
    assert workshop.sealift("build") == 0
    place = workshop.site / "bundles" / "site-1"
    assert capsys.readouterr().out.splitlines()[-1] == str(place)
    assert (place / "manifest.dsse.json").exists()


def test_nothing_is_left_where_a_bundle_cannot_be_sealed(workshop, capsys, monkeypatch):
    workshop.add_tool()

    def refuse(place, root):
        assert (place / "manifest.dsse.json").exists()
        raise Damaged("not as it was written")

    monkeypatch.setattr(build, "seal_bundle", refuse)
    before = sorted(path.name for path in workshop.folder.iterdir())
    assert workshop.sealift("build", "--output", workshop.folder / "bundle") == 4
    assert "not as it was written" in capsys.readouterr().err
    after = sorted(path.name for path in workshop.folder.iterdir())
    assert after == sorted({*before, "cache"})


def test_a_stranger_is_refused_before_anything_is_fetched(workshop, capsys):
    workshop.add_tool()
    workshop.sealift("key", "new", "stranger", "--no-passphrase")
    text = workshop.spec.read_text().replace("keys/release.key.pem", "keys/stranger.key.pem")
    workshop.spec.write_text(text)
    assert workshop.sealift("build", "--output", workshop.folder / "bundle") == 3
    assert "Computed: 0" in capsys.readouterr().err
    assert not workshop.lock.exists()


def test_an_archive_that_is_not_what_was_promised(workshop, capsys):
    workshop.add_tool()
    workshop.tool.write_bytes(pack({"tool-1.0/bin/tool": b"another one"}))
    assert workshop.sealift("build", "--output", workshop.folder / "bundle") == 4
    shown = capsys.readouterr().err
    assert "Expected:" in shown
    assert f"Computed: sha256 {digest(workshop.tool)}" in shown
    assert list((workshop.folder / "cache").rglob("*tool*")) == []


def test_a_hostile_archive_is_refused_before_it_is_carried(workshop, capsys):
    evil = workshop.folder / "served" / "evil.tar.gz"
    evil.write_bytes(pack({"x/a": b"", "x/../../up": b"out"}))
    words = ["add", "--url", evil.as_uri(), "--sha256", digest(evil), "--name", "e", "--version"]
    assert workshop.sealift(*words, "1") == 0
    assert workshop.sealift("build", "--output", workshop.folder / "bundle") == 4
    assert "evil.tar.gz" in capsys.readouterr().err
    assert not (workshop.folder / "bundle").exists()


def test_an_archive_that_lies_about_its_format(workshop, capsys):
    page = workshop.folder / "served" / "page.tar.gz"
    page.write_text("<!doctype html><title>not found</title>")
    words = ["add", "--url", page.as_uri(), "--sha256", digest(page), "--name", "p", "--version"]
    assert workshop.sealift(*words, "1") == 0
    assert workshop.sealift("build", "--output", workshop.folder / "bundle") == 4
    assert "HTML" in capsys.readouterr().err


def test_a_link_that_leads_nowhere(workshop, capsys):
    assert workshop.add_tool("--link", "other=bin/other") == 0
    assert workshop.sealift("build", "--output", workshop.folder / "bundle") == 2
    assert "the link `other` of tool-1.0-linux-x86_64-gnu leads to" in capsys.readouterr().err


def test_two_archives_of_one_name(workshop, capsys):
    workshop.add_tool()
    other = workshop.serve("other.tar.gz", {**TOOL_FILES, "tool-1.0/more": b"more"})
    words = ["add", "--url", other.as_uri(), "--sha256", digest(other), "--name", "tool"]
    words += ["--version", "1.0", "--platform", "linux-x86_64-gnu"]
    assert workshop.sealift(*words) == 0
    assert workshop.sealift("lock") == 2
    assert f"two archives would be installed as {TOOL}" in capsys.readouterr().err
    assert not workshop.lock.exists()


def test_the_same_archive_under_two_names(workshop, capsys):
    workshop.add_tool()
    words = ["add", "--url", workshop.tool.as_uri(), "--sha256", digest(workshop.tool)]
    assert workshop.sealift(*words, "--name", "twin", "--version", "1") == 0
    assert workshop.sealift("lock") == 2
    assert f"one archive would be installed as {TOOL} and as twin-1" in capsys.readouterr().err


def test_missing_keys_cost_no_download(workshop, capsys):
    workshop.add_tool()
    (workshop.site / "keys" / "release.key.pem").unlink()
    assert workshop.sealift("build", "--output", workshop.folder / "bundle") == 2
    assert "there is no key" in capsys.readouterr().err
    assert not workshop.lock.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_destination_that_cannot_be_written(workshop, capsys):
    workshop.add_tool()
    closed = workshop.folder / "closed"
    closed.mkdir(mode=0o555)
    assert workshop.sealift("build", "--output", closed / "bundle") == 6
    assert "cannot write the bundle: Permission denied" in capsys.readouterr().err


def test_a_destination_below_a_file(workshop, capsys):
    workshop.add_tool()
    (workshop.folder / "file").touch()
    assert workshop.sealift("build", "--output", workshop.folder / "file" / "bundle") == 6
    assert "cannot write the bundle: " in capsys.readouterr().err
    # It is found before anything is looked up.
    assert not workshop.lock.exists()


@pytest.mark.parametrize("name", [".", "../empty"])
def test_an_output_may_be_where_one_is(tmp_path, monkeypatch, name):
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    with staged(Path(name)) as place:
        (place / "file").touch()
    assert [path.name for path in empty.iterdir()] == ["file"]
    assert list(tmp_path.iterdir()) == [empty]


def test_an_output_above_where_one_is(tmp_path, monkeypatch):
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    with pytest.raises(UsageError, match="the directory is not empty"):
        staged(Path("..")).__enter__()


def test_two_runs_do_not_write_one_bundle(tmp_path):
    with staged(tmp_path / "bundle"):
        with pytest.raises(UsageError, match="another sealift is writing this bundle"):
            staged(tmp_path / "bundle").__enter__()
        assert (tmp_path / ".bundle.partial").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_build_that_ends_while_another_one_waits_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, real = tmp_path / ".bundle.partial", fcntl.flock
    place.mkdir()

    def flock(descriptor: int, operation: int) -> None:
        # The first one puts its bundle in place, and a third one begins.
        place.rename(tmp_path / "bundle")
        (tmp_path / "bundle" / "first").touch()
        place.mkdir()
        (place / "third").touch()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(UsageError, match="another sealift was writing this bundle"):
        staged(tmp_path / "bundle").__enter__()
    assert (tmp_path / "bundle" / "first").exists()
    assert (place / "third").exists()


def test_what_belongs_to_somebody_else_is_not_taken_over(tmp_path, monkeypatch):
    place = tmp_path / ".bundle.partial"
    place.mkdir()
    (place / "theirs").write_text("")
    somebody = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    with (
        pytest.raises(UsageError, match=r"belongs to somebody else: .*\.bundle\.partial"),
        staged(tmp_path / "bundle"),
    ):
        pass
    assert (place / "theirs").exists()


def test_what_a_killed_run_has_left_is_removed(workshop):
    bundle = workshop.folder / "bundle"
    with LoopbackServer(workshop.served) as server:
        server.faults["/tool-1.0.tar.gz"] = [Stalled(10)]
        words = ["--sha256", digest(workshop.tool), "--name", "tool", "--version", "1.0"]
        assert workshop.sealift("add", "--url", f"{server.url}/tool-1.0.tar.gz", *words) == 0
        process = subprocess.Popen(
            [Path(sys.executable).parent / "sealift", "build", "--output", bundle],
            cwd=workshop.site,
            env={**os.environ, **workshop.environment},
        )
        while not server.requests:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
        (workshop.folder / ".bundle.partial" / "archives").mkdir()
        assert not bundle.exists()
        server.faults.clear()
        workshop.build()
    assert not (workshop.folder / ".bundle.partial").exists()


def test_what_fails_leaves_no_directory(tmp_path):
    def half_way() -> None:
        with staged(tmp_path / "bundle") as place:
            (place / "file").touch()
            raise HostError("half-way")

    with pytest.raises(HostError, match="half-way"):
        half_way()
    assert list(tmp_path.iterdir()) == []


def findings(path: str) -> Inspection:
    """Return an inspection of an archive with one file."""
    entry = Entry("file", path, "a", mode="644", size=1, sha256="0" * 64)
    return Inspection((entry,), {}, 1, 1, Requirements(), None, {})


def large_archive(source, name):
    """Return what a lock says of the tool in `source`."""
    return LockedArchive(
        name=name,
        kind="tool",
        source="url",
        request="https://example.org/big.tar.gz",
        version="1",
        platform="any",
        url="https://example.org/big.tar.gz",
        filename="big.tar.gz",
        format="tar.gz",
        sha256=digest(source),
        size=source.stat().st_size,
        digest_source="spec",
        recipe="generic",
    )


def test_large_archives_are_written_in_parts(tmp_path):
    data = os.urandom(2 * CHUNK_SIZE + 5)
    source = tmp_path / "big.tar.gz"
    source.write_bytes(data)
    archive = large_archive(source, "big-1")
    lock = Lock("line", 1, CREATED, "0" * 64, (archive,))
    place = tmp_path / "place"
    place.mkdir()
    draft = Draft(place, lock, part_size=CHUNK_SIZE)
    draft.add_archive(archive, source, findings("a"))
    manifest = draft.finish(epoch=1)
    read = Manifest.read((place / "manifest.json").read_bytes(), limit=1 << 30)
    assert read == manifest
    parts = read.archives[0].parts
    assert [part.rpartition(".")[2] for part in parts] == ["001", "002", "003"]
    assert b"".join((place / part).read_bytes() for part in parts) == data


@pytest.mark.parametrize("part_size", [CHUNK_SIZE, 4 * CHUNK_SIZE])
def test_bytes_that_two_tools_share_are_carried_once(tmp_path, part_size):
    source = tmp_path / "big.tar.gz"
    source.write_bytes(os.urandom(CHUNK_SIZE + 5))
    first, second = (large_archive(source, name) for name in ("one-1", "two-1"))
    place = tmp_path / "place"
    place.mkdir()
    draft = Draft(place, Lock("line", 1, CREATED, "0" * 64, (first, second)), part_size=part_size)
    carried = [draft.add_archive(one, source, findings("a")).parts for one in (first, second)]
    assert carried[0] == carried[1]
    assert len(carried[0]) == (2 if part_size == CHUNK_SIZE else 1)
    assert {path.name for path in (place / "archives").iterdir()} == {
        part.rpartition("/")[2] for part in carried[0]
    }
    # Its name has nine digits of the digest.
    sha256 = first.sha256[:9] + "0" * 55
    other = replace(first, name="other-1", sha256=sha256)
    with pytest.raises(UsageError, match="two archives have one name in the bundle: archives/"):
        draft.add_archive(other, source, findings("a"))


def test_a_file_that_changed_in_the_cache_is_not_carried(tmp_path, workshop):
    workshop.add_tool()
    assert workshop.sealift("lock") == 0
    lock = read_lock(workshop.lock)
    archive = lock.archives[0]
    source = tmp_path / "changed"
    source.write_bytes(workshop.tool.read_bytes()[:-1] + b"x")
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(Damaged, match=r"not what the lock says(?s:.*)Expected:"):
        Draft(place, lock).add_archive(archive, source, findings("bin/tool"))


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_sha256sum_accepts_the_list(workshop):
    workshop.add_tool()
    bundle = workshop.build()
    done = subprocess.run(
        ["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"], cwd=bundle, check=False
    )
    assert done.returncode == 0


class Watched(Progress):
    """Keeps what it is told."""

    def __init__(self):
        self.expected, self.shown, self.done = (), [], {}

    def expect(self, files, size):
        self.expected = (files, size)

    def show(self, name, done, total):
        self.shown.append((name, done, total))

    def finish(self, name, size, *, fetched):
        assert not fetched
        self.done[name] = size


def test_who_verifies_is_told_of_each_file(tmp_path):
    site = BundleSimulator(tmp_path / "bundle")
    members = (Member("a", os.urandom(5000)), Member("b", b"b"))
    site.add_archive(SimArchive("parted", members, format="tar", part_size=4096))
    site.write()
    watched = Watched()
    report = verify_bundle(site.path, site.first_root, watched).report
    parts = [path for path in site.payload if path.startswith("archives/")]
    assert len(parts) > 2
    # An archive in parts is one for a person.
    assert watched.expected == (report.files - len(parts) + 1, report.size)
    assert len(watched.done) == watched.expected[0]
    assert sum(watched.done.values()) == report.size
    assert [(name, total) for name, _, total in watched.shown] == [
        (parts[0], watched.done[parts[0]])
    ] * (len(parts) - 1)
