"""Attacks on a whole bundle. The fixture shows that the untampered one is accepted."""

import json
import os
import re
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sealift_installer.authenticate import Terms, authenticate
from sealift_installer.bundle import is_control, signature_name
from sealift_installer.errors import (
    Damaged,
    HostError,
    RefusedByPolicy,
    Untrusted,
    UsageError,
)
from sealift_installer.verify import verify_files
from sealift_schemas.envelope import Envelope, Signature, pre_authentication_encoding
from sealift_schemas.manifest import PAYLOAD_TYPE
from sealift_schemas.root import PAYLOAD_TYPE as ROOT_PAYLOAD_TYPE
from simulator import ED25519, NOW, P384, SimKey, make_root, seal, small_bundle

ENVELOPE = "manifest.dsse.json"


@pytest.fixture
def site(tmp_path):
    site = small_bundle(tmp_path / "bundle")
    verify_files(site.authenticate())
    return site


@pytest.fixture
def pair(tmp_path):
    """A bundle that two of three release keys must sign; all three did."""
    site = small_bundle(tmp_path / "bundle", keys=3, threshold=2)
    verify_files(site.authenticate())
    return site


def read_envelope(site):
    data = (site.path / ENVELOPE).read_bytes()
    return Envelope.read(data, what="envelope", limit=1 << 20)


def change_envelope(site, **fields):
    site.write_file(ENVELOPE, replace(read_envelope(site), **fields).encode())


# Who signed


@pytest.mark.parametrize("scheme", [P384, ED25519])
def test_other_schemes_are_accepted(tmp_path, scheme):
    site = small_bundle(tmp_path / "bundle", scheme=scheme)
    assert site.authenticate().signers == (site.release_keys[0].keyid,)


def test_what_was_authenticated_is_reported(site):
    done = site.authenticate()
    assert done.signers == (site.release_keys[0].keyid,)
    assert done.identity.signers == done.signers
    assert done.identity.manifest == done.manifest_sha256
    assert (done.warnings, done.new_roots, dict(done.overrides)) == ((), (), {})
    assert done.root == site.first_root


def test_signed_by_a_stranger(site):
    site.signing_keys = [SimKey()]
    site.write()
    with pytest.raises(Untrusted, match=r"(?s)too few signatures.*Computed: 0; not trusted"):
        site.authenticate()


def test_below_the_threshold(pair):
    signatures = read_envelope(pair).signatures
    change_envelope(pair, signatures=signatures[:2])
    assert len(pair.authenticate().signers) == 2
    change_envelope(pair, signatures=signatures[:1])
    with pytest.raises(Untrusted, match=r"(?s)Expected: 2 distinct keys.*Computed: 1"):
        pair.authenticate()


def test_the_same_key_twice(pair):
    key = pair.release_keys[0]
    payload = read_envelope(pair).payload
    doubled = seal(payload, PAYLOAD_TYPE, [key, key])
    # ECDSA signatures of one key differ from each other, so they are two.
    assert doubled.signatures[0] != doubled.signatures[1]
    pair.write_file(ENVELOPE, doubled.encode())
    with pytest.raises(Untrusted, match=r"(?s)Expected: 2 distinct keys.*Computed: 1"):
        pair.authenticate()


def test_signed_for_the_wrong_role(site):
    site.signing_keys = site.root_keys
    site.write()
    with pytest.raises(Untrusted, match=r"too few signatures.*for release"):
        site.authenticate()


def test_a_signature_that_claims_a_known_key_must_verify(pair):
    signatures = read_envelope(pair).signatures
    false = Signature(signatures[0].keyid, signatures[1].signature)
    change_envelope(pair, signatures=(false, *signatures[1:]))
    with pytest.raises(Untrusted, match=r"does not verify: key " + false.keyid):
        pair.authenticate()


