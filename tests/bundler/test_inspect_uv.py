"""Real uv is the oracle: what it leaves of an archive is what our index leaves, but for a list.

The list is docs/reference/differences-from-uv.md.
"""

import ast
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from sealift_bundler.inspect import inspect_archive
from sealift_bundler.inspection_scan import scan_archive
from sealift_bundler.relocation import Rewrite, relocate
from sealift_bundler.relocation.sysconfig import HEADER, normal_value, read_variables
from sealift_installer.relocation import render
from sealift_schemas.lock import LockedArchive

NAME = "cpython-3.11.2+20261122-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
KEY = "cpython-3.11.2-linux-x86_64-gnu"
BUILD = "20261122"
URL = (
    "https://github.com/astral-sh/python-build-standalone/releases/download/"
    f"{BUILD}/{NAME.replace('+', '%2B')}"
)
UV = Path(sys.executable).parent / "uv"
LIB = "lib/python3.11"
SYSCONFIG = f"{LIB}/_sysconfigdata__linux_x86_64-linux-gnu.py"
MAKEFILE = f"{LIB}/config-3.11-x86_64-linux-gnu/Makefile"
NOTICE = f"{LIB}/EXTERNALLY-MANAGED"
PLACES = ["plain", "a b'c\"d$e#f"]
PKGCONFIG = {"lib/pkgconfig/python-3.11.pc", "lib/pkgconfig/python-3.11-embed.pc"}


@pytest.fixture(scope="module")
def archive():
    folder = os.environ.get("SEALIFT_TEST_ARCHIVES")
    if folder is None:
        pytest.skip("SEALIFT_TEST_ARCHIVES names no folder with the big archives")
    if not UV.exists():
        pytest.skip("needs uv beside the interpreter that runs the tests")
    return Path(folder) / NAME


@pytest.fixture(scope="module")
def locked(archive):
    return LockedArchive(
        name=KEY,
        kind="interpreter",
        source="python",
        request="3.11",
        version="3.11.2",
        platform="linux-x86_64-gnu",
        url=URL,
        filename=NAME.replace("+", "-"),
        format="tar.gz",
        sha256=hashlib.sha256(archive.read_bytes()).hexdigest(),
        size=archive.stat().st_size,
        digest_source="catalog",
        recipe="cpython",
        prefix="/install",
        build=BUILD,
    )


@pytest.fixture(scope="module")
def inspection(locked, archive):
    return inspect_archive(locked, archive)


@pytest.fixture(scope="module", params=PLACES)
def installed(request, tmp_path_factory, locked, archive):
    return Uv(tmp_path_factory.mktemp("uv"), request.param, locked, archive)


class Uv:
    """What `uv python install` leaves, from a bundle-like cache and list of downloads."""

    def __init__(self, folder, name, locked, archive):
        self.folder = folder
        self.root = folder / name
        self.tree = self.root / KEY
        cache = folder / "cache"
        cache.mkdir()
        (cache / f"{locked.sha256[:9]}-{locked.filename}").symlink_to(archive)
        entry = {
            "name": "cpython",
            "arch": {"family": "x86_64", "variant": None},
            "os": "linux",
            "libc": "gnu",
            "major": 3,
            "minor": 11,
            "patch": 2,
            "prerelease": "",
            "url": URL,
            "sha256": locked.sha256,
            "variant": None,
            "build": BUILD,
        }
        (folder / "downloads.json").write_text(json.dumps({KEY: entry}))
        self.install()

    def install(self):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "UV_PYTHON_INSTALL_DIR": str(self.root),
            "UV_PYTHON_CACHE_DIR": str(self.folder / "cache"),
            "UV_PYTHON_DOWNLOADS_JSON_URL": str(self.folder / "downloads.json"),
            "UV_CACHE_DIR": str(self.folder / "uvcache"),
            "UV_NO_CONFIG": "1",
        }
        command = [UV, "python", "install", "--offline", "--no-bin", "-q", "3.11.2"]
        subprocess.run(command, env=environment, check=True)

    def files(self):
        paths = (path for path in self.tree.rglob("*") if path.is_symlink() or path.is_file())
        return {str(path.relative_to(self.tree)): path for path in paths}


def ours(inspection, entry, prefix):
    return render(inspection.templates[entry.template.sha256], entry.template.places, str(prefix))


