"""A policy narrows what is accepted: each field, in the host's file and in a prefix's."""

import hashlib
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealift_installer.authenticate import Terms, authenticate
from sealift_installer.errors import HostError, RefusedByPolicy, UsageError
from sealift_installer.first_root import describe_trust, import_root
from sealift_installer.report import Silence
from sealift_installer.text_trust import trust_lines
from sealift_installer.trust.host import (
    NO_HOST,
    HostPlace,
    HostTrust,
    PolicyFile,
    load_host,
    read_policy,
)
from sealift_installer.trust.site import allowed_schemes
from sealift_installer.trust.state import StreamState
from sealift_schemas.lean import replace
from sealift_schemas.policy import FIELDS, Policy
from sealift_schemas.resources import read_schema
from sealift_schemas.strictjson import DocumentError
from simulator import ED25519, NOW, P256, P384, SimKey, make_root, seal_root, small_bundle
from target import Target, python, tool

posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are those of POSIX")


def obeying(**rules):
    """Return a host with this policy, as if it stood in /etc/sealift."""
    file = PolicyFile("/etc/sealift/policy.json", read({"format": 1, **rules}))
    return HostTrust((file,))


def read(value):
    return Policy.read(json.dumps(value).encode(), what="policy")


@pytest.fixture
def site(tmp_path):
    site = small_bundle(tmp_path / "bundle", keys=2)
    assert judged(site, obeying())
    return site


def judged(site, host, **terms):
    return authenticate(site.bundle, site.state, Terms(NOW, **terms), host)


def refused(site, host, message, **terms):
    assert judged(site, NO_HOST, **terms)
    with pytest.raises(RefusedByPolicy, match=f"(?s){message}"):
        judged(site, host, **terms)


def test_more_signers_than_the_root_asks_for(site):
    assert judged(site, obeying(thresholds={"release": 2}))
    host = obeying(thresholds={"release": 3})
    message = (
        r"too few signatures.*release, by the policy /etc/sealift/policy.json.*3 distinct.*: 2"
    )
    refused(site, host, message)


def test_a_threshold_for_the_next_root(site):
    refused(site, obeying(thresholds={"root": 2}), r"replaced by too few signers.*at least 2.*: 1")


def test_a_new_root_needs_the_signers_that_the_policy_asks_for(site):
    """Else one stolen key could make a root that asks for two, both the thief's."""
    site.root_keys = [SimKey(), SimKey()]
    pair = make_root(root_keys=site.root_keys, release_keys=site.release_keys, thresholds=(2, 1))
    site.add_root(pair, site.root_keys)
    site.write()
    host = obeying(thresholds={"root": 2})
    assert judged(site, host)
    one = make_root(2, root_keys=site.root_keys, release_keys=site.release_keys, thresholds=(1, 1))
    site.add_root(one, site.root_keys)
    three = make_root(
        3, root_keys=site.root_keys, release_keys=site.release_keys, thresholds=(2, 1)
    )
    site.add_root(three, site.root_keys)
    site.write()
    assert judged(site, host).root.root.version == 3
    site.root_keys.append(SimKey())
    four = make_root(4, root_keys=site.root_keys, release_keys=site.release_keys, thresholds=(1, 1))
    five = make_root(
        5, root_keys=site.root_keys[2:], release_keys=site.release_keys, thresholds=(1, 1)
    )
    site.add_root(four, site.root_keys)
    site.add_root(five, site.root_keys[2:])
    site.write()
    refused(site, host, r"too few signatures of root version 5 for root.*2 distinct keys.*: 1")


def test_a_least_number_of_keys(site):
    assert judged(site, obeying(minimum_keys={"release": 2}))
    refused(
        site, obeying(minimum_keys={"release": 3}), r"too few keys for release.*at least 3.*: 2"
    )


def test_schemes_that_count(tmp_path):
    site = small_bundle(tmp_path / "bundle", scheme=ED25519)
    assert judged(site, obeying(schemes=[P256, ED25519]))
    message = r"too few keys for release that count here.*1 of ecdsa-sha2-nistp256, .*384.*: 0"
    refused(site, obeying(schemes=[P256, P384]), message)


