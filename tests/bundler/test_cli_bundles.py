import json
import shutil

import pytest

from sealift_bundler.keys import keyid, load_public
from sealift_installer.errors import Damaged
from sealift_schemas.envelope import Envelope
from workshop import PYTHON, TOOL, Workshop, digest


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workshop = Workshop(tmp_path_factory.mktemp("cli")).found()
    workshop.add_tool()
    workshop.add_python()
    workshop.build()
    return workshop


@pytest.fixture
def bundle(finished, tmp_path):
    copy = tmp_path / "bundle"
    shutil.copytree(finished.folder / "bundle", copy)
    return copy


@pytest.fixture
def unsigned(finished, tmp_path):
    bundle = tmp_path / "unsigned"
    assert finished.sealift("build", "--unsigned", "--output", bundle) == 0
    return bundle


def signer(workshop, name="release"):
    return keyid(load_public(workshop.site / "keys" / f"{name}.pub.pem"))


def flip(path, position=None):
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if position is None else position] ^= 1
    path.write_bytes(data)


def test_build_reports_as_json(finished, tmp_path, capsys):
    capsys.readouterr()
    assert finished.sealift("build", "--output", tmp_path / "b", "--json", "--quiet") == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    report = json.loads(shown.out)
    assert report["state"] == "sealed"
    assert report["archives"] == [PYTHON, TOOL]
    assert report["signers"] == [signer(finished)]
    assert report["changes"] == []


def test_verify_takes_the_root_of_the_site(finished, bundle, capsys):
    capsys.readouterr()
    assert finished.sealift("verify", bundle, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["state"] == "verified"
    assert report["root"] == {"version": 1, "sha256": digest(finished.root)}
    assert report["signers"] == [signer(finished)]
    assert report["manifest"] == digest(bundle / "manifest.json")
    assert finished.sealift("verify", bundle) == 0
    assert f"  signed by {signer(finished)}\n" in capsys.readouterr().out


def test_verify_takes_a_root_by_hand(finished, bundle, capsys):
    folder = finished.folder
    assert finished.sealift("verify", bundle, "--root", finished.root, cwd=folder) == 0
    assert finished.sealift("verify", bundle, cwd=folder) == 2
    assert "there is no root to verify the bundle with" in capsys.readouterr().err
    assert finished.sealift("verify", bundle, "--root", folder / "none", cwd=folder) == 6


def test_a_bundle_of_strangers_is_not_trusted(finished, bundle, tmp_path, capsys):
    folder = tmp_path / "other"
    folder.mkdir()
    other = Workshop(folder).found()
    assert other.sealift("verify", bundle) == 3
    assert (
        "error: root version 1 in the bundle is not the one that was trusted"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("manifest.json", 4),
        ("manifest.dsse.json", 3),
        ("SHA256SUMS", 4),
        ("SHA256SUMS.*.sig", 3),
        ("VERIFY.txt", 4),
        ("README.txt", 4),
        ("python-downloads.json", 4),
        ("archives/*tool*", 4),
        ("index/*", 4),
        ("templates/*", 4),
        ("trust/root/1.root.dsse.json", 3),
    ],
)
def test_one_flipped_bit_is_found(finished, bundle, name, code, capsys):
    path = min(bundle.glob(name))
    flip(path)
    assert finished.sealift("verify", bundle) in {3, 4}
    assert finished.sealift("seal", bundle) in {3, 4}
    if code == 4:
        assert finished.sealift("verify", bundle) == code
    assert "error: " in capsys.readouterr().err


def test_a_missing_and_an_added_file_are_found(finished, bundle, capsys):
    (bundle / "README.txt").unlink()
    assert finished.sealift("verify", bundle) == 4
    assert "README.txt" in capsys.readouterr().err
    (bundle / "README.txt").write_bytes((finished.folder / "bundle" / "README.txt").read_bytes())
    (bundle / "archives" / "added").touch()
    assert finished.sealift("verify", bundle) == 4
    assert "archives/added" in capsys.readouterr().err


