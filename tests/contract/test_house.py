"""The house rules of CONTRIBUTING.md that no linter knows."""

import ast
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from documents import at, places
from sealift_bundler.errors import NetworkError
from sealift_installer import errors
from sealift_schemas.resources import SCHEMAS, read_schema
from sealift_schemas.spec import Spec

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = ("schemas", "installer", "bundler")
# The rule for modules says about 300; past this it is no longer about.
MODULE_LINES = 350
FUNCTION_LINES = 40
BINARY = {".png", ".gif", ".jpg", ".svg", ".whl", ".gz", ".zip", ".7z", ".zst", ".bz2", ".xz"}


def tracked(pattern: str = "*") -> list[Path]:
    """Return the files of the checkout, as git knows them or else as they lie there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("this is no git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.match(pattern) and path.is_file()]


def texts() -> Iterator[tuple[Path, str]]:
    for path in tracked():
        if path.suffix not in BINARY:
            yield path.relative_to(ROOT), path.read_text(encoding="utf-8")


# Written in pieces, so that this file does not find itself.
NOWHERE = {
    "a host of a package registry": r"\bpypi\." + r"org|python" + r"hosted\.org",
    "a path of the machine it was written on": r"(?<![\w.}])/work" + r"/|/root" + r"/\.pyenv",
    "a promise": r"\bTO" + r"DO\b|\bFIX" + r"ME\b|\bX" + r"XX\b",
}


@pytest.mark.parametrize("what", NOWHERE)
def test_nowhere_stands(what: str) -> None:
    found = [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if re.search(NOWHERE[what], line)
    ]
    assert found == []


def test_text_files_are_tidy() -> None:
    untidy = [
        str(path)
        for path, text in texts()
        if text and (not text.endswith("\n") or "\r" in text or re.search(r"[ \t]\n", text))
    ]
    assert untidy == []


def modules() -> list[Path]:
    return [path for member in MEMBERS for path in sorted((ROOT / member / "src").rglob("*.py"))]


def test_modules_stay_short() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules()
    }
    assert {name: lines for name, lines in lengths.items() if lines > MODULE_LINES} == {}


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function without signature and docstring."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    last = body[-1].end_lineno if body else None
    return 0 if last is None else last - body[0].lineno + 1


def test_functions_stay_short() -> None:
    long = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = body_lines(node)
                if lines > FUNCTION_LINES:
                    long[f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"] = lines
    assert long == {}


def test_every_expected_error_is_matched() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in tracked("tests/**/*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "pytest.raises"
        and "match" not in {keyword.arg for keyword in node.keywords}
        and not _exits(node)
    ]
    assert bare == []


def _exits(call: ast.Call) -> bool:
    """Exit codes are compared by value: SystemExit has no message to match."""
    return bool(call.args) and ast.unparse(call.args[0]) in {"SystemExit", "typer.Exit"}


def test_only_the_commands_print_and_exit() -> None:
    """In sources; a page of cli/ or cli.py, report.py and progress.py are the commands' own."""
    loud = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules()
        if "cli" not in path.relative_to(ROOT).parts
        and path.name not in {"cli.py", "__main__.py", "report.py", "progress.py"}
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"print", "sys.exit", "exit"}
    ]
    assert loud == []


def test_the_exit_codes_are_documented() -> None:
    page = (ROOT / "docs/reference/exit-codes.md").read_text()
    rows = dict(re.findall(r"^\| (\d) \| `?(\w+)`? ", page, flags=re.MULTILINE))
    classes = [
        errors.SealiftError,
        errors.UsageError,
        errors.Untrusted,
        errors.Damaged,
        errors.RefusedByPolicy,
        errors.HostError,
        errors.Drift,
        NetworkError,
    ]
    expected = {str(each.exit_code): each.__name__ for each in classes[1:]}
    assert {code: name for code, name in rows.items() if code not in {"0", "1"}} == expected
    assert errors.SealiftError.exit_code == 1