def test_signatures_of_other_schemes_do_not_count(tmp_path):
    """The root has enough keys that would count, and this bundle is signed with the others."""
    site = small_bundle(tmp_path / "bundle")
    strong, weak = SimKey(P256), SimKey(ED25519)
    root = make_root(root_keys=site.root_keys, release_keys=[strong, weak])
    site.add_root(root, site.root_keys)
    site.signing_keys = [strong]
    assert judged(site.write(), obeying(schemes=[P256]))
    (site.path / f"SHA256SUMS.{strong.keyid[:16]}.sig").unlink()
    site.signing_keys = [weak]
    refused(site.write(), obeying(schemes=[P256]), r"too few signatures of manifest.*nistp256.*: 0")


def test_schemes_of_several_policies_are_those_of_all():
    one = obeying(schemes=[P256, P384]).policies
    other = obeying(schemes=[P384, ED25519]).policies
    assert allowed_schemes(one + other) == (P384,)
    assert allowed_schemes(()) == (P256, P384, ED25519)


@pytest.mark.parametrize("override", ["allow_downgrade", "accept_expired"])
def test_a_forbidden_override(site, override):
    host = obeying(forbidden_overrides=[override])
    option = "--" + override.replace("_", "-")
    assert judged(site, host)
    refused(site, host, f"{option} is forbidden by /etc/sealift", **{override: "I want it"})


@pytest.mark.parametrize("override", ["allow_downgrade", "accept_expired"])
@pytest.mark.parametrize("forbidden", [True, False])
def test_what_is_forbidden_is_not_offered(site, override, forbidden):
    state, late = site.state, Terms("2027-02-01T00:00:00Z")
    if override == "allow_downgrade":
        seen = StreamState(epoch=1, sequence=7, manifest="0" * 64, created=NOW)
        state = replace(state, streams={"site": seen})
    else:
        site.expires = "2027-01-01T00:00:00Z"
        site.write()
    host = obeying(forbidden_overrides=[override]) if forbidden else obeying()
    with pytest.raises(RefusedByPolicy, match=r"older than the newest|is expired") as raised:
        authenticate(site.bundle, state, late, host)
    option = "--" + override.replace("_", "-")
    assert (option in raised.value.hint) != forbidden
    assert raised.value.hint.startswith("get a newer bundle from the site")


def test_streams(site):
    assert judged(site, obeying(streams=["other", "site"]))
    refused(site, obeying(streams=["other"]), r"stream that is not accepted here.*other.*: site")


def test_an_expiry_that_is_asked_for(site):
    refused(site, obeying(require_expiry=True), r"never expires, by the policy")
    assert judged(site, obeying(require_expiry=False))
    site.expires = "2027-01-01T00:00:00Z"
    assert judged(site.write(), obeying(require_expiry=True))


@pytest.mark.parametrize(
    ("created", "now", "days"),
    [
        ("2026-01-31T23:59:59Z", "2026-02-01T00:00:00Z", 1),
        ("2028-02-28T00:00:00Z", "2028-03-01T00:00:00Z", 2),
        ("2027-02-28T00:00:00Z", "2027-03-01T00:00:00Z", 1),
        ("2026-02-01T00:00:00Z", "2100-03-01T00:00:00Z", 27056),
    ],
)
def test_an_age(site, created, now, days):
    site.created = created
    site.write()
    if days > 1:
        host = obeying(maximum_age_days=days - 1)
        with pytest.raises(
            RefusedByPolicy, match=f"(?s)too old, by the policy.*{days} days"
        ) as raised:
            authenticate(site.bundle, site.state, Terms(now), host)
        assert "--accept-expired REASON" in raised.value.hint
        done = authenticate(site.bundle, site.state, Terms(now, accept_expired="sea"), host)
        assert done.overrides == {"accept_expired": "sea"}
        assert f"{days} days old" in " ".join(done.warnings)
    assert authenticate(site.bundle, site.state, Terms(now), obeying(maximum_age_days=days))


def test_two_policies_are_both_obeyed(site):
    """The second one cannot loosen the first, nor the first the second."""
    strict, lax = obeying(streams=["other"]), obeying(streams=["site", "other"])
    for policies in (strict.policies + lax.policies, lax.policies + strict.policies):
        refused(site, HostTrust(policies), r"stream that is not accepted here")


# What is installed of an accepted bundle


