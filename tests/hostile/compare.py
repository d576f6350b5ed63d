"""Runs other extractors over the hostile archives and writes down what each makes of them.

    python tests/hostile/compare.py docs/reference/hostile-archives.md

Each archive is unpacked in a directory of its own, with limits of time, memory and file size.
Run it where nothing is lost if one of them is broken: in a container.
"""

import os
import posixpath
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hostile.cases import CASES
from hostile.generator import Case, Kind, Tree
from memory_source import MemorySource, unpack
from sealift_installer.errors import Damaged

SECONDS = 10
MEMORY = 4 << 30
FILE_SIZE = 64 << 20
ABSOLUTE = Path("/nonexistent-sealift")
KINDS: dict[Kind, str] = {
    "accept": "ordinary: to be read",
    "odd": "odd, and of one meaning: to be read",
    "rejected": "broken, ambiguous, or of a kind that is not supported: to be refused",
    "malicious": "made to do harm, or to deceive: to be refused",
}
REFUSED, NOTHING = "refused", "-"
HEAD = """\
# Hostile archives

What `unseal` and other extractors make of the {count} archives that `tests/hostile` writes. Each \
archive has one exact outcome that a test compares: a tree, or a refusal in words that are the \
same for every format. This page is written by `make compare`, which also runs the other tools; \
do not edit it.

The classes:

{classes}

What the outcomes mean: *same tree* is the tree that `unseal` writes; *other tree* is another one, \
without an error; *read* is a tree from an archive that `unseal` refuses; *refused, leaving N* is \
an error with N files, links and directories written before. *Outside* means written outside of \
the target, *link out* a link that leads out of it, *special file* a device, FIFO or socket; *-* that the tool does not \
read the format.

Refusing is not always better: what is one tool's ambiguity is another's feature, and GNU tar and \
bsdtar restore backups, devices included. A bundle needs neither.

## The tools

{tools}

## In numbers

{numbers}

## Where they differ

The archives that some tool takes otherwise than `unseal`. On the other {agreed} all those that \
read the format agree.

{differences}
"""


@dataclass(frozen=True)
class Tool:
    """An extractor: the formats it is given, and the command that unpacks a file to a folder."""

    name: str
    version: str
    formats: frozenset[str]
    command: Callable[[Path, Path], Sequence[str]]
    note: str


UV_NOTE = (
    "as it unpacks a source distribution, in its own cache; the tree is not compared, and what it "
    "leaves behind is not counted. It reads neither bzip2 nor xz"
)
TARS = frozenset({"tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst"})


def find_tools() -> tuple[list[Tool], list[str]]:
    """Return the tools that are here, and why others are not."""
    wanted = (
        ("uv", TARS - {"tar.bz2", "tar.xz"} | {"zip"}, _uv,
         UV_NOTE),
        ("tar", TARS, lambda file, root: ("tar", "-xf", str(file), "-C", str(root)),
         "`tar -xf`"),
        ("bsdtar", TARS | {"zip", "7z"},
         lambda file, root: ("bsdtar", "-xf", str(file), "-C", str(root)), "`bsdtar -xf`"),
    )  # fmt: skip
    tools, missing = [], []
    for name, formats, command, note in wanted:
        if shutil.which(name, path=_path()) is None:
            missing.append(f"- {name} is not on this machine, so it was left out.")
            continue
        shown = subprocess.run(
            [name, "--version"], env={"PATH": _path()}, capture_output=True, text=True, check=True
        )
        version = shown.stdout.splitlines()[0]
        tools.append(Tool(name, version, frozenset(formats), command, note))
    return tools, missing


def _path() -> str:
    return f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"


def _uv(file: Path, root: Path) -> Sequence[str]:
    options = ("--offline", "--no-deps", "--no-index", "--no-config", "--no-progress")
    places = ("--cache-dir", str(root), "--target", str(root.parent / "packages"))
    return ("uv", "pip", "install", *options, *places, "--python", sys.executable, str(file))


def main() -> None:
    """Write the page."""
    tools, missing = find_tools()
    rows: list[tuple[Case, list[str]]] = []
    for case in CASES:
        cells = [_ours(case), *(_outcome(tool, case) for tool in tools)]
        rows.append((case, cells))
    names = ["unseal", *(tool.name for tool in tools)]
    differing = [row for row in rows if not _agree(row[1])]
    page = HEAD.format(
        count=len(CASES),
        classes="\n".join(
            f"- `{kind}`, {sum(case.kind == kind for case in CASES)} archives: {meaning}."
            for kind, meaning in KINDS.items()
        ),
        tools="\n".join(
            [*(f"- {tool.name}: {tool.version}; {tool.note}" for tool in tools), *missing]
        ),
        numbers=_numbers(names, rows),
        agreed=len(rows) - len(differing),
        differences=_table(
            ["archive", "class", *names],
            [[f"`{case.name}`", case.kind, *cells] for case, cells in differing],
        ),
    )
    Path(sys.argv[1]).write_text(page, encoding="utf-8")


