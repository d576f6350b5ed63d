"""`sealift receipts verify`: which host has what, and whose record was written anew."""

import json
import os
import shutil

import pytest
from typer.testing import CliRunner

from sealift_bundler.cli.main import app
from sealift_bundler.trails import Question, examine
from sealift_installer import export, receipts, trail
from sealift_installer.errors import Damaged, HostError, SealiftError, Untrusted, UsageError
from sealift_installer.export import make_key, write_export
from sealift_installer.receipts import hash_line
from sealift_installer.report import Silence
from sealift_installer.trail import read_export, read_trail
from sealift_schemas.head import Head
from target import Target, tool


class Host:
    """A target with a name of its own, whose record is carried out."""

    def __init__(self, path, name, site, monkeypatch):
        self.target = Target(path / name)
        self.target.site = site
        self.name = name
        self.path = path
        self.monkeypatch = monkeypatch
        self.count = 0
        self.be()
        self.target.trust()

    def be(self):
        """Let what runs now run on this host."""
        for module in (trail, receipts):
            self.monkeypatch.setattr(module, "describe_host", lambda: self.name)

    def install(self, bundle):
        self.be()
        assert self.target.install(bundle).exit_code == 0

    def export(self, *, head_alone=False):
        self.count += 1
        file = self.path / f"{self.name}-{self.count}.receipts"
        self.be()
        clock = f"2026-06-01T00:00:0{self.count}Z"
        self.monkeypatch.setattr(export, "utc_now", lambda: clock)
        write_export(file, read_trail(self.target.store), self.target.prefix, head_alone=head_alone)
        return file


@pytest.fixture
def bundles(tmp_path):
    """Three bundles of one site, each with another build of a tool."""
    maker = Target(tmp_path / "site")
    (tmp_path / "site").mkdir()
    return maker, [maker.carry(tool(content=b"%d\n" % number)) for number in (1, 2, 3)]


@pytest.fixture
def hosts(tmp_path, bundles, monkeypatch):
    """Two hosts: one with all bundles, one that missed the last two."""
    maker, sent = bundles
    first = Host(tmp_path, "web-1", maker.site, monkeypatch)
    second = Host(tmp_path, "web-2", maker.site, monkeypatch)
    for bundle in sent:
        first.install(bundle)
    second.install(sent[0])
    return first, second


def ask(*exports, bundles=(), heads=(), keys=()):
    return examine(Question(exports, bundles, [str(head) for head in heads], keys))


def problems(fleet):
    return [problem for host in fleet.hosts for problem in host.problems] + list(fleet.problems)


def test_which_host_has_what(hosts, bundles):
    fleet = ask(*(host.export() for host in hosts), bundles=bundles[1])
    assert problems(fleet) == []
    assert fleet.good
    assert fleet.newest == {"site": (1, 3)}
    first, second = fleet.hosts
    assert first.installed["tool-1.0"].bundle.sequence == 3
    assert second.installed["tool-1.0"].bundle.sequence == 1
    assert (first.behind, second.behind) == ({}, {"site": 2})
    assert first.installed["tool-1.0"].archive == hosts[0].target.receipts()[-1].archive


def test_a_host_lags_behind_what_was_sent(hosts, bundles):
    fleet = ask(hosts[1].export())
    assert fleet.hosts[0].behind == {}
    fleet = ask(hosts[1].export(), bundles=bundles[1])
    assert fleet.hosts[0].behind == {"site": 2}
    assert fleet.good


def test_an_earlier_export_of_the_same_host_is_continued(hosts, bundles):
    early = hosts[1].export()
    hosts[1].install(bundles[1][2])
    late = hosts[1].export()
    fleet = ask(late, early)
    assert fleet.good
    assert [host.path for host in fleet.hosts] == [str(late)]


def put_back(host, saved):
    """A consistent restore of state and receipts: nothing on the host can see it."""
    shutil.rmtree(host.target.prefix.state)
    shutil.copytree(saved, host.target.prefix.state)
    assert read_trail(host.target.store)


@pytest.fixture
def restored(hosts, bundles, tmp_path):
    """A host whose record was put back after it was exported; the export, and the head."""
    host = hosts[1]
    saved = tmp_path / "saved"
    shutil.copytree(host.target.prefix.state, saved)
    host.install(bundles[1][1])
    early, head = host.export(), host.export(head_alone=True)
    assert ask(early).good
    put_back(host, saved)
    return host, early, head


def test_a_record_that_was_cut_off(restored):
    host, early, head = restored
    late = host.export()
    for fleet in (ask(late, early), ask(late, heads=[early]), ask(late, heads=[head])):
        assert not fleet.good
    assert "cut off: 2 receipts, and more in" in problems(ask(late, heads=[head]))[0]
    digest = read_export(early).head.head
    assert problems(ask(late, heads=[digest])) == [
        f"a head that no trail has, so one was cut off or written anew: {digest}"
    ]


