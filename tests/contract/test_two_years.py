"""Two years of a site and its targets, by the commands alone: it ends right on every host.

Root versions 1 to 4, a release key that is lost, another that is stolen, a threshold that is
raised, a host that sleeps through three bundles, one that the thief reaches, one that begins at
the end.
"""

import calendar
import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sealift_bundler.keys import keyid, load_public
from sealift_installer import cli
from sealift_installer.trust.state import StateStore, TrustState
from sealift_schemas.envelope import Envelope, Signature, pre_authentication_encoding
from sealift_schemas.manifest import PAYLOAD_TYPE
from sealift_schemas.strictjson import LARGEST_INTEGER, encode
from workshop import TOOL, TOOL_FILES, Workshop, digest

FUTURE = "2099-01-01T00:00:00Z"


class Office:
    """The connected side. Each key is in the hands of its holder, who signs with it alone."""

    def __init__(self, folder: Path) -> None:
        self.workshop = Workshop(folder)
        self.keys = self.workshop.site / "keys"
        self.bundles: list[Path] = []

    def __call__(self, *words: str | Path, fails: int = 0) -> None:
        """Run `sealift` in the site."""
        assert self.workshop.sealift(*words) == fails, words

    def set_date(self, date: str) -> None:
        """Let it be that day at the site."""
        seconds = calendar.timegm(time.strptime(date, "%Y-%m-%d"))
        self.workshop.environment["SOURCE_DATE_EPOCH"] = str(seconds)

    def found(self) -> None:
        """Three root keys of which two sign, three release keys of which one does, a builder."""
        assert self.workshop.sealift("init", self.workshop.site, cwd=self.workshop.folder) == 0
        for name in ("r1", "r2", "r3", "a", "b", "c", "builder"):
            self("key", "new", name, "--no-passphrase")
        self(
            *("root", "init", "--threshold", "root=2"),
            *("--key", "root=r1", "--key", "root=r2", "--key", "root=r3"),
            *("--key", "release=a", "--key", "release=b", "--key", "release=c"),
            *("--key", "builder=builder"),
        )
        spec = self.workshop.spec
        text = spec.read_text("utf-8")
        spec.write_text(text + "\n[installer]\npythons = []\n", "utf-8")
        assert self.workshop.add_tool() == 0

    def rotate(self, *changes: str, signers: Sequence[str]) -> None:
        """Draft a new root and have it signed by its holders, one after the other."""
        self("root", "rotate", *changes)
        for name in signers:
            self("root", "sign", "--key", name)

    def release(self, *signers: str, content: bytes) -> Path:
        """Build the next bundle and have it signed; return its directory."""
        bundle = self.build(content)
        self.sign(bundle, *signers)
        self("seal", bundle)
        return bundle

    def build(self, content: bytes) -> Path:
        """Build the next bundle, unsigned but for its evidence."""
        files = {**TOOL_FILES, "tool-1.0/bin/tool": b"#!/bin/sh\necho " + content + b"\n"}
        archive = self.workshop.serve("tool-1.0.tar.gz", files)
        text = self.workshop.spec.read_text("utf-8")
        lines = [
            f'sha256 = "{digest(archive)}"' if line.startswith("sha256 = ") else line
            for line in text.splitlines()
        ]
        self.workshop.spec.write_text("\n".join(lines) + "\n", "utf-8")
        bundle = self.workshop.folder / f"bundle-{len(self.bundles) + 1}"
        self("build", "--unsigned", "--output", bundle)
        self.bundles.append(bundle)
        return bundle

    def sign(self, bundle: Path, *signers: str) -> None:
        """Add signatures."""
        for name in signers:
            self("sign", bundle, "--key", name)

    def root_sha256(self, version: int) -> str:
        """Return what stands on paper for a root version."""
        path = self.workshop.site / "root" / f"{version}.root.dsse.json"
        return hashlib.sha256(path.read_bytes()).hexdigest()