def test_an_unsigned_bundle_is_signed_and_sealed_step_by_step(finished, unsigned, capsys):
    capsys.readouterr()
    assert not (unsigned / "manifest.dsse.json").exists()
    assert finished.sealift("seal", unsigned) == 3
    shown = capsys.readouterr().err
    assert "Expected: 1 distinct release keys\n  Computed: 0" in shown
    assert f"not there yet: {signer(finished)[:16]}" in shown
    assert finished.sealift("sign", unsigned, "--key", "release") == 0
    assert capsys.readouterr().out == f"{signer(finished)}\n"
    assert finished.sealift("seal", unsigned, "--json") == 0
    assert json.loads(capsys.readouterr().out)["state"] == "sealed"
    # It is the bundle that `build` makes at once.
    together = finished.folder / "bundle"
    for name in ("manifest.dsse.json", f"SHA256SUMS.{signer(finished)[:16]}.sig"):
        assert (unsigned / name).read_bytes() == (together / name).read_bytes()


def test_signatures_add_up(finished, bundle, capsys):
    if not (finished.site / "keys" / "second.key.pem").exists():
        finished.sealift("key", "new", "second", "--no-passphrase")
    assert finished.sealift("sign", bundle, "--key", "second") == 0
    both = sorted([signer(finished), signer(finished, "second")])
    assert capsys.readouterr().out.splitlines()[-2:] == both
    data = (bundle / "manifest.dsse.json").read_bytes()
    envelope = Envelope.read(data, what="envelope", limit=1 << 30)
    assert [signature.keyid for signature in envelope.signatures] == both
    # The root does not know the second key: it is ignored, and told.
    assert finished.sealift("verify", bundle) == 0
    shown = capsys.readouterr()
    assert "warning: " in shown.err
    assert shown.out.count("signed by") == 1


def test_two_of_two_are_needed_where_the_root_says_so(tmp_path, capsys):
    workshop = Workshop(tmp_path)
    assert workshop.sealift("init", workshop.site, cwd=tmp_path) == 0
    for name in ("a", "b"):
        assert workshop.sealift("key", "new", name, "--no-passphrase") == 0
    assert workshop.sealift("root", "init", "--key", "a", "--key", "b", "--threshold", "2") == 0
    with workshop.spec.open("a") as file:
        file.write("\n[installer]\npythons = []\n")
    workshop.add_tool()
    bundle = workshop.build("--unsigned")
    assert workshop.sealift("sign", bundle, "--key", "a") == 0
    assert workshop.sealift("seal", bundle) == 3
    assert "Expected: 2 distinct release keys" in capsys.readouterr().err
    assert workshop.sealift("sign", bundle, "--key", "b") == 0
    assert workshop.sealift("seal", bundle) == 0
    assert workshop.sealift("verify", workshop.build(name="both")) == 0


def test_what_is_signed_is_read_first(finished, unsigned, capsys):
    sums = (unsigned / "SHA256SUMS").read_bytes()
    (unsigned / "SHA256SUMS").write_bytes(sums[1:])
    assert finished.sealift("sign", unsigned, "--key", "release") == 4
    assert "SHA256SUMS does not say what manifest.json says" in capsys.readouterr().err
    (unsigned / "SHA256SUMS").write_bytes(sums)
    manifest = (unsigned / "manifest.json").read_bytes()
    (unsigned / "manifest.json").write_bytes(manifest.replace(b'"sequence": 1', b'"sequence": 0'))
    assert finished.sealift("sign", unsigned, "--key", "release") == 4
    shown = capsys.readouterr().err
    assert "manifest.json does not follow the schema `manifest`" in shown
    assert "manifest.json.predicate.sequence" in shown
    assert not (unsigned / "manifest.dsse.json").exists()


