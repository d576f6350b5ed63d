from dataclasses import replace

import pytest

from sealift_bundler.keys import KeyFiles, create_key, keyid
from sealift_bundler.root_plan import (
    RootChanges,
    RootPlan,
    describe_changes,
    first_root,
    next_root,
)
from sealift_installer.errors import HostError, UsageError
from sealift_schemas.root import ROLES, SCHEMES, StreamRule

TIME = "2026-01-31T09:00:00Z"
LATER = "2026-03-31T09:00:00Z"
MANIFEST = "ab" * 32


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    schemes = {"a": "p256", "b": "p256", "c": "p384", "d": "ed25519"}
    return {
        name: create_key(KeyFiles.named(folder, name), scheme, None)
        for name, scheme in schemes.items()
    }


@pytest.fixture
def root(keys):
    members = [keys["a"], keys["b"], keys["c"]]
    roles = {"root": (members, 2), "release": (members, 2), "builder": (members[:1], 1)}
    return first_root(RootPlan("line", TIME, roles))


def following(root, **changes):
    return next_root(root, RootChanges(LATER, **changes))


def test_the_next_version_keeps_what_is_not_named(root, keys):
    new = following(root, added=[("release", keys["d"])])
    assert (new.version, new.created) == (2, LATER)
    assert new.roles["root"] == root.roles["root"]
    assert new.roles["builder"] == root.roles["builder"]
    assert set(new.roles["release"].keys) - set(root.roles["release"].keys) == {keyid(keys["d"])}
    assert new.streams == root.streams
    assert describe_changes(root, new) == [
        f"release: + {keyid(keys['d'])}",
        "release: 2 of 3 keys -> 2 of 4",
    ]


def test_a_key_takes_the_place_of_another_wherever_it_stands(root, keys):
    new = following(root, replaced=[(keyid(keys["a"]), keys["d"])])
    for name in ROLES:
        assert keyid(keys["a"]) not in new.roles[name].keys
        assert keyid(keys["d"]) in new.roles[name].keys
    assert keyid(keys["a"]) not in new.keys
    with pytest.raises(UsageError, match="does not stand in any role of root version 2"):
        following(new, replaced=[(keyid(keys["a"]), keys["b"])])


def test_a_key_that_stands_in_one_role_alone_leaves_with_it(root, keys):
    removed = [("root", keyid(keys["c"])), ("release", keyid(keys["c"]))]
    new = following(root, removed=removed)
    assert sorted(new.keys) == sorted([keyid(keys["a"]), keyid(keys["b"])])
    with pytest.raises(UsageError, match="does not stand in the role builder"):
        following(root, removed=[("builder", keyid(keys["c"]))])


def test_a_threshold_may_not_be_out_of_reach(root, keys):
    removed = [("release", keyid(keys[name])) for name in ("a", "b")]
    with pytest.raises(
        UsageError, match=r"a threshold of 2 for the role release, which has 1 key$"
    ):
        following(root, removed=removed)
    assert (
        following(root, removed=removed, thresholds={"release": 1}).roles["release"].threshold == 1
    )
    with pytest.raises(UsageError, match="a threshold of 2 for the role builder"):
        following(root, thresholds={"builder": 2})


def test_an_epoch_only_rises(root):
    new = following(root, epochs={"line": None})
    assert new.streams["line"] == StreamRule(2, 0)
    assert following(new, epochs={"line": 7}).streams["line"] == StreamRule(7, 0)
    with pytest.raises(UsageError, match=r"an epoch only rises: line\n  Expected: more than 2"):
        following(new, epochs={"line": 2})


def test_the_least_sequence_rises_within_an_epoch(root):
    new = following(root, min_sequences={"line": 5, "other": 3})
    assert new.streams == {"line": StreamRule(1, 5), "other": StreamRule(1, 3)}
    with pytest.raises(UsageError, match="the least sequence only rises within an epoch: line"):
        following(new, min_sequences={"line": 4})
    assert following(new, min_sequences={"line": 1}, epochs={"line": None}).streams[
        "line"
    ] == StreamRule(2, 1)


def test_manifests_are_withdrawn_and_restored(root):
    new = following(root, withdrawn=[MANIFEST, MANIFEST])
    assert new.withdrawn == (MANIFEST,)
    assert following(new, restored=[MANIFEST]).withdrawn == ()
    with pytest.raises(UsageError, match="does not withdraw the manifest"):
        following(root, restored=[MANIFEST])


def test_an_expiry_stays_until_it_is_taken_away(root):
    new = following(root, expires="2027-01-01T00:00:00Z")
    later = following(new, epochs={"line": None})
    assert later.expires == "2027-01-01T00:00:00Z"
    assert following(later, never_expires=True).expires is None
    with pytest.raises(UsageError, match="would be expired when it is made"):
        following(root, expires=TIME)


def test_schemes_of_keys_must_be_allowed(root, keys):
    with pytest.raises(UsageError, match=r"(?s)not allow.*Computed: ecdsa-sha2-nistp384"):
        following(root, schemes=(SCHEMES[0],))
    removed = [("root", keyid(keys["c"])), ("release", keyid(keys["c"]))]
    new = following(root, schemes=(SCHEMES[2], SCHEMES[0]), removed=removed)
    assert new.schemes == (SCHEMES[0], SCHEMES[2])
    assert describe_changes(root, new)[-1].startswith("schemes: ")


def test_nothing_to_change_is_no_version(root, keys):
    with pytest.raises(UsageError, match="nothing in it differs from root version 1"):
        following(root, added=[("root", keys["a"])])


def test_the_clock_does_not_go_back(root):
    with pytest.raises(HostError, match="the clock of this machine is behind the time of root"):
        next_root(replace(root, created=LATER), RootChanges(TIME, epochs={"line": None}))


def test_everything_that_changes_is_described(root, keys):
    new = following(
        root,
        replaced=[(keyid(keys["c"]), keys["d"])],
        thresholds={"root": 1},
        epochs={"line": None},
        min_sequences={"line": 3},
        withdrawn=[MANIFEST],
        expires="2027-01-01T00:00:00Z",
    )
    assert describe_changes(root, new) == [
        f"root: - {keyid(keys['c'])}",
        f"root: + {keyid(keys['d'])}",
        "root: 2 of 3 keys -> 1 of 3",
        f"release: - {keyid(keys['c'])}",
        f"release: + {keyid(keys['d'])}",
        "stream line: epoch 1 -> 2",
        "stream line: least sequence 0 -> 3",
        f"withdrawn: + {MANIFEST}",
        "expires: never -> 2027-01-01T00:00:00Z",
    ]
