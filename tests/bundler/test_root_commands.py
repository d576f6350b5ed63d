"""root init, rotate, sign, merge and show, as people type them."""

import json
import os
import pty
import shutil
import subprocess
import termios

import pytest

from road import PROGRAMS, run
from sealift_bundler.keys import keyid, load_public
from sealift_bundler.lock import read_lock
from sealift_bundler.root_view import group_digits
from sealift_bundler.roots import newest_root
from sealift_bundler.specfile import read_spec
from sealift_installer.trust.roots import read_first_root
from sealift_schemas.envelope import Envelope
from workshop import Workshop, digest, tree


@pytest.fixture
def site(tmp_path):
    """A site with the keys a, b, c, d, and no root."""
    workshop = Workshop(tmp_path)
    assert workshop.sealift("init", workshop.site, cwd=tmp_path) == 0
    for name in ("a", "b", "c", "d"):
        assert workshop.sealift("key", "new", name, "--no-passphrase") == 0
    with workshop.spec.open("a") as file:
        file.write("\n[installer]\npythons = []\n")
    return workshop


def ident(site, name):
    return keyid(load_public(site.site / "keys" / f"{name}.pub.pem"))


def take_away(site, name):
    """Bring a private key to another machine, and return its folder there."""
    other = site.folder / name
    (other / "keys").mkdir(parents=True)
    (site.site / "keys" / f"{name}.key.pem").rename(other / "keys" / f"{name}.key.pem")
    return other


def root_init(site, *words):
    keys = [word for name in ("a", "b", "c") for word in ("--key", name)]
    return site.sealift("root", "init", *keys, *words)


def newest(site):
    return newest_root(site.site / "root").root


@pytest.mark.parametrize(
    ("words", "thresholds"),
    [
        ([], (1, 1, 1)),
        (["--threshold", "2"], (2, 2, 1)),
        (["--threshold", "release=2"], (1, 2, 1)),
        (["--threshold", "root=3", "--threshold", "release=2"], (3, 2, 1)),
        (["--threshold", "builder=2", "--threshold", "3"], (3, 3, 2)),
    ],
)
def test_thresholds_by_role(site, words, thresholds):
    assert root_init(site, *words) == 0
    roles = newest(site).roles
    assert tuple(roles[name].threshold for name in ("root", "release", "builder")) == thresholds


def test_roles_have_keys_of_their_own(site):
    words = ["--key", "root=a", "--key", "root=b", "--key", "c", "--key", "builder=d"]
    assert site.sealift("root", "init", *words) == 0
    roles = newest(site).roles
    assert set(roles["root"].keys) == {ident(site, "a"), ident(site, "b")}
    assert roles["release"].keys == (ident(site, "c"),)
    assert roles["builder"].keys == (ident(site, "d"),)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--key", "root=a"], "the role release has no key"),
        (["--key", "a", "--threshold", "0"], "not a threshold: 0"),
        (["--key", "a", "--threshold", "owner=1"], "not a threshold: owner=1"),
        (["--key", "a", "--threshold", "2"], "a threshold of 2 for the role root, which has 1 key"),
        (["--key", "a", "--scheme", "rsa"], "unknown scheme: rsa"),
        (["--key", "a", "--scheme", "p384"], "a key is of a scheme that this root does not allow"),
        (["--key", "none"], "there is no key: "),
    ],
)
def test_a_root_that_makes_no_sense(site, capsys, words, expected):
    assert site.sealift("root", "init", *words) == 2
    assert expected in capsys.readouterr().err
    assert not (site.site / "root").exists()


def test_schemes_and_expiry(site, monkeypatch):
    assert root_init(site, "--scheme", "p256", "--scheme", "ed25519", "--expires-days", "30") == 0
    root = newest(site)
    assert root.schemes == ("ecdsa-sha2-nistp256", "ed25519")
    assert (root.created, root.expires) == ("2023-11-14T22:13:20Z", "2023-12-14T22:13:20Z")


def test_nothing_is_fetched_under_a_root_that_is_over(site, capsys):
    assert root_init(site, "--expires-days", "30") == 0  # made in 2023
    assert site.add_tool() == 0
    capsys.readouterr()
    assert site.sealift("build", "--output", site.folder / "bundle") == 5
    shown = capsys.readouterr().err
    assert "root version 1 is expired\n  Expected: a time until 2023-12-14T22:13:20Z" in shown
    assert "fetched" not in shown
    assert site.sealift("root", "rotate", "--never-expires", "--key", "a") == 0
    assert "expires: 2023-12-14T22:13:20Z -> never" in capsys.readouterr().err
    site.build()


