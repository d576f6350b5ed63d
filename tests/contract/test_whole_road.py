"""From a loopback server to a running interpreter, with the real archives and the real commands."""

import json
import os
import shutil
import stat
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from loopback import LoopbackServer
from road import ARCHIVES, PROGRAMS, Site, Target, catalogue, needs_archives, run, sha256

pytestmark = [pytest.mark.archives, needs_archives]

CPYTHON_GZ = "cpython-3.11.2+20261122-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
CPYTHON_ZST = CPYTHON_GZ.replace(".tar.gz", ".tar.zst")
PYPY_BZ2 = "pypy3.9-v7.3.11-linux64.tar.bz2"
KEY = "cpython-3.11.2-linux-x86_64-gnu"
PYPY_KEY = "pypy-3.9.16-linux-x86_64-gnu"
# What stands in our tree and not in uv's, or otherwise, and why. Everything else is equal.
MISSED_BY_UV = {
    "lib/python3.11/config-3.11-x86_64-linux-gnu/Makefile": "uv leaves /install in it",
    "bin/python3.11-config": "uv leaves /install in it",
    "lib/pkgconfig/python-3.11.pc": "uv drops the newline at the end",
    "lib/pkgconfig/python-3.11-embed.pc": "uv drops the newline at the end",
    "lib/python3.11/_sysconfigdata__linux_x86_64-linux-gnu.py": "uv leaves /install inside words",
    "lib/python3.11/EXTERNALLY-MANAGED": "its text names the tool that manages the tree",
}


@dataclass(frozen=True)
class Road:
    site: Site
    bundle: Path
    url: str


