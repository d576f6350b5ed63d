"""The pages on getting archives, followed word for word in a small internet of their own.

Each section of "behind a proxy" and "from a mirror" starts from the same site: its tables are
appended to sealift.toml and its shell blocks run, in the order of the page.
"""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import town
from catalogs import document, entry
from certificates import Authority
from road import PROGRAMS
from workshop import DATA, PYTHON_FILES, Workshop, digest, pack, tree

PAGES = Path(__file__).resolve().parents[2] / "docs" / "how-to"
PBS = "https://github.com/astral-sh/python-build-standalone/releases/download/"
NAME = "cpython-3.13.3+20250529-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
NODE = "https://nodejs.org/dist/v22.0.0/node.tar.gz"
PLACE = f"/astral-sh/python-build-standalone/releases/download/20250529/{NAME}"
_BLOCK = re.compile(r"^( *)```(sh|toml)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


def namespaces_work():
    command = ["unshare", "-rnm", "sh", "-c", "ip link set lo up && mount --bind /tmp /srv"]
    if not all(shutil.which(word) for word in ("unshare", "ip", "mount")):
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(
    not namespaces_work(), reason="unshare -rnm with ip and mount does not work on this system"
)


@dataclass(frozen=True)
class Block:
    section: str
    kind: str
    text: str


def blocks(page):
    found, section = [], ""
    for part in re.split(r"^## ", (PAGES / page).read_text("utf-8"), flags=re.MULTILINE):
        section = part.partition("\n")[0]
        for indent, kind, text in _BLOCK.findall(part):
            lines = [line.removeprefix(indent) for line in text.splitlines()]
            found.append(Block(section, kind, "\n".join(lines) + "\n"))
    return found


class Walk:
    """A site in the town that wants a CPython and a tool, and what happens when it is walked."""

    def __init__(self, folder):
        self.folder = folder
        authority = Authority(folder / "authority")
        authority.issue("town", hosts=town.HOSTS)
        self.workshop = Workshop(folder).found()
        (folder / "srv/pbs/20250529").mkdir(parents=True)
        catalogue = folder / "served/downloads.json"
        sha256 = digest(self.workshop.python)
        catalogue.write_bytes(document(entry(sha256=sha256)))
        self.workshop.add_python()
        with self.workshop.spec.open("a") as spec:
            spec.write(
                f'[[url]]\nurl = "{NODE}"\nname = "node"\nversion = "22"\n'
                f'sha256 = "{digest(self.workshop.tool)}"\nprefix = "/opt/tool"\n'
            )
        certificates = self.workshop.site / "certificates"
        certificates.mkdir()
        shutil.copy(authority.ca, certificates / "ca.pem")
        client = authority.issue("client")
        # One file has both, and TLS takes from each what it needs.
        shutil.copy(client, certificates / "client.pem")
        shutil.copy(client, certificates / "client.key")

    def put(self, place, file):
        target = self.folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)

    def on_the_web(self):
        self.put(f"web/github.com{PLACE}", self.workshop.python)
        self.put("web/nodejs.org/dist/v22.0.0/node.tar.gz", self.workshop.tool)

    def __call__(self, *parts, ca=True):
        """Do what the page says; words of our own are given as text. Return the log's lines."""
        script = self.folder / "script.sh"
        lines = ["set -eu", f'cd "{self.workshop.site}"', "unset NETRC"]
        variables = {**self.workshop.environment, "HOME": str(self.folder / "home")}
        if ca:
            variables["SSL_CERT_FILE"] = str(self.folder / "authority/ca.pem")
        lines += [f'export {name}="{value}"' for name, value in variables.items()]
        for part in parts:
            if isinstance(part, Block) and part.kind == "toml":
                lines.append(f"cat >> sealift.toml <<'END'\n{part.text}END")
            else:
                lines.append(part.text if isinstance(part, Block) else part)
        script.write_text("\n".join(lines), "utf-8")
        clean = {
            "PATH": f"{PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            ["unshare", "-rnm", sys.executable, town.__file__, self.folder, script],
            env=clean,
            capture_output=True,
            text=True,
            check=False,
            timeout=840,
        )
        self.shown = done.stdout + done.stderr
        assert done.returncode == 0, self.shown
        log = self.folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def keeps(self, *secrets):
        """Check that nothing that was written or shown has a secret in it."""
        places = [self.folder / "cache", self.folder / "bundle", self.workshop.site]
        kept = b"".join(data for place in places for data in tree(place).values())
        for secret in secrets:
            assert secret.encode() not in kept
            assert secret not in self.shown


@pytest.fixture
def walk(tmp_path):
    return Walk(tmp_path)


def test_behind_a_proxy(walk):
    walk.on_the_web()
    page = blocks("behind-a-proxy.md")
    through, site, password = [block for block in page if block.section == "The proxy"]
    tunnels = {"proxy github.com:443", "proxy nodejs.org:443"}
    assert tunnels <= set(walk(through))
    assert f"github.com{PLACE}" not in walk.shown
    again = "rm -rf sealift.lock ../cache"
    # The site's own, with the authority that the page names.
    (authority, once) = [block for block in page if block.section == "An authority of your own"]
    both = Block("", "toml", site.text + authority.text.replace("[network]\n", ""))
    assert tunnels <= set(walk(again, both, "sealift lock", ca=False))
    # A proxy with a password, and without it.
    (walk.folder / "password").write_text("USER:PASSWORD")
    assert "the proxy answered 407" in (
        walk(again, "sealift lock 2>&1 || test $? = 8", ca=False) and walk.shown
    )
    assert tunnels <= set(walk(again, password, ca=False))
    assert tunnels <= set(walk(again, Block("", "sh", password.text + once.text), ca=False))
    # And without any network.
    (last,) = [block for block in page if block.section == "Without any network"]
    assert walk(last, ca=False) == []
    assert (walk.folder / "bundle/manifest.json").exists()
    walk.keeps("PASSWORD")


