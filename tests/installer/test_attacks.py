"""The attacks that SECURITY.md names: each shows the untampered bundle accepted, then is refused.

The messages are compared as a person reads them, with the exit code, by both commands; nothing may
be written outside of state/ (tests/attacks.py).
"""

import calendar
import json
import os
import re
import time

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from attacks import Field
from sealift_installer.cli.output import Terminal
from sealift_installer.trust.keys import compute_keyid
from sealift_schemas.envelope import Envelope, Signature
from sealift_schemas.manifest import PAYLOAD_TYPE
from sealift_schemas.root import PAYLOAD_TYPE as ROOT_PAYLOAD_TYPE
from sealift_schemas.root import PublicKey, Role
from sealift_schemas.strictjson import LARGEST_INTEGER, encode
from simulator import SimKey, make_root, seal
from target import tool

ENVELOPE = "manifest.dsse.json"
FUTURE = "2099-01-01T00:00:00Z"


@pytest.fixture
def field(tmp_path, capsys):
    return Field(tmp_path, capsys)


@pytest.fixture
def pair(tmp_path, capsys):
    """Two of three release keys must sign; all three did."""
    return Field(tmp_path, capsys, keys=3, threshold=2)


def envelope(field):
    data = (field.site.path / ENVELOPE).read_bytes()
    return Envelope.read(data, what="envelope", limit=1 << 27)


def signed_by(field, *keys, payload=None, payload_type=PAYLOAD_TYPE):
    """Write the envelope anew, with the signatures of `keys` over `payload`."""
    sealed = seal(payload or envelope(field).payload, payload_type, keys)
    field.site.write_file(ENVELOPE, sealed.encode())


def set_clock(monkeypatch, year):
    """Set the clock of this process to the first of March of a year."""
    seconds = calendar.timegm((year, 3, 1, 0, 0, 0))
    real = time.gmtime
    monkeypatch.setattr(time, "gmtime", lambda *given: real(*(given or (seconds,))))


# Signatures


def test_a_strangers_signature(field):
    field.accepted()
    signed_by(field, SimKey())
    field.refused(3, r"too few signatures.*Expected: 1 distinct keys\n  Computed: 0; not trusted")


def test_one_signature_where_two_are_needed(pair):
    pair.accepted()
    signed_by(pair, pair.site.release_keys[0])
    pair.refused(3, r"too few signatures.*Expected: 2 distinct keys\n  Computed: 1\n")
    signed_by(pair, pair.site.release_keys[0], SimKey())
    pair.refused(3, r"Expected: 2 distinct keys\n  Computed: 1; not trusted for it: [0-9a-f]{64}")


def test_the_same_key_twice(pair):
    pair.accepted()
    key = pair.site.release_keys[0]
    signed_by(pair, key, key)
    pair.refused(3, r"Expected: 2 distinct keys\n  Computed: 1\n")


def test_the_same_key_under_two_ids(pair):
    """A key has one encoding, so one id. Here the second is the same point, compressed."""
    pair.accepted()
    key = pair.site.release_keys[0]
    loaded = serialization.load_der_public_key(key.public)
    assert isinstance(loaded, ec.EllipticCurvePublicKey)
    point = loaded.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
    )
    twin = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point
    assert serialization.load_der_public_key(twin).public_numbers() == loaded.public_numbers()
    newest = pair.site.next_root()
    keys = {**newest.keys, compute_keyid(twin): PublicKey(key.scheme, twin)}
    role = Role((key.keyid, compute_keyid(twin)), 2)
    root = pair.site.next_root(keys=keys, roles={**newest.roles, "release": role})
    pair.site.add_root(root, pair.site.root_keys)
    pair.site.write()
    pair.refused(3, r"key [0-9a-f]{16} is not in the canonical encoding")
    # Nor does one key count twice that signs once for each id that a thief writes beside it.
    del pair.site.roots[2]
    (pair.site.path / "trust/root/2.root.dsse.json").unlink()
    pair.site.write()
    good = envelope(pair)
    signature = next(each for each in good.signatures if each.keyid == key.keyid)
    other = Signature(pair.site.release_keys[1].keyid, signature.signature)
    forged = Envelope(good.payload, good.payload_type, (signature, other))
    pair.site.write_file(ENVELOPE, forged.encode())
    pair.refused(3, f"does not verify: key {other.keyid}")


