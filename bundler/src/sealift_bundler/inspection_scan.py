"""Reads an archive once: each member's hash, whether it names the prefix, and what it needs.

Memory is bounded: one file at a time is held, and afterwards only the text files that may be
rewritten. Larger files are searched while they stream, matches across the borders of chunks too.
"""

import hashlib
import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sealift_bundler.evidence.collect import Collector
from sealift_bundler.inspection_source import CachedArchive
from sealift_bundler.relocation.elf_needs import MAGIC, ElfNeeds, read_needs
from sealift_installer.archives import Member, MemberType, read_members
from sealift_installer.errors import Damaged, host_errors
from sealift_schemas.lock import LockedArchive

# Bytes of a file that are held while it is read, and of all files that are held for rewriting.
FILE_LIMIT = 16 * 1024 * 1024
HELD_LIMIT = 256 * 1024 * 1024
# A file with a zero byte among so many first ones is no text, as git and grep have it.
_TEXT_SAMPLE = 8192
_HEAD = 16
# Files that relocation rewrites even where they do not name the prefix.
_REWRITTEN = ("_sysconfigdata_", "_sysconfig_vars_")


@dataclass(slots=True)
class Scanned:
    """One member of an archive, as it was found.

    `head` are its first bytes, `data` all of them for a text file that names the prefix or is
    rewritten anyway, `needs` what an ELF file asks of the host.
    """

    name: str
    type: MemberType
    size: int
    executable: bool
    target: str
    sha256: str = ""
    names_prefix: bool = False
    binary: bool = False
    head: bytes = b""
    data: bytes | None = None
    needs: ElfNeeds | None = None


def scan_archive(
    archive: LockedArchive, path: Path, collector: Collector | None = None
) -> list[Scanned]:
    """Read the archive at `path`, and return its members in archive order.

    Every file is shown to `collector` as well, so that nothing has to be read twice.

    Raises:
        Damaged: it is not what the lock says, malformed, or hostile.
        HostError: it cannot be read.
    """
    source = CachedArchive(archive.filename, path, archive.sha256)
    collector = collector or Collector(archive)
    prefix = (archive.prefix or "").encode("utf-8")
    found = []
    held = 0
    for member in read_members(archive.format, source):
        scanned = Scanned(member.name, member.type, member.size, member.executable, member.target)
        if member.type == "file":
            _scan_file(scanned, member, prefix, collector)
        held += len(scanned.data or b"")
        if held > HELD_LIMIT:
            raise Damaged(f"{source.name}: more than {HELD_LIMIT} bytes of text name the prefix")
        found.append(scanned)
    return found


def _scan_file(scanned: Scanned, member: Member, prefix: bytes, collector: Collector) -> None:
    computed = hashlib.sha256()
    data = bytearray()
    chunks = iter(member.data)
    for chunk in chunks:
        computed.update(chunk)
        data += chunk
        if len(data) > FILE_LIMIT:
            break
    scanned.head = bytes(data[:_HEAD])
    scanned.binary = b"\0" in data[:_TEXT_SAMPLE]
    if len(data) > FILE_LIMIT:
        _scan_large(scanned, bytes(data), _hashed(chunks, computed), prefix, collector)
    else:
        collector.see(scanned.name, bytes(data))
        scanned.names_prefix = bool(prefix) and prefix in data
        if scanned.head.startswith(MAGIC):
            scanned.needs = read_needs(io.BytesIO(data))
        elif not scanned.binary and (scanned.names_prefix or _always(scanned.name)):
            scanned.data = bytes(data)
    scanned.sha256 = computed.hexdigest()


def _hashed(chunks: Iterator[bytes], computed: "hashlib._Hash") -> Iterator[bytes]:
    for chunk in chunks:
        computed.update(chunk)
        yield chunk


def _scan_large(
    scanned: Scanned, start: bytes, rest: Iterator[bytes], prefix: bytes, collector: Collector
) -> None:
    """Search a file that is too large to be held; an ELF file is kept on disk to be read."""
    if not start.startswith(MAGIC):
        collector.see_large(scanned.name, _search(scanned, _joined(start, rest), prefix, None))
        return
    with host_errors("cannot keep a file to look into"), tempfile.TemporaryFile() as file:
        collector.see_large(scanned.name, _search(scanned, _joined(start, rest), prefix, file))
        file.seek(0)
        scanned.needs = read_needs(file)


def _search(
    scanned: Scanned, chunks: Iterator[bytes], prefix: bytes, copy: BinaryIO | None
) -> Iterator[bytes]:
    """Hand the chunks on, copied to `copy`; note whether `prefix` is in them once all were taken."""
    found = False
    seam = b""
    for chunk in chunks:
        if copy is not None:
            copy.write(chunk)
        if prefix and not found:
            joined = seam + chunk
            found = prefix in joined
            seam = joined[-(len(prefix) - 1) :] if len(prefix) > 1 else b""
        yield chunk
    scanned.names_prefix = found


def _joined(start: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield start
    yield from rest


def _always(name: str) -> bool:
    return PurePosixPath(name).name.startswith(_REWRITTEN)
