"""An interpreter that stands on this machine, as an archive of python-build-standalone's shape."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from sealift_bundler.cache import Cache
from sealift_bundler.sources.capture import Collector, Item
from sealift_bundler.sources.capture_ask import ask
from sealift_bundler.sources.capture_check import check_captured
from sealift_bundler.sources.capture_layout import PREFIX, Layout, lay_out
from sealift_bundler.sources.capture_memo import fingerprint, recall, remember
from sealift_bundler.sources.found import Found
from sealift_installer.errors import host_errors
from sealift_schemas.spec import InstalledWanted

_TOP = "python"
# 1980-01-01T00:00:00Z in seconds, the earliest time that a .zip can hold.
_MTIME = 315532800


def find_installed(wanted: InstalledWanted, cache: Cache) -> Found:
    """Capture an interpreter into the cache and return it as found.

    The same interpreter gives the same bytes, and if the cache has them they are not made again. No path of this machine is in what is returned, nor
    in the archive where sysconfig, scripts and run paths speak of the interpreter's own places.

    Raises:
        UsageError: it is no interpreter that can be captured.
        HostError: it does not run, a file cannot be read, the cache cannot be written, or the
            captured copy does not run from another place.
    """
    layout = lay_out(ask(wanted.path))
    items = Collector(layout).collect()
    filename = f"{layout.facts.key}-captured.tar.gz".replace("+", "-")
    known = fingerprint(layout, items)
    kept = recall(cache, known, filename)
    if kept is not None:
        path, sha256 = kept
        with host_errors("cannot read the cache"):
            return _found(layout, filename, sha256, path.stat().st_size)
    with cache.temporary() as path:
        with host_errors("cannot write the captured interpreter"):
            sha256, size = _write(path, items)
        check_captured(path, layout)
        cache.adopt(path, sha256, filename)
    # An interpreter that changed while it was read has given what no fingerprint stands for.
    if fingerprint(layout, items) == known:
        remember(cache, known, sha256)
    return _found(layout, filename, sha256, size)


def _found(layout: Layout, filename: str, sha256: str, size: int) -> Found:
    key = layout.facts.key
    address = f"installed:{key}"
    return Found(
        name=str(key),
        kind="interpreter",
        source="captured",
        request=address,
        version=key.version,
        platform=str(key.platform),
        url=address,
        filename=filename,
        format="tar.gz",
        sha256=sha256,
        size=size,
        digest_source="captured",
        recipe="cpython",
        prefix=PREFIX,
        links={layout.facts.program: layout.program},
    )


def _write(path: Path, items: Mapping[str, Item]) -> tuple[str, int]:
    """Write the archive; return its SHA-256 and its size in bytes."""
    with path.open("wb") as file:
        with (
            gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as stream,
            tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for place in sorted(items):
                _write_member(archive, place, items[place])
        size = file.tell()
    with path.open("rb") as written:
        return hashlib.file_digest(written, "sha256").hexdigest(), size


def _write_member(archive: tarfile.TarFile, place: str, item: Item) -> None:
    member = tarfile.TarInfo(f"{_TOP}/{place}")
    member.mtime, member.uname, member.gname = _MTIME, "root", "root"
    data: IO[bytes] | None = None
    if item.read is None:
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, item.target, 0o777
    else:
        content = item.read()
        member.size, member.mode = len(content), 0o755 if item.executable else 0o644
        data = io.BytesIO(content)
    archive.addfile(member, data)