def test_a_signature_by_an_unknown_key_is_left_out_with_a_warning(site):
    stranger = SimKey()
    payload = read_envelope(site).payload
    signed = pre_authentication_encoding(PAYLOAD_TYPE, payload)
    extra = Signature(stranger.keyid, stranger.sign(signed))
    change_envelope(site, signatures=(*read_envelope(site).signatures, extra))
    site.write_file(signature_name(stranger.keyid), b"anything")
    done = site.authenticate()
    assert done.signers == (site.release_keys[0].keyid,)
    assert done.warnings == (
        f"a signature by a key that does not count: {stranger.keyid}",
        f"a signature by an unknown key: {signature_name(stranger.keyid)}",
    )


def test_a_scheme_that_the_root_does_not_allow(tmp_path):
    site = small_bundle(tmp_path / "bundle", scheme=ED25519)
    site.authenticate()
    site.add_root(site.next_root(schemes=("ecdsa-sha2-nistp256",)), site.root_keys)
    site.write()
    with pytest.raises(Damaged, match=r"(?s)root version 2.*scheme that this root allows.*ed25519"):
        site.authenticate()


# What was signed


def test_another_payload_type(site):
    payload = read_envelope(site).payload
    site.write_manifest(payload, payload_type="application/json")
    with pytest.raises(
        Untrusted, match=r"(?s)wrong type of the payload.*Computed: application/json"
    ):
        site.authenticate()


def test_a_root_in_the_place_of_the_manifest(site):
    root = make_root(root_keys=site.root_keys, release_keys=site.release_keys)
    envelope = seal(root.encode(), ROOT_PAYLOAD_TYPE, site.release_keys)
    site.write_file(ENVELOPE, envelope.encode())
    with pytest.raises(Untrusted, match=r"wrong type of the payload"):
        site.authenticate()


def test_the_type_is_part_of_what_is_signed(site):
    payload = read_envelope(site).payload
    signed = seal(payload, "application/json", site.release_keys)
    site.write_file(ENVELOPE, replace(signed, payload_type=PAYLOAD_TYPE).encode())
    with pytest.raises(Untrusted, match=r"does not verify"):
        site.authenticate()


@pytest.mark.parametrize("name", ["_type", "predicateType"])
def test_another_statement_by_the_same_keys(site, name):
    site.write(lambda statement: statement.update({name: "https://slsa.dev/provenance/v1"}))
    with pytest.raises(Untrusted, match=rf"(?s)no manifest: manifest\.{name}.*Found:.*slsa"):
        site.authenticate()


def test_an_envelope_with_spaces(site):
    value = json.loads((site.path / ENVELOPE).read_bytes())
    site.write_file(ENVELOPE, json.dumps(value).encode() + b"\n")
    with pytest.raises(Damaged, match=r"(?s)malformed.*canonical encoding"):
        site.authenticate()


def test_an_envelope_with_spare_bits_in_its_base64(site):
    value = json.loads((site.path / ENVELOPE).read_bytes())
    text = value["payload"].rstrip("=")
    padding = len(value["payload"]) - len(text)
    if padding == 0:
        pytest.skip("this payload leaves no spare bits")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    value["payload"] = text[:-1] + alphabet[alphabet.index(text[-1]) + 1] + "=" * padding
    site.write_file(ENVELOPE, json.dumps(value, separators=(",", ":")).encode() + b"\n")
    with pytest.raises(Damaged, match=r"(?s)malformed.*canonical encoding"):
        site.authenticate()


def test_a_signed_manifest_with_an_unknown_field(site):
    site.write(lambda statement: statement["predicate"].update({"extra": 1}))
    with pytest.raises(Damaged, match=r"(?s)malformed at manifest.predicate.*no unknown field"):
        site.authenticate()


def test_a_signed_manifest_with_a_duplicate_key(site):
    payload = read_envelope(site).payload
    site.write_manifest(payload.replace(b'"sequence": 1,', b'"sequence": 1, "sequence": 2,'))
    with pytest.raises(Damaged, match=r"(?s)each key once.*sequence"):
        site.authenticate()