def test_a_record_that_was_written_anew(restored, bundles):
    host, early, head = restored
    host.install(bundles[1][2])
    host.install(bundles[1][2])
    late = host.export()
    said = problems(ask(late, early))
    assert len(said) == 1
    assert "written anew from receipt 3 on" in said[0]
    assert "written anew behind the first receipt" in problems(ask(late, heads=[head]))[0]


def test_a_record_that_was_begun_anew(hosts, tmp_path):
    early = hosts[1].export()
    shutil.rmtree(hosts[1].target.prefix.path)
    hosts[1].be()
    hosts[1].target.trust()
    for _ in range(3):
        hosts[1].target.carry(tool(content=b"new\n"))
        hosts[1].target.install()
    late = hosts[1].export()
    assert "written anew from receipt" in problems(ask(early, late))[0]


def test_heads_in_groups_as_they_stand_on_paper(hosts, bundles):
    file = hosts[1].export()
    head = read_export(file).head.head
    grouped = " ".join(head[place : place + 4].upper() for place in range(0, 64, 4))
    hosts[1].install(bundles[1][1])
    assert ask(hosts[1].export(), heads=[grouped]).good
    with pytest.raises(UsageError, match=r"neither a file nor a head: abc"):
        ask(file, heads=["abc"])


def test_the_head_of_a_host_of_which_nothing_came(hosts):
    head = hosts[0].export(head_alone=True)
    fleet = ask(hosts[1].export(), heads=[head])
    assert f"no trail of web-1, {hosts[0].target.prefix.path}" in fleet.problems[0]
    with pytest.raises(Damaged, match=r"the head of a record, without the record"):
        ask(head)


def test_a_record_under_the_name_of_another_host(hosts):
    file = hosts[1].export()
    *lines, head = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines) + head.replace(b'"web-2"', b'"web-1"'))
    assert "the head says web-1, and its last receipt web-2" in problems(ask(file))[0]


def test_a_prefix_that_moved_keeps_its_head(hosts, bundles):
    head = hosts[1].export(head_alone=True)
    value = read_export(head).head
    moved = Head(**{name: getattr(value, name) for name in value.__match_args__} | {"prefix": "/x"})
    head.write_bytes(moved.encode())
    assert ask(hosts[1].export(), heads=[head]).good


def test_a_bundle_that_was_not_sent(hosts, bundles):
    fleet = ask(hosts[0].export(), bundles=bundles[1][:1])
    assert len(problems(fleet)) == 2
    assert (
        "receipt 3 names a bundle that was not sent: bundle 2 of stream site" in problems(fleet)[0]
    )
    assert ask(hosts[0].export(), bundles=[each / "manifest.json" for each in bundles[1]]).good
    assert ask(hosts[0].export(), bundles=[bundles[1][0].parent]).good
    with pytest.raises(HostError, match=r"cannot read the manifest: No such file"):
        ask(hosts[0].export(), bundles=[hosts[0].target.prefix.path])


def rewrite(file, change):
    """Change the receipts of an export, and make the chain and the head hold again."""
    *lines, last = file.read_bytes().splitlines(keepends=True)
    values = [json.loads(line) for line in lines]
    change(values)
    data, previous = [], "0" * 64
    for number, value in enumerate(values, start=1):
        value |= {"number": number, "previous": previous}
        line = json.dumps(value, separators=(",", ":")).encode() + b"\n"
        previous = hash_line(line)
        data.append(line)
    head = json.loads(last) | {
        "receipts": len(data), "first": hash_line(data[0]), "head": previous,
    }  # fmt: skip
    data.append(json.dumps(head, separators=(",", ":")).encode() + b"\n")
    file.write_bytes(b"".join(data))
    return file


def another_archive(values):
    values[1]["archive"]["sha256"] = "0" * 64


def another_index(values):
    values[1]["archive"]["index"] = "0" * 64


def another_place(values):
    values[1]["bundle"]["sequence"] = 3


LIES = {
    another_archive: r"receipt 2: tool-1.0 with sha256 0{64} is not in bundle 1",
    another_index: r"receipt 2: tool-1.0 was not installed by the index",
    another_place: r"receipt 2 gives the wrong place of a bundle",
}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_receipt_that_contradicts_its_bundle(hosts, bundles, lie):
    import re

    file = rewrite(hosts[1].export(), lambda values: None)
    assert ask(file, bundles=bundles[1]).good
    fleet = ask(rewrite(file, lie), bundles=bundles[1])
    assert re.match(LIES[lie], problems(fleet)[0]), problems(fleet)


def test_a_bundle_with_a_pipe_for_a_manifest(hosts, tmp_path):
    """Nobody writes to it: reading it would not end."""
    (tmp_path / "sent").mkdir()
    os.mkfifo(tmp_path / "sent/manifest.json")
    with pytest.raises(Damaged, match=r"not a regular file in the bundle: manifest.json"):
        ask(hosts[0].export(), bundles=[tmp_path / "sent"])


