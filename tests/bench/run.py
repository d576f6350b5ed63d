"""Measure against the counterparts: `make bench`, or some tables of it: `make bench S="start"`.

Every round of a table runs each command once, in an order that rotates, each into a directory of
its own on tmpfs, so that neither a cold cache nor a busy minute favours one of them. Each table is
a module in tables/ and a part of docs/benchmarks.md, with its date and the versions.
"""

import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from page import scratch_directory, write_part

# The modules in tables/, in the order of the page.
TABLES = ("install", "several", "disk", "start", "verify", "many", "download")


def main() -> None:
    """Measure the tables that are named, or all, and write their parts of the page."""
    names = sys.argv[1:] or TABLES
    unknown = sorted(set(names) - set(TABLES))
    if unknown:
        sys.exit(f"make bench: no table {', '.join(unknown)}; there are: {', '.join(TABLES)}")
    for name in names:
        with scratch_directory() as scratch:
            text = import_module(f"tables.{name}").table(Path(scratch))
        write_part(name, text)
        print(text)


if __name__ == "__main__":
    main()