def test_a_manifest_that_lists_a_control_file(site):
    site.payload["SHA256SUMS.0123456789abcdef.sig"] = b"x"
    site.write()
    with pytest.raises(Damaged, match=r"lists a file that cannot be a payload file"):
        site.authenticate()


def test_a_bundle_for_a_newer_unseal(site):
    site.installer = "99.0.0"
    site.write()
    with pytest.raises(HostError, match=r"(?s)needs a newer unseal.*Expected: 99.0.0"):
        site.authenticate()


def test_signatures_count_before_the_manifest_is_read(site):
    site.signing_keys = [SimKey()]
    site.write_manifest(b"not even JSON")
    with pytest.raises(Untrusted, match=r"too few signatures"):
        site.authenticate()


# The place in the stream, and time


def accept(site, state=None):
    """Return the state of a target that accepted the bundle as it stands."""
    done = authenticate(site.bundle, state or site.state, site.terms)
    state = (state or site.state).with_roots(done.new_roots)
    return state.with_bundle(done.manifest, done.manifest_sha256)


def test_a_lower_sequence(site):
    site.sequence = 7
    site.write()
    state = accept(site)
    assert accept(site, state) == state
    site.sequence = 6
    site.write()
    assert site.authenticate().manifest.sequence == 6
    with pytest.raises(RefusedByPolicy, match=r"(?s)older than.*Expected: at least 7.*Computed: 6"):
        authenticate(site.bundle, state, site.terms)
    terms = replace(site.terms, allow_downgrade="the new one does not start")
    done = authenticate(site.bundle, state, terms)
    assert done.overrides == {"allow_downgrade": "the new one does not start"}
    assert "older than 7" in done.warnings[0]
    after = state.with_bundle(done.manifest, done.manifest_sha256)
    assert after.streams["site"].sequence == 7


def test_an_equal_sequence_with_another_digest(site):
    state = accept(site)
    site.payload["README.txt"] = b"Another bundle.\n"
    site.write()
    site.authenticate()
    terms = replace(site.terms, allow_downgrade="I want it")
    with pytest.raises(RefusedByPolicy, match=r"is not the one that was accepted"):
        authenticate(site.bundle, state, terms)


def test_another_stream_has_its_own_counter(site):
    site.sequence = 7
    state = accept(site.write())
    site.stream, site.sequence = "other", 1
    assert accept(site.write(), state).streams["other"].sequence == 1


def test_an_expired_bundle(site):
    site.expires = "2026-02-01T08:59:59Z"
    site.write()
    assert not site.authenticate(now=site.expires).warnings
    with pytest.raises(RefusedByPolicy, match=r"(?s)is expired.*Computed: 2026-02-01T09:00:00Z"):
        site.authenticate()
    done = site.authenticate(accept_expired="no newer one until Monday")
    assert done.overrides == {"accept_expired": "no newer one until Monday"}
    assert done.warnings == ("the bundle expired at 2026-02-01T08:59:59Z",)


def test_a_clock_that_was_set_back_does_not_revive_an_expired_bundle(site):
    site.created = "2026-06-01T00:00:00Z"
    state = accept(site.write())
    assert state.floor == "2026-06-01T00:00:00Z"
    site.created, site.sequence, site.expires = "2026-03-01T00:00:00Z", 2, "2026-05-01T00:00:00Z"
    site.write()
    terms = Terms(now="2026-03-02T00:00:00Z")
    assert authenticate(site.bundle, site.state, terms).manifest.sequence == 2
    with pytest.raises(RefusedByPolicy, match=r"(?s)is expired.*Computed: 2026-06-01T00:00:00Z"):
        authenticate(site.bundle, state, terms)


def test_a_clock_behind_the_signed_times_is_reported(site):
    done = site.authenticate(now="2020-01-01T00:00:00Z")
    assert "the clock of this host (2020-01-01T00:00:00Z) is behind" in done.warnings[0]


def test_an_override_without_a_reason(site):
    with pytest.raises(UsageError, match=r"--allow-downgrade needs a reason"):
        site.authenticate(allow_downgrade=" ")


