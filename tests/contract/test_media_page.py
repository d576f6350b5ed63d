"""The page on sticks: its commands word for word, and every field that they print as JSON."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from road import PROGRAMS
from workshop import Workshop, tree

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "write-a-usb-stick.md"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    workshop = Workshop(tmp_path_factory.mktemp("page")).found()
    workshop.add_tool()
    workshop.build()
    return workshop


def test_the_commands(shop, tmp_path):
    commands = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(commands) == 3
    stick = tmp_path / "a stick"
    stick.mkdir()
    done = subprocess.run(
        ["sh", "-euc", "".join(commands)],
        cwd=shop.site,
        env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "STICK": str(stick)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert tree(stick / "bundle") == tree(shop.folder / "bundle")
    assert done.stdout.count("  good\n") == 2


def names(value):
    if isinstance(value, dict):
        yield from value
    for inside in value.values() if isinstance(value, dict) else value:
        if isinstance(inside, dict | list):
            yield from names(inside)


def test_the_fields(shop, tmp_path, capsys):
    text = PAGE.read_text("utf-8").partition("## JSON")[2]
    rows = dict(re.findall(r"^\| (`media \w+`) \| (.*) \|$", text, re.MULTILINE))
    assert len(rows) == 2
    capsys.readouterr()
    assert shop.sealift("media", "write", shop.folder / "bundle", tmp_path, "--json") == 0
    written = json.loads(capsys.readouterr().out)
    (tmp_path / "bundle" / "README.txt").write_bytes(b"other")
    assert shop.sealift("media", "check", tmp_path, "--json") == 4
    checked = json.loads(capsys.readouterr().out)
    assert checked["bundles"][0]["faults"]
    shown = {*names(written), *names(checked)}
    assert {name for name in shown if f"`{name}`" not in text} == set()
    said = set(re.findall(r"`([a-z_]+)`", text))
    states = {"written", "resumed", "present", "good", "damaged", "refused", "unreadable"}
    assert said - shown - states == set()