def test_a_root_key_that_signs_a_release(field):
    field.accepted()
    signed_by(field, field.site.root_keys[0])
    keyid = field.site.root_keys[0].keyid
    field.refused(3, f"trusts for release.*Computed: 0; not trusted for it: {keyid}")


def test_a_builder_key_that_signs_a_manifest(field):
    builder = SimKey()
    newest = field.site.next_root()
    keys = {**newest.keys, builder.keyid: builder.public_key}
    roles = {**newest.roles, "builder": Role((builder.keyid,), 1)}
    field.site.add_root(field.site.next_root(keys=keys, roles=roles), field.site.root_keys)
    field.site.write()
    field.accepted()
    signed_by(field, builder)
    field.refused(3, f"trusts for release.*0; not trusted for it: {builder.keyid}", roots=1)


def test_a_removed_key(field):
    field.accepted()
    field.install()
    gone = field.site.release_keys[0]
    field.site.release_keys = field.site.signing_keys = [SimKey()]
    root = make_root(2, root_keys=field.site.root_keys, release_keys=field.site.release_keys)
    field.site.add_root(root, field.site.root_keys)
    field.carry()
    field.accepted()
    # Its thief signs a higher bundle, and cannot help that the new root travels, or has come.
    field.site.signing_keys = [gone]
    field.carry()
    field.refused(
        3, f"root version 2 trusts for release.*not trusted for it: {gone.keyid}", roots=1
    )
    (field.site.path / "trust/root/2.root.dsse.json").unlink()
    field.refused(3, r"root version 2 trusts for release")


# Roots


def rotate(field, *signers, version=None, **fields):
    root = field.site.next_root(**fields)
    field.site.add_root(root, signers or field.site.root_keys)
    return root


def test_a_chain_of_roots_with_a_gap(field):
    for _ in range(3):
        rotate(field)
    field.site.write()
    field.accepted()
    (field.site.path / "trust/root/3.root.dsse.json").unlink()
    field.refused(3, r"chain of roots in the bundle has a gap\n  Expected: .*/3.root.*: .*/4.root")


def test_a_fork_of_a_root_version(field):
    rotate(field)
    field.site.write()
    field.accepted()
    field.install()
    assert field.state().root.root.version == 2
    # Whoever has the old keys makes another version 2, and whatever follows it.
    del field.site.roots[2]
    rotate(field, withdrawn=("0" * 64,))
    rotate(field)
    field.carry()
    field.refused(3, r"root version 2 in the bundle is not the one that was trusted here")


@pytest.mark.parametrize("sides", ["old keys", "new keys"])
def test_a_root_signed_by_one_side_alone(field, sides):
    field.accepted()
    old, new = field.site.root_keys, [SimKey()]
    root = make_root(2, root_keys=new, release_keys=field.site.release_keys)
    field.site.add_root(root, [*old, *new])
    field.site.write()
    field.accepted()
    field.site.add_root(root, old if sides == "old keys" else new)
    field.site.write()
    whose = 2 if sides == "old keys" else 1
    field.refused(3, f"too few signatures of root version 2 by keys that root version {whose}")


# What was signed


def test_payload_type_confusion(field):
    field.accepted()
    good = envelope(field)
    root = Envelope.read(field.site.roots[1], what="root", limit=1 << 20)
    # A root in the place of the manifest, and one signed as a manifest.
    field.site.write_file(ENVELOPE, root.encode())
    field.refused(3, f"wrong type of the payload of {ENVELOPE}")
    signed_by(field, *field.site.release_keys, payload=root.payload)
    field.refused(4, r"malformed at manifest\n  Expected: the field _type")
    # A manifest that was signed as a root, with the type exchanged afterwards.
    wrong = seal(good.payload, ROOT_PAYLOAD_TYPE, field.site.release_keys)
    moved = Envelope(wrong.payload, PAYLOAD_TYPE, wrong.signatures)
    field.site.write_file(ENVELOPE, moved.encode())
    field.refused(3, r"a signature of manifest.dsse.json does not verify")
    # Another statement by the same keys: an attestation, say.
    statement = json.loads(good.payload)
    statement["predicateType"] = "https://slsa.dev/provenance/v1"
    field.site.write_manifest(encode(statement))
    field.refused(3, r"what was signed is no manifest.*slsa.dev/provenance")


