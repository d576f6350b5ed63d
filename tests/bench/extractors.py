"""What unpacks archives: ours and its counterparts, each as a command for a fresh directory."""

import json
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from platform import python_version

from delivered import deliver
from measure import Case

from road import PROGRAMS, Site, run, sha256

Command = Callable[[Path], tuple[list[str], dict[str, str]]]
PLATFORM = "linux-x86_64-gnu"
_VERSIONS = {"cpython": (3, 11, 2), "pypy": (3, 9, 16)}
_TARFILE = """
import sys, tarfile
for name in sys.argv[2:]:
    tarfile.open(name).extractall(sys.argv[1], filter="data")
"""
_PBS = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from pbs_installer import install_file
for number, name in enumerate(sys.argv[3:]):
    install_file(name, Path(sys.argv[2], str(number)), original_filename=Path(name).name)
"""


@dataclass(frozen=True)
class Bundled:
    """A bundle, the site that made it, its archives, and how uv finds them: catalogue and keys."""

    site: Site
    bundle: Path
    archives: tuple[Path, ...]
    catalogue: Path
    keys: tuple[str, ...]


def bundle(folder: Path, archives: Sequence[Path]) -> Bundled:
    """Bundle an interpreter from its file:// address; of several the same bytes make tools.

    An interpreter is asked for its version before it is published; uv does not ask, so that there
    the several are different patch versions.
    """
    folder.mkdir()
    downloads, tools = {}, ""
    for place, archive in enumerate(archives):
        name = "pypy" if archive.name.startswith("pypy") else "cpython"
        major, minor, patch = _VERSIONS[name]
        patch += place
        url, digest = archive.as_uri().replace("+", "%2B"), sha256(archive)
        downloads[f"{name}-{major}.{minor}.{patch}-{PLATFORM}"] = {
            "name": name, "arch": {"family": "x86_64", "variant": None}, "os": "linux",
            "libc": "gnu", "major": major, "minor": minor, "patch": patch, "prerelease": "",
            "url": url, "sha256": digest, "variant": None, "build": "20261122",
        }  # fmt: skip
        tools += (
            f'\n[[url]]\nurl = "{url}"\nsha256 = "{digest}"\nname = "python{place}"\n'
            f'version = "{major}.{minor}"\nplatform = "{PLATFORM}"\nprefix = "/install"\n'
        )
    catalogue = folder / "downloads.json"
    catalogue.write_text(json.dumps(downloads))
    site = Site(folder / "site", {"UV_PYTHON_DOWNLOADS_JSON_URL": str(catalogue)})
    site.without_travelling_installer()
    if len(archives) > 1:
        spec = site.path / "sealift.toml"
        spec.write_text(spec.read_text("utf-8") + tools, "utf-8")
    else:
        site("add", *downloads, "--platform", PLATFORM)
    site("build", "--output", folder / "bundle")
    return Bundled(site, folder / "bundle", tuple(archives), catalogue, tuple(downloads))


def make_cases(bundled: Bundled, scratch: Path) -> list[Case]:
    """Return our command and every counterpart that is here and reads the archives."""
    names = [archive.name for archive in bundled.archives]
    plain = all(".tar." in name for name in names)
    cases = [Case("`unseal install`", _unseal(bundled))]
    if all(name.endswith((".tar.gz", ".tar.zst")) for name in names):
        cases.append(Case("`uv python install`", _uv(bundled)))
    if plain and shutil.which("tar"):
        cases.append(Case("GNU `tar` (checks nothing)", _each("tar -xf", bundled)))
    if shutil.which("bsdtar"):
        cases.append(Case("`bsdtar` (checks nothing)", _each("bsdtar -xf", bundled)))
    library = pbs_installer(scratch) if plain and "pypy" not in names[0] else None
    if library is not None:
        cases.append(
            Case(
                f"`pbs-installer`, Python {python_version()}", _python(_PBS, bundled, str(library))
            )
        )
    if all(name.endswith((".tar.gz", ".tar.bz2", ".tar.xz")) for name in names):
        cases.append(
            Case(
                f"`tarfile` of Python {python_version()} (checks nothing)",
                _python(_TARFILE, bundled),
            )
        )
    return cases


def pbs_installer(scratch: Path) -> Path | None:
    """Return a folder with the library pbs-installer, or None where it cannot be had."""
    folder = scratch / "pbs-installer"
    if not folder.exists():
        words = [PROGRAMS / "uv", "pip", "install", "--quiet", "--target", folder]
        run(*words, "pbs-installer[install]", check=False)
    return folder if (folder / "pbs_installer").is_dir() else None


def _unseal(bundled: Bundled) -> Command:
    root, digest = bundled.site.root, sha256(bundled.site.root)

    def command(place: Path) -> tuple[list[str], dict[str, str]]:
        prefix = ["--prefix", place / "prefix"]
        run(deliver().unseal, "trust", "import", root, "--sha256", digest, *prefix)
        words = [deliver().unseal, "install", bundled.bundle, "--quiet", *prefix]
        return [str(word) for word in words], {}

    return command


def _uv(bundled: Bundled) -> Command:
    def command(place: Path) -> tuple[list[str], dict[str, str]]:
        words = [PROGRAMS / "uv", "python", "install", "-q", "--offline", "--no-bin", *bundled.keys]
        return [str(word) for word in words], {
            "HOME": str(place / "home"),
            "UV_PYTHON_INSTALL_DIR": str(place / "managed"),
            "UV_CACHE_DIR": str(place / "uvcache"),
            "UV_NO_CONFIG": "1",
            "UV_PYTHON_CACHE_DIR": str(bundled.bundle / "archives"),
            "UV_PYTHON_DOWNLOADS_JSON_URL": str(bundled.catalogue),
        }

    return command


def _each(program: str, bundled: Bundled) -> Command:
    """Return a command that unpacks every archive by a process of its own, all at once."""

    def command(place: Path) -> tuple[list[str], dict[str, str]]:
        started = []
        for number, archive in enumerate(bundled.archives):
            folder = place / str(number)
            folder.mkdir()
            started.append(f"{program} {shlex.quote(str(archive))} -C {shlex.quote(str(folder))}")
        if len(started) == 1:
            return shlex.split(started[0]), {}
        return ["sh", "-c", " & ".join(started) + " & wait"], {}

    return command


def _python(code: str, bundled: Bundled, *arguments: str) -> Command:
    files = [str(archive) for archive in bundled.archives]

    def command(place: Path) -> tuple[list[str], dict[str, str]]:
        folder = tempfile.mkdtemp(dir=place)
        return [sys.executable, "-c", code, *arguments, folder, *files], {}

    return command
