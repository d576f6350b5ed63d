"""Roots and counters of the host: they count beside the prefix's, and root alone raises them."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from sealift_installer import account
from sealift_installer.admission import open_bundle
from sealift_installer.authenticate import Terms
from sealift_installer.errors import RefusedByPolicy, Untrusted, UsageError
from sealift_installer.first_root import describe_trust, import_root, remove_root
from sealift_installer.install import InstallOptions, install
from sealift_installer.prefix import Prefix
from sealift_installer.report import Silence
from sealift_installer.text_trust import trust_lines
from sealift_installer.trust.host import HostPlace, load_host
from sealift_installer.trust.state import StateStore
from simulator import NOW, SimKey, make_root
from stops import killed_at
from target import Target, tool

pytestmark = pytest.mark.skipif(os.name != "posix", reason="owners and modes are those of POSIX")


@pytest.fixture(autouse=True)
def usual_umask():
    """What others can write is not believed, so a umask of 002 would matter to these tests."""
    before = os.umask(0o022)
    yield
    os.umask(before)


class Host:
    """A host with a root and two prefixes; a place like /etc/sealift that belongs to us."""

    def __init__(self, path: Path) -> None:
        self.place = HostPlace(path / "etc" / "sealift", os.geteuid())
        self.target = Target(path, "first")
        self.site = self.target.site
        self.target.carry(tool())
        self.file = path / "root.dsse.json"

    def trust(self, version: int = 1, where: Prefix | None = None) -> None:
        self.file.write_bytes(self.site.roots[version])
        digest = _sha256(self.site.roots[version])
        import_root(self.file, digest, where or self.place.prefix, NOW, Silence(), self.place)

    def install(self, name="first", *, bundle=None, as_root=True, **options):
        """Install to the prefix `name`; not as root: the host's place is somebody else's."""
        wanted = InstallOptions(self.target.path / name, host=self.place, **options)
        if as_root:
            return install(bundle or self.site.path, wanted)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(account, "may_raise", lambda _: False)
            return install(bundle or self.site.path, wanted)

    @property
    def state(self):
        return load_host(self.place).state

    def store(self, name="first"):
        return StateStore(self.target.path / name / "state")


def _sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def host(tmp_path):
    made = Host(tmp_path)
    made.trust()
    return made


def test_a_new_prefix_starts_from_the_root_of_the_host(host):
    assert host.install().exit_code == 0
    first, second = host.store().log.read()
    assert (first.action, first.detail) == ("trust", "root version 1 is what this host trusts")
    assert second.action == "install"
    assert host.store().load().root == host.state.root


def test_looking_needs_no_prefix(host):
    done = open_bundle(host.site.path, host.target.path / "new", Terms(NOW), host.place)
    assert done.manifest.sequence == 1
    assert not (host.target.path / "new").exists()


def test_root_raises_the_counter_of_the_host(host):
    host.install()
    assert host.state.streams["site"].sequence == 1
    last = list(host.place.store.log.read())[-1]
    assert (last.action, last.detail) == ("install", f"accepted in {host.target.path / 'first'}")
    assert last.bundle.manifest == host.store().load().streams["site"].manifest
    host.install("second")
    assert host.state.receipts == 2  # nothing changed


def test_somebody_else_obeys_and_does_not_raise(host):
    host.install("own", as_root=False)
    assert host.state.streams == {}
    assert host.store("own").load().streams["site"].sequence == 1


def test_a_new_prefix_does_not_escape_the_counters(host):
    old = host.site.path
    host.target.carry(tool())
    host.install()
    with pytest.raises(
        RefusedByPolicy, match=r"older than the newest that was accepted on this host"
    ):
        host.install("second", bundle=old)
    assert not (host.target.path / "second" / "tools").exists()
    assert host.store("second").load().streams == {}
    report = host.install("second", bundle=old, allow_downgrade="the new one is broken")
    assert report.overrides == {"allow_downgrade": "the new one is broken"}
    assert host.state.streams["site"].sequence == 2


def test_a_prefix_ahead_of_the_host_keeps_its_own_counter(host):
    old = host.site.path
    host.target.carry(tool())
    host.install(as_root=False)
    with pytest.raises(RefusedByPolicy, match=r"older than the newest that was accepted here"):
        host.install(bundle=old)


def test_a_prefix_cannot_trust_another_site(host, tmp_path):
    other = Host(tmp_path / "other")
    host.file.write_bytes(other.site.roots[1])
    with pytest.raises(Untrusted, match=r"this host trusts another root version 1"):
        import_root(
            host.file, _sha256(other.site.roots[1]), host.target.prefix, NOW, Silence(), host.place
        )
    assert not host.target.prefix.path.exists()


def test_a_prefix_that_trusts_another_site_is_no_way_past_the_host(tmp_path):
    """Its root was there before the host's: what it trusts must be good for the host too."""
    host, other = Host(tmp_path / "host"), Host(tmp_path / "other")
    import_root(
        _write(host.file, other.site.roots[1]),
        _sha256(other.site.roots[1]),
        host.target.prefix,
        NOW,
        Silence(),
        host.place,
    )
    assert host.install(bundle=other.site.path, as_root=False).exit_code == 0
    host.trust()
    for bundle in (host.site.path, other.site.path):
        with pytest.raises(Untrusted, match=r"root version 1 in the bundle is not the one"):
            host.install(bundle=bundle)


