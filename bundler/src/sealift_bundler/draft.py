"""A bundle that is being written: payload files with their hashes, the manifest, then SHA256SUMS.

Nothing here signs; see sealift_bundler.sign.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from sealift_bundler import __version__
from sealift_bundler.downloads_json import public_url
from sealift_bundler.inspect import Inspection
from sealift_bundler.lazily import Lazily
from sealift_bundler.packed import Packed, in_order
from sealift_installer.errors import Damaged, UsageError, host_errors, mismatch, printable
from sealift_installer.trust.coverage import checksum_lines
from sealift_schemas.index import count_installed
from sealift_schemas.lock import Lock, LockedArchive
from sealift_schemas.manifest import Archive, Manifest, Source
from sealift_schemas.payload import CHUNK_SIZE, BundleFile

# FAT32 holds files of less than 4 GiB. Parts end where a chunk ends.
PART_SIZE = 4 * 1024 * 1024 * 1024 - CHUNK_SIZE
# Bytes that are read at a time.
_STEP = 256 * 1024
LARGEST_FILE = 4 * 1024 * 1024 * 1024 - 1
# The oldest unseal that knows all that a bundle asks for.
INSTALLER = "0.1.0"
# Bytes of a size in memory, and digits of a hash.
_SIZE, _HEX = 8, 64


class Draft:
    """A bundle that is being written, in a directory of its own.

    Args:
        directory: where; it exists and is empty.
        lock: what the bundle carries.
        part_size: the size (bytes, a multiple of CHUNK_SIZE) of the parts of larger archives.
    """

    def __init__(self, directory: Path, lock: Lock, *, part_size: int = PART_SIZE) -> None:
        self.directory = directory
        self._lock = lock
        self._part_size = part_size
        # By path, packed: see `_pack_file`.
        self._files: dict[str, bytes] = {}
        self._archives: Packed[Archive] = Packed()
        # The SHA-256 of each archive that is in parts, by the path of the first.
        self._wholes: dict[str, str] = {}

    def add_bytes(self, path: str, data: bytes) -> None:
        """Write the payload file `path`; a file that is there with the same bytes stays.

        Raises:
            UsageError: there is another one of that name.
            HostError: it cannot be written.
        """
        view = memoryview(data)
        chunks = tuple(
            hashlib.sha256(view[start : start + CHUNK_SIZE]).hexdigest()
            for start in range(0, len(data), CHUNK_SIZE)
        )
        whole = chunks[0] if len(chunks) == 1 else hashlib.sha256(data).hexdigest()
        file = _pack_file(BundleFile(path, len(data), whole, chunks))
        if self._files.setdefault(path, file) != file:
            raise UsageError(f"two files of the bundle have one name: {printable(path)}")
        with host_errors("cannot write the bundle"):
            target = self.directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

    def add_pieces(self, path: str, pieces: Iterable[bytes]) -> str:
        """Write the payload file `path` piece by piece; return its SHA-256.

        Raises:
            UsageError: there is one of that name.
            HostError: it cannot be written.
        """
        if path in self._files:
            raise UsageError(f"two files of the bundle have one name: {printable(path)}")
        with host_errors("cannot write the bundle"):
            target = self.directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x+b") as file:
                file.writelines(pieces)
                size = file.tell()
                file.seek(0)
                described = hash_chunks(path, size, file)
        self._files[path] = _pack_file(described)
        return described.sha256

    def add_archive(self, archive: LockedArchive, path: Path, inspection: Inspection) -> Archive:
        """Copy the archive at `path`, and write its index and its templates.

        Returns what the manifest says about it.

        Raises:
            Damaged: the file is not what the lock says.
            UsageError: a link of the spec leads to a file that is not in the archive.
            HostError: it cannot be read or written.
        """
        links = {**archive.links, **inspection.links} if inspection.links else archive.links
        _check_links(archive.name, links, inspection)
        index = f"index/{archive.sha256}.jsonl"
        parts = self._part_names(archive)
        if not self._carries(archive, parts):
            self._copy(archive, path, parts)
        members, unpacked = count_installed(inspection.entries)
        self.add_bytes(index, b"".join(entry.encode() for entry in inspection.entries))
        for sha256, data in inspection.templates.items():
            self.add_bytes(f"templates/{sha256}", data)
        described = Archive(
            name=archive.name,
            kind=archive.kind,
            version=archive.version,
            platform=archive.platform,
            format=archive.format,
            size=archive.size,
            sha256=archive.sha256,
            parts=parts,
            index=index,
            members=members,
            unpacked=unpacked,
            source=describe_source(archive, self._lock.stream),
            prefix=archive.prefix,
            interpreter=inspection.interpreter,
            links=links,
            requires=inspection.requires,
        )
        self._archives.append(described)
        return described

    def manifest(self, epoch: int) -> Manifest:
        """Return the manifest of what was added so far."""
        return Manifest(
            stream=self._lock.stream,
            epoch=epoch,
            sequence=self._lock.sequence,
            created=self._lock.created,
            expires=self._lock.expires,
            generator=f"sealift {__version__}",
            installer=INSTALLER,
            files=Lazily(self._file, sorted(self._files)),
            archives=in_order(self._archives, lambda archive: archive.name),
        )

    def finish(self, epoch: int) -> Manifest:
        """Write manifest.json and SHA256SUMS; there is nothing to be added afterwards.

        Raises:
            HostError: they cannot be written.
        """
        manifest = self.manifest(epoch)
        computed = hashlib.sha256()
        with host_errors("cannot write the bundle"):
            with (self.directory / "manifest.json").open("wb") as file:
                for piece in manifest.pieces():
                    computed.update(piece)
                    file.write(piece)
            with (self.directory / "SHA256SUMS").open("wb") as file:
                file.writelines(checksum_lines(manifest, computed.hexdigest()))
        return manifest

    def add_control(self, path: str, data: bytes) -> None:
        """Write a file that is no payload: it is authenticated by its own signatures.

        Raises:
            HostError: it cannot be written.
        """
        with host_errors("cannot write the bundle"):
            target = self.directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

    def _file(self, path: str) -> BundleFile:
        """Return what the manifest says of a file."""
        packed = self._files[path]
        hashes = packed[_SIZE:].hex()
        size, whole = int.from_bytes(packed[:_SIZE], "big"), hashes[:_HEX]
        chunks = [hashes[start : start + _HEX] for start in range(_HEX, len(hashes), _HEX)]
        return BundleFile(path, size, whole, tuple(chunks or [whole] * bool(size)))

    def _part_names(self, archive: LockedArchive) -> tuple[str, ...]:
        name = f"archives/{archive.sha256[:9]}-{archive.filename}"
        if archive.size <= min(LARGEST_FILE, self._part_size):
            return (name,)
        count = -(-archive.size // self._part_size)
        return tuple(f"{name}.{number:03}" for number in range(1, count + 1))

    def _carries(self, archive: LockedArchive, parts: tuple[str, ...]) -> bool:
        """Tell whether the archive's bytes are there: two tools can share them.

        Raises:
            UsageError: there are others of that name.
        """
        if parts[0] not in self._files:
            return False
        if self._wholes.get(parts[0], self._file(parts[0]).sha256) != archive.sha256:
            raise UsageError(f"two archives have one name in the bundle: {parts[0]}")
        return True

    def _copy(self, archive: LockedArchive, path: Path, parts: tuple[str, ...]) -> None:
        whole = hashlib.sha256()
        size = archive.size if len(parts) == 1 else self._part_size
        with host_errors("cannot copy the archive"), path.open("rb") as source:
            files = [self._copy_part(source, part, size, whole) for part in parts]
        what = f"the file in the cache is not what the lock says: {path}"
        size = path.stat().st_size
        if size != archive.size:
            raise Damaged(mismatch(what, f"{archive.size} bytes", f"{size} bytes"))
        if whole.hexdigest() != archive.sha256:
            raise Damaged(mismatch(what, archive.sha256, whole.hexdigest()))
        self._files.update((file.path, _pack_file(file)) for file in files)
        if len(parts) > 1:
            self._wholes[parts[0]] = archive.sha256

    def _copy_part(
        self, source: BinaryIO, name: str, size: int, whole: "hashlib._Hash"
    ) -> BundleFile:
        target = self.directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        own, chunks, written = hashlib.sha256(), [], 0
        with target.open("xb") as output:
            while written < size and (data := source.read(min(CHUNK_SIZE, size - written))):
                chunks.append(hashlib.sha256(data).hexdigest())
                own.update(data)
                whole.update(data)
                output.write(data)
                written += len(data)
        digest = own.hexdigest()
        return BundleFile(name, written, digest, (digest,) if len(chunks) == 1 else tuple(chunks))


def _pack_file(file: BundleFile) -> bytes:
    """Return size and hashes; the one of the only chunk is that of the file."""
    hashes = [file.sha256, *(file.chunks if len(file.chunks) > 1 else ())]
    return file.size.to_bytes(_SIZE, "big") + bytes.fromhex("".join(hashes))


def hash_chunks(path: str, size: int, file: BinaryIO) -> BundleFile:
    """Return the entry of a file of `size` bytes, read a bit at a time."""
    whole, chunks = hashlib.sha256(), []
    for start in range(0, size, CHUNK_SIZE):
        own, left = hashlib.sha256(), min(CHUNK_SIZE, size - start)
        while left and (data := file.read(min(_STEP, left))):
            own.update(data)
            whole.update(data)
            left -= len(data)
        chunks.append(own.hexdigest())
    return BundleFile(path, size, whole.hexdigest(), tuple(chunks))


def describe_source(archive: LockedArchive, stream: str) -> Source:
    """Return where an archive came from as it may be published: no secret, no local path."""
    request, url = archive.request, archive.url
    if "://" in request:
        request = public_url(request, archive.filename, stream)
    if not url.startswith("installed:"):
        url = public_url(url, archive.filename, stream)
    return Source(archive.source, request, url, archive.digest_source)


def _check_links(name: str, links: Mapping[str, str], inspection: Inspection) -> None:
    paths = {entry.path for entry in inspection.entries}
    for link, path in sorted(links.items()):
        if path not in paths:
            raise UsageError(
                f"the link `{printable(link)}` of {name} leads to a file that is not in the "
                f"archive: {printable(path)}"
            )
