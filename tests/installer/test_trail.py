"""`unseal receipts`: the record listed, checked against the state, exported, and signed."""

import errno
import json
import os
import stat
import subprocess

import pytest

from sealift_installer import cli
from sealift_installer.errors import Damaged, HostError, Untrusted
from sealift_installer.export import make_key, write_export
from sealift_installer.hostkey import load_host_key
from sealift_installer.receipts import ReceiptLog, hash_line
from sealift_installer.report import Silence
from sealift_installer.trail import read_export, read_trail
from sealift_installer.trust.keys import verify_signature
from sealift_schemas.envelope import Envelope
from sealift_schemas.head import PAYLOAD_TYPE
from sealift_schemas.root import PublicKey
from stops import killed_at
from target import Target, tool


@pytest.fixture
def target(tmp_path):
    """A target with three receipts: a root, an install, and one over it."""
    target = Target(tmp_path)
    target.carry(tool(content=b"one\n"))
    target.trust()
    target.install()
    target.carry(tool(content=b"two\n"))
    target.install()
    return target


@pytest.fixture
def unseal(target, capsys):
    def call(*words):
        code = cli.main(["receipts", *map(str, words), "--prefix", str(target.prefix.path)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def edit(target, change):
    path = target.store.log.path
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))


def forged(line, number, previous):
    value = json.loads(line)
    value |= {"number": number, "previous": previous, "detail": "never happened"}
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def test_the_list_says_who_did_what_and_when(target, unseal):
    code, out, _ = unseal("list")
    assert code == 0
    assert "1  " in out.splitlines()[0]
    assert "root version 1 given by hand" in out
    assert "install  tool-1.0" in out
    assert "replaced archive" in out
    assert "bundle 2 of stream site" in out
    code, out, _ = unseal("list", "--last", "1", "--json")
    report = json.loads(out)
    assert [receipt["number"] for receipt in report["receipts"]] == [3]
    archive = report["receipts"][0]["archive"]
    record = target.record()
    assert (archive["index"], archive["members"]) == (record.index, record.members)
    assert report["head"]["receipts"] == 3
    assert report["head"]["head"] == target.store.load().head


def test_a_good_record_is_called_good(unseal):
    code, out, err = unseal("verify")
    assert (code, err) == (0, "")
    assert out.startswith("good: 3 receipts of ")


FORGERIES = {
    "an edited line": lambda lines: [
        lines[0],
        lines[1].replace(b'"installed"', b'"INSTALLED"'),
        lines[2],
    ],
    "an edited last line": lambda lines: [*lines[:2], lines[2].replace(b"replaced", b"rep1aced")],
    "a removed line": lambda lines: [lines[0], lines[2]],
    "a cut tail": lambda lines: lines[:1],
    "all but nothing": lambda lines: [],
    "exchanged lines": lambda lines: [lines[0], lines[2], lines[1]],
    "a doubled line": lambda lines: [*lines, lines[2]],
    "an inserted line": lambda lines: [
        *lines[:1],
        forged(lines[1], 2, hash_line(lines[0])),
        *lines[1:],
    ],
    "an appended line": lambda lines: [*lines, forged(lines[2], 4, hash_line(lines[2]))],
    "a torn line of somebody's": lambda lines: [*lines, b'{"format":1,"numb'],
    "a torn line that was edited": lambda lines: [*lines[:2], b"{" + lines[2][2:100]],
    "an empty line": lambda lines: [lines[0], b"\n", *lines[1:]],
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_record_that_was_tampered_with(target, unseal, tmp_path, name):
    assert unseal("verify")[0] == 0
    edit(target, FORGERIES[name])
    for words in (["verify"], ["list"], ["export", tmp_path / "export"]):
        code, out, err = unseal(*words)
        assert (code, out) == (3, ""), words
        assert "receipt" in err
        assert "Traceback" not in err
    assert not (tmp_path / "export").exists()


def test_a_state_that_was_put_back(target, unseal):
    state = target.prefix.state / "trust.json"
    before = state.read_bytes()
    target.carry(tool(content=b"three\n"))
    target.install()
    state.write_bytes(before)
    code, _, err = unseal("verify")
    assert code == 3
    assert "receipts do not end where the state says" in err


def test_a_record_rewritten_in_the_middle_with_its_end_as_it_was(target):
    """The tail alone would not tell: the whole chain is read."""
    edit(target, lambda lines: [lines[0].replace(b"by hand", b"by mail"), *lines[1:]])
    assert target.store.load()
    with pytest.raises(Untrusted, match=r"receipt 2 does not follow the line before it"):
        read_trail(target.store)


def test_a_line_that_a_crash_kept_out_is_no_forgery(target, unseal, monkeypatch):
    append = ReceiptLog.append
    for keep in (0, 10):
        target.carry(tool(content=b"three %d\n" % keep))

        def torn(self, data, keep=keep):
            append(self, data[:keep]) if keep else None
            os._exit(9)

        child = os.fork()
        if child == 0:
            monkeypatch.setattr(ReceiptLog, "append", torn)
            target.install()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        before = target.store.log.path.read_bytes()
        code, out, err = unseal("verify")
        assert (code, "is missing from the file, as after a crash" in err) == (0, True)
        assert target.store.log.path.read_bytes() == before
        target.install()
        code, out, err = unseal("verify")
        assert (code, err) == (0, "")
        assert "good: " in out


def test_an_export_holds_the_record_and_its_head(target, unseal, tmp_path):
    file = tmp_path / "host.receipts"
    code, out, err = unseal("export", file)
    assert code == 0
    assert "is not signed" in err
    lines = file.read_bytes().splitlines(keepends=True)
    assert b"".join(lines[:-1]) == target.store.log.path.read_bytes()
    export = read_export(file)
    assert export.envelope is None
    assert export.head.receipts == len(export.receipts) == 3
    assert export.head.head == hash_line(lines[-2])
    assert export.head.first == hash_line(lines[0])
    assert export.head.prefix == str(target.prefix.path)
    groups = "".join(line for line in out.splitlines() if line.startswith("  "))
    assert groups.replace(" ", "") == export.head.head


def test_an_export_is_never_written_over(unseal, tmp_path):
    file = tmp_path / "host.receipts"
    file.write_text("an earlier one")
    code, _, err = unseal("export", file)
    assert (code, file.read_text()) == (2, "an earlier one")
    assert "there is such a file already" in err
    assert unseal("export")[0] == 2
    code, _, err = unseal("export", tmp_path / "no" / "such")
    assert code == 6
    assert "cannot write the export" in err


def test_an_export_follows_no_link_that_waits_for_it(unseal, tmp_path):
    """Exports go to directories that others can write to; nobody else chooses what is written."""
    (tmp_path / "precious").write_text("precious")
    (tmp_path / ".host.receipts.tmp").symlink_to("precious")
    assert unseal("export", tmp_path / "host.receipts")[0] == 0
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "host.receipts").is_symlink()


