import json
from dataclasses import asdict, replace
from hashlib import sha256
from importlib.resources import files

import pytest

from documents import SPEC
from loopback import LoopbackServer, nobody
from sealift_bundler import __version__, current
from sealift_bundler.downloads_json import downloads_json, public_url
from sealift_bundler.lock import find_misfit, fits, read_lock, spec_digest
from sealift_bundler.schema import find_issues
from sealift_bundler.site import read_site
from sealift_installer.errors import HostError, UsageError
from sealift_schemas.manifest import Manifest
from sealift_schemas.spec import Spec
from workshop import PYTHON, TOOL, TOOL_FILES, Workshop, digest, pack


@pytest.fixture
def workshop(tmp_path):
    return Workshop(tmp_path).found()


def locked(workshop):
    lock = read_lock(workshop.lock)
    assert lock is not None
    return lock


def test_a_lock_says_what_was_found(workshop):
    workshop.add_tool()
    workshop.add_python()
    assert workshop.sealift("lock") == 0
    lock = locked(workshop)
    assert find_issues("lock", json.loads(workshop.lock.read_bytes())) == []
    assert (lock.stream, lock.sequence, lock.expires) == ("site", 1, None)
    python, tool = lock.archives
    assert (python.name, python.digest_source, python.build) == (PYTHON, "catalog", "20250529")
    assert (tool.name, tool.digest_source) == (TOOL, "spec")
    assert (tool.size, tool.sha256) == (workshop.tool.stat().st_size, digest(workshop.tool))
    assert lock.catalogs[0].sha256 == digest(workshop.served / "downloads.json")


def test_locking_again_changes_nothing(workshop, capsys):
    workshop.add_tool()
    assert workshop.sealift("lock") == 0
    before = workshop.lock.read_bytes()
    workshop.environment["SOURCE_DATE_EPOCH"] = "1710000000"
    assert workshop.sealift("lock") == 0
    assert workshop.sealift("lock", "--upgrade") == 0
    assert workshop.lock.read_bytes() == before
    assert "nothing has changed" in capsys.readouterr().err


def test_of_two_who_lock_at_once_one_counts(workshop, monkeypatch):
    """Two locks with one sequence would become two bundles, of which a target refuses one."""
    make_lock = current.make_lock

    def overtaken(*words):
        monkeypatch.setattr(current, "make_lock", make_lock)
        found = make_lock(*words)
        workshop.environment["SOURCE_DATE_EPOCH"] = "1700000100"
        assert workshop.sealift("lock") == 0
        return found

    workshop.add_tool()
    monkeypatch.setattr(current, "make_lock", overtaken)
    bundle = workshop.build()
    lock = read_lock(workshop.lock)
    assert (lock.sequence, lock.created) == (1, "2023-11-14T22:15:00Z")
    manifest = Manifest.read((bundle / "manifest.json").read_bytes(), limit=1 << 30)
    assert (manifest.sequence, manifest.created) == (lock.sequence, lock.created)


def test_a_root_that_is_new_for_two_at_once_raises_the_sequence_once(workshop, monkeypatch):
    workshop.add_tool()
    assert workshop.sealift("lock") == 0
    assert workshop.sealift("root", "rotate", "--expires-days", "9", "--key", "release") == 0
    follow_root = current.follow_root

    def overtaken(*words):
        monkeypatch.setattr(current, "follow_root", follow_root)
        assert workshop.sealift("lock") == 0
        return follow_root(*words)

    monkeypatch.setattr(current, "follow_root", overtaken)
    assert workshop.sealift("lock") == 0
    assert read_lock(workshop.lock).sequence == 2


def test_a_change_raises_the_sequence_and_is_told(workshop, capsys):
    workshop.add_tool()
    assert workshop.sealift("lock") == 0
    workshop.environment["SOURCE_DATE_EPOCH"] = "1710000000"
    workshop.add_python()
    capsys.readouterr()
    assert workshop.sealift("lock") == 0
    assert capsys.readouterr().out == f"+ {PYTHON}\n"
    lock = locked(workshop)
    assert (lock.sequence, lock.created) == (2, "2024-03-09T16:00:00Z")


def test_build_locks_anew_where_the_spec_has_changed(workshop, capsys):
    workshop.add_tool()
    workshop.build()
    workshop.add_python()
    capsys.readouterr()
    workshop.build(name="second")
    shown = capsys.readouterr().err
    assert "sealift.lock did not fit: the spec has changed since, or sealift\n" in shown
    assert f"locked: + {PYTHON}" in shown
    workshop.build(name="third")
    assert "did not fit" not in capsys.readouterr().err
    assert locked(workshop).sequence == 2


def test_why_a_lock_does_not_fit(workshop):
    workshop.spec.write_text(f"expires_days = 30\n{workshop.spec.read_text()}")
    assert workshop.sealift("lock") == 0  # dated 2023
    lock, spec = locked(workshop), read_site(workshop.site).spec
    assert find_misfit(replace(lock, expires=None), spec) is None
    assert find_misfit(lock, spec) == "it expired at 2023-12-14T22:13:20Z"
    assert find_misfit(replace(lock, spec="0" * 64), spec) == (
        "the spec has changed since, or sealift"
    )
    assert find_misfit(lock, replace(spec, stream="other")) == (
        "it is of the stream site, and the spec of other"
    )