PAGES = {
    "bundle-format.md": ("envelope", "manifest", "index", "root", "receipt", "head"),
    "build-type.md": ("provenance", "vsa"),
    "keys-and-roots.md": ("draft",),
    "spec-and-lock.md": ("spec", "lock"),
    "policy.md": ("policy",),
}


def test_each_schema_has_a_page() -> None:
    assert sorted(name for names in PAGES.values() for name in names) == sorted(SCHEMAS)


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_name_every_field(page: str) -> None:
    text = (ROOT / "docs/reference" / page).read_text()
    missing = {
        f"{name}: {field}"
        for name in PAGES[page]
        for field in properties(json.loads(read_schema(name)))
        if f"`{field}`" not in text and f"[{field}]" not in text
    }
    assert missing == set()


def test_the_example_of_the_spec_is_one() -> None:
    text = (ROOT / "docs/reference/spec-and-lock.md").read_text()
    example = re.search(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    assert example is not None
    spec = Spec.from_json(tomllib.loads(example[1]))
    assert (len(spec.python), len(spec.url), len(spec.package)) == (1, 1, 1)


def properties(schema: Any) -> set[str]:
    return {
        field
        for path in places(schema)
        if path and path[-1] == "properties"
        for field in at(schema, path)
    }


def links(path: Path) -> Iterator[str]:
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:|#", target):
            yield unquote(target.split("#")[0])


def test_the_links_between_the_documents_hold() -> None:
    pages = [path for path in tracked("*.md") if path.relative_to(ROOT).parts[0] != "LICENSE"]
    assert len(pages) > 10
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in links(page)
        if not (page.parent / target).exists()
    ]
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The headings of a page, as they are named in addresses."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def test_the_anchors_in_the_documents_hold() -> None:
    found = [
        (page, name, anchor)
        for page in tracked("*.md")
        for name, anchor in re.findall(r"\]\(([^)\s:#]*)#([^)\s]+)\)", page.read_text())
    ]
    assert len(found) > 20
    broken = [
        f"{page.relative_to(ROOT)}: {name}#{anchor}"
        for page, name, anchor in found
        if anchor not in anchors(page.parent / name if name else page)
    ]
    assert broken == []


def test_the_readme_has_every_page() -> None:
    readme = ROOT / "README.md"
    named = {(ROOT / target).resolve() for target in links(readme)}
    pages = set(tracked("docs/**/*.md")) - set((ROOT / "docs/adr").glob("*.md"))
    assert len(pages) > 10
    assert pages - named == set()


def test_decisions_are_numbered_and_dated() -> None:
    pages = sorted((ROOT / "docs/adr").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text()
        assert re.match(rf"# {int(page.name[:4])}\. .+\n\nDate: \d{{4}}-\d\d-\d\d\n", text), (
            page.name
        )
        for heading in ("## Status", "## Context", "## Decision", "## Consequences"):
            assert heading in text, f"{page.name} has no {heading}"


def test_the_members_have_one_version() -> None:
    versions = {
        tomllib.loads((ROOT / member / "pyproject.toml").read_text())["project"]["version"]
        for member in MEMBERS
    }
    assert len(versions) == 1
    for package in ("schemas", "installer", "bundler"):
        source = (ROOT / package / "src" / f"sealift_{package}" / "__init__.py").read_text()
        assert f'__version__ = "{next(iter(versions))}"' in source
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert f"## [{next(iter(versions))}]" in changelog or "## [Unreleased]" in changelog


def test_the_check_of_a_fresh_clone_runs_the_documented_command() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert script.rstrip().endswith("\nmake test")
    assert "make test" in (ROOT / "README.md").read_text()


def test_the_pins_that_travel_are_the_pins() -> None:
    travelling = ROOT / "bundler/src/sealift_bundler/pins/installer.txt"
    assert travelling.read_bytes() == (ROOT / "requirements/installer.txt").read_bytes()