def test_a_manifest_of_another_stream(field):
    """It is signed by the same keys, for other hosts; a policy names the streams of this one."""
    policy = field.prefix / "state" / "policy.json"
    policy.write_text('{"format": 1, "streams": ["site"]}')
    policy.chmod(0o644)  # whatever the umask
    field.accepted()
    field.install()
    field.site.stream, field.site.sequence = "testing", 40
    field.carry()
    field.accepted()
    field.refused(
        5, r"bundle 41 of stream testing is of a stream that is not accepted here, by the"
    )
    # Nor can its label be exchanged.
    payload = envelope(field).payload.replace(b'"testing"', b'"site"')
    forged = Envelope(payload, PAYLOAD_TYPE, envelope(field).signatures)
    field.site.write_file(ENVELOPE, forged.encode())
    field.site.write_file("manifest.json", payload)
    field.refused(3, r"does not verify")


# The place in the stream, and time


def test_a_rollback_by_one(field):
    old = field.site.path
    field.carry()
    field.accepted()
    field.install()
    field.site.path = old
    field.accepted()
    said = field.refused(5, r"bundle 1 of stream site is older.*Expected: at least 2\n.*: 1")
    assert "--allow-downgrade REASON" in said
    said = field.install(old, "--allow-downgrade", "bundle 2 does not start")
    assert "warning: bundle 1 of stream site is older than 2" in said
    assert field.state().streams["site"].sequence == 2


def test_a_replay_of_an_equal_sequence_with_other_content(field):
    field.accepted()
    field.install()
    field.carry(sequence=1, content=b"other\n")
    field.accepted()
    message = r"is not the one that was accepted here.*two bundles with one sequence"
    field.refused(5, message)
    field.refused(5, message, "--allow-downgrade", "I want it")


def test_a_fast_forward_and_the_recovery_by_an_epoch(field):
    """A thief signs the highest sequence, dated 2099; a root with a new epoch ends it."""
    field.accepted()
    field.install()
    before = field.site.created
    field.site.created = FUTURE
    field.carry(sequence=LARGEST_INTEGER)
    field.accepted()
    field.install()
    assert field.state().floor == FUTURE
    thiefs = field.site.path
    # One more than that is no number that every reader reads alike.
    field.site.write(lambda statement: statement["predicate"].update(sequence=2**53))
    field.refused(4, r"an integer within 2\*\*53")
    field.site.path, field.site.created = thiefs, before
    field.carry(sequence=2)
    field.refused(5, r"bundle 2 of stream site is older.*at least 9007199254740991")
    # The site removes the stolen key and raises the epoch.
    stolen = field.site.release_keys
    field.site.release_keys = field.site.signing_keys = [SimKey()]
    field.site.epoch = 2
    streams = {"site": {"epoch": 2, "min_sequence": 0}}
    fresh = make_root(2, root_keys=field.site.root_keys, release_keys=field.site.release_keys)
    value = {**fresh.to_json(), "streams": streams}
    sealed = seal(encode(value, indent=2), ROOT_PAYLOAD_TYPE, field.site.root_keys)
    field.site.roots[2] = sealed.encode()
    field.site.expires = "2090-01-01T00:00:00Z"
    field.carry(sequence=1)
    said = field.install()
    # The time of the thief does not make it look expired, and counting starts anew.
    assert "expired" not in said
    assert (field.state().streams["site"].epoch, field.state().floor) == (2, before)
    field.site.signing_keys, field.site.epoch = stolen, 1
    field.carry(sequence=LARGEST_INTEGER)
    field.refused(3, r"root version 2 trusts for release")
    field.site.signing_keys = field.site.release_keys
    field.carry(sequence=LARGEST_INTEGER)
    field.refused(5, r"of another epoch than root version 2 says.*Expected: 2\n  Computed: 1")


def test_an_expired_manifest(field, monkeypatch):
    field.site.expires = "2026-12-01T00:00:00Z"
    field.carry()
    set_clock(monkeypatch, 2026)
    field.accepted()
    set_clock(monkeypatch, 2027)
    said = field.refused(5, r"is expired\n  Expected: a time until 2026-12-01T00:00:00Z\n  Comp")
    assert "--accept-expired REASON" in said
    said = field.install(None, "--accept-expired", "no stick until Monday")
    assert "warning: the bundle expired at 2026-12-01" in said


