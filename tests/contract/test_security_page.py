"""SECURITY.md names a test for each attack, the test is there, and no attack is left unnamed."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(
    r"^\| (?P<attack>[^|]+) \| (?P<code>\d) \| \[`(?P<test>test_\w+)`\]\((?P<path>[^)]+)\)"
)
FILES = (
    "tests/installer/test_attacks.py",
    "tests/installer/test_attacks_on_evidence.py",
    "tests/contract/test_attacks_on_hosts.py",
)
# What these files test beside: not attacks, but what is done about them.
BESIDE = {
    "test_the_paths_are_those_of_the_readers",
    "test_what_is_in_force_is_shown",
    "test_a_root_of_the_host_is_removed_and_another_one_imported",
}
# The list that the project set out with, in the words of its plan.
ATTACKS = (
    *("stranger", "two are needed", "same key twice", "two ids", "root key signs", "builder key"),
    *("removed key", "gap", "fork", "one side|old keys alone", "another statement", "stream"),
    *("Rollback by one", "equal sequence", "Fast-forward", "expired manifest", "expired root"),
    *("1970", "2099", "withdrawn", "Swapped archives", "Swapped indexes", "added file"),
    *("removed file", "between verification and use", "Duplicate JSON", "NaN", "nesting"),
    *("100 MB", "UTF-8", "absolute paths", "subject is something else", "SHA256SUMS"),
    *("edited state", "deleted file", "older one", "consistent restore", "new prefix"),
)


def rows() -> list[re.Match[str]]:
    lines = (ROOT / "SECURITY.md").read_text().splitlines()
    return [match for line in lines if (match := ROW.match(line))]


def list_tests(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    return {node.name for node in functions if node.name.startswith("test_")}


def test_every_test_that_is_named_is_there() -> None:
    missing = [row["test"] for row in rows() if row["test"] not in list_tests(row["path"])]
    assert missing == []
    assert len({row["test"] for row in rows()}) == len(rows()) >= len(ATTACKS)


def test_every_attack_is_named() -> None:
    named = {row["test"] for row in rows()}
    unnamed = {name for path in FILES for name in list_tests(path)} - named - BESIDE
    assert unnamed == set()


def test_the_list_of_attacks_is_whole() -> None:
    said = [row["attack"] for row in rows()]
    assert [each for each in ATTACKS if not any(re.search(each, one) for one in said)] == []


def test_the_limit_of_a_host_is_said() -> None:
    page = (ROOT / "SECURITY.md").read_text()
    assert "cannot be seen by anything on that host" in page
    assert "`sealift receipts verify`" in page