class Thief:
    """Somebody with a copy of a release key and tools of their own."""

    def __init__(self, key: Path, public: Path) -> None:
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        self._key = loaded
        self._keyid = keyid(load_public(public))

    def forge(self, bundle: Path, output: Path, sequence: int, created: str) -> Path:
        """Make a bundle out of an honest one: another place and time, and without its evidence."""
        shutil.copytree(bundle, output)
        for path in (*output.glob("SHA256SUMS*"), output / "manifest.dsse.json"):
            path.unlink()
        shutil.rmtree(output / "evidence")
        statement = json.loads((output / "manifest.json").read_text())
        predicate = statement["predicate"]
        predicate.update(sequence=sequence, created=created)
        predicate["files"] = [
            file for file in predicate["files"] if not file["path"].startswith("evidence/")
        ]
        statement["subject"] = [
            {"name": file["path"], "digest": {"sha256": file["sha256"]}}
            for file in predicate["files"]
        ]
        payload = encode(statement, indent=2)
        (output / "manifest.json").write_bytes(payload)
        signature = self._sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
        envelope = Envelope(payload, PAYLOAD_TYPE, (Signature(self._keyid, signature),))
        (output / "manifest.dsse.json").write_bytes(envelope.encode())
        self._write_sums(output, predicate["files"], payload)
        return output

    def _write_sums(self, output: Path, files: list[dict[str, Any]], payload: bytes) -> None:
        digests = {file["path"]: file["sha256"] for file in files}
        digests["manifest.json"] = hashlib.sha256(payload).hexdigest()
        sums = "".join(f"{digests[path]}  {path}\n" for path in sorted(digests)).encode()
        (output / "SHA256SUMS").write_bytes(sums)
        (output / f"SHA256SUMS.{self._keyid[:16]}.sig").write_bytes(self._sign(sums))

    def _sign(self, data: bytes) -> bytes:
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))


class Host:
    """A target that never sees a network, with a clock of its own."""

    def __init__(self, name: str, office: Office, capsys: pytest.CaptureFixture[str]) -> None:
        self.name = name
        self.prefix = office.workshop.folder / name
        self._office = office
        self._capsys = capsys

    def unseal(self, *words: object) -> tuple[int, str]:
        """Run a command; return its exit code and what it said."""
        code = cli.main([*map(str, words), "--prefix", str(self.prefix)])
        shown = self._capsys.readouterr()
        return code, shown.out + shown.err

    def trust(self, version: int = 1, bundle: Path | None = None) -> "Host":
        """Import a root from the bundle in hand, with its SHA-256 from paper."""
        root = (bundle or self._office.bundles[0]) / f"trust/root/{version}.root.dsse.json"
        words = ("trust", "import", root, "--sha256", self._office.root_sha256(version))
        code, said = self.unseal(*words)
        assert code == 0, said
        return self

    def installs(self, bundle: Path, *options: str) -> str:
        """Install, which must work; return what was said."""
        code, said = self.unseal("install", bundle, *options)
        assert code == 0, (self.name, said)
        return said

    def refuses(self, bundle: Path, code: int, message: str, *options: str) -> None:
        """Show that a bundle is refused, and that nothing of it is there."""
        before = self.program()
        found, said = self.unseal("install", bundle, *options)
        assert (found, message in said) == (code, True), (self.name, said)
        assert self.program() == before

    @property
    def state(self) -> TrustState:
        """What the host trusts and has accepted."""
        return StateStore(self.prefix / "state").load()

    @property
    def place(self) -> tuple[int, int, int]:
        """Root version, epoch and sequence."""
        seen = self.state.streams["site"]
        return self.state.root.root.version, seen.epoch, seen.sequence

    def program(self) -> bytes | None:
        """Return the program that stands there."""
        path = self.prefix / "tools" / TOOL / "bin" / "tool"
        return path.read_bytes() if path.exists() else None