@pytest.mark.archives
def test_the_tree_is_that_of_uv_but_for_the_listed_files(installed, inspection):
    theirs = installed.files()
    entries = {entry.path: entry for entry in inspection.entries if entry.type != "directory"}
    assert set(theirs) == set(entries)
    differing = set()
    for path, entry in entries.items():
        if entry.type == "link":
            assert str(theirs[path].readlink()) == entry.link_target, path
            continue
        data = theirs[path].read_bytes()
        assert bool(theirs[path].stat().st_mode & 0o100) == (entry.mode == "755"), path
        if entry.template is not None:
            same = data == ours(inspection, entry, installed.tree)
        else:
            same = hashlib.sha256(data).hexdigest() == entry.sha256
        differing |= set() if same else {path}
    listed = {"bin/python3.11-config", NOTICE, SYSCONFIG, MAKEFILE, *PKGCONFIG}
    assert differing == listed


def test_the_differences_are_written_down():
    document = Path(__file__).parents[2] / "docs/reference/differences-from-uv.md"
    text = document.read_text()
    for path in (SYSCONFIG, MAKEFILE, NOTICE, "bin/python3.11-config", "lib/pkgconfig/x.pc"):
        rows = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
        assert any(fnmatchcase(path.replace("3.11", "3.X"), row) for row in rows), path


@pytest.mark.archives
def test_each_difference_is_the_listed_one(installed, inspection):
    entries = {entry.path: entry for entry in inspection.entries}
    prefix = str(installed.tree)
    differing = {}
    mine = read_variables(ours(inspection, entries[SYSCONFIG], prefix))
    uvs = read_variables((installed.tree / SYSCONFIG).read_bytes())
    assert mine.keys() == uvs.keys()
    differing = {name for name in mine if mine[name] != uvs[name]}
    # Words that uv does not see, and lists of paths where a path needs escaping.
    lists = set() if shlex.quote(prefix) == prefix else {"DESTDIRS", "INCLDIRSTOMAKE"}
    assert differing == {"CONFIG_ARGS"} | lists
    assert shlex.split(mine["CONFIG_ARGS"])[0] == f"--prefix={prefix}"
    for name in lists:
        assert {word[: len(prefix)] for word in shlex.split(mine[name])} == {prefix}
    for path in PKGCONFIG:
        data = (installed.tree / path).read_bytes()
        assert ours(inspection, entries[path], prefix) == data + b"\n"
    for path in (MAKEFILE, "bin/python3.11-config"):
        assert b"/install" in re.sub(
            rb"/usr/bin/install", b"", (installed.tree / path).read_bytes()
        )


@pytest.mark.archives
@pytest.mark.parametrize("place", PLACES)
def test_uv_finds_nothing_left_to_do(place, tmp_path, locked, archive, inspection):
    installed = Uv(tmp_path, place, locked, archive)
    entries = {entry.path: entry for entry in inspection.entries}
    written = {}
    for path, entry in entries.items():
        if entry.template is not None:
            written[path] = ours(inspection, entry, installed.tree)
            (installed.tree / path).write_bytes(written[path])
    installed.install()
    after = {path: (installed.tree / path).read_bytes() for path in written}
    assert {path for path in written if after[path] != written[path]} == {NOTICE}


@pytest.mark.archives
def test_every_file_that_names_the_prefix_is_accounted_for(locked, archive, inspection):
    members = scan_archive(locked, archive)
    naming = {member.name for member in members if member.names_prefix}
    assert len(naming) == 24
    entries = {entry.member: entry for entry in inspection.entries}
    rewritten = {name for name in naming if entries[name].template is not None}
    assert len(rewritten) == 5
    reasons = {entries[name].kept for name in naming - rewritten}
    assert not any(reason is None or reason.startswith("unknown") for reason in reasons)


def test_the_variables_of_this_interpreter_survive_an_awkward_prefix():
    name = sysconfig._get_sysconfigdata_name()
    path = Path(sysconfig.get_path("stdlib")) / f"{name}.py"
    old = sys.base_prefix
    if not path.is_file() or old in {"/usr", "/usr/local"}:
        pytest.skip("needs an interpreter with a prefix of its own")
    before = read_variables(path.read_bytes())
    assert before is not None
    prefix = "/opt/a b'c\"d#e/key"
    result = relocate("cpython", f"{LIB}/{name}.py", path.read_bytes(), old)
    assert isinstance(result, Rewrite)
    text = render(result.template, result.places, prefix).decode()
    assert not re.search(rf"(?<![\w.]){re.escape(old)}(?![\w.-])", text)
    after = ast.literal_eval(text.removeprefix(f"{HEADER}build_time_vars = "))
    for variable, value in before.items():
        if not isinstance(value, str) or variable == "CONFIG_ARGS" or "./" in value:
            continue
        cleaned = normal_value(variable, value)
        if cleaned.startswith(old) and len(cleaned.split()) == 1:
            assert after[variable] == cleaned.replace(old, prefix)
        elif old in cleaned:
            words = [word.replace(old, prefix) for word in shlex.split(cleaned)]
            assert shlex.split(after[variable]) == words, variable
