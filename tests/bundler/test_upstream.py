"""What publishers say of archives: looked for while locking, carried, shown, refused if it differs.

GitHub and the package index are a server on loopback, which stands in by [[network.mirror]]. The
answers have the shape of the real ones.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from hurried import Hurried
from loopback import Body, Drip, LoopbackServer, Redirect, Reset, Stalled, Status
from sealift_bundler import web
from sealift_bundler.upstream import reader, verify
from sigstore_chain import SigstoreChain
from snappy_packer import pack_snappy
from workshop import Workshop, digest

REPOSITORY = "https://github.com/acme/tool"
RELEASES = f"{REPOSITORY}/releases/download/"
PBS = "https://github.com/astral-sh/python-build-standalone/releases/download/"
WORKFLOW = f"{REPOSITORY}/.github/workflows/release.yml@refs/tags/v1"
API = "/api/repos/acme/tool"


@dataclass
class Bench:
    """A site with archives that a release at GitHub has, and a server that plays GitHub."""

    shop: Workshop
    server: LoopbackServer
    chain: SigstoreChain

    def add(self, name: str = "tool", prefix: str = f"{RELEASES}v1/", **more: str) -> Path:
        """Publish an archive and want it; return it."""
        archive = self.shop.serve(f"{name}-1.0.tar.gz", {f"{name}/data": name.encode()})
        self.serve(f"/gh/{prefix.removeprefix('https://github.com/')}{archive.name}", archive)
        url = f"{prefix}{archive.name}"
        options = [word for option in more.items() for word in (f"--{option[0]}", option[1])]
        words = ["add", "--url", url, "--sha256", digest(archive), "--name", name]
        assert self.shop.sealift(*words, "--version", "1", *options) == 0
        return archive

    def serve(self, path: str, file: Path) -> None:
        """Serve a file at a path of the server."""
        target = self.server.directory / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)

    def say(self, path: str, *answers: object) -> None:
        """Answer JSON or bytes, or with faults, at a path."""
        self.server.faults[path] = [
            Body(each if isinstance(each, bytes) else json.dumps(each).encode())
            if isinstance(each, bytes | dict | list)
            else each
            for each in answers
        ]

    def attest(self, archive: Path, bundles: Sequence[dict[str, Any]] | None = None) -> str:
        """Let the API name attestations of an archive, kept elsewhere as GitHub does it."""
        if bundles is None:
            bundles = [self.chain.attest(digest(archive), REPOSITORY)]
        entries = []
        for bundle in bundles:
            packed = pack_snappy(json.dumps(bundle).encode())
            name = f"/blobs/{hashlib.sha256(packed).hexdigest()[:8]}.json.sn"
            self.say(name, packed)
            address = f"{self.server.url}{name}?se=2026&sig=secret"
            entries.append({"bundle": None, "bundle_url": address, "repository_id": 1})
        path = f"{API}/attestations/sha256:{digest(archive)}"
        self.say(path, {"attestations": entries})
        return path

    def write(self, text: str) -> None:
        """Append to the spec."""
        with self.shop.spec.open("a") as file:
            file.write(text)

    def lock(self, *words: str) -> int:
        """Run `sealift lock`."""
        return self.shop.sealift("lock", *words)

    def upstream(self, number: int = 0) -> dict[str, dict[str, Any]]:
        """Return the evidence of an archive of the lock by its kind."""
        archives = json.loads(self.shop.lock.read_text())["archives"]
        return {one["kind"]: one for one in archives[number].get("upstream", [])}

    def results(self, number: int = 0) -> dict[str, str]:
        """Return the results by kind."""
        return {kind: one["result"] for kind, one in self.upstream(number).items()}

    def asked(self, part: str) -> list[str]:
        """Return the paths of the requests that have `part` in them."""
        return [path for path in self.server.paths if part in path]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(web, "PATIENCE", Hurried(pause=0.001))
    served = tmp_path / "github"
    served.mkdir()
    shop = Workshop(tmp_path).found(upstream=True)
    chain = SigstoreChain()
    with LoopbackServer(served) as server:
        (shop.site / "trusted_root.json").write_bytes(chain.trusted_root)
        made = Bench(shop, server, chain)
        mirrors = {"https://github.com/": "/gh/", "https://api.github.com/": "/api/"}
        for prefix, path in mirrors.items():
            made.write(f'\n[[network.mirror]]\nprefix = "{prefix}"\n')
            made.write(f'urls = ["{server.url}{path}"]\nexclusive = true\n')
        made.write('\n[upstream]\ntrusted_root = "trusted_root.json"\n')
        yield made


def publish_all(bench: Bench, archive: Path) -> None:
    """Let the publisher say all that can be said of an archive."""
    sums = f"{'0' * 64}  other.tar.gz\n{digest(archive)} *{archive.name}\n"
    bench.say(f"/gh/acme/tool/releases/download/v1/{archive.name}.sha256", sums.encode())
    asset = {"name": archive.name, "size": archive.stat().st_size, "download_count": 7}
    release = {"assets": [{**asset, "digest": f"sha256:{digest(archive)}"}]}
    bench.say(f"{API}/releases/tags/v1", release)
    bench.attest(archive)


def test_all_that_is_said_of_an_archive(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    archive = bench.add()
    publish_all(bench, archive)
    assert bench.lock() == 0
    line = "* tool-1: agrees with tool-1.0.tar.gz.sha256; agrees with digest by GitHub; "
    line += f"attestation verified (signed by {WORKFLOW}); asked at a mirror"
    assert line in capsys.readouterr().out.splitlines()
    found = bench.upstream()
    assert {kind: one["source"] for kind, one in found.items()} == {
        "checksum-file": f"{RELEASES}v1/{archive.name}.sha256",
        "release-digest": "https://api.github.com/repos/acme/tool/releases/tags/v1",
        "attestation": "https://api.github.com/repos/acme/tool/attestations/sha256:"
        + digest(archive),
    }
    # Nothing of a signed address is written anywhere.
    texts = [path.read_text() for path in bench.shop.site.glob("sealift.lock")]
    assert "secret" not in "".join(texts)
    bundle = bench.shop.build()
    folder = bundle / "evidence" / "upstream"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    below = digest(archive)
    assert names == {
        f"{below}/tool-1.0.tar.gz.sha256",
        f"{below}/github-release.json",
        f"{below}/attestations.sigstore.jsonl",
        "trusted_root.jsonl",
    }
    manifest = json.loads((bundle / "manifest.json").read_text())
    listed = {file["path"] for file in manifest["predicate"]["files"]}
    assert {f"evidence/upstream/{name}" for name in names} <= listed
    attestation = folder / below / "attestations.sigstore.jsonl"
    assert digest(attestation) == found["attestation"]["sha256"]
    assert "127.0.0.1" not in (bundle / "evidence" / "provenance.dsse.json").read_text()
    capsys.readouterr()
    assert bench.shop.sealift("inspect", bundle) == 0
    assert "upstream   agrees with tool-1.0.tar.gz.sha256" in capsys.readouterr().out
    assert bench.shop.sealift("inspect", bundle, "--json") == 0
    told = json.loads(capsys.readouterr().out)["archives"][0]["upstream"]
    assert [one["result"] for one in told] == ["agrees", "agrees", "verified"]


def test_it_is_asked_for_once_and_kept(bench: Bench) -> None:
    archive = bench.add()
    publish_all(bench, archive)
    assert bench.lock() == 0
    first = bench.shop.lock.read_bytes()
    bench.server.requests.clear()
    bench.write("# another comment\n")
    bench.add("second")
    assert bench.lock() == 0
    assert bench.asked(archive.name) == []
    assert bench.results(1) == {
        "checksum-file": "agrees",
        "release-digest": "agrees",
        "attestation": "verified",
    }
    assert bench.results(0)["attestation"] == "absent"
    assert (
        json.loads(first)["trusted_root"] == json.loads(bench.shop.lock.read_text())["trusted_root"]
    )
    bench.server.requests.clear()
    assert bench.lock("--upgrade", "tool-1") == 0
    assert bench.asked("second") == []
    assert len(bench.asked("/api/")) == 2


def test_a_bundle_offline_and_the_same_again(bench: Bench) -> None:
    archive = bench.add()
    publish_all(bench, archive)
    one = bench.shop.build(name="one")
    bench.server.requests.clear()
    two = bench.shop.build("--offline", name="two")
    assert (one / "manifest.json").read_bytes() == (two / "manifest.json").read_bytes()
    # The cache is gone, and what is said is still the same.
    shutil.rmtree(bench.shop.folder / "cache")
    three = bench.shop.build(name="three")
    assert (one / "manifest.json").read_bytes() == (three / "manifest.json").read_bytes()
    assert bench.asked("/api/") != []


def test_evidence_that_is_gone_offline(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    publish_all(bench, bench.add())
    assert bench.lock() == 0
    shutil.rmtree(bench.shop.folder / "cache" / "evidence")
    assert bench.shop.sealift("build", "--offline", "--output", bench.shop.folder / "b") == 8
    assert "is not in the cache and cannot be had: offline" in capsys.readouterr().err


def test_evidence_that_has_changed_since(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    archive = bench.add()
    publish_all(bench, archive)
    assert bench.lock() == 0
    shutil.rmtree(bench.shop.folder / "cache")
    bench.attest(archive)
    assert bench.shop.sealift("build", "--output", bench.shop.folder / "b") == 4
    shown = capsys.readouterr().err
    assert "attestations.sigstore.jsonl has changed since the lock was made" in shown
    assert bench.lock("--upgrade") == 0
    bench.shop.build()


def test_an_answer_that_was_kept_serves_offline(bench: Bench) -> None:
    publish_all(bench, bench.add())
    assert bench.lock() == 0
    bench.shop.lock.unlink()
    bench.server.requests.clear()
    assert bench.lock("--offline") == 0
    assert bench.server.paths == []
    assert bench.results() == {
        "checksum-file": "agrees",
        "release-digest": "agrees",
        "attestation": "verified",
    }
    shutil.rmtree(bench.shop.folder / "cache" / "evidence")
    bench.shop.lock.unlink()
    assert bench.lock("--offline") == 0
    assert set(bench.results().values()) == {"unreachable"}
    assert bench.lock() == 0
    assert bench.results()["attestation"] == "verified"


def test_what_is_not_there_is_recorded(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.add()
    assert bench.lock() == 0
    assert set(bench.results().values()) == {"absent"}
    line = "* tool-1: no list of digests; no digest by GitHub; no attestation; asked at a mirror"
    assert line in capsys.readouterr().out
    bench.server.requests.clear()
    assert bench.lock() == 0
    assert bench.server.paths == []
    assert bench.shop.build().is_dir()


WRONG = "c" * 64


@pytest.mark.parametrize("kind", ["list", "twice", "release", "size", "both"])
def test_another_digest_ends_it(
    bench: Bench, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    archive = bench.add()
    publish_all(bench, archive)
    ours = digest(archive)
    texts = {"list": f"{WRONG}  {archive.name}\n", "both": WRONG}
    texts["twice"] = f"{ours}  {archive.name}\n{WRONG}  {archive.name}\n"
    assets = {
        "release": {"digest": f"sha256:{WRONG}", "size": archive.stat().st_size},
        "size": {"digest": f"sha256:{ours}", "size": 1},
        "both": {"digest": f"sha256:{WRONG}", "size": archive.stat().st_size},
    }
    if kind in texts:
        path = f"/gh/acme/tool/releases/download/v1/{archive.name}.sha256"
        bench.say(path, texts[kind].encode())
    if kind in assets:
        asset = {"name": archive.name, **assets[kind]}
        bench.say(f"{API}/releases/tags/v1", {"assets": [asset]})
    assert bench.lock() == 4
    shown = capsys.readouterr().err
    assert "tool-1: its publisher states another digest" in shown
    assert f"Computed: {ours}" in shown
    assert ("1 bytes" if kind == "size" else WRONG) in shown
    assert not bench.shop.lock.exists()


UNHELPFUL = {
    "a web page": (Body(b"<!DOCTYPE html><html>Sign in</html>", "text/html"), "unreachable"),
    "403": (Status(403), "unreachable"),
    "401": (Status(401), "unreachable"),
    "404": (Status(404), "absent"),
    "410": (Status(410), "absent"),
    "429": (Status(429, "3600"), "unreachable"),
    "500": (Status(500), "unreachable"),
    "503": (Status(503, "9999"), "unreachable"),
    "reset": (Reset(), "unreachable"),
    "a loop": (Redirect("/sums"), "unreachable"),
    "too much": (Body(b"\x00" * (4 * 1024 * 1024 + 1)), "unreachable"),
    "nothing": (Body(b""), "absent"),
    "nonsense": (Body(b"\xff\x00" * 5000), "absent"),
    "another name": (Body(f"{WRONG}  other.tar.gz\n".encode()), "absent"),
}


def test_lists_that_do_not_help(bench: Bench) -> None:
    servers: dict[str, LoopbackServer] = {}
    with ExitStack() as stack:
        for name, (fault, _) in UNHELPFUL.items():
            # One for each, since a server that is away is not asked again.
            server = stack.enter_context(LoopbackServer(bench.shop.served))
            server.faults["/sums"] = [fault]
            plain = name.replace(" ", "-")
            bench.add(f"tool-{plain}", checksums=f"{server.url}/sums")
            servers[f"tool-{plain}-1"] = server
        assert bench.lock() == 0
    archives = json.loads(bench.shop.lock.read_text())["archives"]
    found = {archive["name"]: archive["upstream"][0] for archive in archives}
    expected = {f"tool-{name.replace(' ', '-')}-1": each for name, (_, each) in UNHELPFUL.items()}
    assert {name: one["result"] for name, one in found.items()} == expected
    # Little patience: at most two attempts, where a loop of redirects is one.
    for name, server in servers.items():
        assert 0 < len(server.requests) <= (11 if name == "tool-a-loop-1" else 2)
    assert found["tool-a-web-page-1"]["detail"].startswith("the server sent a web page instead")
    assert found["tool-too-much-1"]["detail"].startswith("more than 4194304 bytes were sent")


def test_silence_does_not_help(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "hasty", lambda patience: replace(patience, read=0.2, attempts=2))
    with LoopbackServer(bench.shop.served) as server:
        server.faults["/sums"] = [Stalled()]
        bench.add(checksums=f"{server.url}/sums")
        assert bench.lock() == 0
        server.wait_for(2)
        assert server.paths == ["/sums"] * 2
    found = bench.upstream()["checksum-file"]
    assert found["result"] == "unreachable"
    assert found["detail"].startswith("no answer in time")


def test_an_answer_that_drips(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "LONGEST", 0.0)
    archive = bench.add()
    sums = bench.server.directory / "gh/acme/tool/releases/download/v1" / f"{archive.name}.sha256"
    sums.write_text(digest(archive) * 100)
    path = f"/gh/acme/tool/releases/download/v1/{archive.name}.sha256"
    bench.server.faults[path] = [Drip(0.02, 10)]
    assert bench.lock() == 0
    found = bench.upstream()["checksum-file"]
    assert found["result"] == "unreachable"
    assert found["detail"].startswith("the answer takes longer than")


UNHELPFUL_ANSWERS: list[tuple[Any, str]] = [
    (b"{", "unreachable"),
    (b"[]", "unreachable"),
    ({"attestations": []}, "absent"),
    ({"attestations": [{"bundle": None}]}, "unreachable"),
    ({"attestations": [{"bundle": None, "bundle_url": "http://127.0.0.1:1/a"}]}, "unreachable"),
    ({"attestations": [{"bundle": None, "bundle_url": "https://[::1"}]}, "unreachable"),
    (
        {"attestations": [{"bundle": None, "bundle_url": "http://127.0.0.1\uff0f@x/"}]},
        "unreachable",
    ),
    ({"message": "Not Found"}, "unreachable"),
    (b"[" * 100_000, "unreachable"),
    (Status(404), "absent"),
    (Status(403), "unreachable"),
]


def test_answers_of_the_api_that_do_not_help(bench: Bench) -> None:
    for number, (answer, _) in enumerate(UNHELPFUL_ANSWERS):
        archive = bench.add(f"tool{number:02}")
        bench.say(f"{API}/attestations/sha256:{digest(archive)}", answer)
    assert bench.lock() == 0
    found = [bench.results(number)["attestation"] for number in range(len(UNHELPFUL_ANSWERS))]
    assert found == [result for _, result in UNHELPFUL_ANSWERS]


def test_servers_that_send_much_are_heard_for_a_while(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "LARGEST_IN_ALL", 100_000)
    for number in range(4):
        archive = bench.add(f"tool{number}")
        path = f"/gh/acme/tool/releases/download/v1/{archive.name}.sha256"
        bench.say(path, f"{digest(archive)}  {archive.name}\n{'#' * 40_000}\n".encode())
    assert bench.lock() == 0
    found = [bench.upstream(number)["checksum-file"] for number in range(4)]
    assert sorted(one["result"] for one in found) == [
        "agrees",
        "agrees",
        "unreachable",
        "unreachable",
    ]
    details = {one["detail"] for one in found if one["result"] == "unreachable"}
    assert details == {"more than 100000 bytes were sent in all; asked at a mirror"}


def test_a_release_of_megabytes_is_not_carried(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = bench.add()
    asset = {"name": archive.name, "digest": f"sha256:{digest(archive)}", "label": "x" * 3_000_000}
    asset["browser_download_url"] = f"https://github.com/{'y' * 3_000_000}"
    bench.say(f"{API}/releases/tags/v1", {"body": "z" * 3_000_000, "assets": [asset]})
    assert bench.lock() == 0
    line = "agrees with digest by GitHub (without browser_download_url: no text of at most 1000"
    assert line in capsys.readouterr().out
    bundle = bench.shop.build()
    carried = bundle / "evidence/upstream" / digest(archive) / "github-release.json"
    kept = {field: asset[field] for field in ("name", "digest")}
    assert json.loads(carried.read_text()) == kept


def test_an_answer_about_attestations_has_bounds(bench: Bench) -> None:
    archive = bench.add()
    answer = {"attestations": [], "more": " " * reader.LARGEST_LIST}
    bench.say(f"{API}/attestations/sha256:{digest(archive)}", answer)
    assert bench.lock() == 0
    found = bench.upstream()["attestation"]
    assert found["result"] == "unreachable"
    assert found["detail"].startswith(f"more than {reader.LARGEST_LIST} bytes were sent")


def test_attestations_together_have_bounds(bench: Bench) -> None:
    """Packed they are small, and each of them is within its own bounds."""
    archive = bench.add()
    bench.attest(archive, [{"number": n, "x": "x" * 1_500_000} for n in range(3)])
    assert bench.lock() == 0
    found = bench.upstream()["attestation"]
    assert found["result"] == "unreachable"
    assert found["detail"].startswith("the attestations have more than 4194304 bytes")


def test_what_could_not_be_had_is_asked_for_again(bench: Bench) -> None:
    archive = bench.add()
    publish_all(bench, archive)
    path = f"{API}/attestations/sha256:{digest(archive)}"
    good = bench.server.faults[path]
    bench.server.faults[path] = [Status(500), Status(500), *good]
    assert bench.lock() == 0
    assert bench.results()["attestation"] == "unreachable"
    # A build takes the lock as it is; to look again is for `lock`.
    bench.server.requests.clear()
    bench.shop.build()
    assert bench.server.paths == []
    assert bench.lock() == 0
    assert bench.results()["attestation"] == "verified"


def test_what_is_known_outlasts_who_is_away(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = bench.add()
    publish_all(bench, archive)
    path = f"{API}/attestations/sha256:{digest(archive)}"
    good = bench.server.faults[path]
    bench.server.faults[path] = [Status(500)]
    assert bench.lock() == 0
    before = bench.shop.lock.read_bytes()
    assert sorted(bench.results().values()) == ["agrees", "agrees", "unreachable"]
    # Now everybody is away, and for another reason.
    for each in bench.server.faults:
        if "/blobs/" not in each:
            bench.server.faults[each] = [Status(403)]
    capsys.readouterr()
    assert bench.lock() == 0
    assert "nothing has changed" in capsys.readouterr().err
    assert bench.shop.lock.read_bytes() == before
    bench.server.faults[path] = good
    assert bench.lock() == 0
    assert sorted(bench.results().values()) == ["agrees", "agrees", "verified"]
    # An upgrade believes nothing of old.
    assert bench.lock("--upgrade") == 0
    assert set(bench.results().values()) == {"unreachable", "verified"}


def test_a_server_that_is_away_is_left_alone(bench: Bench) -> None:
    for number in range(12):
        bench.add(f"tool{number}")
    bench.say(f"{API}/releases/tags/v1", Status(429, "3600"))
    assert bench.lock() == 0
    # Requests that were under way are answered; after that nobody asks any more.
    assert len(bench.asked("/api/")) <= 7
    assert bench.asked(f"{API}/releases/tags/v1") == [f"{API}/releases/tags/v1"]
    details = {bench.upstream(number)["release-digest"]["detail"] for number in range(12)}
    assert details == {"the server limits how often it is asked; asked at a mirror"}


def test_many_archives_of_one_release_and_one_list(bench: Bench) -> None:
    archives = [bench.add(f"tool{number}", f"{PBS}20250529/") for number in range(40)]
    lines = "".join(f"{digest(archive)}  {archive.name}\n" for archive in archives)
    path = "/gh/astral-sh/python-build-standalone/releases/download/20250529/SHA256SUMS"
    bench.say(path, lines.encode())
    bench.say("/api/repos/astral-sh/python-build-standalone/releases/tags/20250529", {"assets": []})
    assert bench.lock() == 0
    assert bench.asked("SHA256SUMS") == [path]
    assert len(bench.asked("/releases/tags/")) == 1
    assert len(bench.asked("/attestations/")) == 40
    assert {bench.results(number)["checksum-file"] for number in range(40)} == {"agrees"}


def test_an_attestation_by_a_stranger(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    archive = bench.add()
    stranger = bench.chain.attest(digest(archive), "https://github.com/mallory/tool")
    bench.attest(archive, [stranger])
    assert bench.lock() == 3
    shown = capsys.readouterr().err
    assert "the repository is https://github.com/mallory/tool, expected" in shown
    assert f"expected {REPOSITORY}" in shown
    assert not bench.shop.lock.exists()
    bench.write(f'[[upstream.publisher]]\nprefix = "{RELEASES}"\n')
    bench.write('repository = "https://github.com/mallory/tool"\n')
    bench.write('workflow = ".github/workflows/release.yml"\n')
    assert bench.lock() == 0
    assert bench.results()["attestation"] == "verified"
    # What was verified is judged anew when the spec says something else.
    text = bench.shop.spec.read_text()
    bench.shop.spec.write_text(text.replace("release.yml", "nightly.yml"))
    bench.server.requests.clear()
    assert bench.lock() == 3
    assert "expected https://github.com/mallory/tool/.github/workflows/nightly.yml" in (
        capsys.readouterr().err
    )
    assert bench.server.paths == []


def test_an_attestation_of_another_file(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    archive = bench.add()
    bench.attest(archive, [bench.chain.attest("d" * 64, REPOSITORY)])
    assert bench.lock() == 3
    assert f"it is about {'d' * 64}, not about {digest(archive)}" in capsys.readouterr().err


def test_without_the_extra_attestations_are_carried(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = bench.add()
    bench.attest(archive)
    with monkeypatch.context() as patch:
        patch.setattr("sealift_bundler.upstream.gather.can_verify", lambda: False)
        patch.setattr("sealift_bundler.upstream.carry.can_verify", lambda: False)
        bench.shop.build(name="one")
        evidence = bench.upstream()["attestation"]
        assert evidence["result"] == "carried"
        assert evidence["detail"].startswith("sealift[upstream] is not installed")
        assert "attestation carried, not verified" in capsys.readouterr().err
    # Once it is there, what was carried is verified, without asking anybody.
    bench.server.requests.clear()
    bench.write("# the extra is there\n")
    bench.shop.spec.write_text(f"expires_days = 9\n{bench.shop.spec.read_text()}")
    assert bench.lock() == 0
    assert bench.results()["attestation"] == "verified"
    assert bench.asked("/api/") == []


def test_the_extra_is_two_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert verify.can_verify()
    monkeypatch.setattr(verify, "find_spec", lambda name: None if name == "sigstore" else name)
    assert not verify.can_verify()
    assert verify.find_root(None) is None


def test_a_sigstore_that_keeps_its_keys_elsewhere(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "files", lambda _: bench.shop.folder)
    text = bench.shop.spec.read_text().replace('trusted_root = "trusted_root.json"\n', "")
    bench.shop.spec.write_text(text)
    bench.attest(bench.add())
    assert bench.lock() == 0
    found = bench.upstream()["attestation"]
    assert (found["result"], found["detail"].partition(";")[0]) == (
        "carried",
        "there is no trusted root",
    )
    assert "trusted_root" not in json.loads(bench.shop.lock.read_text())


def test_a_lock_that_says_verified_is_verified_again(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = bench.add()
    bench.attest(archive)
    assert bench.lock() == 0
    # Somebody puts another attestation in its place, in the cache and in the lock.
    forged = json.dumps(bench.chain.attest(digest(archive), "https://github.com/mallory/tool"))
    data = f"{forged}\n".encode()
    sha256 = hashlib.sha256(data).hexdigest()
    (bench.shop.folder / "cache" / "evidence" / sha256).write_bytes(data)
    lock = json.loads(bench.shop.lock.read_text())
    for one in lock["archives"][0]["upstream"]:
        if one["kind"] == "attestation":
            one.update(sha256=sha256, size=len(data))
    bench.shop.lock.write_text(json.dumps(lock))
    assert bench.shop.sealift("build", "--output", bench.shop.folder / "bundle") == 3
    assert "the repository is " in capsys.readouterr().err
    assert not (bench.shop.folder / "bundle").exists()


def test_who_is_required_to_vouch(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    archive = bench.add()
    text = bench.shop.spec.read_text().replace("[upstream]", '[upstream]\ncheck = "require"')
    bench.shop.spec.write_text(text)
    assert bench.lock() == 5
    shown = capsys.readouterr().err
    assert "tool-1: checksum-file absent, release-digest absent, attestation absent" in shown
    assert not bench.shop.lock.exists()
    publish_all(bench, archive)
    assert bench.lock() == 0


def test_nobody_is_asked_if_the_spec_says_so(bench: Bench) -> None:
    publish_all(bench, bench.add())
    assert bench.lock() == 0
    text = bench.shop.spec.read_text().replace("[upstream]", '[upstream]\ncheck = "off"')
    bench.shop.spec.write_text(text)
    bench.server.requests.clear()
    bundle = bench.shop.build()
    assert bench.server.paths == []
    assert bench.results() == {}
    assert not (bundle / "evidence" / "upstream").exists()
    assert "trusted_root" not in json.loads(bench.shop.lock.read_text())


def test_addresses_that_the_spec_names(bench: Bench) -> None:
    archive = bench.shop.serve("tool-1.0.tar.gz", {"tool/data": b"1"})
    bench.serve(f"/own/{archive.name}", archive)
    bench.say("/own/sums.txt", f"SHA256 ({archive.name}) = {digest(archive)}\r\n".encode())
    bench.say("/own/bundle.json", bench.chain.attest(digest(archive), REPOSITORY))
    url = bench.server.url
    words = ["--url", f"{url}/own/{archive.name}", "--sha256", digest(archive), "--version", "1"]
    words += ["--name", "tool", "--checksums", f"{url}/own/sums.txt"]
    assert bench.shop.sealift("add", *words, "--attestation", f"{url}/own/bundle.json") == 0
    assert bench.lock() == 0
    assert bench.results() == {"checksum-file": "agrees", "attestation": "carried"}
    assert bench.upstream()["attestation"]["detail"] == "nobody says who must have signed"
    bench.write(f'[[upstream.publisher]]\nprefix = "{url}/own/"\nrepository = "{REPOSITORY}"\n')
    assert bench.lock() == 0
    assert bench.results() == {"checksum-file": "agrees", "attestation": "verified"}


def test_a_token_goes_to_its_host_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = bench.add()
    publish_all(bench, archive)
    monkeypatch.setenv("A_TOKEN", "very-secret")
    host = bench.server.url.removeprefix("http://")
    bench.write(f'[[network.host]]\nname = "{host}"\ntoken_env = "A_TOKEN"\n')
    (bench.shop.folder / "blobs").mkdir()
    with LoopbackServer(bench.shop.folder / "blobs") as other:
        bundle = bench.chain.attest(digest(archive), REPOSITORY)
        other.faults["/x"] = [Body(pack_snappy(json.dumps(bundle).encode()))]
        other.faults["/sums"] = [Body(digest(archive).encode())]
        entry = {"bundle": None, "bundle_url": f"{other.url}/x?sig=1"}
        path = f"{API}/attestations/sha256:{digest(archive)}"
        bench.say(path, {"attestations": [entry]})
        sums = f"/gh/acme/tool/releases/download/v1/{archive.name}.sha256"
        bench.server.faults[sums] = [Redirect(f"{other.url}/sums")]
        assert bench.lock() == 0
    assert bench.results() == {
        "checksum-file": "agrees",
        "release-digest": "agrees",
        "attestation": "verified",
    }
    asked = [one for one in bench.server.requests if one.path == path]
    assert [one.headers.get("authorization") for one in asked] == ["Bearer very-secret"]
    assert {one.path for one in other.requests} == {"/x?sig=1", "/sums"}
    assert all("authorization" not in one.headers for one in other.requests)


def test_the_cache_keeps_what_a_lock_names(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_all(bench, bench.add())
    assert bench.lock() == 0
    folder = bench.shop.folder / "cache" / "evidence"
    files = {path.name for path in folder.iterdir() if path.is_file()}
    assert len(files) == 4
    assert bench.shop.sealift("cache", "verify") == 0
    (folder / ("0" * 64)).write_bytes(b"old")
    assert bench.shop.sealift("cache", "verify") == 4
    assert "0" * 64 in capsys.readouterr().out
    assert bench.shop.sealift("cache", "prune") == 0
    assert {path.name for path in folder.iterdir() if path.is_file()} == files
    assert list((folder / "answers").iterdir()) == []
    bench.server.requests.clear()
    bench.shop.build("--offline")
    victim = folder / bench.upstream()["attestation"]["sha256"]
    victim.write_bytes(b"damaged")
    assert bench.shop.sealift("cache", "verify", "--remove") == 0
    assert not victim.exists()


def test_damaged_evidence_is_fetched_anew(bench: Bench) -> None:
    publish_all(bench, bench.add())
    one = bench.shop.build(name="one")
    victim = bench.shop.folder / "cache/evidence" / bench.upstream()["attestation"]["sha256"]
    victim.write_bytes(b"damaged")
    two = bench.shop.build(name="two")
    assert (one / "manifest.json").read_bytes() == (two / "manifest.json").read_bytes()


def test_a_difference_of_evidence_is_shown(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = bench.add()
    before = bench.shop.build(name="before")
    publish_all(bench, archive)
    assert bench.lock("--upgrade") == 0
    after = bench.shop.build(name="after")
    capsys.readouterr()
    assert bench.shop.sealift("diff", before, after) == 0
    shown = capsys.readouterr().out
    assert "* tool-1  agrees with tool-1.0.tar.gz.sha256" in shown
    assert "before: no list of digests" in shown
    assert bench.shop.sealift("diff", before, after, "--json") == 0
    pair = json.loads(capsys.readouterr().out)["evidence"][0]
    assert pair["name"] == "tool-1"
    assert [one["result"] for one in pair["to"]] == ["agrees", "agrees", "verified"]


def test_an_upgrade_that_nobody_vouches_for(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = bench.add()
    publish_all(bench, archive)
    before = bench.shop.build(name="before")
    text = bench.shop.spec.read_text()
    bench.add("tool2")
    newer = text.replace('name = "tool"\nversion = "1"', 'name = "tool"\nversion = "2"')
    newer = newer.replace("v1/tool-1.0", "v1/tool2-1.0").replace(
        digest(archive), digest(bench.shop.served / "tool2-1.0.tar.gz")
    )
    bench.shop.spec.write_text(newer)
    assert bench.lock() == 0
    capsys.readouterr()
    assert bench.shop.sealift("diff", before, bench.shop.site) == 0
    line = "! tool-2  not confirmed any more by its publisher: list of digests, digest by GitHub, "
    assert f"{line}attestation" in capsys.readouterr().out.splitlines()
    assert bench.shop.sealift("diff", before, bench.shop.site, "--json") == 0
    unconfirmed = json.loads(capsys.readouterr().out)["unconfirmed"]
    assert unconfirmed[0]["name"] == "tool-2"


def test_lists_beside_archives_of_this_machine(bench: Bench) -> None:
    archive = bench.shop.serve("local.tar.gz", {"local/data": b"1"})
    archive.with_name("local.tar.gz.sha256").write_text(f"{digest(archive)} *local.tar.gz\n")
    words = ["--url", archive.as_uri(), "--sha256", digest(archive), "--name", "local"]
    assert bench.shop.sealift("add", *words, "--version", "1") == 0
    bundle = bench.shop.build()
    assert bench.results() == {"checksum-file": "agrees"}
    assert bench.upstream()["checksum-file"]["source"] == "https://site.invalid/local.tar.gz.sha256"
    texts = b"".join(path.read_bytes() for path in bundle.rglob("*") if path.is_file())
    assert str(bench.shop.folder).encode() not in texts


def test_two_tools_of_the_same_bytes_have_the_same_evidence(bench: Bench) -> None:
    first = bench.add("tool")
    publish_all(bench, first)
    url = f"{RELEASES}v1/{first.name}"
    words = ["--url", url, "--sha256", digest(first), "--name", "twin", "--version", "1"]
    assert bench.shop.sealift("add", *words) == 0
    bench.shop.build()
    assert bench.upstream(0) == bench.upstream(1)
    assert len(bench.asked("/attestations/")) == 1


def provenance_of(bench: Bench, name: str, sha256: str) -> dict[str, Any]:
    """Return what an index says of a wheel by PEP 740."""
    from pypi_attestations import Attestation, AttestationType
    from sigstore.models import Bundle

    predicate = AttestationType.PYPI_PUBLISH_V1.value
    bundle = bench.chain.attest(sha256, REPOSITORY, predicate=predicate, name=name)
    attestation = Attestation.from_bundle(Bundle.from_json(json.dumps(bundle)))
    publisher = {"kind": "GitHub", "repository": "acme/tool", "workflow": "release.yml"}
    group = {"publisher": publisher, "attestations": [attestation.model_dump(mode="json")]}
    return {"version": 1, "attestation_bundles": [group]}


WHEEL = "tool-1.0-py3-none-any.whl"


@pytest.fixture
def packaged(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    wheel = bench.shop.served / WHEEL
    _make_wheel(wheel)
    bench.serve(f"/files/{WHEEL}", wheel)
    monkeypatch.setenv("PIP_INDEX_URL", f"{bench.server.url}/simple/")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    bench.publish_page = lambda **more: _publish_page(bench, wheel, more)  # type: ignore[attr-defined]
    assert bench.shop.sealift("add", "pypi:tool==1.0") == 0
    return bench


def _make_wheel(path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tool.py", "print('a tool')\n")
        archive.writestr("tool-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tool\n")
        archive.writestr("tool-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tool-1.0.dist-info/RECORD", "")


def _publish_page(bench: Bench, wheel: Path, more: dict[str, Any]) -> None:
    file = {"filename": WHEEL, "url": f"../../files/{WHEEL}", "hashes": {"sha256": digest(wheel)}}
    page = {"meta": {"api-version": "1.3"}, "name": "tool", "files": [{**file, **more}]}
    body = Body(json.dumps(page).encode(), "application/vnd.pypi.simple.v1+json")
    bench.server.faults["/simple/tool/"] = [body]


def test_the_provenance_that_the_index_names(packaged: Bench) -> None:
    wheel = packaged.shop.served / WHEEL
    packaged.publish_page(provenance=f"{packaged.server.url}/somewhere/provenance")  # type: ignore[attr-defined]
    packaged.say("/somewhere/provenance", provenance_of(packaged, WHEEL, digest(wheel)))
    bundle = packaged.shop.build()
    found = packaged.upstream()["pep740"]
    assert found["result"] == "verified"
    assert found["detail"] == f"signed by {WORKFLOW}"
    assert found["source"] == f"{packaged.server.url}/somewhere/provenance"
    carried = bundle / "evidence" / "upstream" / digest(wheel) / "provenance.json"
    assert digest(carried) == found["sha256"]
    packaged.server.requests.clear()
    packaged.shop.build("--offline", name="again")
    assert packaged.server.paths == []


def test_an_index_whose_page_does_not_speak_of_it(packaged: Bench) -> None:
    wheel = packaged.shop.served / WHEEL
    packaged.publish_page()  # type: ignore[attr-defined]
    path = f"/integrity/tool/1.0/{WHEEL}/provenance"
    packaged.say(path, provenance_of(packaged, WHEEL, digest(wheel)))
    assert packaged.lock() == 0
    assert packaged.results() == {"pep740": "verified"}
    assert packaged.asked("/integrity/") == [path]


def test_an_index_that_says_that_there_is_none(packaged: Bench) -> None:
    packaged.publish_page(provenance=None)  # type: ignore[attr-defined]
    assert packaged.lock() == 0
    assert packaged.results() == {"pep740": "absent"}
    assert packaged.asked("/integrity/") == []


NONSENSE = [
    ("https://[::1", "no host and port that can be read", "https://[::1"),
    ("http://127.0.0.1\uff0f@x/", "no host and port that can be read", "...x/"),
    ("mailto:x", "not on the web", "mailto:x"),
    ("https://", "no host", "https://"),
    ("https://user:secret@x/p?token=secret", "user or password", "...x/p"),
    ("https://[::1?secret@x", "no host and port that can be read", "..."),
    ("https://x/\x1b[2J", "control characters", r"https://x/\\x1b[2J"),
    (f"https://[{'x' * 9000}", "no host and port that can be read", f"https://[{'x' * 191}..."),
    (5, "no text", "5"),
]


@pytest.mark.parametrize(("address", "flaw", "shown"), NONSENSE)
def test_an_index_that_leads_to_no_address(
    packaged: Bench, capsys: pytest.CaptureFixture[str], address: object, flaw: str, shown: str
) -> None:
    packaged.publish_page(provenance=address)  # type: ignore[attr-defined]
    assert packaged.lock() == 0
    told = capsys.readouterr()
    line = f"provenance (PEP 740) unknown (the index names a wrong address ({flaw}): {shown})"
    assert line in told.out + told.err
    assert packaged.results() == {"pep740": "unreachable"}
    assert packaged.asked("/integrity/") == []
    assert "secret" not in packaged.shop.lock.read_text()
    # It is asked about again, and does not hold up what needs no provenance.
    packaged.publish_page(provenance=None)  # type: ignore[attr-defined]
    assert packaged.lock() == 0
    assert packaged.results() == {"pep740": "absent"}


def test_a_required_provenance_whose_address_is_nonsense(
    packaged: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    text = packaged.shop.spec.read_text().replace("[upstream]", '[upstream]\ncheck = "require"')
    packaged.shop.spec.write_text(text)
    packaged.publish_page(provenance="mailto:x")  # type: ignore[attr-defined]
    assert packaged.lock() == 5
    line = "tool-1.0-any: pep740 unreachable (the index names a wrong address (not on the web)"
    assert line in capsys.readouterr().err


@pytest.mark.parametrize("case", ["another file", "another publisher", "nonsense"])
def test_a_provenance_that_does_not_hold(
    packaged: Bench, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    wheel = packaged.shop.served / WHEEL
    packaged.publish_page(provenance=f"{packaged.server.url}/provenance")  # type: ignore[attr-defined]
    sha256 = "e" * 64 if case == "another file" else digest(wheel)
    said: Any = provenance_of(packaged, WHEEL, sha256)
    if case == "another publisher":
        said["attestation_bundles"][0]["publisher"]["repository"] = "mallory/tool"
    packaged.say("/provenance", b"[]" if case == "nonsense" else said)
    assert packaged.lock() == 3
    assert "tool-1.0-any: what its publisher is said to have signed" in capsys.readouterr().err