def test_signing_keys_are_no_change(workshop):
    workshop.add_tool()
    assert workshop.sealift("lock") == 0
    spec = read_site(workshop.site).spec
    text = workshop.spec.read_text().replace("keys/release.key.pem", "keys/other.key.pem")
    workshop.spec.write_text(text)
    assert spec_digest(read_site(workshop.site).spec) == spec_digest(spec)


def test_the_digest_of_a_spec_is_that_of_its_whole_meaning():
    for value in (SPEC, {"format": 1, "stream": "site"}):
        spec = Spec.from_json(value)
        wanted = asdict(replace(spec, keys=(), roots=""))
        del wanted["network"], wanted["builders"]
        pins = files("sealift_bundler").joinpath("pins", "installer.txt").read_bytes()
        meaning = {"spec": wanted, "sealift": __version__, "pins": sha256(pins).hexdigest()}
        assert spec_digest(spec) == sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def test_a_newer_version_comes_with_upgrade_alone(workshop, capsys):
    workshop.add_python()
    assert workshop.sealift("lock") == 0
    newer = workshop.serve("cpython-3.13.4-install_only.tar.gz", {"python/bin/python3.13": b""})
    workshop.publish(patch=4, url=newer.as_uri(), sha256=digest(newer), build="20250612")
    workshop.add_tool()
    assert workshop.sealift("lock") == 0
    assert [archive.name for archive in locked(workshop).archives] == [PYTHON, TOOL]
    capsys.readouterr()
    assert workshop.sealift("lock", "--upgrade") == 0
    assert capsys.readouterr().out == (
        "- cpython-3.13.3-linux-x86_64-gnu\n+ cpython-3.13.4-linux-x86_64-gnu\n"
    )


def test_a_catalogue_that_was_published_anew_is_no_change(workshop):
    workshop.add_python()
    assert workshop.sealift("lock") == 0
    before = workshop.lock.read_bytes()
    workshop.publish(note="another catalogue, the same archive")
    assert workshop.sealift("lock", "--upgrade") == 0
    assert workshop.lock.read_bytes() == before


def test_a_spec_that_wants_nothing(workshop, capsys):
    capsys.readouterr()
    assert workshop.sealift("lock") == 0
    assert capsys.readouterr().out == "nothing is wanted yet\n"
    assert locked(workshop).archives == ()
    assert workshop.sealift("verify", workshop.build()) == 0


def test_what_is_locked_needs_no_network(workshop, tmp_path):
    with LoopbackServer(workshop.served) as server:
        workshop.publish(url=f"{server.url}/{workshop.python.name}")
        catalogue = f"{server.url}/downloads.json"
        workshop.environment["UV_PYTHON_DOWNLOADS_JSON_URL"] = catalogue
        workshop.add_python()
        assert workshop.sealift("lock") == 0
        asked = server.paths
    # The server is gone.
    assert sorted(asked) == [f"/{workshop.python.name}", "/downloads.json"]
    workshop.add_tool()
    assert workshop.sealift("lock") == 0
    workshop.build("--offline")


def test_an_unreachable_server(workshop, capsys):
    with nobody() as address:
        url = f"{address}/gone.tar.gz"
        words = ["add", "--url", url, "--sha256", "0" * 64, "--name", "gone", "--version", "1"]
        assert workshop.sealift(*words) == 0
        assert workshop.sealift("build", "--output", workshop.folder / "bundle") == 8
    assert "gone.tar.gz" in capsys.readouterr().err
    assert not workshop.lock.exists()


def test_expiry_counts_from_the_lock(workshop):
    workshop.spec.write_text(f"expires_days = 36500\n{workshop.spec.read_text()}")
    workshop.add_tool()
    workshop.environment["SOURCE_DATE_EPOCH"] = "1710000000"
    assert workshop.sealift("lock") == 0
    lock = locked(workshop)
    assert (lock.created, lock.expires) == ("2024-03-09T16:00:00Z", "2124-02-14T16:00:00Z")
    assert fits(lock, read_site(workshop.site).spec)


def test_an_expired_lock_is_renewed(workshop, capsys):
    workshop.spec.write_text(f"expires_days = 30\n{workshop.spec.read_text()}")
    workshop.add_tool()
    assert workshop.sealift("lock") == 0  # dated 2023
    del workshop.environment["SOURCE_DATE_EPOCH"]
    capsys.readouterr()
    assert workshop.sealift("lock") == 0
    assert capsys.readouterr().out == "~ expiry: 2023-12-14T22:13:20Z has passed\n"
    assert locked(workshop).sequence == 2