@posix
def test_archives_that_are_not_allowed_are_left_out(tmp_path):
    target = Target(tmp_path)
    place = host_place(tmp_path, archives=["cpython-*", "tool-2*"])
    target.carry(tool("tool-1.0"), tool("tool-2.0"), python())
    target.trust()
    report = target.install(host=place)
    assert [outcome.status for outcome in report.outcomes] == ["installed", "installed"]
    assert report.skipped == {"tool-1.0": f"{place.directory}/policy.json does not allow it"}
    assert not target.tree("tool-1.0").exists()
    with pytest.raises(RefusedByPolicy, match=r"tool-1.0 is not to be installed here: .*policy"):
        target.install(None, "tool-1.0", host=place)
    assert "RefusedByPolicy: tool-1.0 is not" in target.receipts("refuse")[-1].detail


@posix
def test_platforms_that_are_not_allowed(tmp_path):
    target = Target(tmp_path)
    place = host_place(tmp_path, platforms=["windows-x86_64-none"])
    target.carry(tool())
    target.trust()
    with pytest.raises(RefusedByPolicy, match=r"does not allow the platform any"):
        target.install(host=place)
    assert not target.tree().exists()
    assert target.install(host=host_place(tmp_path, platforms=["any"])).exit_code == 0


# Where a policy stands


def host_place(tmp_path, **rules):
    """Return a place like /etc/sealift that belongs to whoever runs this."""
    place = HostPlace(tmp_path / "etc" / "sealift", os.geteuid())
    place.directory.mkdir(parents=True, exist_ok=True)
    place.directory.chmod(0o755)  # whatever the umask
    policy = place.directory / "policy.json"
    policy.write_text(json.dumps({"format": 1, **rules}))
    policy.chmod(0o644)
    return place


@posix
def test_without_the_directory_there_is_no_policy(tmp_path):
    assert load_host(HostPlace(tmp_path / "nowhere")) == NO_HOST


@posix
@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "{}", '{"format": 2}', '{"format": 1, "streams": []}'),
        '{"format": 1, "format": 1}',
        '{"format": 1, "maximum_age_days": 1.0}',
        '{"format": 1, "thresholds": {"release": 0}}',
        '{"format": 1, "thresholds": {"boss": 1}}',
        '{"format": 1, "stream": ["site"]}',
        '{"format": 1, "forbidden_overrides": ["everything"]}',
        "\xff",
        " " * (256 * 1024) + '{"format": 1}',
    ],
)
def test_a_malformed_policy_refuses_everything(tmp_path, text):
    target = Target(tmp_path)
    place = host_place(tmp_path)
    target.carry(tool())
    target.trust()
    file = place.directory / "policy.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(
        HostError, match=r"(?s)policy is malformed, so nothing.*policy.json.*Expect"
    ):
        target.install(host=place)
    assert not target.tree().exists()
    assert "HostError: the policy is malformed" in target.receipts("refuse")[-1].detail
    file.unlink()
    assert target.install(host=place).exit_code == 0


@posix
@pytest.mark.parametrize("name", ["", "policy.json", "state", "state/trust.json", "state/roots"])
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_what_others_can_write_is_not_believed(tmp_path, name, mode):
    target, place = Target(tmp_path), host_place(tmp_path)
    target.carry(tool())
    target.trust()
    import_host_root(target, place)
    assert load_host(place).state is not None
    path = place.directory / name
    path.chmod(path.stat().st_mode | mode)
    with pytest.raises(HostError, match=r"(?s)others could have changed.*by its owner alone.*mode"):
        target.install(host=place)
    assert not target.tree().exists()


@posix
@pytest.mark.parametrize("name", ["", "policy.json", "state"])
def test_what_belongs_to_somebody_else_is_not_believed(tmp_path, name):
    target, place = Target(tmp_path), host_place(tmp_path)
    target.carry(tool())
    import_host_root(target, place)
    stranger = HostPlace(place.directory, place.owner + 1)
    with pytest.raises(HostError, match=r"(?s)others could have changed.*Expected: owner \d+"):
        load_host(stranger)
    if os.geteuid() == 0:
        os.chown(place.directory / name, 1234, 1234)
        with pytest.raises(HostError, match=r"(?s)Expected: owner 0\n  Computed: owner 1234"):
            load_host(place)