def test_credentials_for_a_host(walk):
    token, certificate = [
        block for block in blocks("behind-a-proxy.md") if block.section == "Credentials"
    ]
    mirror = "https://mirror.example.org/private/pbs/"
    other = "https://artifacts.example.org:8443/node/"
    walk.put("web/mirror.example.org/private/pbs/20250529/" + NAME, walk.workshop.python)
    walk.put("web/artifacts.example.org/node/v22.0.0/node.tar.gz", walk.workshop.tool)
    mirrors = Block(
        "",
        "toml",
        f'[[network.mirror]]\nprefix = "{PBS}"\nurls = ["{mirror}"]\n'
        f'[[network.mirror]]\nprefix = "https://nodejs.org/dist/"\nurls = ["{other}"]\n',
    )
    home = walk.folder / "home"
    home.mkdir()
    user, password = town.LOGIN.split(":")
    netrc = home / ".netrc"
    netrc.write_text(f"machine mirror.example.org login {user} password {password}\n")
    netrc.chmod(0o600)
    asked = f"mirror.example.org /private/pbs/20250529/{NAME} "
    assert asked + "Basic" in walk(mirrors, certificate, "sealift lock")
    netrc.unlink()
    given = f"export MIRROR_TOKEN={town.TOKEN}; sealift build --output ../bundle"
    log = walk("rm -rf sealift.lock ../cache", token, given)
    assert asked + "Bearer" in log
    assert "artifacts.example.org /node/v22.0.0/node.tar.gz none" in log
    walk.keeps(town.TOKEN, password)


def test_from_a_mirror(walk):
    page = blocks("from-a-mirror.md")
    web, folder = [block for block in page if block.kind == "sh"]
    site, _ = [block for block in page if block.kind == "toml"]
    node = "mirror.example.org /node/v22.0.0/node.tar.gz none"
    walk.put("web/mirror.example.org/pbs/20250529/" + NAME, walk.workshop.python)
    walk.put("web/mirror.example.org/node/v22.0.0/node.tar.gz", walk.workshop.tool)
    asked = f"mirror.example.org /pbs/20250529/{NAME} none"
    assert {asked, node} <= set(walk(site, web))
    # The folder, where names have a plain +; for the site it comes second.
    walk.put("srv/pbs/20250529/" + NAME, walk.workshop.python)
    again = "rm -rf sealift.lock ../cache"
    assert asked not in walk(again, folder)
    shutil.rmtree(walk.folder / "web/mirror.example.org/pbs")
    log = walk(again, "sealift build --output ../bundle-of-the-site")
    assert asked in log
    bundle = walk.folder / "bundle"
    assert tree(bundle).keys() == tree(walk.folder / "bundle-of-the-site").keys()
    downloads = json.loads((bundle / "python-downloads.json").read_text())
    assert [one["url"].startswith(PBS) for one in downloads.values()] == [True]
    assert b"mirror.example.org" not in walk.workshop.lock.read_bytes()
    # Other bytes end the command, whatever other place there is.
    walk.put(f"web/mirror.example.org/pbs/20250529/{NAME}", walk.workshop.tool)
    walk(again, "sealift build --output ../wrong || test $? = 4")
    assert not (walk.folder / "wrong").exists()


def test_several_platforms(walk):
    """Every word of the page, against a catalogue with all that it speaks of."""
    offers = []
    for minor in (11, 12, 13):
        for system, arch, libc in (
            ("linux", "x86_64", "gnu"),
            ("linux", "aarch64", "gnu"),
            ("linux", "aarch64", "musl"),
            ("darwin", "aarch64", "none"),
        ):
            path = walk.workshop.served / f"cpython-3.{minor}-{system}-{arch}-{libc}.tar.gz"
            path.write_bytes(
                pack(
                    {
                        name.replace("3.13", f"3.{minor}"): data.replace(
                            b"3.13", f"3.{minor}".encode()
                        )
                        + f"# {system} {arch} {libc}\n".encode()
                        for name, data in PYTHON_FILES.items()
                        if not name.endswith(DATA)
                    }
                )
            )
            url, sha256 = path.as_uri(), digest(path)
            of = {"arch": {"family": arch, "variant": None}, "os": system, "libc": libc}
            offers.append(entry(minor=minor, patch=3, **of, url=url, sha256=sha256))
    offers.append(entry(variant="freethreaded"))
    offers += [entry(name=name, minor=11) for name in ("pypy", "graalpy")]
    (walk.workshop.served / "downloads.json").write_bytes(document(*offers))
    spec = walk.workshop.spec
    spec.write_text(re.split(r"^\[\[", spec.read_text(), maxsplit=1, flags=re.MULTILINE)[0])
    walk(*blocks("several-platforms.md"))
    assert "cpython-3.13.3+freethreaded-linux-x86_64-gnu" in walk.shown
    assert "+ cpython-3.12.3-linux-aarch64-musl" in walk.shown
    names = [
        one["name"]
        for one in json.loads((walk.folder / "bundle/manifest.json").read_text())["predicate"][
            "archives"
        ]
    ]
    assert names == sorted(
        [
            f"cpython-3.{minor}.3-linux-{arch}-gnu"
            for minor in (11, 12, 13)
            for arch in ("aarch64", "x86_64")
        ]
        + ["cpython-3.13.3-macos-aarch64-none"]
    )
