import os
from pathlib import Path

import pytest

from hostile.cases import CASES, all_cases
from hostile.generator import Case
from memory_source import MemorySource, unpack
from sealift_installer.errors import Damaged


def test_the_generator_is_deterministic_and_names_are_unique():
    assert tuple(all_cases()) == CASES
    assert len({case.name for case in CASES}) == len(CASES)


def test_every_case_has_one_outcome_and_a_class():
    assert len(CASES) >= 150
    for case in CASES:
        assert (case.refused is None) == (case.kind in {"accept", "odd"}), case.name
    assert {case.kind for case in CASES} == {"accept", "odd", "rejected", "malicious"}


@pytest.mark.parametrize("step", [1 << 20, 100])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_is_written_outside(case: Case, step: int, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("kept")
    root = tmp_path / "a" / "root"
    root.parent.mkdir()
    source = MemorySource(case.data, name="sample", step=step)
    if case.refused is None:
        unpack(case.format, source, root)
        assert snapshot(root) == case.tree
        assert source.drained
    else:
        with pytest.raises(Damaged, match=case.refused) as caught:
            unpack(case.format, source, root)
        assert all(line.isprintable() for line in caught.value.message.split("\n"))
    assert snapshot(outside) == {"secret": b"kept"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "outside"]
    assert [path.name for path in root.parent.iterdir()] == ["root"]
    assert not Path("/nonexistent-sealift").exists()
    assert_closed(root)


def assert_closed(root: Path) -> None:
    """No link of the tree leads out of it, not even while it is unfinished."""
    top = os.path.realpath(root)
    for path in root.rglob("*"):
        if path.is_symlink():
            assert Path(os.path.realpath(path)).is_relative_to(top)
        else:
            assert path.is_file() or path.is_dir()


def snapshot(root: Path) -> dict[str, bytes | str | None]:
    found: dict[str, bytes | str | None] = {}
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found
