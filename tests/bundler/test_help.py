"""What `sealift COMMAND --help` shows on a terminal of 80 columns."""

import re

import pytest

from commands_page import list_sealift
from sealift_bundler.cli.main import run

COMMANDS = {tuple(command.name.split()[1:]): command for command in list_sealift()}
GROUPS = sorted({words[:1] for words in COMMANDS if len(words) > 1} | {()})
# As typer shows what a value is in Python.
TYPE = re.compile(r"<\w+(?:\[\w+\])?>")


@pytest.fixture(autouse=True)
def _terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "TERMINAL_WIDTH"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("words", [*GROUPS, *sorted(COMMANDS)], ids=" ".join)
def test_help_names_no_type_of_python(words, capsys):
    assert run([*words, "--help"]) == 0
    shown = capsys.readouterr().out
    assert TYPE.findall(shown) == []
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("words", sorted(COMMANDS), ids=" ".join)
def test_help_shows_every_argument_and_option(words, capsys):
    assert run([*words, "-h"]) == 0
    shown = capsys.readouterr().out
    written = [row.written for row in (*COMMANDS[words].arguments, *COMMANDS[words].options)]
    names = [name for row in written for name in re.findall(r"--?[a-z-]+|[A-Z]{2,}", row)]
    assert [name for name in names if name not in shown] == []