def test_an_expired_root(field, monkeypatch):
    rotate(field, expires="2026-12-01T00:00:00Z")
    field.carry()
    set_clock(monkeypatch, 2026)
    field.accepted()
    set_clock(monkeypatch, 2027)
    field.refused(5, r"root version 2 is expired\n.*2026-12-01T00:00:00Z\n", roots=1)
    # A newer root mends it, without an override.
    rotate(field, expires="2027-12-01T00:00:00Z")
    field.carry()
    assert "expired" not in field.install()


def test_a_clock_in_1970(field, monkeypatch):
    """It is survived and noted; the newest signed time says what is expired."""
    field.accepted()
    set_clock(monkeypatch, 1970)
    said = field.install()
    floor = field.state().floor
    assert "the clock of this host (1970-03-01T00:00:00Z) is behind a time that was signed" in said
    receipts = (field.prefix / "state/receipts.jsonl").read_text().splitlines()
    last = json.loads(receipts[-1])
    assert (last["clock"], last["floor"]) == ("1970-03-01T00:00:00Z", floor)
    field.site.created, field.site.expires = "2025-06-01T00:00:00Z", "2026-01-01T00:00:00Z"
    field.carry()
    field.refused(5, f"is expired\n  Expected: a time until 2026-01-01.*Computed: {floor}")


def test_a_clock_in_2099(field, monkeypatch):
    """It is survived and noted, does not raise the floor, and only what expires is refused."""
    field.accepted()
    set_clock(monkeypatch, 2099)
    said = field.install()
    assert "the clock of this host (2099-03-01T" in said
    assert "is far ahead of the time of the bundle" in said
    assert field.state().floor < "2027"
    field.site.expires = "2026-12-31T00:00:00Z"
    field.carry()
    said = field.refused(5, r"is expired.*Computed: 2099-03-01T")
    assert "set the clock if it is wrong" in said
    monkeypatch.undo()
    set_clock(monkeypatch, 2026)
    assert field.install() == ""


def test_a_withdrawn_manifest(field):
    field.accepted()
    sha256 = field.site.authenticate().manifest_sha256
    field.site.withdraw(sha256)
    field.site.write()
    options = ("--allow-downgrade", "I want it", "--accept-expired", "and now")
    field.refused(5, f"was withdrawn by root version 2: {sha256}", *options, roots=1)
    # The root stays, so that the bundle is refused without it as well.
    (field.site.path / "trust/root/2.root.dsse.json").unlink()
    field.refused(5, f"was withdrawn by root version 2: {sha256}")


def test_a_sequence_below_the_least_of_the_root(field):
    field.accepted()
    field.site.withdraw(min_sequence=2)
    field.site.write()
    field.refused(5, r"was withdrawn by root version 2\n  Expected: at least 2", roots=1)


# The files


def two_archives(field):
    """Carry two archives of one size, each with an index of one size."""
    field.carry(content=b"aaa\n")
    site = field.site
    site.add_archive(tool("tool-2.0", content=b"bbb\n"))
    site.write()
    field.accepted()
    return [site.path / archive.parts[0] for archive in site.archives]


def swap(one, other):
    first, second = one.read_bytes(), other.read_bytes()
    assert len(first) == len(second)
    assert first != second
    one.write_bytes(second)
    other.write_bytes(first)


def test_swapped_archives_of_equal_size(field):
    one, other = two_archives(field)
    swap(one, other)
    damaged(field, r"wrong SHA-256: archives/")


def damaged(field, message):
    """The files are authenticated when they are used: `install` names each archive that failed."""
    before = field.listing()
    code, _, said = field.unseal("verify", field.site.path)
    assert (code, bool(re.search(message, said))) == (4, True), said
    assert "hint: copy the bundle again" in said
    code, shown, said = field.unseal("install", field.site.path)
    assert (code, bool(re.search(message, said))) == (4, True), said
    assert "hint: copy the bundle again" in said
    assert "failed" in shown
    assert [name for name in field.listing() if name not in before and "." not in name] == [
        name for name in ("installs", "tools") if name in field.listing()
    ]
    assert dict(field.state().streams) == {}
    assert '"refuse"' in (field.prefix / "state/receipts.jsonl").read_text()


