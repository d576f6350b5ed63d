"""One archive installed: `unseal install` against uv, tar and tarfile."""

import shutil
import sys
from pathlib import Path
from platform import python_version

from archives import big_archive
from delivered import deliver
from measure import ROUNDS, Case, measure, measure_memory, row
from page import how, uv_version

from road import PROGRAMS, Site, catalogue, run, sha256


def table(scratch: Path) -> str:
    """Build one bundle, measure, and return the part of the page."""
    archive = big_archive("cpython-*-install_only_stripped.tar.gz")
    bundle, site = build(scratch, archive)
    cases = make_cases(bundle, site, archive)
    measure(cases, scratch)
    measure_memory(cases, scratch)
    reference = next(case for case in cases if "uv" in case.name)
    name, size = archive.name.split("+")[0], archive.stat().st_size / 1e6
    return TEMPLATE.format(
        how=how(scratch, ROUNDS, uv_version(), python=deliver().version),
        archive=f"`{name}...tar.gz`, {size:.1f} MB",
        rows="\n".join(f"{row(case, reference)} {case.memory:.0f} |" for case in cases),
    )


def build(scratch: Path, archive: Path) -> tuple[Path, Site]:
    """Bundle the archive from a file:// address."""
    copy = scratch / archive.name
    shutil.copyfile(archive, copy)
    url = copy.as_uri().replace("+", "%2B")
    (scratch / "downloads.json").write_text(
        catalogue({"cpython-3.11.2": (url, sha256(copy), "20261122")})
    )
    site = Site(scratch / "site", {"UV_PYTHON_DOWNLOADS_JSON_URL": str(scratch / "downloads.json")})
    site.without_travelling_installer()
    site("add", "cpython@3.11", "--platform", "linux-x86_64-gnu")
    site("build", "--output", scratch / "bundle")
    return scratch / "bundle", site


def make_cases(bundle: Path, site: Site, archive: Path) -> list[Case]:
    """Return our command and its counterparts."""
    root, digest = site.root, sha256(site.root)

    def unseal(place: Path) -> tuple[list[str], dict[str, str]]:
        trust = [deliver().unseal, "trust", "import", root, "--sha256", digest]
        run(*trust, "--prefix", place / "prefix")
        words = [deliver().unseal, "install", bundle, "--quiet", "--prefix", place / "prefix"]
        return [str(word) for word in words], {}

    def uv(place: Path) -> tuple[list[str], dict[str, str]]:
        words = [PROGRAMS / "uv", "python", "install", "-q", "--offline", "--no-bin", "3.11"]
        return [str(word) for word in words], {
            "HOME": str(place / "home"),
            "UV_PYTHON_INSTALL_DIR": str(place / "managed"),
            "UV_CACHE_DIR": str(place / "uvcache"),
            "UV_NO_CONFIG": "1",
            "UV_PYTHON_CACHE_DIR": str(bundle / "archives"),
            "UV_PYTHON_DOWNLOADS_JSON_URL": str(bundle / "python-downloads.json"),
        }

    def tar(place: Path) -> tuple[list[str], dict[str, str]]:
        (place / "tree").mkdir()
        return ["tar", "-xzf", str(archive), "-C", str(place / "tree")], {}

    def tarfile(place: Path) -> tuple[list[str], dict[str, str]]:
        code = (
            "import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2], filter='data')"
        )
        return [sys.executable, "-c", code, str(archive), str(place / "tree")], {}

    cases = [Case("`unseal install`", unseal), Case("`uv python install`", uv)]
    if shutil.which("tar"):
        cases.append(Case("GNU `tar -xzf` (checks nothing)", tar))
    return [*cases, Case(f"`tarfile` of Python {python_version()} (checks nothing)", tarfile)]


TEMPLATE = """
## One archive

One CPython archive, {archive}. Times are whole commands, start-up included. `unseal install` \
verifies the signature, and every chunk before it is parsed, relocates, starts the interpreter \
once, syncs to disk and writes a receipt. uv compares one hash after it has unpacked, and does \
not sync. {how}

| command | median, s | range, s | CPU, s | wall, against uv | peak memory, MiB |
| --- | --- | --- | --- | --- | --- |
{rows}

Peak memory is the greatest sum of what a command's processes held at one moment (PSS), in a run \
that was not timed.
"""
