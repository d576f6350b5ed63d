"""Every payload byte is read and compared."""

import hashlib
import json
import random

import pytest

from sealift_installer import verify
from sealift_installer.cli import main
from sealift_installer.errors import Damaged
from sealift_installer.verify import verify_files
from sealift_schemas.payload import CHUNK_SIZE
from simulator import BundleSimulator, Member, SimArchive, small_bundle


@pytest.fixture
def site(tmp_path):
    site = BundleSimulator(tmp_path / "bundle")
    members = (Member("a", b"a" * 5000), Member("b", b"b"))
    site.add_archive(SimArchive("parted", members, format="tar", part_size=4096))
    site.add_archive(SimArchive("whole", members, format="zip"))
    return site.write()


def test_what_was_read_is_reported(site):
    seen = {}
    report = verify_files(
        site.authenticate(), lambda path, size: seen.update({path: seen.get(path, 0) + size})
    )
    assert (report.files, report.archives, report.entries, report.templates) == (
        len(site.payload),
        2,
        4,
        0,
    )
    assert report.size == sum(len(data) for data in site.payload.values())
    assert sum(seen.values()) == report.size


@pytest.mark.parametrize("whole", [True, False])
def test_one_flipped_bit_in_any_payload_file(site, whole):
    for path in site.payload:
        site.flip_bit(path, len(site.payload[path]) - 1)
        with pytest.raises(Damaged, match=f"wrong SHA-256: {path}"):
            verify_files(site.authenticate(), whole=whole)
        site.flip_bit(path, len(site.payload[path]) - 1)
    verify_files(site.authenticate(), whole=whole)


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A bundle with a file of three chunks, and an empty one; read by three threads."""
    monkeypatch.setattr(verify, "_SHARE", 1024 * 1024)
    monkeypatch.setattr(verify, "count_cores", lambda: 3)
    site = small_bundle(tmp_path / "bundle")
    site.payload["large"] = random.Random(1).randbytes(2 * CHUNK_SIZE + 1000)
    site.payload["other"] = random.Random(2).randbytes(CHUNK_SIZE)
    site.payload["empty"] = b""
    return site.write()


def test_threads_read_every_byte_once(large):
    seen = {}
    report = verify_files(
        large.authenticate(),
        lambda path, size: seen.update({path: seen.get(path, 0) + size}),
        whole=False,
    )
    assert seen == {path: len(data) for path, data in large.payload.items()}
    assert report == verify_files(large.authenticate())


def test_the_first_fault_is_named_whoever_finds_it(large):
    authenticated = large.authenticate()
    for path, place in (("other", 5), ("large", 2 * CHUNK_SIZE), ("large", CHUNK_SIZE)):
        large.flip_bit(path, place)
        number = place // CHUNK_SIZE + 1
        where = f"large, chunk {number}" if path == "large" else "other"
        for _ in range(5):
            with pytest.raises(Damaged, match=f"wrong SHA-256: {where}\n  Expected: "):
                verify_files(authenticated, whole=False)


def test_files_that_end_elsewhere(large):
    authenticated = large.authenticate()
    changes = {
        "large": (large.payload["large"][:-1], "(?s)cut short: large.*8389608 bytes.*8389607"),
        "other": (large.payload["other"] + b"x", "too long: other"),
        "empty": (b"x", "too long: empty"),
        "README.txt": (b"", "cut short: README.txt"),
    }
    for path, (data, match) in changes.items():
        large.write_file(path, data)
        with pytest.raises(Damaged, match=match):
            verify_files(authenticated, whole=False)
        large.write_file(path, large.payload[path])
    (large.path / "other").unlink()
    with pytest.raises(Damaged, match="missing in the bundle: other"):
        verify_files(authenticated, whole=False)


def test_the_signatures_alone(large, tmp_path, capsys):
    prefix = tmp_path / "prefix"
    root = large.path / "trust/root/1.root.dsse.json"
    digest = hashlib.sha256(root.read_bytes()).hexdigest()
    assert main(["trust", "import", str(root), "--sha256", digest, "--prefix", str(prefix)]) == 0
    words = ["verify", str(large.path), "--prefix", str(prefix)]
    large.flip_bit("other", 5)
    assert main([*words, "--signatures"]) == 0
    assert "signatures are good; not read: 8 files" in capsys.readouterr().out
    assert main([*words, "--signatures", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["read"] is False
    assert main(words) == 4
    assert "wrong SHA-256: other" in capsys.readouterr().err
    (large.path / "added").write_bytes(b"")
    assert main([*words, "--signatures"]) == 4
    assert "not listed in the manifest: added" in capsys.readouterr().err


def test_an_archive_whose_parts_are_in_another_order(site):
    site.write(lambda statement: statement["predicate"]["archives"][0]["parts"].reverse())
    authenticated = site.authenticate()
    with pytest.raises(Damaged, match=r"wrong SHA-256: archives/[0-9a-f]{9}-parted.tar.00[0-9]\n"):
        verify_files(authenticated)


def test_an_index_that_is_signed_and_malformed(tmp_path):
    site = small_bundle(tmp_path / "bundle")
    verify_files(site.authenticate())
    index = site.archives[0].index
    site.payload[index] += b"{}\n"
    site.write()
    with pytest.raises(Damaged, match=f"{index} is malformed at {index} line 7"):
        verify_files(site.authenticate())


def test_a_template_that_is_not_carried(tmp_path):
    site = small_bundle(tmp_path / "bundle")
    template = next(path for path in site.payload if path.startswith("templates/"))
    del site.payload[template]
    (site.path / template).unlink()
    site.write()
    authenticated = site.authenticate()
    with pytest.raises(Damaged, match=f"does not list: {template}"):
        verify_files(authenticated)
