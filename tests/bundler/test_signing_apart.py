"""Signing apart from building: on other machines, from read-only media, merged by `seal --add`."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import threading
from functools import partial
from itertools import count

import pytest

from road import PROGRAMS, run
from sealift_bundler.keys import KeyFiles, create_key, keyid, load_public
from sealift_bundler.sign import FileSigner
from sealift_bundler.sign.bundle import hold, sign_bundle
from sealift_bundler.sign.leftovers import remove_leftovers
from sealift_installer.bundle import is_unfinished
from sealift_schemas.envelope import Envelope, Signature
from stops import killed_at
from workshop import Workshop, digest, tree


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A site with release keys a, b, c, two of which must sign; b and c are on other machines."""
    workshop = Workshop(tmp_path_factory.mktemp("apart"))
    assert workshop.sealift("init", workshop.site, cwd=workshop.folder) == 0
    for name in ("a", "b", "c"):
        assert workshop.sealift("key", "new", name, "--no-passphrase") == 0
    words = [word for name in ("a", "b", "c") for word in ("--key", name)]
    assert workshop.sealift("root", "init", *words, "--threshold", "release=2") == 0
    for name in ("b", "c"):
        other = workshop.folder / name
        other.mkdir()
        (workshop.site / "keys" / f"{name}.key.pem").rename(other / f"{name}.key.pem")
        shutil.copy(workshop.site / "keys" / f"{name}.pub.pem", other)
    with workshop.spec.open("a") as file:
        file.write("\n[installer]\npythons = []\n")
    assert workshop.add_tool() == 0
    workshop.build("--unsigned")
    return workshop


@pytest.fixture
def bundle(built, tmp_path):
    """A copy of the unsigned bundle."""
    return shutil.copytree(built.folder / "bundle", tmp_path / "bundle")


def sign(built, bundle, name, *words):
    """Sign on the machine of `name`, where there is no site; return the exit code."""
    other = built.folder / name
    return built.sealift("sign", bundle, "--key", f"{name}.key.pem", *words, cwd=other)


def ident(built, name):
    return keyid(load_public(built.site / "keys" / f"{name}.pub.pem"))


def envelope(folder):
    return Envelope.read((folder / "manifest.dsse.json").read_bytes(), what="it", limit=1 << 30)


def test_a_host_without_a_site_signs_in_place(built, bundle, capsys):
    assert sign(built, bundle, "b") == 0
    assert capsys.readouterr().out.split() == [ident(built, "b")]
    assert built.sealift("seal", bundle) == 3
    shown = capsys.readouterr().err
    assert "Expected: 2 distinct release keys\n  Computed: 1" in shown
    assert ident(built, "a")[:16] in shown
    assert ident(built, "b")[:16] not in shown
    assert sign(built, bundle, "c") == 0
    assert built.sealift("seal", bundle) == 0


