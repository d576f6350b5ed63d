"""The interpreter that runs these tests, captured and started from a place with a space in it."""

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from sealift_bundler.cache import Cache
from sealift_bundler.sources import capture_check
from sealift_bundler.sources.capture_ask import ask
from sealift_bundler.sources.capture_layout import lay_out
from sealift_bundler.sources.installed import find_installed
from sealift_installer.errors import HostError, UsageError
from sealift_schemas.lock import LockedArchive
from sealift_schemas.spec import InstalledWanted

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="interpreters are captured on Linux"
)
QUESTIONS = """
import json, os, sys, sysconfig
print(json.dumps({
    "prefix": sys.prefix, "path": sys.path, "paths": sysconfig.get_paths(),
    "stdlib": os.path.dirname(os.__file__), "version": list(sys.version_info[:3]),
    "vars": {k: v for k, v in sysconfig.get_config_vars().items() if isinstance(v, str)},
}))
"""


@pytest.fixture(scope="module")
def captured(tmp_path_factory):
    """What was found, and the archive."""
    cache = Cache(tmp_path_factory.mktemp("cache"))
    # sys.executable is a virtual environment's; its base is what gets captured.
    found = find_installed(InstalledWanted(sys.executable), cache)
    path = cache.lookup(found.sha256, found.filename)
    assert path is not None
    assert list((cache.directory / "tmp").iterdir()) == []
    return found, path


@pytest.fixture(scope="module")
def tree(captured, tmp_path_factory):
    """The captured tree in another place, its sysconfig told where that is."""
    folder = tmp_path_factory.mktemp("another place")
    with tarfile.open(captured[1]) as archive:
        # Python 3.11.2 has no filters, and 3.14 has one that is not wanted here.
        archive.extraction_filter = lambda member, _path: member
        archive.extractall(folder)  # noqa: S202 - what was made here a moment ago
    root = folder / "python"
    for data in root.glob("lib*/python3*/_sysconfigdata_*.py"):
        if not data.is_symlink():
            text = data.read_text("utf-8").replace('"/install', f'"{root}')
            data.write_text(text, "utf-8")
    return root


def run(*command):
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_found_names_no_path_of_this_machine(captured):
    found, path = captured
    version = ".".join(map(str, sys.version_info[:3]))
    assert found.name.startswith(f"cpython-{version}")
    assert found.url == found.request == f"installed:{found.name}"
    assert found.size == path.stat().st_size
    assert (found.source, found.digest_source, found.recipe) == ("captured", "captured", "cpython")
    assert found.prefix == "/install"
    name = f"python3.{sys.version_info.minor}"
    assert found.links == {name: f"bin/{name}"}
    locked = found.locked(path.stat().st_size)
    assert LockedArchive.from_json(locked.to_json(), "archive") == locked


def test_the_archive_has_the_shape_of_a_managed_python(captured):
    with tarfile.open(captured[1]) as archive:
        members = archive.getmembers()
    names = [member.name for member in members]
    assert names == sorted(names)
    assert all(name.startswith("python/") for name in names)
    assert {member.type for member in members} <= {tarfile.REGTYPE, tarfile.SYMTYPE}
    assert {member.mode for member in members if member.isreg()} == {0o644, 0o755}
    assert {(member.uid, member.gid, member.uname) for member in members} == {(0, 0, "root")}
    assert {member.mtime for member in members} == {315532800}
    unwanted = [
        name
        for name in names
        if "__pycache__" in name or "/test/" in name or name.endswith((".pyc", ".a"))
    ]
    assert unwanted == []
    others = {name.split("-packages/")[1].split("/")[0] for name in names if "-packages/" in name}
    assert {other.split("-")[0] for other in others} <= {"pip"}


def test_the_same_interpreter_gives_the_same_bytes(captured, tmp_path, monkeypatch):
    checked = []
    name = "sealift_bundler.sources.installed.check_captured"
    monkeypatch.setattr(name, lambda path, layout: checked.append(path))
    # By its base this time, under another umask and into another cache.
    base = getattr(sys, "_base_executable", sys.executable)
    again = find_installed(InstalledWanted(base), Cache(tmp_path / "cache"))
    assert again == captured[0]
    assert len(checked) == 1