def test_the_first_root_reaches_its_threshold_on_other_machines(site, capsys):
    """Nothing counts and no hash is printed until the second signature has come back."""
    places = {name: take_away(site, name) for name in ("b", "c")}
    capsys.readouterr()
    assert root_init(site, "--threshold", "2", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["state"], told["complete"]) == ("draft", False)
    assert told["wanted"][0]["missing"] == 1
    assert set(told["wanted"][0]["unsigned"]) == {ident(site, "b"), ident(site, "c")}
    assert site.sealift("root", "show") == 0
    shown = capsys.readouterr().out
    assert "sha256" not in shown
    assert f"unsigned {ident(site, 'b')[:16]} (b)" in shown
    draft = site.site / "root" / "1.root.draft.json"
    shutil.copy(draft, places["b"])
    assert site.sealift("root", "sign", draft.name, "--key", "b", cwd=places["b"]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "in the site: sealift root merge FILE" in shown.err
    assert not site.root.exists()
    assert site.sealift("root", "merge", places["b"] / draft.name) == 0
    shown = capsys.readouterr()
    sha256 = shown.out.strip()
    assert sha256 == digest(site.root)
    assert "\n".join(f"  {line}" for line in group_digits(sha256)) in shown.err
    assert not draft.exists()
    read_first_root(site.root.read_bytes(), sha256)


def test_a_build_waits_for_the_root(site, capsys):
    take_away(site, "b")
    take_away(site, "c")
    assert root_init(site, "--threshold", "2") == 0
    capsys.readouterr()
    assert site.sealift("build", "--unsigned") == 2
    assert "hint: sign the draft: sealift root sign" in capsys.readouterr().err


def test_there_is_one_first_root(site, capsys):
    assert root_init(site) == 0
    assert root_init(site) == 2
    shown = capsys.readouterr().err
    assert "there is a root already" in shown
    assert "`sealift root rotate` makes the next one" in shown


def test_groups_are_read_out_and_taken(site, tmp_path, capsys):
    """What `root show` prints in groups is what `unseal trust import --sha256` takes."""
    assert root_init(site) == 0
    capsys.readouterr()
    assert site.sealift("root", "show") == 0
    lines = capsys.readouterr().out.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("  aloud"))
    spoken = f"{lines[at].removeprefix('  aloud')} {lines[at + 1]}".upper()
    assert len(spoken.split()) == 16
    words = ["trust", "import", site.root, "--sha256", spoken, "--prefix", tmp_path / "prefix"]
    run(PROGRAMS / "unseal", *words)


def test_a_rotation_from_end_to_end(site, capsys):
    """c is lost: d takes its place. The old and the new keys sign; spec and show follow."""
    assert root_init(site, "--threshold", "2") == 0
    (site.site / "keys" / "c.key.pem").unlink()
    words = ["--replace", "c=d", "--epoch", "next", "--min-sequence", "1", "--expires-days", "9000"]
    capsys.readouterr()
    assert site.sealift("root", "rotate", *words, "--withdraw", "ab" * 32) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "needs 2 of the root keys of version 1: 2 missing" in shown.err
    assert newest(site).version == 1
    assert site.sealift("root", "sign", "--key", "d") == 0
    shown = capsys.readouterr()
    assert "signing root version 2, made " in shown.err
    assert f"  changes root: - {ident(site, 'c')[:16]} (c)\n" in shown.err
    assert "  changes stream site: epoch 1 -> 2\n" in shown.err
    assert "  root: 2 of 3\n" in shown.err
    assert "needs 2 of the root keys of version 2: 1 missing" in shown.err
    assert site.sealift("root", "sign", "--key", "a", "--key", "b") == 0
    shown = capsys.readouterr()
    assert shown.out.strip() == digest(site.site / "root" / "2.root.dsse.json")
    assert "took keys/c.key.pem out of [signing] keys" in shown.err
    assert "put keys/d.key.pem into [signing] keys" in shown.err
    assert read_spec(site.spec).keys == ("keys/a.key.pem", "keys/b.key.pem", "keys/d.key.pem")
    root = newest(site)
    assert (root.version, root.withdrawn) == (2, ("ab" * 32,))
    assert (root.streams["site"].epoch, root.streams["site"].min_sequence) == (2, 1)
    assert site.add_tool() == 0
    bundle = site.build()
    assert site.sealift("verify", bundle, "--json") == 0
    out = capsys.readouterr().out
    assert json.loads(out[out.index("{") :])["root"]["version"] == 2