def test_signatures_from_read_only_media_are_merged(built, bundle, tmp_path, capsys):
    """Each signer reads the stick and writes to a folder of his own; two folders make the seal."""
    for path in (bundle, *bundle.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = tree(bundle)
    for name in ("b", "c"):
        assert sign(built, bundle, name, "--output", tmp_path / name) == 0
    assert tree(bundle) == before
    assert sorted(tree(tmp_path / "b")) == [
        f"SHA256SUMS.{ident(built, 'b')[:16]}.sig",
        "manifest.dsse.json",
    ]
    for path in (bundle, *bundle.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    words = ["--add", tmp_path / "b", "--add", tmp_path / "c"]
    capsys.readouterr()
    assert built.sealift("seal", bundle, *words, "--json") == 0
    assert sorted([ident(built, "b"), ident(built, "c")]) == sorted(
        one.keyid for one in envelope(bundle).signatures
    )


def test_two_signers_may_share_a_folder(built, bundle, tmp_path):
    for name in ("b", "c"):
        assert sign(built, bundle, name, "--output", tmp_path / "both") == 0
    assert len(envelope(tmp_path / "both").signatures) == 2
    assert built.sealift("seal", bundle, "--add", tmp_path / "both") == 0


@pytest.mark.parametrize("apart", [False, True])
def test_two_who_sign_at_once_both_count(built, bundle, tmp_path, apart):
    """A signer can take minutes: what others have signed meanwhile stays."""
    output = tmp_path / "signatures" if apart else None
    words = ("--output", output) if apart else ()

    class Slow:
        key = FileSigner.load(built.folder / "b" / "b.key.pem", None)
        public = key.public

        def sign(self, data):
            assert sign(built, bundle, "c", *words) == 0
            return self.key.sign(data)

    names = sign_bundle(bundle, [Slow()], output)
    assert sorted(names) == sorted([ident(built, "b"), ident(built, "c")])
    add = ("--add", output) if apart else ()
    assert built.sealift("seal", bundle, *add) == 0


def test_a_copy_that_was_signed_in_place_is_merged_too(built, bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "copy")
    assert sign(built, copy, "b") == 0
    assert sign(built, bundle, "c") == 0
    assert built.sealift("seal", bundle, "--add", copy) == 0
    assert len(envelope(bundle).signatures) == 2


def test_what_is_merged_is_what_signing_in_place_makes(built, bundle, tmp_path):
    together = shutil.copytree(bundle, tmp_path / "together")
    for name in ("b", "c"):
        assert sign(built, together, name) == 0
        assert sign(built, bundle, name, "--output", tmp_path / name) == 0
    assert built.sealift("seal", bundle, "--add", tmp_path / "c", "--add", tmp_path / "b") == 0
    assert tree(bundle) == tree(together)


def test_one_signature_is_kept_though_the_threshold_does_not_stand(built, bundle, tmp_path, capsys):
    assert sign(built, bundle, "b", "--output", tmp_path / "b") == 0
    capsys.readouterr()
    assert built.sealift("seal", bundle, "--add", tmp_path / "b") == 3
    assert "Computed: 1" in capsys.readouterr().err
    assert sign(built, bundle, "c") == 0
    assert built.sealift("seal", bundle) == 0


def test_a_strangers_signature_is_not_merged(built, bundle, tmp_path, capsys):
    create_key(KeyFiles.named(tmp_path, "stranger"), "p256", None)
    words = ["--key", tmp_path / "stranger.key.pem", "--output", tmp_path / "out"]
    assert built.sealift("sign", bundle, *words, cwd=tmp_path) == 0
    before = tree(bundle)
    capsys.readouterr()
    assert built.sealift("seal", bundle, "--add", tmp_path / "out") == 3
    assert "is not by a release key of root version 1" in capsys.readouterr().err
    assert tree(bundle) == before


@pytest.mark.parametrize("name", ["manifest.dsse.json", "SHA256SUMS"])
def test_a_signature_that_does_not_verify_is_not_merged(built, bundle, tmp_path, capsys, name):
    out = tmp_path / "out"
    assert sign(built, bundle, "b", "--output", out) == 0
    if name == "SHA256SUMS":
        (path,) = out.glob("*.sig")
        path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))
    else:
        found = envelope(out)
        forged = Signature(ident(built, "c"), found.signatures[0].signature)
        data = Envelope(found.payload, found.payload_type, (forged,)).encode()
        (out / "manifest.dsse.json").write_bytes(data)
        (path,) = out.glob("*.sig")
        path.rename(out / f"SHA256SUMS.{ident(built, 'c')[:16]}.sig")
    before = tree(bundle)
    capsys.readouterr()
    assert built.sealift("seal", bundle, "--add", out) == 3
    assert "does not verify" in capsys.readouterr().err
    assert tree(bundle) == before


def test_signatures_of_another_bundle_are_not_merged(built, bundle, tmp_path, capsys):
    manifest = bundle / "manifest.json"
    other = shutil.copytree(bundle, tmp_path / "other") / "manifest.json"
    other.write_bytes(manifest.read_bytes().replace(b'"sequence": 1', b'"sequence": 2'))
    sums = other.with_name("SHA256SUMS")
    sums.write_text(sums.read_text().replace(digest(manifest), digest(other)))
    assert sign(built, other.parent, "b", "--output", tmp_path / "out") == 0
    capsys.readouterr()
    assert built.sealift("seal", bundle, "--add", tmp_path / "out") == 4
    assert "is not the manifest of this bundle" in capsys.readouterr().err