def test_it_runs_from_its_new_place_and_knows_it(captured, tree):
    told = json.loads(run(tree / "bin/python3", "-I", "-B", "-c", QUESTIONS))
    assert told["prefix"] == str(tree)
    assert told["version"] == list(sys.version_info[:3])
    strangers = [path for path in told["path"] if not Path(path).is_relative_to(tree)]
    assert strangers == []
    assert all(Path(path).is_relative_to(tree) for path in told["paths"].values())
    assert Path(told["vars"]["LIBDIR"]).is_relative_to(tree)
    assert Path(told["vars"]["LIBPL"]).is_dir()
    assert (Path(told["vars"]["INCLUDEPY"]) / "Python.h").is_file() or not _has_headers()
    facts = ask(sys.executable)
    if lay_out(facts).private:
        old = [name for name, value in told["vars"].items() if str(facts.prefix) in value]
        assert old == []


def _has_headers():
    return (ask(sys.executable).include / "Python.h").is_file()


@pytest.mark.parametrize("module", ["ssl", "sqlite3", "ctypes", "venv", "hashlib", "zlib"])
def test_modules_that_the_original_has_are_there(module, tree):
    base = getattr(sys, "_base_executable", sys.executable)
    tried = f"import importlib.util as u; print(u.find_spec('{module}') is not None)"
    if run(base, "-I", "-c", tried).strip() != "True":
        pytest.skip(f"the original has no {module}")
    # zlib is built into some interpreters, and has no file then.
    code = f"import {module}; print(getattr({module}, '__file__', 'built in'))"
    told = run(tree / "bin/python3", "-I", "-B", "-c", code).strip()
    assert Path(told).is_relative_to(tree) or (module, told) == ("zlib", "built in")


def test_virtual_environments_are_made(tree, tmp_path):
    run(tree / "bin/python3", "-I", "-m", "venv", "--without-pip", tmp_path / "an environment")
    told = run(tmp_path / "an environment/bin/python", "-c", "import sys; print(sys.base_prefix)")
    assert told.strip() == str(tree)


def test_a_copy_that_needs_its_old_place_is_refused(tmp_path):
    layout = lay_out(ask(sys.executable))
    script = b'#!/bin/sh\necho \'["/usr", "\'"$PWD"\'"]\'\n'
    member = tarfile.TarInfo(f"python/{layout.program}")
    member.size, member.mode = len(script), 0o755
    with tarfile.open(tmp_path / "copy.tar", "w") as archive:
        archive.addfile(member, io.BytesIO(script))
    with pytest.raises(HostError, match=r"still depends on /usr$"):
        capture_check.check_captured(tmp_path / "copy.tar", layout)


def test_a_copy_that_does_not_start_is_refused(tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho 'cannot find encodings' >&2\nexit 1\n")
    script.chmod(0o755)
    message = "does not start from another place: cannot find encodings"
    with pytest.raises(HostError, match=message):
        capture_check._start(script)


def test_a_path_without_a_program_is_told(tmp_path):
    with pytest.raises(UsageError, match=r"no interpreter to capture at .*/nothing"):
        ask(str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 3", "does not tell what it is: it printed nothing"),
        ("echo 'boom' >&2; exit 1", "does not tell what it is: boom"),
        ("echo '[]'", "does not tell what it is"),
    ],
)
def test_a_program_that_is_no_python_is_told(script, message, tmp_path):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(HostError, match=message):
        ask(str(program))


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"implementation": "pypy"}, "is pypy; only CPython is captured"),
        ({"system": "win32"}, "captured on Linux alone, not on win32"),
        ({"version": [3, 7, 1, "final", 0]}, r"is older than CPython 3\.8"),
        ({}, "does not name the interpreter that it is based on"),
    ],
)
def test_an_interpreter_that_cannot_be_captured_is_told(told, message, tmp_path):
    answers = {
        "base": True,
        "executable": "/python",
        "implementation": "cpython",
        "system": "linux",
        "version": [3, 13, 0, "final", 0],
    } | told
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\necho '{json.dumps(answers)}'\n")
    program.chmod(0o755)
    with pytest.raises(UsageError, match=message):
        ask(str(program))
