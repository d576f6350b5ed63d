"""Run one target under atheris: `one.py CORE TARGET [libFuzzer's options and folders]`.

On one core nothing runs ahead in a thread, and an input takes the same way each time.
"""

import os
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
with atheris.instrument_imports(
    include=["sealift_schemas", "sealift_installer", "sealift_bundler"],
    enable_loader_override=False,
):
    from fuzz.targets import TARGETS


def broken(data: bytes) -> None:
    """A target with a defect, to show that one is found."""
    if data[:2] == b"\x01\x02":
        raise IndexError("found")


def main() -> None:
    """Fuzz; libFuzzer ends the process."""
    core, name = int(sys.argv.pop(1)), sys.argv.pop(1)
    run = broken if name == "broken" else TARGETS[name].run
    os.sched_setaffinity(0, {core})
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