def _agree(cells: Sequence[str]) -> bool:
    """Tell whether all tools refuse and leave nothing, or all of them read."""
    others = {cell for cell in cells if cell != NOTHING}
    return others == {REFUSED} or ("same tree" in others and others <= {"same tree", "read"})


def _numbers(names: Sequence[str], rows: Sequence[tuple[Case, list[str]]]) -> str:
    lines = []
    for kind in KINDS:
        for place, name in enumerate(names):
            count = Counter(
                cells[place].replace(f", leaving {_left(cells[place])}", ", leaving something")
                for case, cells in rows
                if case.kind == kind and cells[place] != NOTHING
            )
            shown = ", ".join(
                f"{number} {what.replace(', ', ' + ')}" for what, number in count.most_common()
            )
            lines.append([f"`{kind}`", name, str(sum(count.values())), shown])
    return _table(["class", "tool", "archives", "outcomes"], lines)


def _left(cell: str) -> str:
    return cell.partition("leaving ")[2].split(",")[0]


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _ours(case: Case) -> str:
    with tempfile.TemporaryDirectory() as folder:
        try:
            unpack(case.format, MemorySource(case.data), Path(folder) / "root")
        except Damaged:
            return REFUSED  # an install removes its staging directory
        return "same tree"


def _outcome(tool: Tool, case: Case) -> str:
    if case.format not in tool.formats:
        return NOTHING
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    root = folder / "a" / "root"
    root.mkdir(parents=True)
    (folder / "outside").mkdir()
    file = folder / f"sample.{case.format}"
    file.write_bytes(case.data)
    try:
        return _judge(tool, case, file, root)
    finally:
        # Trees of any depth, which shutil would not reach the end of.
        subprocess.run(["rm", "-rf", str(folder), str(ABSOLUTE)], check=True)


def _judge(tool: Tool, case: Case, file: Path, root: Path) -> str:
    folder = root.parents[1]
    try:
        done = subprocess.run(
            tool.command(file, root), env={"PATH": _path(), "LC_ALL": "C.UTF-8", "HOME": str(folder)},
            capture_output=True, timeout=SECONDS, check=False, preexec_fn=_limit,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "no end within 10 s"
    message = done.stderr.decode(errors="replace")
    refused = done.returncode != 0
    if tool.name == "uv":
        refused = "Failed to extract" in message and "top-level of the archive" not in message
    found = _find(root) if tool.name != "uv" else {}
    harm = _harm(folder, root, found)
    if refused:
        left = f", leaving {len(found)}" if found else ""
        return f"{REFUSED}{left}{harm}"
    if case.refused is not None or tool.name == "uv":
        return f"read{harm}"
    return f"{'same' if _same(found, case.tree) else 'other'} tree{harm}"


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _harm(folder: Path, root: Path, found: Mapping[str, tuple[str, str]]) -> str:
    beside = {path.name for path in folder.iterdir()} - {"a", "outside", "packages"}
    strangers = {name for name in beside if not name.startswith("sample.")} - {".cache", ".local"}
    strangers |= {path.name for path in (folder / "outside").iterdir()}
    strangers |= {path.name for path in root.parent.iterdir()} - {"root", "packages"}
    harm = ", outside" if strangers or ABSOLUTE.exists() else ""
    if any(kind not in "fdl" for kind, _ in found.values()):
        harm += ", special file"
    if any(kind == "l" and _leads_out(name, to) for name, (kind, to) in found.items()):
        harm += ", link out"
    return harm


def _leads_out(name: str, target: str) -> bool:
    reached = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    return target.startswith("/") or reached == ".." or reached.startswith("../")


def _find(root: Path) -> dict[str, tuple[str, str]]:
    """Return type and link target of everything in a tree, by find(1): no depth is too deep."""
    listed = subprocess.run(
        ["find", str(root), "-mindepth", "1", "-printf", r"%y\0%P\0%l\0"],
        capture_output=True,
        check=False,
    )
    fields = listed.stdout.decode("utf-8", "surrogateescape").split("\0")
    found = {}
    for place in range(0, len(fields) - 2, 3):
        found[fields[place + 1]] = (fields[place], fields[place + 2])
    return found


def _same(found: Mapping[str, tuple[str, str]], tree: Tree) -> bool:
    expected = {
        name: ("d", "")
        if what is None
        else ("f", "")
        if isinstance(what, bytes)
        else ("l", what[3:])
        for name, what in tree.items()
    }
    return dict(found) == expected


if __name__ == "__main__":
    main()