def test_a_lock_that_was_damaged(workshop, capsys):
    workshop.add_tool()
    assert workshop.sealift("lock") == 0
    workshop.lock.write_text(workshop.lock.read_text().replace('"sequence": 1', '"sequence": 1.5'))
    assert workshop.sealift("lock") == 2
    shown = capsys.readouterr().err
    assert "sealift.lock is malformed" in shown
    assert "its sequence must not go down" in shown


def test_a_lock_that_cannot_be_read(tmp_path):
    with pytest.raises(HostError, match="cannot read the lock"):
        read_lock(tmp_path)
    assert read_lock(tmp_path / "none") is None


def test_a_lock_of_another_format(tmp_path):
    path = tmp_path / "sealift.lock"
    path.write_text('{"format": 2}')
    with pytest.raises(UsageError, match=r"malformed at sealift\.lock\.format"):
        read_lock(path)


def test_a_source_without_a_digest(workshop, capsys):
    words = ["add", "--url", workshop.tool.as_uri(), "--name", "tool", "--version", "1.0"]
    assert workshop.sealift(*words) == 2
    assert "--accept-digest sha256:HEX" in capsys.readouterr().err
    assert workshop.sealift(*words, "--accept-digest", f"sha256:{digest(workshop.tool)}") == 0
    workshop.build()
    assert locked(workshop).archives[0].digest_source == "accepted"


def test_links_that_change_raise_the_sequence(workshop, capsys):
    workshop.add_tool()
    assert workshop.sealift("lock") == 0
    text = workshop.spec.read_text()
    workshop.spec.write_text(text.replace('tool = "bin/tool"', 't = "bin/tool"'))
    capsys.readouterr()
    assert workshop.sealift("lock") == 0
    assert capsys.readouterr().out == f"~ {TOOL}: source, links or relocation\n"
    assert locked(workshop).sequence == 2


def test_an_archive_that_changed_at_its_source(workshop, capsys):
    workshop.add_tool()
    assert workshop.sealift("lock") == 0
    before = digest(workshop.tool)
    workshop.tool.write_bytes(pack({**TOOL_FILES, "tool-1.0/new": b""}))
    workshop.spec.write_text(workshop.spec.read_text().replace(before, digest(workshop.tool)))
    capsys.readouterr()
    assert workshop.sealift("lock") == 0
    assert capsys.readouterr().out.startswith(f"~ {TOOL}: sha256 {before[:12]}... to ")


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://user:word@example.org/a%2Bb.zip?token=1#x", "https://example.org/a%2Bb.zip"),
        ("http://127.0.0.1:8080/a.zip", "http://127.0.0.1:8080/a.zip"),
        ("file:///home/someone/a.zip", "https://my-line.invalid/name.zip"),
        ("installed:cpython-3.11.2-linux-x86_64-gnu", "https://my-line.invalid/name.zip"),
    ],
)
def test_public_addresses(url, public):
    assert public_url(url, "name.zip", "my_line") == public


def test_uvs_list_has_what_uv_can_install_and_no_local_path(workshop):
    workshop.add_tool()
    workshop.add_python()
    workshop.build()
    text = (workshop.folder / "bundle" / "python-downloads.json").read_text()
    assert json.loads(text) == {
        PYTHON: {
            "name": "cpython",
            "arch": {"family": "x86_64", "variant": None},
            "os": "linux",
            "libc": "gnu",
            "major": 3,
            "minor": 13,
            "patch": 3,
            "prerelease": "",
            "url": "https://site.invalid/cpython-3.13.3-install_only.tar.gz",
            "sha256": digest(workshop.python),
            "variant": None,
            "build": "20250529",
        }
    }


def test_uvs_list_spells_platforms_as_uv_does(workshop):
    workshop.add_python()
    assert workshop.sealift("lock") == 0
    (python,) = locked(workshop).archives
    keys = {
        "cpython-3.14.0rc2+freethreaded+debug-macos-aarch64-none": (
            *("cpython", "darwin", "aarch64", None, "none", "rc2", "freethreaded+debug"),
        ),
        "pypy-3.11.15-linux-x86-gnu": ("pypy", "linux", "i686", None, "gnu", "", None),
        "cpython-3.13.3-linux-x86_64_v3-musl": (
            *("cpython", "linux", "x86_64", "v3", "musl", "", None),
        ),
    }
    archives = [_renamed(python, key) for key in keys]
    written = json.loads(downloads_json(archives, "line"))
    found = {
        key: (
            *(entry["name"], entry["os"], entry["arch"]["family"], entry["arch"]["variant"]),
            *(entry["libc"], entry["prerelease"], entry["variant"]),
        )
        for key, entry in written.items()
    }
    assert found == keys


def test_uvs_list_leaves_out_what_uv_does_not_unpack(workshop):
    workshop.add_python()
    assert workshop.sealift("lock") == 0
    (python,) = locked(workshop).archives
    unread = _renamed(python, "pypy-3.9.16-linux-x86_64-gnu", format="tar.bz2")
    assert json.loads(downloads_json([unread], "line")) == {}


def _renamed(archive, name, **changes):
    return replace(archive, name=name, **changes)