class Play:
    """The two years, one act after the other."""

    def __init__(
        self, office: Office, clock: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.office = office
        self.folder = office.workshop.folder
        self.alpha, self.beta, self.gamma, self.guarded, self.delta, self.epsilon = (
            Host(name, office, capsys)
            for name in ("alpha", "beta", "gamma", "guarded", "delta", "epsilon")
        )
        self.awake = (self.alpha, self.gamma, self.guarded)
        self._clock = clock

    @property
    def hosts(self) -> tuple[Host, ...]:
        """All of them, when the play has ended."""
        return (*self.awake, self.beta, self.delta, self.epsilon)

    def set_date(self, site: str, hosts: str) -> None:
        """Let it be these days at the site and on the hosts."""
        self.office.set_date(site)
        self._clock[0] = hosts

    def begin(self) -> None:
        """January 2024: root version 1. One of three release keys is enough."""
        self.first = self.office.release("a", content=b"one")
        for host in (*self.awake, self.beta):
            host.trust().installs(self.first)
            assert host.place == (1, 1, 1)
        policy = self.guarded.prefix / "state" / "policy.json"
        policy.write_text(
            '{"format": 1, "evidence": ["provenance"], "forbidden_overrides": ["allow_downgrade"]}'
        )
        policy.chmod(0o644)  # whatever the umask

    def lose_a_key(self) -> None:
        """May 2024: key a is lost with its disk. Root version 2 has key d in its place."""
        self.set_date("2024-05-02", "2024-05-03")
        office = self.office
        office("key", "new", "d", "--no-passphrase")
        (office.keys / "a.key.pem").rename(self.folder / "a.key.pem")
        office.rotate("--replace", "a=d", signers=("r1", "r2"))
        self.second = office.release("b", content=b"two")
        for host in self.awake:
            assert "root version 2" in host.installs(self.second)
            assert host.place == (2, 1, 2)
        # Who finds the disk can sign, and it counts for nothing where root version 2 has come.
        finder = Thief(self.folder / "a.key.pem", office.keys / "a.pub.pem")
        self.found = finder.forge(self.second, self.folder / "found", 3, "2024-06-01T00:00:00Z")
        for host in self.awake:
            host.refuses(self.found, 3, "too few signatures of manifest.dsse.json")

    def steal_a_key(self) -> None:
        """November 2024: key b is copied. The thief signs the highest sequence, dated 2099."""
        self.set_date("2024-11-10", "2024-11-11")
        office = self.office
        thief = Thief(office.keys / "b.key.pem", office.keys / "b.pub.pem")
        self.thiefs = thief.forge(self.second, self.folder / "thiefs", LARGEST_INTEGER, FUTURE)
        self.gamma.installs(self.thiefs)
        assert self.gamma.place == (2, 1, LARGEST_INTEGER)
        assert self.gamma.state.floor == FUTURE
        # The thief has no builder key, and this host asks for provenance.
        self.guarded.refuses(self.thiefs, 5, "the bundle carries no provenance")
        assert self.guarded.place == (2, 1, 2)

    def recover(self) -> None:
        """A week later: root version 3 removes b, and the epoch ends what b signed."""
        self.set_date("2024-11-18", "2024-11-19")
        office = self.office
        office("key", "new", "e", "--no-passphrase")
        office.rotate("--replace", "b=e", "--epoch", "next", signers=("r2", "r3"))
        self.third = office.release("c", "e", content=b"three")
        for host in self.awake:
            host.installs(self.third)
            assert host.place[:2] == (3, 2)
        # The counter and the time of the thief are gone, also where they had come.
        assert self.gamma.state.floor < "2025"
        assert self.gamma.place == self.alpha.place == self.guarded.place
        for host in self.awake:
            host.refuses(self.thiefs, 3, "too few signatures of manifest.dsse.json")
            host.refuses(self.second, 3, "too few signatures of manifest.dsse.json")

    def raise_the_threshold(self) -> None:
        """June 2025: two must sign. The third bundle had a flaw and is withdrawn."""
        self.set_date("2025-06-10", "2025-06-11")
        office = self.office
        withdrawn = ("--withdraw", str(self.third))
        office.rotate("--threshold", "release=2", *withdrawn, signers=("r1", "r3"))
        self.fourth = office.build(b"four")
        office.sign(self.fourth, "c")
        office("seal", self.fourth, fails=3)
        self.alpha.refuses(self.fourth, 3, "Expected: 2 distinct keys\n  Computed: 1")
        # The root stands, though the bundle that brought it does not.
        assert self.alpha.state.root.root.version == 4
        self.alpha.refuses(self.third, 5, "was withdrawn by root version 4")
        office.sign(self.fourth, "e")
        office("seal", self.fourth)
        for host in (self.alpha, self.gamma):
            host.installs(self.fourth)

    def catch_up(self) -> None:
        """December 2025: beta has slept since the first bundle, gamma's battery is empty."""
        self.set_date("2025-12-01", "2025-12-02")
        self.fifth = self.office.release("d", "e", content=b"five")
        assert self.beta.place == (1, 1, 1)
        for host in (self.alpha, self.beta, self.guarded):
            host.installs(self.fifth)
        self._clock[0] = "1970-01-01"
        said = self.gamma.installs(self.fifth)
        assert "the clock of this host (1970-01-01T00:00:00Z) is behind" in said
        self._clock[0] = "2025-12-03"
        # New hosts: one with the first root from an old paper, one with the newest.
        self.delta.trust(1, self.fifth).installs(self.fifth)
        self.epsilon.trust(4, self.fifth).installs(self.fifth)

    def refuse_the_past(self) -> None:
        """Every bundle but the newest is refused by every host."""
        for host in self.hosts:
            for stale in (self.first, self.second, self.found, self.thiefs):
                host.refuses(stale, 3, "too few signatures of manifest.dsse.json")
            host.refuses(self.third, 5, "was withdrawn by root version 4")
            host.refuses(self.fourth, 5, "older than the newest that was accepted here")
        self.guarded.refuses(self.fourth, 5, "is forbidden by", "--allow-downgrade", "an audit")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.set_date("2024-01-15")
    office.found()
    return office


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The date on every host, in a list of one."""
    date = ["2024-01-16"]
    real = time.gmtime

    def gmtime(*given: float) -> time.struct_time:
        return real(*given) if given else time.strptime(date[0], "%Y-%m-%d")

    monkeypatch.setattr(time, "gmtime", gmtime)
    return date


def test_two_years_end_right_on_every_host(
    office: Office, clock: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    play = Play(office, clock, capsys)
    play.begin()
    play.lose_a_key()
    play.steal_a_key()
    play.recover()
    play.raise_the_threshold()
    play.catch_up()
    _check_end(play.hosts, office, play.fifth)
    play.refuse_the_past()
    _check_end(play.hosts, office, play.fifth)
    _check_receipts(play.hosts, office, play.gamma, capsys)


def _check_end(hosts: Sequence[Host], office: Office, newest: Path) -> None:
    """All hosts have the same root, the same counter and the same program, and stand by it."""
    manifest = hashlib.sha256((newest / "manifest.json").read_bytes()).hexdigest()
    for host in hosts:
        assert host.state.root.sha256 == office.root_sha256(4)
        assert host.state.streams["site"].manifest == manifest
        assert host.place[:2] == (4, 2)
        assert host.state.floor == "2025-12-01T00:00:00Z"
        assert host.program() == b"#!/bin/sh\necho five\n"
        code, said = host.unseal("receipts", "verify")
        assert code == 0, (host.name, said)


def _check_receipts(
    hosts: Sequence[Host],
    office: Office,
    reached: Host,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The office sees from the exported records which host has what, and where the thief was."""
    exports: list[Path] = []
    for host in hosts:
        exports.append(office.workshop.folder / f"{host.name}.json")
        assert host.unseal("receipts", "export", exports[-1])[0] == 0
    sent = [word for bundle in office.bundles for word in ("--bundle", bundle)]
    honest = [path for path in exports if path.stem != reached.name]
    capsys.readouterr()
    office("receipts", "verify", *honest, *sent, "--json")
    report = json.loads(capsys.readouterr().out)
    assert len(report["hosts"]) == len(honest)
    office("receipts", "verify", *exports, *sent, fails=3)
    shown = capsys.readouterr()
    assert reached.name in shown.out
