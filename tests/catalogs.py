"""Small catalogues in uv's format, for tests."""

import json
from typing import Any

PUBLISHER = "https://github.com/astral-sh/python-build-standalone/releases/download/20250529"


def entry(**changes: Any) -> dict[str, Any]:
    """Return an entry as uv publishes them: CPython 3.13.3 for Linux, with `changes`."""
    fields: dict[str, Any] = {
        "name": "cpython",
        "arch": {"family": "x86_64", "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": 3,
        "minor": 13,
        "patch": 3,
        "prerelease": "",
        "sha256": "5" * 64,
        "variant": None,
        "build": "20250529",
        **changes,
    }
    version = "{major}.{minor}.{patch}{prerelease}".format(**fields)
    name = f"cpython-{version}%2B20250529-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
    return {"url": f"{PUBLISHER}/{name}", **fields}


def document(*entries: dict[str, Any]) -> bytes:
    """Return a catalogue with these entries."""
    return json.dumps({f"entry {number}": one for number, one in enumerate(entries)}).encode()