def test_a_withdrawn_manifest(site):
    site.withdraw(site.authenticate().manifest_sha256)
    site.write()
    with pytest.raises(RefusedByPolicy, match=r"was withdrawn by root version 2: [0-9a-f]{64}"):
        site.authenticate(allow_downgrade="I want it", accept_expired="and now")


def test_a_sequence_below_the_least_of_the_root(site):
    site.withdraw(min_sequence=2)
    site.write()
    with pytest.raises(RefusedByPolicy, match=r"(?s)withdrawn by root.*at least 2.*Computed: 1"):
        site.authenticate(allow_downgrade="I want it")
    site.sequence = 2
    site.write()
    assert site.authenticate().manifest.sequence == 2


def test_an_epoch_ends_what_a_stolen_key_signed(site):
    site.sequence, site.created = 2**53 - 1, "2099-01-01T00:00:00Z"
    state = accept(site.write())
    assert state.floor == "2099-01-01T00:00:00Z"
    site.withdraw(epoch=2)
    site.write()
    with pytest.raises(RefusedByPolicy, match=r"(?s)another epoch.*Expected: 2.*Computed: 1"):
        authenticate(site.bundle, state, replace(site.terms, allow_downgrade="I want it"))
    site.epoch, site.sequence, site.created = 2, 1, NOW
    site.expires = "2027-01-01T00:00:00Z"
    site.write()
    # Nor does the time of the stolen key's bundle make the new one look expired.
    state = accept(site, state)
    assert (state.streams["site"].epoch, state.streams["site"].sequence) == (2, 1)
    assert state.floor == NOW


def test_a_root_that_lowers_an_epoch_does_not_bring_back_its_bundles(site):
    site.withdraw(epoch=2)
    site.epoch = 2
    state = accept(site.write())
    site.withdraw(epoch=1)
    site.epoch = 1
    site.write()
    assert site.authenticate().manifest.epoch == 1
    with pytest.raises(RefusedByPolicy, match=r"(?s)of an older epoch.*at least 2.*Computed: 1"):
        authenticate(site.bundle, state, replace(site.terms, allow_downgrade="I want it"))


def test_an_expired_root(site):
    site.add_root(site.next_root(expires="2026-01-31T10:00:00Z"), site.root_keys)
    site.write()
    assert not site.authenticate(now="2026-01-31T10:00:00Z").warnings
    with pytest.raises(RefusedByPolicy, match=r"(?s)root version 2 is expired.*Computed: 2026-02"):
        site.authenticate()
    done = site.authenticate(accept_expired="the new root comes on Monday")
    assert done.overrides == {"accept_expired": "the new root comes on Monday"}
    assert done.warnings == ("root version 2 expired at 2026-01-31T10:00:00Z",)


def test_a_bundle_cannot_raise_the_epoch_by_itself(site):
    site.epoch = 2
    site.write()
    with pytest.raises(RefusedByPolicy, match=r"(?s)another epoch.*Expected: 1.*Computed: 2"):
        site.authenticate()


# The files