def test_another_manifest_does_not_join_an_envelope(finished, bundle, unsigned, capsys):
    manifest = (unsigned / "manifest.json").read_bytes()
    assert (bundle / "manifest.json").read_bytes() == manifest
    changed = manifest.replace(b'"sequence": 1', b'"sequence": 2')
    (bundle / "manifest.json").write_bytes(changed)
    old = digest(unsigned / "manifest.json").encode()
    new = digest(bundle / "manifest.json").encode()
    sums = (bundle / "SHA256SUMS").read_bytes().replace(old, new)
    (bundle / "SHA256SUMS").write_bytes(sums)
    assert finished.sealift("sign", bundle, "--key", "release") == 4
    assert "what was signed is not the manifest of this bundle" in capsys.readouterr().err


def test_nothing_is_signed_for_a_time_to_come(tmp_path, capsys):
    workshop = Workshop(tmp_path).found()
    workshop.environment["SOURCE_DATE_EPOCH"] = "9000000000"
    workshop.add_tool()
    assert workshop.sealift("build", "--output", tmp_path / "bundle") == 5
    shown = capsys.readouterr().err
    assert "the time of the lock is more than a day ahead of the clock: 2255-03-14" in shown
    assert not (tmp_path / "bundle").exists()


def test_an_encrypted_key_signs_with_its_passphrase(tmp_path, capsys):
    workshop = Workshop(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("correct horse\n")
    words = ["--passphrase-file", secret]
    assert workshop.sealift("init", workshop.site, cwd=tmp_path) == 0
    assert workshop.sealift("key", "new", "release", *words) == 0
    assert workshop.sealift("root", "init", "--key", "release", *words) == 0
    with workshop.spec.open("a") as file:
        file.write("\n[installer]\npythons = []\n")
    workshop.add_tool()
    workshop.build(*map(str, words))
    secret.write_text("wrong\n")
    assert workshop.sealift("build", "--output", tmp_path / "other", *words) == 2
    assert "cannot load the private key: wrong passphrase" in capsys.readouterr().err


def test_a_site_without_signing_keys(tmp_path, capsys):
    workshop = Workshop(tmp_path)
    assert workshop.sealift("init", workshop.site, cwd=tmp_path) == 0
    assert workshop.sealift("build", "--output", tmp_path / "bundle") == 2
    assert "names no signing keys" in capsys.readouterr().err
    assert workshop.sealift("build", "--unsigned", "--output", tmp_path / "bundle") == 2
    assert "hint: make one: sealift root init --key NAME" in capsys.readouterr().err


def test_inspect_shows_contents_signers_and_relocation(finished, bundle, capsys):
    capsys.readouterr()
    assert finished.sealift("inspect", bundle, "--json") == 0
    view = json.loads(capsys.readouterr().out)
    assert view["verified"] is True
    assert view["signers"] == [signer(finished)]
    python, tool = view["archives"]
    assert list(python["relocated"].values()) == [1]
    name = "lib/python3.13/_sysconfigdata__linux_x86_64-linux-gnu.py"
    assert name in python["relocated"]
    assert tool["name"] == TOOL
    assert tool["rewritten"] == ["lib/pkgconfig/tool.pc"]
    assert finished.sealift("inspect", bundle, "--files") == 0
    shown = capsys.readouterr().out
    assert f"signed by {signer(finished)}" in shown
    assert "rewritten  lib/pkgconfig/tool.pc" in shown
    assert "NOT VERIFIED" not in shown


def test_inspect_without_a_root_says_that_nothing_is_verified(finished, bundle, capsys):
    capsys.readouterr()
    assert finished.sealift("inspect", bundle, cwd=finished.folder) == 0
    assert "NOT VERIFIED: no root is known here" in capsys.readouterr().out
    flip(min(bundle.glob("index/*")))
    assert finished.sealift("inspect", bundle, cwd=finished.folder) == 4
    assert "Computed: " in capsys.readouterr().err


def test_inspect_of_what_is_no_bundle(finished, tmp_path, capsys):
    assert finished.sealift("inspect", tmp_path, cwd=finished.folder) == 4
    assert "manifest.json" in capsys.readouterr().err
    assert finished.sealift("verify", tmp_path / "none") in {Damaged.exit_code, 6}
