"""The chain of roots: how a target follows it, and how it does not."""

import hashlib
from dataclasses import replace

import pytest

from sealift_installer.bundle import root_name
from sealift_installer.errors import Damaged, Untrusted
from sealift_installer.trust.keys import check_key, compute_keyid, verify_signature
from sealift_installer.trust.roots import RootChain, follow, read_first_root, walk
from sealift_schemas.root import PublicKey, Role
from simulator import ED25519, P256, P384, SimKey, make_root, seal, seal_root, small_bundle


@pytest.fixture
def site(tmp_path):
    """A bundle whose root was signed anew once, with another key; accepted from version 1 on."""
    site = small_bundle(tmp_path / "bundle")
    new = SimKey(P384)
    keys = {new.keyid: new.public_key, site.release_keys[0].keyid: site.release_keys[0].public_key}
    roles = {
        **make_root(root_keys=[new], release_keys=site.release_keys).roles,
        "root": Role((new.keyid,), 1),
    }
    site.second = site.next_root(keys=keys, roles=roles)
    site.old, site.new = site.root_keys[0], new
    site.add_root(site.second, [site.old, site.new])
    site.write()
    assert [root.root.version for root in site.authenticate().new_roots] == [2]
    return site


def read(data):
    return read_first_root(data, hashlib.sha256(data).hexdigest())


def test_the_chain_is_followed_step_by_step(site):
    site.add_root(site.next_root(), [site.new])
    site.write()
    roots = walk(site.first_root, RootChain(site.bundle))
    assert [root.root.version for root in roots] == [2, 3]
    assert roots[-1].lineage == {
        version: hashlib.sha256(data).hexdigest() for version, data in site.roots.items()
    }
    assert walk(roots[-1], RootChain(site.bundle)) == ()
    assert [root.root.version for root in walk(roots[0], RootChain(site.bundle))] == [3]


def test_the_new_root_decides_who_may_sign(site):
    other = SimKey()
    release = {"release": Role((other.keyid,), 1)}
    site.add_root(
        site.next_root(
            keys={**site.second.keys, other.keyid: other.public_key},
            roles={**site.second.roles, **release},
        ),
        [site.new],
    )
    site.write()
    with pytest.raises(Untrusted, match=r"(?s)root version 3 trusts for release.*not trusted"):
        site.authenticate()
    for name in site.files():
        if name.endswith(".sig"):
            (site.path / name).unlink()
    site.signing_keys = [other]
    site.write()
    assert site.authenticate().signers == (other.keyid,)


def test_an_older_bundle_leaves_the_newer_root_trusted(site):
    newest = site.authenticate().root
    (site.path / root_name(2)).unlink()
    assert walk(newest, RootChain(site.bundle)) == ()


def test_a_gap_in_the_chain(site):
    site.add_root(site.next_root(), [site.new])
    site.write()
    (site.path / root_name(2)).unlink()
    with pytest.raises(Untrusted, match=r"(?s)has a gap.*Expected: .*/2\..*Computed: .*/3\."):
        site.authenticate()


def test_the_first_root_is_carried_too(site):
    (site.path / root_name(1)).unlink()
    with pytest.raises(Damaged, match=r"missing in the bundle: trust/root/1.root.dsse.json"):
        site.authenticate()


@pytest.mark.parametrize("signer", ["old", "new"])
def test_a_root_signed_by_one_side_alone(site, signer):
    site.add_root(site.second, [getattr(site, signer)])
    site.write()
    with pytest.raises(Untrusted, match=r"too few signatures of root version 2 by keys that root"):
        site.authenticate()


def test_a_root_signed_by_a_stranger(site):
    stranger = SimKey()
    forged = make_root(2, root_keys=[stranger], release_keys=[stranger])
    site.add_root(forged, [stranger])
    site.write()
    with pytest.raises(Untrusted, match=r"by keys that root version 1 trusts for root"):
        site.authenticate()


def test_another_first_version_is_a_fork(site):
    envelope = seal_root(make_root(root_keys=[site.old], release_keys=[site.old]), [site.old])
    site.roots[1] = envelope
    trusted = read((site.path / root_name(1)).read_bytes())
    site.write()
    with pytest.raises(Untrusted, match=r"root version 1 in the bundle is not the one that was"):
        walk(trusted, RootChain(site.bundle))