def test_who_signs_sees_first_what_it_is(site, capsys):
    """All of it, for there may be nothing to compare it with: no version before, or not here."""
    bob, _ = take_away(site, "b"), take_away(site, "c")
    assert root_init(site, "--threshold", "2", "--threshold", "release=3", "--scheme", "p256") == 0
    shutil.copy(site.site / "root" / "1.root.draft.json", bob)
    capsys.readouterr()
    # Before the key is asked for, on a terminal before the passphrase.
    assert site.sealift("root", "sign", "1.root.draft.json", "--key", "none", cwd=bob) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == (
        "signing root version 1, made 2023-11-14T22:13:20Z, expires never: 1.root.draft.json"
    )
    ids = sorted(ident(site, name)[:16] for name in ("a", "b", "c"))
    keys = [f"    {name}  ecdsa-sha2-nistp256" for name in ids]
    roles = ["  root: 2 of 3", *keys, "  release: 3 of 3", *keys, "  builder: 1 of 3", *keys]
    assert lines[1:13] == roles
    assert lines[13] == "  schemes: ecdsa-sha2-nistp256"
    assert lines[-2].startswith("error: there is no key")
    words = ["root", "sign", "1.root.draft.json", "--key", "b"]
    assert site.sealift(*words, "--quiet", cwd=bob) == 0
    assert capsys.readouterr().err == ""
    assert site.sealift("root", "merge", bob / "1.root.draft.json") == 0
    assert site.sealift("root", "rotate", "--add", "release=d", "--key", "a") == 0
    shutil.copy(site.site / "root" / "2.root.draft.json", bob)
    capsys.readouterr()
    assert site.sealift("root", "sign", "2.root.draft.json", "--key", "b", cwd=bob) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("signing root version 2, ")
    assert lines[1] == "  what it changes is not known here, without 1.root.dsse.json beside it"
    assert "  release: 3 of 4" in lines


def test_show_tells_everything_of_every_version(site, capsys):
    assert root_init(site) == 0
    words = ["--add", "release=d", "--remove", "builder=c", "--remove", ident(site, "b")[:16]]
    assert site.sealift("root", "rotate", *words, "--key", "a") == 0
    assert site.sealift("root", "rotate", "--epoch", "site=3") == 0
    capsys.readouterr()
    assert site.sealift("root", "show", "--json") == 0
    first, second, draft = json.loads(capsys.readouterr().out)
    assert [first["state"], second["state"], draft["state"]] == ["published", "published", "draft"]
    assert first["signers"] == sorted(ident(site, name) for name in ("a", "b", "c"))
    assert second["signers"] == [ident(site, "a")]
    assert "sha256" not in draft
    assert draft["changes"] == ["stream site: epoch 1 -> 3"]
    assert set(second["roles"]["release"]["keys"]) == {
        ident(site, name) for name in ("a", "c", "d")
    }
    assert second["roles"]["builder"]["keys"] == [ident(site, "a")]
    assert second["keys"][ident(site, "d")] == {"scheme": "ecdsa-sha2-nistp256", "name": "d"}
    assert site.sealift("root", "show") == 0
    shown = capsys.readouterr().out
    assert f"  signed by {ident(site, 'a')[:16]} (a)\n" in shown
    assert "draft of version 3" in shown
    assert "  stream site: epoch 3, bundles from sequence 0 on\n" in shown


def test_no_hash_where_a_version_is_not_signed_as_it_must_be(site, capsys):
    assert root_init(site, "--threshold", "2") == 0
    words = ["--epoch", "next", "--key", "a", "--key", "b"]
    assert site.sealift("root", "rotate", *words) == 0
    path = site.site / "root" / "2.root.dsse.json"
    whole = Envelope.read(path.read_bytes(), what="root", limit=1 << 20)
    path.write_bytes(Envelope(whole.payload, whole.payload_type, whole.signatures[:1]).encode())
    capsys.readouterr()
    assert site.sealift("root", "show") == 3
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "nothing in it differs from root version 1"),
        (["--remove", "d"], "no key of root version 1: d"),
        (["--remove", "builder=" + "0" * 64], "no key of root version 1"),
        (["--replace", "c"], "not OLD=NEW: c"),
        (["--replace", "c="], "not OLD=NEW: c="),
        (["--epoch", "1"], "an epoch only rises"),
        (["--epoch", "soon"], "not the epoch of a stream: soon"),
        (["--epoch", "A B=2"], "not a stream's name: A B"),
        (["--min-sequence", "9"], "the least sequence is beyond the site's next bundle"),
        (["--withdraw", "none"], "neither a bundle nor the SHA-256 of a manifest: none"),
        (["--restore", "0" * 64], "does not withdraw the manifest"),
        (["--expires-days", "3", "--never-expires"], "exclude each other"),
        (["--threshold", "4"], "a threshold of 4 for the role root, which has 3 keys"),
        (["--remove", "pkcs11:object=a"], "name the key by its id"),
        (["--epoch", "next", "--key", "d"], "the key has no say in root version 2"),
    ],
)
def test_a_rotation_that_makes_no_sense(site, capsys, words, expected):
    assert root_init(site) == 0
    assert site.sealift("root", "rotate", *words) == 2
    assert expected in capsys.readouterr().err
    assert sorted(path.name for path in (site.site / "root").iterdir()) == ["1.root.dsse.json"]