def make_bundle(folder: Path, server: LoopbackServer, cpython: str, requests: list[str]) -> Road:
    archives = Path(ARCHIVES or "")
    for name in (cpython, PYPY_BZ2):
        served = server.directory / name
        if not served.exists():
            served.symlink_to(archives / name)
    quoted = cpython.replace("+", "%2B")
    (folder / "downloads.json").write_text(
        catalogue(
            {
                "cpython-3.11.2": (
                    f"{server.url}/{quoted}",
                    sha256(archives / cpython),
                    "20261122",
                ),
                "pypy-3.9.16": (f"{server.url}/{PYPY_BZ2}", sha256(archives / PYPY_BZ2), "7.3.11"),
            }
        )
    )
    site = Site(folder / "site", {"UV_PYTHON_DOWNLOADS_JSON_URL": str(folder / "downloads.json")})
    site.without_travelling_installer()
    for request in requests:
        site("add", request, "--platform", "linux-x86_64-gnu")
    bundle = folder / "bundle"
    site("build", "--output", bundle)
    return Road(site, bundle, server.url)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with LoopbackServer(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture(scope="session")
def road(tmp_path_factory, server):
    return make_bundle(
        tmp_path_factory.mktemp("road"), server, CPYTHON_GZ, ["cpython@3.11", "pypy@3.9"]
    )


@pytest.fixture(scope="session")
def pristine(tmp_path_factory, road):
    """Return a prefix from which no test runs anything, so that no bytecode is written."""
    target = Target(tmp_path_factory.mktemp("pristine") / "pr\u00e9fix", road.site)
    target("install", road.bundle)
    return target


@pytest.fixture(scope="session")
def installed(tmp_path_factory, road):
    target = Target(tmp_path_factory.mktemp("target") / "prefix", road.site)
    target("install", road.bundle, "--link")
    return target


@pytest.fixture(scope="session")
def installed_with_space(tmp_path_factory, road):
    target = Target(tmp_path_factory.mktemp("target") / "a prefix's $place", road.site)
    target("install", road.bundle, KEY)
    return target


@pytest.fixture(params=["plain", "spaced"])
def interpreter(request, installed, installed_with_space):
    target = installed if request.param == "plain" else installed_with_space
    return target.prefix / "installs" / KEY / "bin" / "python3.11"


def ask(interpreter: Path, code: str) -> str:
    return run(interpreter, "-I", "-B", "-c", code).stdout.strip()


@pytest.mark.parametrize("name", ["python3.11", "pypy3.9"])
def test_a_virtual_environment_is_made_through_the_name_in_bin(installed, tmp_path, name):
    pip = ["--without-pip"] if name == "pypy3.9" else []  # the assembled PyPy has no ensurepip
    run(installed.prefix / "bin" / name, "-m", "venv", *pip, tmp_path / "v")
    question = "import sys, os; print(os.path.realpath(sys.base_prefix))"
    key = KEY if name == "python3.11" else PYPY_KEY
    assert ask(tmp_path / "v/bin/python", question) == str(installed.prefix / "installs" / key)
    if not pip:
        run(tmp_path / "v/bin/pip", "--version")


def test_the_interpreter_runs_and_knows_where_it_is(interpreter):
    home = interpreter.parents[1]
    answer = ask(
        interpreter,
        "import sys, sysconfig, ssl, sqlite3, json;"
        "d = __import__(sysconfig._get_sysconfigdata_name()).build_time_vars;"
        "print(json.dumps([sys.prefix, sysconfig.get_path('include'), d['prefix'], d['LIBDIR']]))",
    )
    assert json.loads(answer) == [
        str(home),
        str(home / "include" / "python3.11"),
        str(home),
        str(home / "lib"),
    ]


def test_pypy_runs(installed):
    pypy = installed.prefix / "installs" / PYPY_KEY / "bin" / "pypy3.9"
    assert ask(pypy, "import sys; print(sys.implementation.name)") == "pypy"
    assert (installed.prefix / "bin" / "pypy3.9").exists()


def test_zstandard_archive_gives_the_same_tree(tmp_path, server, pristine):
    road = make_bundle(tmp_path, server, CPYTHON_ZST, ["cpython@3.11"])
    target = Target(tmp_path / "prefix", road.site)
    target("install", road.bundle)
    ours = tree(target.prefix / "installs" / KEY)
    other = tree(pristine.prefix / "installs" / KEY)
    assert ours.keys() == other.keys()
    differing = {path for path in ours if ours[path] != other[path]}
    assert differing <= MISSED_BY_UV.keys()  # the files that hold the prefix, which differs


def test_venv_and_a_local_wheel(interpreter, tmp_path):
    wheel = tmp_path / "hello-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("hello.py", "def main():\n    print('hello from a wheel')\n")
        archive.writestr(
            "hello-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n"
        )
        archive.writestr(
            "hello-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(
            "hello-1.0.dist-info/entry_points.txt", "[console_scripts]\nhello = hello:main\n"
        )
        archive.writestr("hello-1.0.dist-info/RECORD", "")
    run(interpreter, "-m", "venv", tmp_path / "venv", offline=True)
    pip = [tmp_path / "venv" / "bin" / "python", "-m", "pip", "--isolated"]
    run(*pip, "install", "--no-index", "--no-deps", wheel, offline=True)
    assert run(tmp_path / "venv" / "bin" / "hello").stdout == "hello from a wheel\n"


EXTENSION = r"""
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *args) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "extension", "", -1, methods};
PyMODINIT_FUNC PyInit_extension(void) { return PyModule_Create(&module); }
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_a_c_extension_builds_against_the_installed_headers(interpreter, tmp_path):
    run(interpreter, "-m", "venv", tmp_path / "venv", offline=True)
    python = tmp_path / "venv" / "bin" / "python"
    (tmp_path / "extension.c").write_text(EXTENSION)
    (tmp_path / "setup.py").write_text(
        "from setuptools import Extension, setup\n"
        "setup(name='extension', version='1', ext_modules=[Extension('extension', ['extension.c'])])\n"
    )
    run(python, "setup.py", "-q", "build_ext", "--inplace", cwd=tmp_path, offline=True)
    printed = run(python, "-c", "import extension; print(extension.answer())", cwd=tmp_path)
    assert printed.stdout == "42\n"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_an_embedding_program_builds_with_python_config(interpreter, tmp_path):
    (tmp_path / "embed.c").write_text(
        "#include <Python.h>\nint main(void){Py_Initialize();"
        'PyRun_SimpleString("import sys; print(sys.version_info[:2])");return Py_FinalizeEx();}'
    )
    config = interpreter.with_name("python3.11-config")
    script = (
        f'eval gcc embed.c -o embed $("{config}" --cflags --embed) $("{config}" --ldflags --embed)'
    )
    if " " in str(config):
        # The script prints flags unquoted by design; what it prints must still name the new place.
        printed = run(config, "--includes").stdout
        assert f"-I{interpreter.parents[1]}/include/python3.11" in printed
        return
    run("sh", "-ec", script, cwd=tmp_path)
    library = {"LD_LIBRARY_PATH": str(interpreter.parents[1] / "lib")}
    environment = {**library, "PYTHONHOME": str(interpreter.parents[1])}
    assert run(tmp_path / "embed", env=environment).stdout == "(3, 11)\n"


def tree(top: Path) -> dict[str, tuple[str, object]]:
    """Return path -> (kind and mode, bytes or target) for everything below `top`."""
    found: dict[str, tuple[str, object]] = {}
    for folder, folders, files in os.walk(top):
        for name in [*folders, *files]:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            relative = str(path.relative_to(top))
            if stat.S_ISLNK(mode):
                found[relative] = ("link", str(path.readlink()))
            elif stat.S_ISDIR(mode):
                found[relative] = (f"directory {mode & 0o7777:o}", None)
            else:
                found[relative] = (f"file {mode & 0o7777:o}", path.read_bytes())
    return found


def uv_environment(scratch: Path, installs: Path, bundle: Path) -> dict[str, str]:
    return {
        "HOME": str(scratch / "home"),
        "UV_PYTHON_INSTALL_DIR": str(installs),
        "UV_PYTHON_BIN_DIR": str(scratch / "bin"),
        "UV_CACHE_DIR": str(scratch / "uvcache"),
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_CACHE_DIR": str(bundle / "archives"),
        "UV_PYTHON_DOWNLOADS_JSON_URL": str(bundle / "python-downloads.json"),
    }


def uv(*words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return run(PROGRAMS / "uv", *words, env=env, offline=True)


def test_the_tree_equals_uvs_but_for_the_written_differences(tmp_path, road):
    target = Target(tmp_path / "prefix", road.site)
    target("install", road.bundle, KEY)
    installs = tmp_path / "prefix" / "installs"
    ours = tree(installs / KEY)
    installs.rename(tmp_path / "ours")
    uv(
        "python", "install", "--offline", "--no-bin", "3.11",
        env=uv_environment(tmp_path, installs, road.bundle),
    )  # fmt: skip
    uvs = tree(installs / KEY)
    assert sorted(ours.keys() ^ uvs.keys()) == []
    differing = {path for path in ours if ours[path] != uvs[path]}
    assert differing == MISSED_BY_UV.keys()


def test_the_sysconfig_data_differs_from_uvs_only_where_uv_leaves_the_old_prefix(tmp_path, road):
    target = Target(tmp_path / "prefix", road.site)
    target("install", road.bundle, KEY)
    installs = tmp_path / "prefix" / "installs"
    name = "lib/python3.11/_sysconfigdata__linux_x86_64-linux-gnu.py"
    ours = (installs / KEY / name).read_text().splitlines()
    installs.rename(tmp_path / "ours")
    uv(
        "python", "install", "--offline", "--no-bin", "3.11",
        env=uv_environment(tmp_path, installs, road.bundle),
    )  # fmt: skip
    uvs = (installs / KEY / name).read_text().splitlines()
    assert len(ours) == len(uvs)
    for our_line, uv_line in zip(ours, uvs, strict=True):
        assert (
            our_line
            == uv_line.replace("/install/", f"{installs / KEY}/").replace(
                "=/install'", f"={installs / KEY}'"
            )
            or our_line == uv_line
        )
    assert ours != uvs


def test_uv_finds_what_unseal_installed_and_leaves_it_as_sealed(tmp_path, road):
    target = Target(tmp_path / "prefix", road.site)
    target("install", road.bundle, KEY)
    installs = tmp_path / "prefix" / "installs"
    before = tree(installs / KEY)
    environment = uv_environment(tmp_path, installs, road.bundle)
    found = uv("python", "find", "--managed-python", "3.11", env=environment).stdout.strip()
    assert Path(found).resolve() == (installs / KEY / "bin" / "python3.11").resolve()
    uv("python", "install", "--offline", "--no-bin", "3.11", env=environment)
    after = tree(installs / KEY)
    managed = "lib/python3.11/EXTERNALLY-MANAGED"
    assert sorted(before.keys() ^ after.keys()) == []
    assert {path for path in before if before[path] != after[path]} <= {managed}


def test_what_is_started_leaves_no_trace(pristine, road):
    pristine("install", road.bundle, "--link")
    pristine("activate", PYPY_KEY)
    pristine("check", "--strict")
    assert not list((pristine.prefix / "installs").rglob("__pycache__"))
