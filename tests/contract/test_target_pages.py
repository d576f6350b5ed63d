"""Pages on what is done on a target, followed word for word where one bundle is installed."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from road import PROGRAMS, sha256
from workshop import TOOL_FILES, Workshop, digest

PAGES = Path(__file__).resolve().parents[2] / "docs" / "how-to"


def blocks(page):
    """Return the shell blocks of a page by the heading above them."""
    parts = re.split(r"^## ", (PAGES / page).read_text("utf-8"), flags=re.MULTILINE)[1:]
    found = {
        part.partition("\n")[0]: re.findall(r"^```sh\n(.*?)^```$", part, re.DOTALL | re.MULTILINE)
        for part in parts
    }
    return {heading: "".join(blocks) for heading, blocks in found.items() if blocks}


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
        script.write_text(f'#!/bin/sh\nexec {PROGRAMS}/unseal "$@" --prefix "$PREFIX"\n')
        script.chmod(0o755)
        self.variables = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "STICK": str(self.stick),
            "PREFIX": str(self.prefix),
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
def workshop(tmp_path):
    return Workshop(tmp_path).found()


@pytest.fixture
def host(workshop):
    workshop.add_tool()
    first = workshop.build()
    host = Host(workshop.folder)
    root = first / "trust/root/1.root.dsse.json"
    done = host.run(f"unseal trust import '{root}' --sha256 {sha256(root)}")
    assert done.returncode == 0, done.stderr
    assert host.run(f"unseal install --link '{first}'").returncode == 0
    first.rename(host.stick / "bundle")
    return host


def test_the_next_bundle(host):
    pages = blocks("install-the-next-bundle.md")
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


def test_check_and_repair(workshop, host):
    pages = blocks("check-and-repair.md")
    headings = ["Check", "Repair", "Go back", "Remove", "After the prefix was moved"]
    assert list(pages) == [*headings, "Before an install"]
    name = "tool-1.0-linux-x86_64-gnu"
    bundles = {"first": host.stick / "bundle"}

    def follow(heading, bundle="first"):
        text = pages[heading].replace("cpython-3.12.9-linux-x86_64-gnu", name)
        text = re.sub(r"\bBUNDLE\b", f"'{bundles[bundle]}'", re.sub(r"\bKEY\b", name, text))
        done = host.run(text.replace("--prefix NEW", ""))
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert follow("Check").count("as it was sealed") == 3
    program = host.prefix / "tools" / name / "bin" / "tool"
    sealed = program.read_bytes()
    program.write_bytes(b"changed")
    assert host.run("unseal check").returncode == 7
    assert "repaired" in follow("Repair")
    assert program.read_bytes() == sealed

    workshop.tool = workshop.serve("tool-1.0.tar.gz", {**TOOL_FILES, "tool-1.0/more": b"more"})
    spec = workshop.spec.read_text("utf-8")
    workshop.spec.write_text(re.sub('sha256 = ".*"', f'sha256 = "{digest(workshop.tool)}"', spec))
    bundles["second"] = workshop.build(name="second")
    assert "would replace another build" in follow("Before an install", "second")
    assert host.run(f"unseal install '{bundles['second']}'").returncode == 0
    assert "back from archive" in follow("Go back")

    moved = host.prefix.rename(host.folder / "NEW")
    host.variables["PREFIX"] = str(moved)
    assert "it was moved" in host.run("unseal check").stdout
    follow("After the prefix was moved")
    assert host.run("unseal check").returncode == 0
    assert (moved / "bin" / "tool").is_file()
    follow("Remove")
    assert not (moved / "tools" / name).exists()
    assert not (moved / "bin" / "tool").is_symlink()