@posix
@pytest.mark.parametrize("name", ["", "policy.json", "state", "state/trust.json"])
def test_a_link_is_not_believed(tmp_path, name):
    target, place = Target(tmp_path), host_place(tmp_path)
    target.carry(tool())
    import_host_root(target, place)
    path = place.directory / name
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HostError, match=r"(?s)others could have changed.*Computed: a link"):
        load_host(place)


@posix
def test_a_policy_that_cannot_be_read_refuses(tmp_path):
    place = host_place(tmp_path)
    (place.directory / "policy.json").unlink()
    (place.directory / "policy.json").mkdir()
    with pytest.raises(HostError, match=r"(?s)others could have changed.*a file\n.*something else"):
        load_host(place)


def import_host_root(target, place):
    file = target.path / "1.root.dsse.json"
    file.write_bytes(target.site.roots[1])
    return import_root(file, target.root_sha256, place.prefix, NOW, Silence(), place)


@posix
def test_the_policy_of_a_prefix_can_only_tighten(tmp_path):
    target, place = Target(tmp_path), host_place(tmp_path, streams=["other"])
    target.carry(tool())
    target.trust()
    own = target.prefix.state / "policy.json"
    own.write_text('{"format": 1, "streams": ["site", "other"]}')
    own.chmod(0o644)
    with pytest.raises(RefusedByPolicy, match=r"by the policy .*/etc/sealift/policy.json"):
        target.install(host=place)
    (place.directory / "policy.json").unlink()
    own.write_text('{"format": 1, "thresholds": {"release": 2}}')
    with pytest.raises(RefusedByPolicy, match=r"by the policy .*/prefix/state/policy.json"):
        target.install(host=place)
    own.chmod(0o666)
    with pytest.raises(HostError, match=r"others could have changed"):
        target.install(host=place)
    own.unlink()
    assert target.install(host=place).exit_code == 0


def test_where_owners_mean_nothing_the_file_counts_all_the_same(tmp_path):
    """On Windows, that is."""
    path = tmp_path / "policy.json"
    assert read_policy(path, None) is None
    path.write_text('{"format": 1, "streams": ["site"]}')
    path.chmod(0o666)
    assert read_policy(path, None) == PolicyFile(
        str(path), read({"format": 1, "streams": ["site"]})
    )
    path.write_text("{")
    with pytest.raises(HostError, match=r"the policy is malformed"):
        read_policy(path, None)


@posix
def test_a_pipe_is_no_policy(tmp_path):
    place = host_place(tmp_path)
    (place.directory / "policy.json").unlink()
    os.mkfifo(place.directory / "policy.json", 0o644)
    with pytest.raises(HostError, match=r"(?s)others could have changed.*a file\n.*something else"):
        load_host(place)


@posix
def test_a_first_root_has_to_fit_the_policy(tmp_path):
    target, place = Target(tmp_path), host_place(tmp_path, minimum_keys={"root": 2})
    target.carry(tool())
    file = tmp_path / "1.root.dsse.json"
    file.write_bytes(target.site.roots[1])
    with pytest.raises(RefusedByPolicy, match=r"root version 1 has too few keys for root"):
        import_root(file, target.root_sha256, target.prefix, NOW, Silence(), place)
    with pytest.raises(RefusedByPolicy, match=r"root version 1 has too few keys for root"):
        import_host_root(target, place)
    assert not target.prefix.path.exists()
    assert not (place.directory / "state").exists()


@posix
def test_a_successor_that_comes_by_hand_has_to_fit_the_policy(tmp_path):
    """Two sign for the new root, and one of the old: one stolen key is not enough."""
    target, place = Target(tmp_path), host_place(tmp_path)
    site = target.site
    first, second = site.root_keys[0], SimKey()
    target.carry(tool())
    target.trust()
    pair = make_root(
        2, root_keys=[first, second], release_keys=site.release_keys, thresholds=(2, 1)
    )
    file = tmp_path / "2.root.dsse.json"
    file.write_bytes(seal_root(pair, [first, second]))
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    strict = host_place(tmp_path, thresholds={"root": 2})
    with pytest.raises(RefusedByPolicy, match=r"too few signatures of root version 2 for root"):
        import_root(file, sha256, target.prefix, NOW, Silence(), strict)
    (place.directory / "policy.json").unlink()
    assert import_root(file, sha256, target.prefix, NOW, Silence(), place).new