def _write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_root_that_the_host_knows_ends_a_key_for_every_prefix(host):
    """A prefix fell asleep at version 1; the host has seen the root that removes a key."""
    host.install("asleep", as_root=False)
    stolen = host.site.path
    host.site.release_keys, gone = [SimKey()], host.site.release_keys
    fresh = make_root(2, root_keys=host.site.root_keys, release_keys=host.site.release_keys)
    host.site.add_root(fresh, host.site.root_keys)
    host.site.signing_keys = host.site.release_keys
    host.target.carry(tool())
    host.install()
    assert host.state.root.root.version == 2
    # The thief signs one more bundle, and leaves the new root out.
    host.site.signing_keys = gone
    del host.site.roots[2]
    thiefs = host.target.carry(tool())
    assert thiefs != stolen
    with pytest.raises(Untrusted, match=r"root version 2 trusts for release"):
        host.install("asleep")


def test_the_newest_signed_time_of_the_host_counts(host):
    host.site.created = "2026-06-01T00:00:00Z"
    host.target.carry(tool())
    host.install()
    assert host.state.floor == "2026-06-01T00:00:00Z"
    host.site.created, host.site.expires = "2026-06-02T00:00:00Z", "2026-06-03T00:00:00Z"
    late = host.target.carry(tool())
    terms = Terms("2026-01-01T00:00:00Z")
    assert open_bundle(late, host.target.path / "second", terms, host.place)
    host.site.created, host.site.expires = "2026-03-01T00:00:00Z", "2026-05-01T00:00:00Z"
    stale = host.target.carry(tool())
    with pytest.raises(RefusedByPolicy, match=r"(?s)is expired.*Computed: 2026-06-01"):
        open_bundle(stale, host.target.path / "second", terms, host.place)


def test_an_edited_state_of_the_host_refuses(host):
    host.install()
    file = host.place.directory / "state" / "trust.json"
    file.write_text(file.read_text().replace('"sequence": 1', '"sequence": 0'))
    with pytest.raises(Untrusted, match=r"the state is malformed|not what its last receipt"):
        host.install("second")
    assert not (host.target.path / "second" / "tools").exists()


def test_a_kill_leaves_the_host_as_strict_as_the_prefix(host):
    """The host's counter is raised first. Every third change of the file system is enough."""
    for point in range(1, 400, 3):
        name = f"prefix-{point}"
        host.target.carry(tool())
        killed = killed_at(point, lambda name=name: host.install(name))
        accepted = host.store(name).load().streams if host.store(name).exists() else {}
        if accepted:
            assert host.state.streams["site"].sequence == host.site.sequence
        assert host.install(name).exit_code == 0
        assert host.state.streams["site"].sequence == host.site.sequence
        if not killed:
            return
    pytest.fail("it never ended")


# Removed


def test_a_removed_root_is_trusted_no_more(host):
    host.install()
    removed = remove_root("the root keys are lost", host.target.prefix, NOW, Silence(), host.place)
    assert removed.root.version == 1
    last = list(host.store().log.read())[-1]
    assert last.detail == "root version 1 is not trusted any more: the root keys are lost"
    with pytest.raises(Untrusted, match=r"trusts no root any more, it was removed") as raised:
        host.install()
    assert "unseal trust import" in raised.value.hint
    with pytest.raises(Untrusted, match=r"trusts no root any more"):
        remove_root("again", host.target.prefix, NOW, Silence(), host.place)


def test_counters_and_receipts_outlive_a_root(host):
    old = host.site.path
    host.target.carry(tool())
    host.install()
    receipts = host.store().load().receipts
    remove_root("a drill", host.target.prefix, NOW, Silence(), host.place)
    host.trust(where=host.target.prefix)
    state = host.store().load()
    assert (state.receipts, state.streams["site"].sequence) == (receipts + 2, 2)
    assert "in the place of one that was removed" in list(host.store().log.read())[-1].detail
    with pytest.raises(RefusedByPolicy, match=r"older than the newest"):
        host.install(bundle=old)