def test_another_second_version_is_a_fork(site):
    trusted = site.authenticate().root
    site.add_root(replace(site.second, created="2026-01-31T09:00:01Z"), [site.old, site.new])
    site.write()
    assert walk(site.first_root, RootChain(site.bundle))
    with pytest.raises(Untrusted, match=r"root version 2 in the bundle is not the one that was"):
        walk(trusted, RootChain(site.bundle))


def test_a_version_under_another_name(site):
    site.roots[2] = seal_root(replace(site.second, version=3), [site.old, site.new])
    site.write()
    with pytest.raises(Untrusted, match=r"(?s)is another version.*Expected: 2.*Computed: 3"):
        site.authenticate()


def test_a_root_that_comes_by_hand_is_followed_too(site):
    newest = follow(site.first_root, site.roots[2])
    assert newest.root == site.second
    with pytest.raises(Untrusted, match=r"another version"):
        follow(newest, site.roots[2])


# The first root


def test_the_first_root_needs_its_digest(site):
    with pytest.raises(Untrusted, match=r"wrong SHA-256 of the root's file"):
        read_first_root(site.roots[1], "0" * 64)


def test_the_first_root_must_reach_its_own_threshold():
    keys = [SimKey(), SimKey(ED25519)]
    root = make_root(root_keys=keys, release_keys=keys, thresholds=(2, 1))
    assert read(seal_root(root, keys)).root == root
    with pytest.raises(Untrusted, match=r"(?s)too few signatures of the root.*Computed: 1"):
        read(seal_root(root, keys[:1]))


def test_a_manifest_is_no_root(site):
    root = make_root(root_keys=site.root_keys, release_keys=site.release_keys)
    envelope = seal(root.encode(), "application/vnd.in-toto+json", site.root_keys)
    with pytest.raises(Untrusted, match=r"wrong type of the payload of the root"):
        read(envelope.encode())


@pytest.mark.parametrize("data", [b"", b"{}", b"not JSON", b"[" * 100, b"\xff"])
def test_a_file_that_is_no_root(data):
    with pytest.raises(Damaged, match=r"the root is malformed"):
        read(data)


def test_a_root_that_is_too_large():
    with pytest.raises(Damaged, match=r"too large: the root"):
        read(b" " * (1024 * 1024 + 1))


# Keys


def test_a_key_under_another_id(site):
    """One key under two ids would reach a threshold of two by itself."""
    key = site.old
    root = make_root(root_keys=[key], release_keys=[key])
    twice = replace(root, keys={**root.keys, "0" * 64: key.public_key})
    with pytest.raises(Untrusted, match=r"(?s)another id than it claims.*Expected: 0{64}"):
        read(seal_root(twice, [key]))


def test_a_second_encoding_of_a_key():
    """The same point compressed: another id for one key."""
    key = SimKey()
    x, y = key.public[-64:-32], key.public[-1]
    header = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    compressed = header + bytes([2 + (y & 1)]) + x
    public = PublicKey(P256, compressed)
    check_key(key.keyid, key.public_key)
    with pytest.raises(Untrusted, match=r"not in the canonical encoding"):
        check_key(compute_keyid(compressed), public)


@pytest.mark.parametrize(
    ("scheme", "claimed"), [(P256, P384), (P384, P256), (ED25519, P256), (P256, ED25519)]
)
def test_a_key_of_another_scheme(scheme, claimed):
    key = SimKey(scheme)
    check_key(key.keyid, key.public_key)
    with pytest.raises(Untrusted, match=f"not one of its scheme, {claimed}"):
        check_key(key.keyid, PublicKey(claimed, key.public))


def test_bytes_that_are_no_key():
    data = b"\x30" * 91
    with pytest.raises(Untrusted, match=r"not a public key that this program knows"):
        check_key(compute_keyid(data), PublicKey(P256, data))


@pytest.mark.parametrize("scheme", [P256, P384, ED25519])
def test_signatures_of_each_scheme(scheme):
    key = SimKey(scheme)
    signature = key.sign(b"what is signed")
    assert verify_signature(key.public_key, signature, b"what is signed")
    assert not verify_signature(key.public_key, signature, b"what is not")
    assert not verify_signature(key.public_key, signature[:-1], b"what is signed")
    assert not verify_signature(key.public_key, b"", b"what is signed")
    assert not verify_signature(SimKey(scheme).public_key, signature, b"what is signed")