@pytest.mark.parametrize("names", [2, 1], ids=["two-names", "one-name"])
def test_an_export_that_is_written_meanwhile_stays(unseal, tmp_path, monkeypatch, names):
    file = tmp_path / "host.receipts"
    sync = os.fsync

    def meanwhile(descriptor):
        file.write_text("the other one")
        sync(descriptor)

    def refuse(*_, **__):
        raise PermissionError(errno.EPERM, "no second name here")

    monkeypatch.setattr(os, "fsync", meanwhile)
    if names == 1:
        monkeypatch.setattr(os, "link", refuse)
    code, _, err = unseal("export", file)
    assert (code, file.read_text()) == (2, "the other one")
    assert "there is such a file already" in err
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_head_alone(target, unseal, tmp_path):
    code, out, _ = unseal("export", "--head", "--json")
    assert (code, json.loads(out)["head"]["receipts"]) == (0, 3)
    assert unseal("export", "--head", tmp_path / "head")[0] == 0
    export = read_export(tmp_path / "head")
    assert (export.receipts, export.head.head) == ((), target.store.load().head)


@pytest.mark.parametrize("short", ["p256", "p384", "ed25519"])
def test_the_key_of_a_host(target, unseal, tmp_path, short):
    code, out, err = unseal("key", "new", "--scheme", short)
    assert code == 0
    path = target.prefix.state / "host.key.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    public = subprocess.run(
        ["openssl", "pkey", "-in", path, "-pubout"], capture_output=True, text=True, check=True
    )
    assert public.stdout == out == unseal("key", "show")[1]
    key = load_host_key(target.prefix.state)
    assert f"key id {key.keyid}" in err
    assert key.keyid in read_trail(target.store).receipts[-1].detail
    assert unseal("export", tmp_path / "export")[2] == ""
    envelope = read_export(tmp_path / "export").envelope
    assert envelope.signatures[0].keyid == key.keyid
    scheme = {"p256": "ecdsa-sha2-nistp256", "p384": "ecdsa-sha2-nistp384"}.get(short)
    known = PublicKey(scheme=scheme or "ed25519", public=key.public)
    assert verify_signature(known, envelope.signatures[0].signature, envelope.signed_bytes)
    code, _, err = unseal("key", "new")
    assert code == 2
    assert "has a key already" in err


def test_a_key_that_openssl_made(target, unseal, tmp_path):
    path = target.prefix.state / "host.key.pem"
    command = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run([*command, "-out", path], check=True, capture_output=True)
    path.chmod(0o600)
    assert unseal("export", tmp_path / "export")[0] == 0
    assert read_export(tmp_path / "export").envelope is not None


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_can_read_is_not_used(target, unseal, tmp_path, mode):
    unseal("key", "new")
    (target.prefix.state / "host.key.pem").chmod(mode)
    code, _, err = unseal("export", tmp_path / "export")
    assert code == 6
    assert "others can read the key of this host" in err
    assert not (tmp_path / "export").exists()