def test_a_bundle_is_withdrawn_by_its_directory(site):
    assert root_init(site) == 0
    assert site.add_tool() == 0
    bundle = site.build()
    assert site.sealift("root", "rotate", "--withdraw", bundle, "--key", "a") == 0
    assert newest(site).withdrawn == (digest(bundle / "manifest.json"),)
    assert site.sealift("verify", bundle) == 0  # it carries the root of its time
    # The next bundle carries the new root, so that it is another one, with a sequence of its own.
    again = site.build(name="again")
    assert '"sequence": 2' in (again / "manifest.json").read_text()


def test_a_new_root_is_a_new_bundle(site, capsys):
    """Same archives, other evidence: an equal sequence would be refused by who has the first."""
    assert root_init(site) == 0
    assert site.add_tool() == 0
    first = site.build()
    assert site.sealift("root", "rotate", "--replace", "c=d", "--key", "a") == 0
    capsys.readouterr()
    second = site.build("--offline", name="second")
    assert "locked: ~ the root: version 1 to 2" in capsys.readouterr().err
    assert '"sequence": 2' in (second / "manifest.json").read_text()
    assert read_lock(site.lock).root == 2
    # And nothing more happens after that.
    assert tree(site.build(name="third")) == tree(second)
    prefix = site.folder / "prefix"
    words = ["--prefix", prefix]
    run(PROGRAMS / "unseal", "trust", "import", site.root, "--sha256", digest(site.root), *words)
    for bundle in (first, second):
        run(PROGRAMS / "unseal", "install", bundle, *words)


def test_nothing_to_sign_or_to_merge(site, capsys):
    assert root_init(site) == 0
    assert site.sealift("root", "sign", "--key", "a") == 2
    assert "there is no draft of a root here" in capsys.readouterr().err
    assert site.sealift("root", "merge", site.root) == 2
    assert "there is no draft of a root" in capsys.readouterr().err


def test_keys_are_made_and_shown_where_there_is_no_site(site, capsys):
    elsewhere = site.folder / "elsewhere"
    elsewhere.mkdir()
    capsys.readouterr()
    assert site.sealift("key", "new", "bob", "--no-passphrase", "--quiet", cwd=elsewhere) == 0
    name = capsys.readouterr().out
    assert (elsewhere / "keys" / "bob.pub.pem").exists()
    assert site.sealift("key", "show", "keys/bob.pub.pem", cwd=elsewhere) == 0
    assert capsys.readouterr().out == name
    # Only the public half reaches the site.
    shutil.copy(elsewhere / "keys" / "bob.pub.pem", site.site / "keys")
    assert site.sealift("root", "init", "--key", "a", "--key", "bob") == 0
    assert read_spec(site.spec).keys == ("keys/a.key.pem",)
    assert site.sealift("key", "show", "bob", "--pem") == 0
    out = capsys.readouterr().out
    assert out.endswith((site.site / "keys" / "bob.pub.pem").read_text())


def test_a_root_of_a_bundle_is_shown(site, capsys):
    assert root_init(site) == 0
    assert site.sealift("root", "rotate", "--epoch", "next", "--key", "a") == 0
    assert site.add_tool() == 0
    bundle = site.build()
    capsys.readouterr()
    file = bundle / "trust" / "root" / "2.root.dsse.json"
    assert site.sealift("root", "show", file, "--json", cwd=site.folder) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["version"], shown["sha256"]) == (2, digest(file))
    file.with_name("1.root.dsse.json").unlink()
    assert site.sealift("root", "show", file, cwd=site.folder) == 2
    assert "not numbered from 1 without a gap" in capsys.readouterr().err


def test_a_passphrase_is_asked_for_once(site):
    """The key releases and builds, so that one command opens it twice."""
    secret = site.folder / "secret"
    secret.write_text("correct horse\n")
    assert site.sealift("key", "new", "locked", "--passphrase-file", secret) == 0
    words = ["--key", "locked", "--passphrase-file", secret]
    assert site.sealift("root", "init", *words) == 0
    assert site.add_tool() == 0
    primary, terminal = pty.openpty()
    settings = termios.tcgetattr(terminal)
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, settings)
    command = [PROGRAMS / "sealift", "build", "--output", site.folder / "bundle"]
    with subprocess.Popen(
        command,
        cwd=site.site,
        env={**os.environ, **site.environment},
        stdin=terminal,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        asked = b""
        while not asked.endswith(b"locked.key.pem: "):
            asked += process.stderr.read(1)
        os.write(primary, b"correct horse\n")
        rest = process.stderr.read()
    os.close(primary)
    os.close(terminal)
    assert process.returncode == 0, rest
    assert asked.startswith(b"Passphrase of ")
    assert b"Passphrase of" not in rest
