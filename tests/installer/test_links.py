"""Names in `bin/`: links, and wrappers for interpreters that a link would mislead."""

import subprocess
import sys
from pathlib import Path

import pytest

from sealift_installer.errors import HostError
from sealift_installer.install import InstallOptions, install
from sealift_installer.pointers import read_wrapper
from sealift_installer.smoke import needs_wrapper
from target import FAKE_PYTHON, Target, python

# It takes the directory of a link for its own, as CPython does by itself.
UNPATCHED = FAKE_PYTHON.replace(
    'readlink -f "$0"; exit;;',
    'echo "$0"; exit;; *base_prefix*) exit 1;;',
)
KEY = python().name


def carry(path: Path, script: str, prefix: str = "prefix") -> Target:
    target = Target(path, prefix)
    target.carry(python(script=script))
    target.trust()
    return target


@pytest.mark.parametrize("prefix", ["prefix", 'it\'s a $(prefix) \\ "é"'])
def test_an_interpreter_that_a_link_would_mislead_gets_a_wrapper(tmp_path, prefix):
    target = carry(tmp_path, UNPATCHED, prefix)
    report = target.install(link=True)
    wrapper = target.prefix.bin / "python3.13"
    minor = target.prefix.path / "installs" / KEY.replace("3.13.3", "3.13")
    assert report.outcomes[0].links == (str(wrapper),)
    assert not wrapper.is_symlink()
    assert wrapper.stat().st_mode & 0o777 == 0o755
    assert read_wrapper(wrapper) == minor / "bin/python3.13"
    run = [str(wrapper), "", "", "", "_base_executable"]
    said = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert said == f"{minor}/bin/python3.13\n"
    assert target.leftovers() == []


def test_one_that_a_link_serves_gets_a_link(tmp_path):
    target = carry(tmp_path, FAKE_PYTHON)
    target.install(link=True)
    assert (target.prefix.bin / "python3.13").is_symlink()


def test_a_wrapper_is_ours_and_replaced_like_a_link(tmp_path):
    target = carry(tmp_path, UNPATCHED)
    target.install(link=True)
    wrapper = target.prefix.bin / "python3.13"
    made = wrapper.lstat().st_ino
    assert target.install(link=True).outcomes[0].status == "present"
    assert wrapper.lstat().st_ino == made
    target.carry(python(script=FAKE_PYTHON))
    target.install(link=True)
    assert wrapper.is_symlink()
    target.carry(python(script=UNPATCHED))
    target.install(link=True)
    assert read_wrapper(wrapper) is not None


@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/sh\nexec '/usr/bin/python3' \"$@\"\n",
        "#!/bin/sh\nexec '{installs}/x'; rm -rf '{installs}' \"$@\"\n",
        "#!/bin/sh\nexec '{installs}/x' \"$@\"\necho more\n",
        '#!/bin/sh\nexec {installs}/x "$@"\n',
        "",
    ],
)
def test_a_script_of_somebody_else_is_left_alone(tmp_path, text):
    target = carry(tmp_path, UNPATCHED)
    name = target.prefix.bin / "python3.13"
    name.parent.mkdir()
    name.write_text(text.replace("{installs}", str(target.prefix.path / "installs")))
    with pytest.raises(HostError, match="it is no link into this prefix"):
        target.install(link=True)
    assert name.read_text() == text.replace("{installs}", str(target.prefix.path / "installs"))


def test_only_the_interpreter_is_wrapped(tmp_path):
    target = Target(tmp_path)
    archive = python(script=UNPATCHED)
    links = {"python3.13": "bin/python", "where": "lib/prefix"}
    target.carry(python(script=UNPATCHED, links=links))
    target.trust()
    target.install(link=True)
    assert read_wrapper(target.prefix.bin / "python3.13") is not None
    assert (target.prefix.bin / "where").is_symlink()
    assert archive.interpreter == "bin/python3.13"


def test_a_real_interpreter_is_tried(tmp_path):
    """The one that runs the tests is at home in its own tree, whatever the answer is."""
    base = Path(sys._base_executable)  # type: ignore[attr-defined]
    scratch = tmp_path / "scratch"
    assert isinstance(needs_wrapper(base, Path(sys.base_prefix), KEY, scratch), bool)
    assert not scratch.exists()


@pytest.mark.parametrize("script", [FAKE_PYTHON, UNPATCHED])
def test_a_prefix_may_be_reached_in_two_ways(tmp_path, script):
    target = carry(tmp_path, script)
    alias = tmp_path / "alias"
    alias.symlink_to(target.prefix.path)
    target.install(link=True)
    report = install(target.site.path, InstallOptions(alias, link=True))
    assert report.exit_code == 0
    name = target.prefix.bin / "python3.13"
    there = name.readlink() if name.is_symlink() else read_wrapper(name)
    assert there is not None
    assert alias in there.parents
    assert target.install(link=True).exit_code == 0
