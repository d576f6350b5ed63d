"""docs/reference/commands.md has every command and option of both programs, as they are."""

import re
import subprocess
from pathlib import Path

import pytest

from commands_page import PAGE, SEE, VARIABLES, list_commands, write_page
from road import PROGRAMS

ROOT = Path(__file__).parents[2]
# Given to commands of a site that sign, and read by nobody here.
HANDED_ON = {"SEALIFT_KEYID", "SEALIFT_SCHEME"}
VARIABLE = re.compile(r'"((?:SEALIFT|UV|PKCS11|SOURCE|SSL)_[A-Z0-9_]+)"')
LEVELS = re.compile(r"SEALIFT_(DIGEST|UPSTREAM)_")


def test_the_page_is_that_of_the_parsers() -> None:
    written = write_page(list_commands())
    assert PAGE.read_text("utf-8") == written, "run `make commands`, and commit the page"


def test_every_command_has_a_page_that_names_it() -> None:
    names = [command.name for command in list_commands()]
    assert sorted(SEE) == sorted(names)
    silent = {
        name: page
        for name, page in SEE.items()
        if name not in (text := (PAGE.parent / page).read_text("utf-8"))
        and f"`{name.partition(' ')[2]}" not in text
    }
    assert silent == {}


def test_every_variable_is_there() -> None:
    sources = [
        path.read_text("utf-8")
        for member in ("schemas", "installer", "bundler")
        for path in (ROOT / member / "src").rglob("*.py")
    ]
    read = {name for text in sources for name in VARIABLE.findall(text) if not LEVELS.match(name)}
    assert read - HANDED_ON <= set(VARIABLES)
    ours = {name for name in VARIABLES if re.match("SEALIFT|UV", name)}
    assert ours <= read


@pytest.mark.parametrize("program", ["sealift", "unseal"])
def test_the_programs_say_the_same(program: str) -> None:
    """The page is written from inside; the programs are asked from outside."""
    names = [command.name.split() for command in list_commands()]
    groups = {words[1] for words in names if words[0] == program}
    said = subprocess.run(
        [PROGRAMS / program, "--help"], capture_output=True, encoding="utf-8", check=True
    )
    assert {word for word in groups if word not in said.stdout} == set()
