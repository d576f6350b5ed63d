"""The three fences between the members hold, and each is shown to break when it is violated."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from flit_core import wheel

from sealift_schemas.resources import SCHEMAS

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
MEMBERS = ("schemas", "installer", "bundler")
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())
FORBIDDEN = next(
    contract["forbidden_modules"]
    for contract in CONFIG["tool"]["importlinter"]["contracts"]
    if contract["type"] == "forbidden"
)


def run(
    *command: str | Path,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    text: str | None = None,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        input=text,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


# The first fence: import-linter's contracts, on a copy of the tree.


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for member in MEMBERS:
        shutil.copytree(
            ROOT / member / "src",
            tmp_path / member / "src",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    sources = os.pathsep.join(str(tree / member / "src") for member in MEMBERS)
    return run(
        BIN / "lint-imports",
        *("--no-cache", "--no-logo", "--config", tree / "pyproject.toml"),
        cwd=tree,
        env={**os.environ, "PYTHONPATH": sources, "NO_COLOR": "1", "COLUMNS": "200"},
    )


def test_the_contracts_are_kept(copied: Path) -> None:
    result = lint_imports(copied)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Contracts: 2 kept, 0 broken." in result.stdout


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        (
            "installer/src/sealift_installer/errors.py",
            "import requests",
            "sealift_installer.errors -> requests",
        ),
        (
            "installer/src/sealift_installer/errors.py",
            "import urllib.request",
            "sealift_installer.errors -> urllib",
        ),
        (
            "installer/src/sealift_installer/errors.py",
            "import sealift_bundler",
            "sealift_installer.errors -> sealift_bundler",
        ),
        (
            "schemas/src/sealift_schemas/keys.py",
            "import sealift_installer.errors",
            "sealift_schemas.keys -> sealift_installer.errors",
        ),
        (
            "schemas/src/sealift_schemas/keys.py",
            "import socket",
            "sealift_schemas.keys -> socket",
        ),
    ],
)
def test_a_wrong_import_breaks_a_contract(
    copied: Path, module: str, line: str, broken: str
) -> None:
    path = copied / module
    # Inside of a function too: where an import stands makes no difference to the arrow.
    path.write_text(path.read_text() + f"\n\ndef late() -> None:\n    {line}\n")
    result = lint_imports(copied)
    assert result.returncode == 1
    assert broken in result.stdout
    assert "1 broken." in result.stdout


# The second fence: ruff's banned-api, which speaks up in the editor.


def banned(member: str) -> dict[str, dict[str, str]]:
    config = tomllib.loads((ROOT / member / "ruff.toml").read_text())
    api: dict[str, dict[str, str]] = config["lint"]["flake8-tidy-imports"]["banned-api"]
    return api


def ruff(path: str, code: str) -> list[str]:
    result = run(
        BIN / "ruff",
        *("check", "--no-cache", "--output-format", "json", "--select", "TID251"),
        *("--stdin-filename", ROOT / path, "-"),
        text=code,
        cwd=ROOT,
    )
    return [found["message"] for found in json.loads(result.stdout)]


def test_the_fences_forbid_the_same() -> None:
    assert set(banned("installer")) == {*FORBIDDEN, "sealift_bundler"}
    assert set(banned("schemas")) == {*FORBIDDEN, "sealift_bundler", "sealift_installer"}


@pytest.mark.parametrize("member", ["schemas", "installer"])
def test_ruff_refuses_what_is_banned(member: str) -> None:
    modules = sorted(banned(member))
    code = "".join(f"def f{n}():\n    import {name}.x\n" for n, name in enumerate(modules))
    messages = ruff(f"{member}/src/sealift_{member}/errors.py", code)
    assert [re.sub(r"`([\w.]+?)(?:\.x)?`.*", r"\1", each) for each in messages] == modules
    assert ruff(f"{member}/src/sealift_{member}/errors.py", "import json\n") == []


def test_the_bundler_may() -> None:
    assert ruff("bundler/src/sealift_bundler/errors.py", "import requests\n") == []


# The third fence: the installer alone, without the bundler, without a network, watched.


def closure(*names: str) -> set[str]:
    """Return the distributions that `names` need here, themselves included."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = re.sub(r"[-_.]+", "-", pending.pop()).lower()
        if name in found or name.startswith("sealift"):
            continue
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # its marker does not hold here
        found.add(name)
        pending += [
            re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0]
            for text in requirements
            if "extra ==" not in text
        ]
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of the two trusted wheels, what they need, and pytest. Returns its Python."""
    home = tmp_path_factory.mktemp("alone")
    venv.create(home / "venv", with_pip=False)
    python = home / "venv" / "bin" / "python"
    site = next((home / "venv" / "lib").glob("python*/site-packages"))
    needed = importlib.metadata.requires("sealift-installer") or []
    names = [re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0] for text in needed]
    for name in closure(*names, "pytest", "pytest-timeout", "hypothesis"):
        files = importlib.metadata.files(name) or []
        for top in {file.parts[0] for file in files if file.parts[0] not in {"..", "__pycache__"}}:
            source = Path(str(importlib.metadata.distribution(name).locate_file(top)))
            if source.exists() and not (site / top).exists():
                (site / top).symlink_to(source)
    for member in ("schemas", "installer"):
        shutil.copytree(ROOT / member, home / member, ignore=shutil.ignore_patterns("__pycache__"))
        built = wheel.make_wheel_in(home / member / "pyproject.toml", home)
        with zipfile.ZipFile(built.file) as archive:
            archive.extractall(site)
    return python


def unshared() -> tuple[str, ...]:
    """Return the command that leads into an empty network namespace, or nothing."""
    for command in (("unshare", "--net", "--"), ("unshare", "--map-root-user", "--net", "--")):
        if shutil.which("unshare") is not None and run(*command, "true").returncode == 0:
            return command
    return ()


def pytest_alone(
    python: Path, *arguments: str | Path, cwd: Path
) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))
    }
    return run(
        *unshared(),
        *(python, "-B", "-m", "pytest", "-p", "no_network", "-p", "no:cacheprovider", "-q"),
        *arguments,
        cwd=cwd,
        env={**environment, "PYTHONPATH": str(ROOT / "tests")},
    )


def test_the_installer_stands_alone(alone: Path, tmp_path: Path) -> None:
    """Its modules load without the bundler, and none of them brings a network in."""
    code = (
        "import importlib, json, pkgutil, sys\n"
        "import sealift_installer, sealift_schemas\n"
        "for package in (sealift_schemas, sealift_installer):\n"
        "    for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not found.name.endswith('__main__'):\n"
        "            importlib.import_module(found.name)\n"
        "print(json.dumps([sealift_installer.__file__, sorted(sys.modules)]))\n"
    )
    result = run(alone, "-I", "-B", "-W", "error", "-c", code, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    file, modules = json.loads(result.stdout)
    assert Path(file).is_relative_to(alone.parents[1])
    assert "sealift_schemas.strictjson" in modules
    heavy = {"socket", "ssl", "urllib.request", "http.client", "requests", "typer", "jsonschema"}
    assert {*heavy, "sealift_bundler"} & set(modules) == set()


def test_the_wheels_carry_the_schemas(alone: Path, tmp_path: Path) -> None:
    code = (
        "from sealift_schemas.resources import SCHEMAS, read_schema\n"
        "print(sum(len(read_schema(name)) > 1000 for name in SCHEMAS))"
    )
    result = run(alone, "-I", "-B", "-c", code, cwd=tmp_path)
    assert result.stdout.strip() == str(len(SCHEMAS)), result.stderr


def test_the_record_sees_what_a_test_swallows(alone: Path, tmp_path: Path) -> None:
    tmp_path.joinpath("pytest.ini").write_text("[pytest]\n")
    test = tmp_path / "test_sly.py"
    test.write_text(
        "import contextlib, socket\n\n\n"
        "def test_sly():\n"
        "    with contextlib.suppress(OSError):\n"
        "        socket.create_connection(('127.0.0.1', 9), timeout=1)\n"
    )
    result = pytest_alone(alone, test, cwd=tmp_path)
    assert "1 passed" in result.stdout
    assert "socket.connect(('127.0.0.1', 9),)" in result.stdout
    assert result.returncode == 9
    test.write_text("def test_plain():\n    pass\n")
    result = pytest_alone(alone, test, cwd=tmp_path)
    assert "network events: 0" in result.stdout
    assert result.returncode == 0


# Most of two thousand tests, in one process, beside others that want the same cores.
@pytest.mark.timeout(3600)
def test_the_installers_tests_pass_alone_and_without_a_network(alone: Path) -> None:
    result = pytest_alone(
        alone,
        # What many examples and many points show, the run that this one repeats has shown.
        *("--hypothesis-profile", "few"),
        *("-k", "not (kill or flipped or full_disk or each_point or peak)"),
        *("-m", "not slow and not archives", "tests/schemas", "tests/installer"),
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
    assert "network events: 0" in result.stdout