def test_swapped_indexes(field):
    two_archives(field)
    one, other = (field.site.path / archive.index for archive in field.site.archives)
    swap(one, other)
    damaged(field, r"wrong SHA-256: index/")


def test_an_added_file(field):
    field.accepted()
    field.site.write_file("unseal/wheels/evil.whl", b"anything")
    field.refused(4, r"not listed in the manifest: unseal/wheels/evil.whl.*do not use them")


def test_a_removed_file(field):
    field.accepted()
    (field.site.path / "README.txt").unlink()
    field.refused(4, r"missing in the bundle: README.txt")


@pytest.mark.parametrize("way", ["in place", "by a rename", "by a link"])
@pytest.mark.parametrize("what", ["archive", "index"])
def test_a_file_replaced_between_verification_and_use(field, monkeypatch, tmp_path, way, what):
    """A stick that shows other bytes after the check; it happens when extraction begins."""
    field.accepted()
    archive = field.site.archives[0]
    path = field.site.path / (archive.parts[0] if what == "archive" else archive.index)
    good = path.read_bytes()
    evil = tmp_path / "evil"
    evil.write_bytes(bytes([good[0] ^ 1]) + good[1:])
    assert field.unseal("verify", field.site.path)[0] == 0

    def replace(self, archive, step):
        if step != "extract":
            return
        if way == "in place":
            path.write_bytes(evil.read_bytes())
        elif way == "by a rename":
            evil.rename(path)
        else:
            path.unlink()
            path.symlink_to(evil)

    monkeypatch.setattr(Terminal, "step", replace)
    code, _, said = field.unseal("install", field.site.path)
    message = "a link, or not a file" if way == "by a link" else "wrong SHA-256"
    assert (code, message in said) == (4, True), said
    assert not (field.prefix / "tools" / archive.name).exists()
    assert dict(field.state().streams) == {}


# Documents


def edited(field, old, new):
    """Sign a manifest in which some text stands otherwise."""
    payload = envelope(field).payload
    assert old in payload
    field.site.write_manifest(payload.replace(old, new))


def test_duplicate_json_keys(field):
    field.accepted()
    edited(field, b'"sequence": 1,', b'"sequence": 1, "sequence": 9,')
    field.refused(4, r"each key once\n  Found: \"sequence\" twice")
    data = (field.site.path / ENVELOPE).read_bytes()
    field.site.write_file(ENVELOPE, data.replace(b"{", b'{"payload":"",', 1))
    field.refused(4, r"each key once")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1.0", "1e2", "-0"])
def test_numbers_with_two_meanings(field, number):
    """NaN and its like: JSON readers differ about them."""
    field.accepted()
    edited(field, b'"sequence": 1,', f'"sequence": {number},'.encode())
    field.refused(4, r"manifest.*malformed.*(integers only|integer within)")


def test_deep_nesting(field):
    field.accepted()
    deep = b"[" * 100_000 + b"]" * 100_000
    field.site.write_manifest(deep)
    field.refused(4, r"at most 32 levels of nesting")
    field.site.write_file(ENVELOPE, deep)
    field.refused(4, r"at most 32 levels of nesting")
    field.site.write_file("trust/root/2.root.dsse.json", deep)
    field.refused(4, r"root version 2 is malformed.*at most 32 levels")


def test_a_manifest_of_100_megabytes(field):
    field.accepted()
    for name in (ENVELOPE, "manifest.json", "SHA256SUMS"):
        path = field.site.path / name
        good = path.read_bytes()
        with path.open("r+b") as file:
            file.truncate(100_000_000)
        field.refused(4, f"too large: {name}\n  Expected: at most \\d+ bytes\n  Computed: 1000000")
        path.write_bytes(good)
    field.accepted()


def test_invalid_utf_8(field):
    field.accepted()
    edited(field, b'"site"', b'"s\xffte"')
    field.refused(4, r"Expected: UTF-8\n  Found: an invalid byte at offset")
    field.site.write_file(ENVELOPE, b'{"payload":"\xff"}')
    field.refused(4, r"Expected: UTF-8")


