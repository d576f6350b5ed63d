"""For tests that change what is installed: a target, what must hold afterwards, and a memory disk."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sealift_installer.account import account
from sealift_installer.check import check
from sealift_installer.lifecycle import Change
from sealift_installer.publish import recover
from sealift_installer.trail import read_trail
from target import Target, python, tool

# What one test writes, many times over: others write there at the same time.
_ROOM = 4 << 30


@contextmanager
def in_memory() -> Iterator[Path]:
    """Yield a directory for many runs: in memory where there is room for them."""
    memory = Path("/dev/shm")
    usable = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM
    with tempfile.TemporaryDirectory(dir=memory if usable else None) as name:
        yield Path(name)


def prepare(path: Path) -> Target:
    """Return a target with a tool and an interpreter, and a tool that was replaced."""
    target = Target(path)
    target.carry(tool(content=b"one\n"), python())
    target.trust()
    target.install(link=True)
    target.carry(tool(content=b"two\n"), python())
    target.install(link=True)
    return target


def change(target: Target, name: str = "tool-1.0") -> Change:
    return Change(target.prefix.path, name)


def program(target: Target) -> bytes:
    return (target.tree() / "bin/tool").read_bytes().split()[-1]


def sound(target: Target) -> None:
    """Look whether everything agrees: trees, records, receipts, and nothing is left over."""
    assert target.leftovers() == []
    assert read_trail(target.store)
    assert check(target.prefix.path, strict=True).exit_code == 0
    for path in target.prefix.bin.glob("*"):
        assert path.exists(), f"{path} leads nowhere"
    kept = {path.stem for path in (target.prefix.state / "index").iterdir()}
    records = [*target.records.all(), target.records.get_previous("tool-1.0")]
    assert kept == {record.index for record in records if record is not None}


def settle(target: Target) -> tuple[str, ...]:
    """Do what every command does first."""
    target.store.complete()
    return recover(target.prefix, partial(account, target.prefix, target.store))


def restart(target: Target, saved: Path) -> None:
    shutil.rmtree(target.prefix.path)
    shutil.copytree(saved, target.prefix.path, symlinks=True)
