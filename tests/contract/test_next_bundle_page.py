"""The page on the next bundle, followed word for word, on a target that has installed one."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from road import PROGRAMS, sha256
from workshop import Workshop

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "install-the-next-bundle.md"


def blocks():
    """Return the shell blocks of the page by the heading above each."""
    parts = re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    found = {
        part.partition("\n")[0]: re.findall(r"^```sh\n(.*?)^```$", part, re.DOTALL | re.MULTILINE)
        for part in parts
    }
    return {heading: blocks[0] for heading, blocks in found.items() if blocks}


class Host:
    """A target whose `unseal` has a prefix of its own, and a stick in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prefix = folder / "prefix"
        self.stick = folder / "a stick"
        programs = folder / "programs"
        for place in (self.stick, programs):
            place.mkdir()
        script = programs / "unseal"
        script.write_text(f"#!/bin/sh\nexec {PROGRAMS}/unseal \"$@\" --prefix '{self.prefix}'\n")
        script.chmod(0o755)
        self.variables = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "STICK": str(self.stick),
            "HOME": str(folder),
        }

    def run(self, commands: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-euc", commands],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )


@pytest.fixture
def host(tmp_path):
    workshop = Workshop(tmp_path).found()
    workshop.add_tool()
    first = workshop.build()
    host = Host(tmp_path)
    root = first / "trust/root/1.root.dsse.json"
    done = host.run(f"unseal trust import '{root}' --sha256 {sha256(root)}")
    assert done.returncode == 0, done.stderr
    assert host.run(f"unseal install '{first}'").returncode == 0
    first.rename(host.stick / "bundle")
    return host


def test_the_page_is_followed(host):
    pages = blocks()
    assert list(pages) == ["Look", "Install", "Bring the receipts back", "A newer unseal"]
    looked = host.run(pages["Look"])
    assert looked.returncode == 0, looked.stderr
    assert "nothing was written" in looked.stdout
    installed = host.run(pages["Install"])
    assert installed.returncode == 0, installed.stderr
    assert "there already" in installed.stdout
    assert "as it was sealed" in installed.stdout
    exported = host.run(pages["Bring the receipts back"])
    assert exported.returncode == 0, exported.stderr
    assert len(list(host.stick.glob("*.receipts"))) == 1
    # Beside the bundle, which is as good as before; a second one of that name is refused.
    assert host.run('unseal verify "$STICK/bundle"').returncode == 0
    assert host.run(pages["Bring the receipts back"]).returncode == 2