def test_a_folder_without_signatures(built, bundle, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert built.sealift("seal", bundle, "--add", tmp_path / "empty") == 4
    assert "there are no signatures in it" in capsys.readouterr().err
    assert sign(built, bundle, "b", "--output", tmp_path / "out") == 0
    (path,) = (tmp_path / "out").glob("*.sig")
    path.unlink()
    assert built.sealift("seal", bundle, "--add", tmp_path / "out") == 4
    assert f"missing: {path}" in capsys.readouterr().err


def test_signatures_do_not_go_into_the_bundle(built, bundle, capsys):
    assert sign(built, bundle, "b", "--output", bundle / "signatures") == 2
    assert "the signatures would be in the bundle" in capsys.readouterr().err
    assert not (bundle / "signatures").exists()


READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'


def mounts_work(folder):
    command = ["unshare", "-rm", "sh", "-c", READ_ONLY, "sh", folder, "true"]
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_medium_that_really_cannot_be_written(built, bundle, tmp_path):
    """A read-only mount, in a namespace: root itself cannot write there."""
    if not mounts_work(tmp_path):
        pytest.skip("read-only mounts in a namespace do not work on this system")
    words = ["unshare", "-rm", "sh", "-c", READ_ONLY, "sh", bundle, PROGRAMS / "sealift"]
    words += ["sign", bundle, "--key", built.folder / "b" / "b.key.pem"]
    done = run(*words, check=False)
    assert done.returncode == 6
    assert f"error: the bundle cannot be written to: {bundle}" in done.stderr
    assert "hint: --output DIR writes the signatures elsewhere" in done.stderr
    run(*words, "--output", tmp_path / "out")
    assert sign(built, bundle, "c") == 0
    assert built.sealift("seal", bundle, "--add", tmp_path / "out") == 0


def unfinished(bundle):
    return sorted(path.name for path in bundle.iterdir() if is_unfinished(path.name))


def test_a_signer_who_is_killed_leaves_nothing_for_good(built, bundle, tmp_path, capsys):
    """At any moment: the bundle says what is the matter, and is as before when it is sealed."""
    for name in ("a", "c"):
        key = built.site / "keys" / "a.key.pem" if name == "a" else built.folder / "c" / "c.key.pem"
        assert built.sealift("sign", bundle, "--key", key) == 0
    seen = set()
    for point in count(1):
        copy = shutil.copytree(bundle, tmp_path / str(point))
        if not killed_at(point, partial(sign, built, copy, "b"), exchange=False):
            break
        left = unfinished(copy)
        seen.update(left)
        capsys.readouterr()
        assert built.sealift("verify", copy) == (4 if left else 0)
        if left:
            err = capsys.readouterr().err
            assert f"error: not listed in the manifest: {left[0]}\n" in err
            assert "hint: a signer was stopped who was writing it; `sealift seal` takes it" in err
        assert built.sealift("seal", copy) == 0
        told = f"removed {left[0]}, which a signer had left" if left else "sealed"
        shown = capsys.readouterr()
        assert told in shown.out + shown.err
        assert unfinished(copy) == []
        assert built.sealift("verify", copy) == 0
    assert seen == {".manifest.dsse.json.tmp", f".SHA256SUMS.{ident(built, 'b')[:16]}.sig.tmp"}


def test_who_signs_next_takes_away_what_another_left(built, bundle, tmp_path, capsys):
    litter = f".SHA256SUMS.{'0' * 16}.sig.tmp"
    output = tmp_path / "out"
    output.mkdir()
    for place in (bundle, output):
        (place / litter).write_bytes(b"half")
        for name in (".notes.tmp", ".SHA256SUMS.sig.tmp", "manifest.dsse.json.tmp"):
            (place / name).write_bytes(b"somebody else's")
    assert sign(built, bundle, "b", "--output", output) == 0
    assert f"removed {litter}, which a signer had left who was stopped" in capsys.readouterr().err
    assert (bundle / litter).exists()
    assert sign(built, bundle, "b") == 0
    for place in (bundle, output):
        assert not (place / litter).exists()
        assert len(list(place.glob("*tmp"))) == 3


def test_what_a_signer_is_writing_stays(bundle):
    """Removal waits for whoever is writing."""
    path = bundle / ".manifest.dsse.json.tmp"
    removed = []
    with hold(bundle) as held:
        assert held
        path.write_bytes(b"half")
        thread = threading.Thread(target=lambda: removed.append(remove_leftovers(bundle)))
        thread.start()
        thread.join(0.2)
        assert path.exists()
        path.replace(bundle / "manifest.dsse.json")
    thread.join()
    assert removed == [()]


def test_what_cannot_be_told_stays(bundle, monkeypatch):
    """Where there are no locks somebody may be writing."""
    path = bundle / ".manifest.dsse.json.tmp"
    path.write_bytes(b"half")

    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert remove_leftovers(bundle) == ()
    assert path.exists()


def test_a_bundle_of_before_the_newest_root_is_told_of(built, bundle, tmp_path, capsys):
    copy = Workshop.__new__(Workshop)
    copy.__dict__.update(built.__dict__)
    copy.site = shutil.copytree(built.site, tmp_path / "site")
    for name in ("b", "c"):
        shutil.copy(built.folder / name / f"{name}.key.pem", copy.site / "keys")
        assert sign(built, bundle, name) == 0
    words = ["--add", "release=a", "--threshold", "root=2", "--key", "a", "--key", "b"]
    assert copy.sealift("root", "rotate", *words) == 0
    capsys.readouterr()
    assert copy.sealift("seal", bundle) == 0
    assert "the bundle carries root version 1, and the site has 2" in capsys.readouterr().err


def test_sign_reports_as_json(built, bundle, tmp_path, capsys):
    capsys.readouterr()
    assert sign(built, bundle, "b", "--output", tmp_path / "out", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "bundle": str(bundle),
        "signatures": str(tmp_path / "out"),
        "signers": [ident(built, "b")],
    }
