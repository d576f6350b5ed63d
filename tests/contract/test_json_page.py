"""The reference of unseal names every field that its commands print as JSON."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from road import PROGRAMS, sha256
from workshop import Workshop

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "unseal.md"
# What is said of a bundle wherever one is named.
BUNDLE = {"manifest", "stream", "epoch", "sequence", "root_version", "signers"}


def fields(command: str) -> set[str]:
    """Return the names in the row of a command, and in those that it refers to."""
    rows = re.findall(
        r"^\| (`.*?) \| (.*) \|$", PAGE.read_text("utf-8").partition("## JSON")[2], re.MULTILINE
    )
    (text,) = (text for names, text in rows if f"`{command}`" in names.split(", "))
    found = set(re.findall(r"`([a-z_0-9]+)`", text))
    if "the bundle" in text:
        found |= BUNDLE
    for other in re.findall(r"as (?:of )?`(trust show|check|install)`", text):
        found |= fields(other)
    return found


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """Return what each command prints on one target, by the words that name it."""
    folder = tmp_path_factory.mktemp("json")
    workshop = Workshop(folder).found()
    workshop.add_tool("--link", "tool=bin/tool")
    bundle = workshop.build()
    root = bundle / "trust/root/1.root.dsse.json"
    outputs = {}

    def unseal(name, *words, code=0):
        done = subprocess.run(
            [PROGRAMS / "unseal", *name.split(), *words, "--prefix", folder / "prefix", "--json"],
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == code, done.stderr
        outputs.setdefault(name, []).append(json.loads(done.stdout))
        return outputs[name][-1]

    unseal("trust import", root, "--sha256", sha256(root))
    unseal("verify", bundle)
    unseal("verify", bundle, "--signatures")
    unseal("inspect", bundle)
    unseal("preflight", bundle)
    name = unseal("install", bundle, "--link")["archives"][0]["name"]
    path = Path(unseal("list")["installed"][0]["path"])
    unseal("check")
    next(each for each in path.rglob("*") if each.is_file()).write_text("changed\n")
    unseal("check", code=7)
    unseal("repair", bundle)
    unseal("activate", name)
    unseal("receipts key new")
    unseal("receipts key show")
    unseal("receipts list")
    unseal("receipts verify")
    unseal("receipts export", folder / "export")
    unseal("report")
    unseal("trust show")
    unseal("uninstall", name)
    unseal("trust remove", "--reason", "the end of the test")
    return outputs


def test_every_field_is_named(said):
    missing = {}
    for command, values in said.items():
        seen = set().union(*values)
        for value in values:
            for inside in ("archives", "installed", "trees"):
                if isinstance(value.get(inside), list) and command != "inspect":
                    seen = seen.union(*value[inside])
        if seen - fields(command):
            missing[command] = seen - fields(command)
    assert missing == {}


def test_every_command_is_shown(said):
    page = PAGE.read_text("utf-8").partition("## JSON")[2]
    named = {
        name
        for names in re.findall(r"^\| (`.*?) \| ", page, re.MULTILINE)
        for name in re.findall(r"`([a-z ]+)`", names)
    }
    assert named - set(said) == {"rollback", "relocate"}  # in a row with activate and uninstall
