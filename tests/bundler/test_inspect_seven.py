import hashlib
import io
from pathlib import Path

import py7zr
import pytest

from hostile.seven import Seven, coder
from sealift_bundler.inspect import inspect_archive
from sealift_installer.errors import Damaged
from sealift_schemas.lock import LockedArchive


def locked(path: Path, data: bytes) -> LockedArchive:
    path.write_bytes(data)
    return LockedArchive(
        name="tool-1.0",
        kind="tool",
        source="url",
        request="tool",
        version="1.0",
        platform="any",
        url="https://host.invalid/tool.7z",
        filename="tool.7z",
        format="7z",
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        digest_source="spec",
        recipe="generic",
    )


def test_a_7z_archive_is_inspected(tmp_path):
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as archive:
        archive.writestr(b"#!/bin/sh\n", "tool-1.0/bin/tool")
        archive.writestr(b"x" * 1000, "tool-1.0/lib/data")
    path = tmp_path / "tool.7z"
    found = inspect_archive(locked(path, buffer.getvalue()), path)
    assert [(entry.path, entry.size) for entry in found.entries] == [
        ("bin/tool", 10),
        ("lib/data", 1000),
    ]


@pytest.mark.parametrize(
    ("method", "called"), [("0a", "the ARM64 filter"), ("0b", "the RISCV filter")]
)
def test_a_filter_that_no_target_can_undo_is_refused_here(tmp_path, method, called):
    coders = b"\x02" + coder("21", b"\x18") + coder(method)
    data = Seven(coders=coders, bonds=b"\x01\x00", sizes=(1, 1)).add("a").build()
    path = tmp_path / "tool.7z"
    message = f"tool.7z: it is compressed by {called}, which cannot be read"
    with pytest.raises(Damaged, match=message) as caught:
        inspect_archive(locked(path, data), path)
    assert caught.value.hint is not None
    assert "-mf=off" in caught.value.hint