def test_patterns_of_names():
    policy = read({"format": 1, "archives": ["cpython-3.13.*-linux-*", "tool-1.0"]})
    assert policy.names_archive("cpython-3.13.3-linux-x86_64-gnu")
    assert not policy.names_archive("cpython-3.130-linux-x86_64-gnu")
    assert policy.names_archive("tool-1.0")
    assert not policy.names_archive("tool-1x0")
    assert not policy.names_archive("tool-1.0-any")
    assert read({"format": 1}).names_archive("anything")


def test_a_policy_comes_back():
    value = {
        "format": 1,
        "thresholds": {"root": 2, "release": 2},
        "minimum_keys": {"builder": 1},
        "schemes": [P384],
        "forbidden_overrides": ["accept_expired"],
        "streams": ["site"],
        "platforms": ["any", "linux-x86_64-gnu"],
        "archives": ["*"],
        "evidence": ["sbom"],
        "require_expiry": True,
        "maximum_age_days": 90,
    }
    policy = read(value)
    assert policy.to_json() == value
    assert Policy.read(policy.encode(), what="policy") == policy
    assert read({"format": 1, "require_expiry": False}).to_json() == {"format": 1}
    with pytest.raises(DocumentError, match=r"at most 36500|integer from 1 to 36500"):
        read({"format": 1, "maximum_age_days": 36501})


@posix
def test_nothing_is_installed_to_the_place_of_the_host(tmp_path):
    target, place = Target(tmp_path), host_place(tmp_path)
    target.carry(tool())
    import_host_root(target, place)
    target.prefix = place.prefix
    with pytest.raises(UsageError, match=r"nothing is installed to .*/etc/sealift"):
        target.install(host=place)


@posix
def test_another_owner_cannot_speak_for_the_host(tmp_path):
    target, place = Target(tmp_path), host_place(tmp_path)
    target.carry(tool())
    stranger = HostPlace(place.directory, place.owner + 1)
    with pytest.raises(HostError, match=r"only root can say what this host trusts") as raised:
        import_host_root(target, stranger)
    assert "--host" in raised.value.hint


def test_the_fields_that_are_named_are_those_of_the_schema():
    schema = json.loads(read_schema("policy"))
    assert tuple(schema["properties"]) == FIELDS


@posix
def test_a_policy_without_a_root_of_the_host_is_shown(tmp_path):
    place = host_place(tmp_path, streams=["site"])
    lines = list(trust_lines(describe_trust(place.prefix, place)))
    assert lines[0] == "this host trusts no root of its own; every prefix has one"
    assert lines[2:] == [f"policy in force: {place.directory}/policy.json", "  streams: site"]
    (place.directory / "policy.json").unlink()
    lines = list(trust_lines(describe_trust(place.prefix, place)))
    assert lines[1:] == ["no policy but the root's"]


RULES = st.fixed_dictionaries(
    {},
    optional={
        "thresholds": st.dictionaries(
            st.sampled_from(["root", "release"]), st.integers(1, 3), max_size=2
        ),
        "minimum_keys": st.dictionaries(
            st.sampled_from(["root", "release", "builder"]), st.integers(1, 3), max_size=3
        ),
        "schemes": st.lists(st.sampled_from([P256, P384, ED25519]), min_size=1),
        "forbidden_overrides": st.just(["allow_downgrade"]),
        "streams": st.lists(st.sampled_from(["site", "other"]), min_size=1),
        "require_expiry": st.booleans(),
        "maximum_age_days": st.integers(1, 3),
    },
)


@settings(max_examples=100, deadline=None)
@given(one=RULES, other=RULES)
def test_a_second_policy_never_lets_in_what_the_first_refuses(mixed, one, other):
    both = HostTrust(obeying(**one).policies + obeying(**other).policies)
    try:
        judged(mixed, both)
    except RefusedByPolicy:
        return
    assert judged(mixed, obeying(**one))
    assert judged(mixed, obeying(**other))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A bundle with signatures of two schemes."""
    site = small_bundle(tmp_path_factory.mktemp("mixed") / "bundle")
    site.release_keys = site.signing_keys = [SimKey(P256), SimKey(ED25519)]
    site.roots[1] = seal_root(
        make_root(root_keys=site.root_keys, release_keys=site.release_keys), site.root_keys
    )
    for path in site.path.glob("SHA256SUMS.*.sig"):
        path.unlink()
    return site.write()