def test_one_flipped_bit_at_start_middle_and_end_of_any_file(site):
    names = site.files()
    assert len(names) == 10
    for name in names:
        good = (site.path / name).read_bytes()
        for position in {0, len(good) // 2, len(good) - 1}:
            for bit in (0, 5, 7):
                site.flip_bit(name, position, bit)
                with pytest.raises((Damaged, Untrusted), match=r".+") as caught:
                    verify_files(site.authenticate())
                assert caught.value.exit_code in {3, 4}, name
                site.flip_bit(name, position, bit)
        assert (site.path / name).read_bytes() == good
    verify_files(site.authenticate())


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_control_files_edited_at_random(shared, data):
    """Refused with one of our errors, whatever the edit is; never another exception."""
    name = data.draw(st.sampled_from([name for name in shared.files() if is_control(name)]))
    good = (shared.path / name).read_bytes()
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 40)))
    bad = good[:start] + data.draw(st.binary(max_size=40)) + good[end:]
    assume(bad != good)
    shared.write_file(name, bad)
    try:
        with pytest.raises((Damaged, Untrusted), match=r".+"):
            shared.authenticate()
    finally:
        shared.write_file(name, good)
    assert not shared.authenticate().warnings


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A bundle that each example leaves as it was."""
    return small_bundle(tmp_path_factory.mktemp("shared") / "bundle")


@pytest.mark.slow
def test_every_flipped_bit_of_every_file(site):
    for name in site.files():
        for position in range(len((site.path / name).read_bytes())):
            site.flip_bit(name, position, position % 8)
            with pytest.raises((Damaged, Untrusted), match=r".+"):
                verify_files(site.authenticate())
            site.flip_bit(name, position, position % 8)


def test_a_missing_file(site):
    for name in site.files():
        path = site.path / name
        good = path.read_bytes()
        path.unlink()
        with pytest.raises(Damaged, match=f"missing in the bundle: {name}"):
            site.authenticate()
        path.write_bytes(good)
    verify_files(site.authenticate())


@pytest.mark.parametrize(
    "name",
    [
        "evil.sh",
        "archives/evil",
        "trust/root/x",
        "archives/lost+found/x",
        "unseal/a/b",
        "SHA256SUMS.sig",
        "trust/root/01.root.dsse.json",
    ],
)
def test_an_added_file(site, name):
    site.write_file(name, b"anything")
    with pytest.raises(Damaged, match=f"not listed in the manifest: {re.escape(name)}"):
        site.authenticate()


def test_a_signature_that_is_not_whole_is_named_as_such(site):
    """It is refused like every file that nobody vouches for."""
    names = [".manifest.dsse.json.tmp", f".SHA256SUMS.{'0' * 16}.sig.tmp"]
    for name in names:
        site.write_file(name, b"anything")
    with pytest.raises(Damaged, match="not listed in the manifest: ") as caught:
        site.authenticate()
    assert "a signer was stopped who was writing it" in caught.value.hint
    site.write_file("archives/.manifest.dsse.json.tmp", b"anything")
    with pytest.raises(Damaged, match="not listed in the manifest: ") as caught:
        site.authenticate()
    assert "do not use them" in caught.value.hint


def test_an_added_name_is_escaped_in_the_message(site):
    site.write_file("a\x1b[2Jb", b"")
    with pytest.raises(Damaged, match=r"not listed in the manifest: a\\x1b\[2Jb"):
        site.authenticate()


def test_litter_of_operating_systems_is_reported_and_not_opened(site):
    names = [
        ".DS_Store",
        "archives/._x",
        "Thumbs.db",
        "System Volume Information/a/b",
        ".Trash-0/x",
    ]
    for name in names:
        site.write_file(name, b"anything").chmod(0)
    done = site.authenticate()
    assert done.warnings == (
        "left by an operating system, ignored: .DS_Store",
        "left by an operating system, ignored: .Trash-0/",
        "left by an operating system, ignored: System Volume Information/",
        "left by an operating system, ignored: Thumbs.db",
        "left by an operating system, ignored: archives/._x",
    )


def test_much_litter_gives_few_lines(site):
    for number in range(40):
        site.write_file(f"._{number:02}", b"")
    warnings = site.authenticate().warnings
    assert len(warnings) == 11
    assert warnings[-1] == "left by an operating system, ignored: 30 more"


def test_a_link_in_the_place_of_a_file(site, tmp_path):
    path = site.path / "README.txt"
    path.rename(tmp_path / "outside")
    path.symlink_to(tmp_path / "outside")
    with pytest.raises(Damaged, match=r"a link in the bundle, which has only files: README.txt"):
        site.authenticate()


def test_a_link_in_the_place_of_a_folder(site, tmp_path):
    folder = site.path / "index"
    folder.rename(tmp_path / "outside")
    folder.symlink_to(tmp_path / "outside")
    with pytest.raises(Damaged, match=r"a link in the bundle, which has only files: index"):
        site.authenticate()


@pytest.mark.parametrize("name", ["manifest.json", ENVELOPE, "SHA256SUMS", "trust/root"])
def test_a_link_in_the_place_of_a_control_file(site, tmp_path, name):
    path = site.path / name
    path.rename(tmp_path / "outside")
    path.symlink_to(tmp_path / "outside")
    with pytest.raises(Damaged, match=f"a link, or not a file, on the way to {name}"):
        site.authenticate()


def test_a_pipe_in_the_place_of_a_file(site):
    for name in (ENVELOPE, "manifest.json"):
        path = site.path / name
        good = path.read_bytes()
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(Damaged, match=f"not a regular file in the bundle: {name}"):
            site.authenticate()
        path.unlink()
        path.write_bytes(good)
    os.mkfifo(site.path / "pipe")
    with pytest.raises(Damaged, match=r"a special file in the bundle.*: pipe"):
        site.authenticate()


def test_a_file_of_another_size(site):
    path = site.path / "README.txt"
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(Damaged, match=r"(?s)wrong size: README.txt.*14 bytes.*15 bytes"):
        site.authenticate()


def test_checksums_that_say_something_else(site):
    path = site.path / "SHA256SUMS"
    sums = path.read_bytes().replace(b"README.txt", b"README.txl")
    path.write_bytes(sums)
    # Even when they are signed: an auditor would be told another story than the target.
    site.write_file(signature_name(site.release_keys[0].keyid), site.release_keys[0].sign(sums))
    with pytest.raises(Damaged, match=r"SHA256SUMS is not what the manifest says: line 1 differs"):
        site.authenticate()


def test_a_signature_over_the_checksums_that_does_not_verify(site):
    key = site.release_keys[0]
    site.write_file(signature_name(key.keyid), key.sign(b"something else"))
    with pytest.raises(Untrusted, match=r"does not verify over SHA256SUMS"):
        site.authenticate()


def test_a_copy_of_the_manifest_that_says_something_else(site):
    path = site.path / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"sequence": 1', b'"sequence": 9'))
    with pytest.raises(Damaged, match=r"manifest.json is not the payload that was signed: line"):
        site.authenticate()


def test_a_file_exchanged_after_it_was_authenticated(site):
    done = site.authenticate()
    archive = done.manifest.archives[0]
    site.flip_bit(archive.parts[0], 40)
    with pytest.raises(Damaged, match=f"wrong SHA-256: {archive.parts[0]}"):
        list(done.source(archive).chunks())
    site.flip_bit(archive.index)
    with pytest.raises(Damaged, match=f"wrong SHA-256: {archive.index}"):
        done.entries(archive)


def test_an_index_that_counts_otherwise_than_the_manifest(site):
    site.write(lambda statement: statement["predicate"]["archives"][0].update(members=5))
    done = site.authenticate()
    with pytest.raises(Damaged, match=r"(?s)does not agree.*Expected: 5 members.*Computed: 6"):
        done.entries(done.manifest.archives[0])


def test_a_template_that_is_not_carried(site):
    done = site.authenticate()
    entries = done.entries(done.manifest.archives[0])
    template = next(entry.template for entry in entries if entry.template is not None)
    assert done.template(template)
    with pytest.raises(Damaged, match=r"a template that the manifest does not list"):
        done.template(replace(template, sha256="0" * 64))
    with pytest.raises(Damaged, match=r"index and manifest disagree"):
        done.template(replace(template, size=99))


def test_a_directory_that_is_no_bundle(tmp_path):
    (tmp_path / "empty").mkdir()
    site = small_bundle(tmp_path / "bundle")
    site.path = tmp_path / "empty"
    with pytest.raises(Damaged, match=r"this is no bundle: .*empty"):
        site.authenticate()
    site.path = tmp_path / "nowhere"
    with pytest.raises(HostError, match=r"cannot open the bundle: No such file.*nowhere"):
        site.authenticate()