def test_two_bundles_with_one_sequence(hosts, bundles):
    def fork(values):
        values[1]["bundle"]["manifest"] = "0" * 64

    fleet = ask(hosts[0].export(), rewrite(hosts[1].export(), fork))
    assert "two bundles are number 1 of stream site: 0000" in fleet.problems[0]


def key_file(host, name="p256"):
    host.be()
    key = make_key(host.target.prefix, name, Silence())
    path = host.path / f"{host.name}.{key.keyid[:8]}.pub.pem"
    path.write_text(key.pem)
    return path


def test_heads_that_hosts_signed(hosts):
    keys = [key_file(hosts[0]), key_file(hosts[1], "ed25519")]
    exports = [host.export() for host in hosts]
    fleet = ask(*exports, keys=keys)
    assert fleet.good
    assert all(host.keyid for host in fleet.hosts)
    said = problems(ask(*exports, keys=keys[:1]))
    assert len(said) == 1
    assert "signed by a key that was not given" in said[0]
    assert "the head is not signed" in problems(ask(unsigned(exports[0]), keys=keys))[0]


def unsigned(file):
    *lines, _ = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines) + read_export(file).head.encode())
    return file


def test_a_signature_that_is_another_heads(hosts, bundles):
    key = key_file(hosts[0])
    file = hosts[0].export()
    *lines, last = file.read_bytes().splitlines(keepends=True)
    envelope = json.loads(last)
    key_2 = key_file(hosts[1])
    other = json.loads(hosts[1].export().read_bytes().splitlines()[-1])
    envelope["signatures"][0]["sig"] = other["signatures"][0]["sig"]
    file.write_bytes(b"".join(lines) + json.dumps(envelope, separators=(",", ":")).encode() + b"\n")
    assert "the signature does not verify" in problems(ask(file, keys=[key, key_2]))[0]


def test_another_key_than_before(hosts):
    key_file(hosts[0])
    early = hosts[0].export()
    (hosts[0].target.prefix.state / "host.key.pem").unlink()
    new = key_file(hosts[0])
    late = hosts[0].export()
    said = problems(ask(early, late))
    assert len(said) == 1
    assert "signed by" in said[0]
    assert "before by" in said[0]
    assert "was not given" in problems(ask(early, late, keys=[new]))[0]


def test_an_export_of_before_there_was_a_key(hosts):
    """The newest head, which is signed, vouches for all of its lines."""
    early = hosts[0].export()
    key = key_file(hosts[0])
    assert ask(early, hosts[0].export(), keys=[key]).good
    assert "not signed" in problems(ask(early, keys=[key]))[0]


def test_a_host_that_signs_for_another(hosts):
    """Whoever is root on one host could else write what another one is to have said."""
    keys = [key_file(hosts[0]), key_file(hosts[1])]
    exports = [host.export() for host in hosts]
    assert ask(*exports, keys=keys).good
    stolen, own = (host.target.prefix.state / "host.key.pem" for host in reversed(hosts))
    shutil.copy(stolen, own)
    said = problems(ask(*exports, hosts[0].export(), keys=keys))
    assert len(said) == 1
    assert "signed by the key of another record, that of " in said[0]


def test_an_export_with_a_broken_chain(hosts):
    file = hosts[0].export()
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:1], *lines[2:]]))
    fleet = ask(file, hosts[1].export())
    assert "web-1-1.receipts: receipt 2 has another number" in fleet.problems[0]
    assert [host.export.head.host for host in fleet.hosts] == ["web-2"]
    with pytest.raises(Untrusted, match=r"web-1-1.receipts: receipt 2 has another number"):
        ask(hosts[1].export(), heads=[file])
    assert isinstance(run(file).exception, Untrusted)


def run(*words):
    return CliRunner().invoke(app, ["receipts", "verify", *map(str, words)])


def test_the_table(hosts, bundles):
    done = run(*(host.export() for host in hosts), "--bundle", bundles[1][2])
    assert isinstance(done.exception, Untrusted)
    done = run(*(host.export() for host in hosts))
    assert (done.exit_code, done.exception) == (0, None)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0][:3] == ["HOST", "PREFIX", "RECEIPTS"]
    assert lines[2][-4:] == ["site", "1", "(2", "behind)"]
    assert lines[5][:4] == ["web-1", "tool-1.0", "site", "3"]


def test_the_report_as_json(restored):
    host, early, _ = restored
    done = run(host.export(), "--head", early, "--json")
    assert isinstance(done.exception, SealiftError)
    report = json.loads(done.stdout)
    assert report["good"] is False
    assert report["hosts"][0]["host"] == "web-2"
    assert "cut off" in report["hosts"][0]["problems"][0]
    assert report["hosts"][0]["installed"][0]["archive"]["name"] == "tool-1.0"
