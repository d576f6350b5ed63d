"""Bytecode that interpreters write when unseal starts them, whatever they are told."""

from pathlib import Path

import pytest

from sealift_installer.bytecode import unwritten
from sealift_installer.check import check
from sealift_installer.errors import HostError
from sealift_installer.host import current_platform
from sealift_installer.lifecycle import Change, activate
from target import FAKE_PYTHON, Target, content, python

KEY = f"pypy-3.11.13-{current_platform()}"
# PyPy compiles what it needs before it reads its options, -B among them.
WRITES = """#!/bin/sh
here=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd -P)
for folder in lib bin; do
    mkdir -p "$here/$folder/__pycache__"
    echo code >"$here/$folder/__pycache__/codecs.pypy311.pyc"
done
"""
SCRIPT = WRITES + FAKE_PYTHON.removeprefix("#!/bin/sh\n")


@pytest.fixture
def target(tmp_path: Path) -> Target:
    target = Target(tmp_path)
    archive = python("3.11.13", implementation="pypy", script=SCRIPT, name=KEY)
    target.carry(archive)
    target.trust()
    return target


def differences(target: Target) -> list[str]:
    tree = check(target.prefix.path, strict=True).trees[0]
    return [f"{each.what} {each.path}" for each in tree.drift]


def write(tree: Path) -> None:
    for folder in ("lib", "lib/encodings"):
        (tree / folder / "__pycache__").mkdir(parents=True, exist_ok=True)
        (tree / folder / "__pycache__" / "codecs.pyc").write_text("code")


@pytest.mark.parametrize("link", [False, True])
def test_an_installed_tree_has_no_bytecode_of_the_smoke_test(target: Target, link: bool):
    assert target.install(link=link).exit_code == 0
    assert differences(target) == []


def test_nor_of_what_is_asked_of_it_later(target: Target):
    target.install()
    target.install(link=True)
    activate(Change(target.prefix.path, KEY))
    assert not list(target.prefix.path.rglob("__pycache__"))


def test_what_others_wrote_stays(target: Target):
    target.install()
    cache = target.tree(KEY, "interpreter") / "lib/__pycache__"
    cache.mkdir()
    (cache / "os.pypy311.pyc").write_text("code")
    target.install(link=True)
    assert [path.name for path in cache.iterdir()] == ["os.pypy311.pyc"]
    assert len(list(target.prefix.path.rglob("__pycache__"))) == 1


def test_one_that_fails_leaves_none_either(tmp_path: Path):
    def fail() -> None:
        with unwritten(tmp_path, KEY):
            write(tmp_path)
            raise HostError("it does not start")

    with pytest.raises(HostError, match="it does not start"):
        fail()
    assert content(tmp_path) == {"lib": 0o755, "lib/encodings": 0o755}


def test_a_link_in_the_place_of_bytecode_is_not_followed(tmp_path: Path):
    tree, elsewhere = tmp_path / "tree", tmp_path / "elsewhere"
    write(tree)
    elsewhere.mkdir()
    with unwritten(tree, KEY):
        (tree / "lib/__pycache__/codecs.pyc").unlink()
        (tree / "lib/__pycache__").rmdir()
        (tree / "lib/__pycache__").symlink_to(elsewhere)
        (elsewhere / "mine").touch()
    assert (elsewhere / "mine").exists()


def test_a_folder_that_is_no_bytecode_stays(tmp_path: Path):
    with unwritten(tmp_path, KEY):
        write(tmp_path)
        (tmp_path / "lib/__pycache__/folder").mkdir()
    assert [path.name for path in (tmp_path / "lib/__pycache__").iterdir()] == ["folder"]


def test_a_tree_that_is_gone_is_said(tmp_path: Path):
    with (
        pytest.raises(HostError, match=f"cannot look for the bytecode of {KEY}: No such file"),
        unwritten(tmp_path / "none", KEY),
    ):
        pass