@pytest.mark.parametrize(
    "path",
    ["../../etc/passwd", "/etc/passwd", "archives/../../x", "C:/x", "a\\b", "./x", "a//b"],
)
def test_paths_that_lead_out_as_subjects(field, path):
    """Signed by the site in good faith, or by whoever has its key."""
    field.accepted()

    def rename(statement):
        statement["predicate"]["files"][0]["path"] = path
        statement["subject"][0]["name"] = path

    field.site.write(rename)
    said = field.refused(4, r"manifest.dsse.json is malformed at manifest.*(files|subject)")
    assert "hint: it was signed like this, so that no other copy will help" in said


def test_checksums_that_disagree_with_the_manifest(field):
    """Signed as well, so that an auditor with openssl would be told another story."""
    field.accepted()
    path = field.site.path / "SHA256SUMS"
    sums = path.read_bytes()
    other = re.sub(rb"^[0-9a-f]{64}", b"0" * 64, sums)
    path.write_bytes(other)
    for key in field.site.release_keys:
        name = f"SHA256SUMS.{key.keyid[:16]}.sig"
        field.site.write_file(name, key.sign(other))
    field.refused(4, r"SHA256SUMS is not what the manifest says: line 1 differs")


# The target


def state_files(field):
    state = field.prefix / "state"
    return {name: state / name for name in ("trust.json", "receipts.jsonl")}


def untrusting(field, message):
    """The state is not to be believed: nothing is accepted, nothing is written."""
    before = {path: path.read_bytes() for path in field.prefix.rglob("*") if path.is_file()}
    for command in ("verify", "install"):
        code, _, said = field.unseal(command, field.site.path)
        assert (code, bool(re.search(message, said))) == (3, True), said
        assert "hint: " in said
    after = {path: path.read_bytes() for path in field.prefix.rglob("*") if path.is_file()}
    after.pop(field.prefix / "state" / "lock", None)
    before.pop(field.prefix / "state" / "lock", None)
    assert after == before


def test_an_edited_state(field):
    field.accepted()
    field.install()
    file = state_files(field)["trust.json"]
    file.write_text(file.read_text().replace('"sequence": 1', '"sequence": 0'))
    untrusting(field, r"the state is malformed")
    file.write_text(file.read_text().replace('"sequence": 0', '"sequence": 2'))
    untrusting(field, r"the state is not what its last receipt says.*restore the folder|restore")


@pytest.mark.parametrize("name", ["trust.json", "receipts.jsonl", "roots/1.root.dsse.json"])
def test_a_deleted_file_of_the_state(field, name):
    field.accepted()
    field.install()
    (field.prefix / "state" / name).unlink()
    said = r"the state is gone|the stored root is gone|receipts do not end where the state says"
    untrusting(field, said)


@pytest.mark.parametrize("name", ["trust.json", "receipts.jsonl"])
def test_a_file_of_the_state_put_back_to_an_older_one(field, name):
    field.accepted()
    field.install()
    file = state_files(field)[name]
    older = file.read_bytes()
    for content in (b"two\n", b"three\n"):
        # One line that is missing is what a crash leaves, and is written anew from the state.
        field.carry(content=content)
        field.install()
    newer = file.read_bytes()
    file.write_bytes(older)
    untrusting(field, r"the receipts do not end where the state says")
    file.write_bytes(newer)
    field.carry(content=b"four\n")
    field.install()


def test_a_state_that_another_can_write_is_said(field):
    if os.name != "posix":
        pytest.skip("modes are those of POSIX")
    (field.prefix / "state").chmod(0o777)
    assert "everybody can write to" in field.install()


# What is left of a refusal


def test_a_receipt_says_which_bundle_was_refused(field):
    """What the site did sign has a name; of what a stranger signed nothing is believed."""
    field.accepted()
    sha256 = field.site.authenticate().manifest_sha256
    field.site.withdraw(sha256)
    field.site.write()
    field.refused(5, r"was withdrawn", roots=1)
    refusal = last_receipt(field)
    assert (refusal["bundle"]["manifest"], refusal["bundle"]["sequence"]) == (sha256, 1)
    assert refusal["bundle"]["signers"] == [field.site.release_keys[0].keyid]
    assert refusal["detail"].startswith("RefusedByPolicy: bundle 1 of stream site was withdrawn")
    signed_by(field, SimKey())
    field.refused(3, r"too few signatures")
    assert "bundle" not in last_receipt(field)


def last_receipt(field):
    return json.loads((field.prefix / "state/receipts.jsonl").read_text().splitlines()[-1])
