"""Locks that were edited by hand, or merged from two branches."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workshop import TOOL, Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    shop = Workshop(tmp_path).found()
    shop.add_tool()
    shop.add_python()
    assert shop.sealift("lock") == 0
    return shop


def edit(workshop: Workshop, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the lock as it stands."""
    values = json.loads(workshop.lock.read_bytes())
    change(values)
    workshop.lock.write_text(json.dumps(values, indent=2))


@pytest.mark.parametrize(
    ("left", "told"),
    [(0, "no archive for file:///"), (1, r"no archive for any [[python]]"), (None, "no archive")],
)
def test_an_archive_that_was_lost_is_told_and_found_again(
    left: int | None, told: str, workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    before = json.loads(workshop.lock.read_bytes())["archives"]
    edit(workshop, lambda lock: lock.update(archives=[] if left is None else [before[left]]))
    bundle = workshop.build()
    shown = capsys.readouterr().err
    assert "sealift.lock did not fit: it has " in shown
    assert told in shown
    assert "locked: + " in shown
    after = json.loads(workshop.lock.read_bytes())
    assert (after["archives"], after["sequence"]) == (before, 2)
    assert len(list((bundle / "archives").iterdir())) == 2


def test_a_wish_that_lost_one_of_many_archives(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert workshop.sealift("add", "cpython", "--each", "minor", "--all-platforms") == 0
    assert workshop.sealift("lock") == 0

    def lose(lock: dict[str, Any]) -> None:
        lock["expansions"][0]["names"].append("cpython-3.12.1-linux-x86_64-gnu")

    edit(workshop, lose)
    assert workshop.sealift("build", "--output", workshop.folder / "bundle") == 0
    assert "did not fit: it lacks archives for cpython" in capsys.readouterr().err


def test_two_wishes_for_the_same_bytes_are_no_gap(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    text = workshop.spec.read_text()
    again = workshop.tool.with_name("again-1.0.tar.gz")
    again.write_bytes(workshop.tool.read_bytes())
    table = text[text.index("[[url]]") : text.index("[[python]]")]
    workshop.spec.write_text(f"{text}\n{table.replace('/tool-1.0.tar.gz', '/again-1.0.tar.gz')}")
    assert workshop.sealift("lock") == 0
    capsys.readouterr()
    workshop.build()
    assert "did not fit" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "created", ["2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "2025-02-29T12:00:00Z"]
)
@pytest.mark.parametrize("field", ["created", "expires"])
def test_a_time_on_no_day_is_told(
    field: str, created: str, workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(workshop, lambda lock: lock.update({field: created}))
    assert workshop.sealift("build") == 2
    assert f"sealift.lock: {field} is no time\n  Expected: a day" in capsys.readouterr().err


def test_a_time_to_come_is_told_before_anything_is_written(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(workshop, lambda lock: lock.update(created="9999-12-31T23:59:59Z"))
    bundle = workshop.folder / "bundle"
    assert workshop.sealift("build", "--output", bundle) == 5
    told = "the time of the lock is more than a day ahead of the clock: 9999-12-31T23:59:59Z"
    assert told in capsys.readouterr().err
    assert not bundle.exists()


def test_the_last_sequence_is_not_raised(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    """With one more the lock could not be read again."""
    edit(workshop, lambda lock: lock.update(sequence=2**53 - 1))
    before = workshop.lock.read_bytes()
    text = workshop.spec.read_text()
    workshop.spec.write_text(text.replace('name = "tool"', 'name = "another"'))
    assert TOOL in workshop.lock.read_text()
    assert workshop.sealift("lock") == 2
    assert "the lock's sequence cannot be raised any more" in capsys.readouterr().err
    assert workshop.lock.read_bytes() == before
