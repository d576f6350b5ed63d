"""The pages on signing, followed word for word: each machine is a folder, the stick another."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from road import PROGRAMS, run, sha256
from sealift_bundler.cli.main import app
from sealift_bundler.roots import newest_root
from sealift_bundler.specfile import read_spec
from workshop import TOOL_FILES, digest, pack

PAGES = Path(__file__).resolve().parents[2] / "docs" / "how-to"
MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
NAMES = (
    "several-signers",
    "sign-on-another-machine",
    "rotate-a-key",
    "sign-with-a-token",
    "sign-with-your-own-service",
)
SOFTHSM_OPTIONS = (
    *("--init-token", "--free", "--label", "--so-pin", "--pin"),
    *("--module", "--token-label", "--login", "--keypairgen", "--key-type", "--id"),
)
# Nobody types passphrases here, and unseal's wheels come from an index.
QUIETLY = """\
sealift() {
    case "$1 $2" in
    "key new") command sealift "$@" --no-passphrase ;;
    "init "*) command sealift "$@" && printf '[installer]\\npythons = []\\n' >>"$2/sealift.toml" ;;
    *) command sealift "$@" ;;
    esac
}
set -e
"""
_PART = re.compile(r"^On (?P<machine>[A-Z][a-z]+'s|the [a-z]+'s|the other) machine|```sh\n(?P<block>.*?)^```$", re.DOTALL | re.MULTILINE)  # fmt: skip


class Machines:
    """The folders of a page's machines, and what its blocks do there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stick = folder / "stick"
        self.stick.mkdir(exist_ok=True)
        tool = folder / "tool-1.0.tar.gz"
        tool.write_bytes(pack(TOOL_FILES))
        self.environment = {
            **os.environ,
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
            "SEALIFT_CACHE_DIR": str(folder / "cache"),
            "STICK": str(self.stick),
            "TOOL": tool.as_uri(),
            "TOOL_SHA256": digest(tool),
            "MODULE": str(MODULE),
        }
        self._state: dict[str, Path] = {}

    def place(self, name: str) -> Path:
        """Return the folder of a machine."""
        path = self.folder / name
        path.mkdir(exist_ok=True)
        return path

    def follow(self, page: str) -> str:
        """Run the blocks of a page in their order; return what they printed."""
        machine, printed = "here", ""
        for part in _PART.finditer((PAGES / page).read_text("utf-8")):
            if part["machine"]:
                machine = part["machine"].removesuffix("'s").split()[-1].lower()
            else:
                printed += self.run(machine, part["block"])
        return printed

    def run(self, machine: str, block: str) -> str:
        """Run a block where the last one on this machine ended, with its variables."""
        state = self.place(machine).parent / f"{machine}.state"
        start = state.read_text() if state.exists() else f"cd '{self.place(machine)}'\n"
        script = f"{QUIETLY}{start}\n{block}\n{{ printf 'cd '; pwd; set; }} >'{state}.new'"
        done = subprocess.run(
            ["sh", "-c", script],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            pytest.fail(f"{machine}:\n{block}\n{done.stdout}\n{done.stderr}")
        lines = Path(f"{state}.new").read_text().splitlines()
        kept = [f"cd '{lines[0].removeprefix('cd ')}'"]
        kept += [line for line in lines[1:] if re.match(r"(RELEASE|ROOT|SERVICE)=", line)]
        state.write_text("\n".join(kept) + "\n")
        return done.stdout + done.stderr


def accepted(bundle: Path, root: Path, prefix: Path) -> dict[str, object]:
    """Return what unseal says of a bundle, on a target that trusts `root`."""
    words = ["--prefix", str(prefix)]
    if not prefix.exists():
        run(PROGRAMS / "unseal", "trust", "import", root, "--sha256", sha256(root), *words)
    said = run(PROGRAMS / "unseal", "verify", bundle, "--json", *words).stdout
    return dict(json.loads(said))


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Alice, Bob and Carol, once the page on several signers was followed."""
    machines = Machines(tmp_path_factory.mktemp("people"))
    return machines, machines.follow("several-signers.md")


def test_several_signers(people, tmp_path):
    machines, printed = people
    assert "needs 2 of the root keys of version 1: 1 missing" in printed
    assert "it counts for nothing yet" in printed
    root = machines.folder / "alice" / "site" / "root" / "1.root.dsse.json"
    assert sha256(root) in printed
    accepted(machines.stick / "bundle", root, tmp_path / "prefix")


def test_rotating_a_key(people, tmp_path):
    """A target that trusts version 1 alone follows to version 3, and refuses what came before."""
    machines, _ = people
    site = machines.folder / "alice" / "site"
    first = site / "root" / "1.root.dsse.json"
    prefix = tmp_path / "prefix"
    accepted(machines.stick / "bundle", first, prefix)
    run(PROGRAMS / "unseal", "install", machines.stick / "bundle", "--prefix", prefix)
    printed = machines.follow("rotate-a-key.md")
    assert "stream site: epoch 1 -> 2" in printed
    newest = newest_root(site / "root").root
    assert (newest.version, newest.streams["site"].epoch) == (3, 2)
    assert read_spec(site / "sealift.toml").keys == ("keys/alice.key.pem",)
    run(PROGRAMS / "unseal", "install", machines.stick / "bundle-3", "--prefix", prefix)
    old = machines.stick / "bundle"
    done = run(PROGRAMS / "unseal", "install", old, "--prefix", prefix, check=False)
    # Alice's signature alone still counts; Bob's old key is gone.
    assert done.returncode == 3
    assert "Expected: 2 distinct keys\n  Computed: 1" in done.stderr


def test_signing_on_another_machine(tmp_path):
    machines = Machines(tmp_path)
    other = machines.place("other")
    machines.run("other", "sealift key new release\nsealift key new second\n")
    site = machines.place("site")
    make = """\
sealift init site
mkdir site/keys
cp "$STICK"/*.pub.pem site/keys
sealift key new root
mv keys/* site/keys
(cd site && sealift root init --key root --key release=release --key release=second --threshold release=2)
(cd site && sealift add --url "$TOOL" --sha256 "$TOOL_SHA256" --name tool --version 1.0)
"""
    for path in (other / "keys").glob("*.pub.pem"):
        shutil.copy(path, machines.stick)
    machines.run("site", make)
    printed = machines.follow("sign-on-another-machine.md")
    assert "NOT VERIFIED" in printed or "unsigned" in printed
    signatures = sorted(path.name for path in (other / "signatures").iterdir())
    assert len(signatures) == 2
    root = site / "site" / "root" / "1.root.dsse.json"
    accepted(machines.stick / "bundle", root, tmp_path / "prefix")
    run(PROGRAMS / "sealift", "seal", machines.stick / "bundle", "--root", root, cwd=tmp_path)


@pytest.mark.skipif(
    not MODULE.exists() or shutil.which("pkcs11-tool") is None,
    reason="SoftHSM2 or pkcs11-tool is not installed",
)
def test_signing_with_a_token(tmp_path):
    pytest.importorskip("pkcs11", reason="python-pkcs11 (the extra hsm) is not installed")
    machines = Machines(tmp_path)
    (tmp_path / "tokens").mkdir()
    configuration = tmp_path / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\n")
    machines.environment["SOFTHSM2_CONF"] = str(configuration)
    machines.follow("sign-with-a-token.md")
    here = tmp_path / "here"
    root = here / "site" / "root" / "1.root.dsse.json"
    accepted(here / "bundle", root, tmp_path / "prefix")
    assert len(list((here / "signatures").iterdir())) == 2
    shown = run(PROGRAMS / "sealift", "root", "show", cwd=here / "site").stdout
    assert "(release)" in shown


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_signing_with_a_service(tmp_path):
    machines = Machines(tmp_path)
    machines.follow("sign-with-your-own-service.md")
    here = tmp_path / "here"
    root = here / "site" / "root" / "1.root.dsse.json"
    accepted(here / "bundle", root, tmp_path / "prefix")
    (reference,) = read_spec(here / "site" / "sealift.toml").keys
    assert reference.startswith("exec:public=keys/service.pub.pem timeout=30 ")


def test_the_pages_name_options_that_there_are():
    """Each long option of the pages and of the reference is one of a command."""
    known = {"--strict", "--quiet", *SOFTHSM_OPTIONS}
    waiting = [get_command(app)]
    while waiting:
        command = waiting.pop()
        waiting += getattr(command, "commands", {}).values()
        known |= {option for parameter in command.params for option in parameter.opts}
    pages = [PAGES / f"{name}.md" for name in NAMES]
    pages.append(PAGES.parent / "reference" / "keys-and-roots.md")
    said = {word for page in pages for word in re.findall(r"--[a-z][a-z0-9-]+", page.read_text())}
    assert said - known == set()