def test_another_site_after_the_root_keys_were_lost(host, tmp_path):
    """Host first, then each prefix; the new root raises the epoch, so that the counter restarts."""
    host.install()
    new = Host(tmp_path / "new")
    new.site.withdraw(epoch=2)
    new.site.epoch = 2
    new.site.write()
    for where in (host.place.prefix, host.target.prefix):
        remove_root("the root keys are lost", where, NOW, Silence(), host.place)
        with pytest.raises(Untrusted, match=r"trusts no root any more"):
            host.install()
        import_root(
            _write(host.file, new.site.roots[1]),
            _sha256(new.site.roots[1]),
            where,
            NOW,
            Silence(),
            host.place,
        )
    assert host.install(bundle=new.site.path).exit_code == 0
    assert host.state.streams["site"].epoch == 2
    assert host.store().load().root.root.version == 2


@pytest.mark.parametrize("reason", ["", " ", "x" * 2001, "\udcff"])
def test_a_root_is_removed_for_a_reason(host, reason):
    with pytest.raises(UsageError, match=r"--reason"):
        remove_root(reason, host.place.prefix, NOW, Silence(), host.place)


def test_a_root_is_removed_where_there_is_one(tmp_path, host):
    with pytest.raises(Untrusted, match=r"trusts no root yet"):
        remove_root("why not", Prefix(tmp_path / "empty"), NOW, Silence(), host.place)
    assert not (tmp_path / "empty").exists()


# Shown


def test_what_is_in_force_is_shown_with_its_place(host):
    host.install()
    policy = host.place.directory / "policy.json"
    policy.write_text(
        json.dumps(
            {
                "format": 1,
                "thresholds": {"release": 1},
                "minimum_keys": {"root": 1},
                "streams": ["site"],
                "require_expiry": False,
                "maximum_age_days": 36500,
            }
        )
    )
    own = host.target.prefix.state / "policy.json"
    own.write_text('{"format": 1}')
    trust = describe_trust(host.target.prefix, host.place)
    assert trust["host"]["directory"] == str(host.place.directory)
    assert [each["file"] for each in trust["policies"]] == [str(policy), str(own)]
    text = "\n".join(trust_lines(trust))
    assert f"this host, {host.place.directory}, which counts as well:" in text
    assert f"policy in force: {policy}\n  release: at least 1 signers" in text
    assert "  root: at least 1 keys in the root\n  streams: site\n" in text
    assert "  a bundle may be 36500 days old" in text
    assert f"policy in force: {own}\n  asks for nothing" in text


def test_a_new_prefix_shows_what_it_will_trust(host):
    trust = describe_trust(Prefix(host.target.path / "new"), host.place)
    assert trust["from_host"]
    assert "it will trust what the host does" in "\n".join(trust_lines(trust))
    assert not describe_trust(host.place.prefix, host.place)["from_host"]


def test_a_removed_root_is_shown_so(host):
    host.install()
    remove_root("a drill", host.target.prefix, NOW, Silence(), host.place)
    trust = describe_trust(host.target.prefix, host.place)
    assert next(iter(trust_lines(trust))).startswith("removed: no root is trusted any more")


def test_a_host_that_cannot_be_written_is_no_reason_to_fail(host, monkeypatch):
    """A read-only /etc: it is said, and the counters of the prefix still hold."""
    said: list[str] = []
    access = os.access
    monkeypatch.setattr(Silence, "warn", lambda _, text: said.append(text))
    monkeypatch.setattr(
        os, "access", lambda path, mode: "etc" not in Path(path).parts and access(path, mode)
    )
    assert host.install().exit_code == 0
    where = host.place.directory
    assert said == [f"{where} cannot be written, so its root and counters stay behind"]
    assert host.state.streams == {}
    assert host.store().load().streams["site"].sequence == 1


def test_a_journal_has_no_say_about_the_host(host):
    """Whoever owns a prefix can write its journal; root finishes it, and believes it there alone."""
    host.install("own", as_root=False)
    journal = host.target.path / "own" / "state" / "journal"
    for point in range(1, 400):
        host.target.carry(tool(content=b"%d\n" % point))
        assert killed_at(point, lambda: host.install("own")), "no journal was ever finished"
        for entry in journal.glob("[!.]*"):
            value = json.loads(entry.read_text())
            value["bundle"]["sequence"] = 900_000
            entry.write_text(json.dumps(value))
        try:
            host.install("own")
        except RefusedByPolicy:
            break
    assert host.store("own").load().streams["site"].sequence == 900_000
    assert host.state.streams["site"].sequence < 900_000