def test_an_export_without_the_key(target, unseal, tmp_path):
    unseal("key", "new")
    code, _, err = unseal("export", tmp_path / "export", "--unsigned")
    assert (code, err) == (0, "")
    assert read_export(tmp_path / "export").envelope is None


def test_a_key_of_somebody_else(target, unseal, tmp_path, monkeypatch):
    unseal("key", "new")
    path = target.prefix.state / "host.key.pem"
    opened = os.open

    def refused(name, *arguments, **named):
        if name == path:
            raise PermissionError(13, "Permission denied", str(name))
        return opened(name, *arguments, **named)

    monkeypatch.setattr(os, "open", refused)  # who runs the tests may be root
    code, _, err = unseal("export", tmp_path / "export")
    assert code == 6
    assert "only who owns the key of this host may use it" in err
    assert unseal("export", tmp_path / "export", "--unsigned")[0] == 0


def test_a_key_that_is_none(target, tmp_path):
    assert load_host_key(target.prefix.state) is None
    path = target.prefix.state / "host.key.pem"
    path.write_text("nothing")
    path.chmod(0o600)
    with pytest.raises(HostError, match=r"not a key that unseal knows: .*host\.key\.pem"):
        load_host_key(target.prefix.state)


def test_a_key_wants_a_record(tmp_path):
    target = Target(tmp_path)
    with pytest.raises(Untrusted, match=r"trusts no root yet"):
        make_key(target.prefix, "p256", Silence())
    assert not target.prefix.state.exists()


def test_no_key_to_show(unseal):
    code, _, err = unseal("key", "show")
    assert code == 2
    assert "unseal receipts key new" in err


def test_a_kill_while_an_export_is_written_leaves_none_or_all(target, tmp_path):
    trail = read_trail(target.store)
    file = tmp_path / "export"
    point = 1
    while killed_at(point, lambda: write_export(file, trail, target.prefix, head_alone=False)):
        if file.exists():
            read_export(file)
            file.unlink()
        point += 1
    assert len(read_export(file).receipts) == 3


def exported(target, tmp_path):
    file = tmp_path / "export"
    write_export(file, read_trail(target.store), target.prefix, head_alone=False)
    assert len(read_export(file).receipts) == 3
    return file


@pytest.mark.parametrize("name", [each for each in FORGERIES if each != "all but nothing"])
def test_an_export_that_was_tampered_with(target, tmp_path, name):
    file = exported(target, tmp_path)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(FORGERIES[name](lines[:3])) + lines[3])
    with pytest.raises((Untrusted, Damaged), match=r"receipt|torn"):
        read_export(file)


def test_an_export_whose_end_is_missing(target, tmp_path):
    file = exported(target, tmp_path)
    data = file.read_bytes()
    for size in (0, 1, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:size])
        with pytest.raises(Damaged, match=r"empty file|torn"):
            read_export(file)
    file.write_bytes(b"".join(data.splitlines(keepends=True)[:-1]))
    with pytest.raises(Damaged, match=r"(?s)no export of receipts, or one that was cut off"):
        read_export(file)


def test_an_envelope_of_something_else_is_no_head(target, tmp_path):
    make_key(target.prefix, "p256", Silence())
    file = tmp_path / "export"
    write_export(file, read_trail(target.store), target.prefix, head_alone=True)
    envelope = read_export(file).envelope
    assert envelope.payload_type == PAYLOAD_TYPE
    other = Envelope(envelope.payload, "application/vnd.in-toto+json", envelope.signatures)
    file.write_bytes(other.encode())
    with pytest.raises(Untrusted, match=r"wrong type of the payload"):
        read_export(file)


def test_a_head_with_spaces_is_none(target, tmp_path):
    file = exported(target, tmp_path)
    *lines, head = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines) + json.dumps(json.loads(head)).encode() + b"\n")
    with pytest.raises(Untrusted, match=r"the head is not as unseal writes it"):
        read_export(file)


def test_the_usage_of_an_export_is_checked(target, unseal):
    with pytest.raises(SystemExit) as stopped:
        unseal("list", "--last", "0")
    assert stopped.value.code == 2


def test_each_flipped_byte_of_a_record_is_found(target):
    path = target.store.log.path
    good = path.read_bytes()
    for place in range(0, len(good), 23):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(Untrusted, match=r"receipt"):
            read_trail(target.store)
    path.write_bytes(good)
    assert read_trail(target.store)


def test_each_flipped_byte_of_an_export_is_found(target, tmp_path):
    """But for those of what is not proven by a hash: the names in a head that nobody signed."""
    file = exported(target, tmp_path)
    good = file.read_bytes()
    head = good.rindex(b"\n", 0, -1)
    proven = good.index(b'"receipts":', head), good.index(b',"clock":', head)
    unproven = range(head, proven[0]), range(proven[1], len(good))
    for place in range(0, len(good), 23):
        if any(place in part for part in unproven):
            continue
        file.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises((Untrusted, Damaged), match=r"receipt|torn|head"):
            read_export(file)
