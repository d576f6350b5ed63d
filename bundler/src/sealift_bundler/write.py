"""The bundle directory: payload files with their hashes, then the manifest, then SHA256SUMS.

It is written beside its final place and renamed at the end, so that there is a whole bundle or
none. Nothing here signs; see sealift_bundler.sign.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sealift_bundler import __version__
from sealift_bundler.downloads_json import public_url
from sealift_bundler.inspect import Inspection
from sealift_installer.errors import Damaged, UsageError, host_errors, mismatch, printable
from sealift_installer.trust.coverage import write_checksums
from sealift_schemas.index import count_installed
from sealift_schemas.lean import replace
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
        self._files: dict[str, BundleFile] = {}
        self._archives: list[Archive] = []
        # Of each archive's bytes by digest: two tools can share them.
        self._parts: dict[str, tuple[str, ...]] = {}

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
        file = BundleFile(path, len(data), whole, chunks)
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
                self._files[path] = hash_chunks(path, size, file)
        return self._files[path].sha256

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
        parts = self._parts.get(archive.sha256) or self._copy(archive, path)
        self._parts[archive.sha256] = parts
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
            files=tuple(self._files[path] for path in sorted(self._files)),
            archives=tuple(sorted(self._archives, key=lambda archive: archive.name)),
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
            sums = write_checksums(manifest, computed.hexdigest())
            (self.directory / "SHA256SUMS").write_bytes(sums)
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

    def _copy(self, archive: LockedArchive, path: Path) -> tuple[str, ...]:
        name = f"archives/{archive.sha256[:9]}-{archive.filename}"
        split = archive.size > min(LARGEST_FILE, self._part_size)
        whole = hashlib.sha256()
        files = []
        with host_errors("cannot copy the archive"), path.open("rb") as source:
            for number in range(1, -(-archive.size // self._part_size) + 1 if split else 2):
                part = f"{name}.{number:03}" if split else name
                size = self._part_size if split else archive.size
                file = self._copy_part(source, part, size, whole)
                # One digest is in memory once, as the lock has it.
                files.append(_share(file, archive.sha256) if not split else file)
        what = f"the file in the cache is not what the lock says: {path}"
        size = path.stat().st_size
        if size != archive.size:
            raise Damaged(mismatch(what, f"{archive.size} bytes", f"{size} bytes"))
        if whole.hexdigest() != archive.sha256:
            raise Damaged(mismatch(what, archive.sha256, whole.hexdigest()))
        self._files.update((file.path, file) for file in files)
        return tuple(file.path for file in files)

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


def _share(file: BundleFile, sha256: str) -> BundleFile:
    if file.sha256 != sha256:
        return file
    return replace(file, sha256=sha256, chunks=(sha256,) if len(file.chunks) == 1 else file.chunks)


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


def check_output(output: Path) -> None:
    """Check that a bundle can be written to `output`: a new or empty directory.

    Raises:
        UsageError: it is something else, or the root of a volume.
        HostError: it cannot be looked at.
    """
    with host_errors("cannot write the bundle"):
        if os.path.ismount(output):
            raise UsageError(
                f"a bundle is a directory, not the root of a volume: {output}",
                hint=f"name a folder on it: {output / 'bundle'}",
            )
        if output.is_symlink() or (output.exists() and not output.is_dir()):
            raise UsageError(f"not a directory: {output}")
        if output.is_dir() and any(output.iterdir()):
            raise UsageError(f"the directory is not empty: {output}", hint="name a new one")


@contextmanager
def staged(output: Path, *, resume: bool = False) -> Iterator[Path]:
    """Make a directory beside `output`; on success it is renamed to `output`, else removed.

    What a killed run has left there is removed first. With `resume` both stay as they are: what is
    there is gone through by whoever fills it, and left for the next run where that fails.

    Raises:
        UsageError: `output` is no new or empty directory, or another run writes to it.
        HostError: it cannot be written.
    """
    output = output.absolute()
    if output.name in {"", ".."}:
        output = output.resolve()
    check_output(output)
    place = output.with_name(f".{output.name}.partial")
    with host_errors("cannot write the bundle"):
        output.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _claim(place, resume=resume)
    try:
        yield place
        with host_errors("cannot put the bundle in place"):
            place.replace(output)
    finally:
        if not resume:
            shutil.rmtree(place, ignore_errors=True)
        os.close(descriptor)


def _claim(place: Path, *, resume: bool) -> int:
    """Make the directory, or take over an old one, and return a descriptor that locks it."""
    try:
        place.mkdir()
        found = False
    except FileExistsError:
        found = True
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        # Whose the files of a stick are depends on how it was mounted.
        _lock(descriptor, place, found=found and not resume)
        _check_same(descriptor, place)
        for old in () if resume else place.iterdir():
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor: int, place: Path, *, found: bool) -> None:
    if found and os.fstat(descriptor).st_uid != os.geteuid():
        raise UsageError(f"this belongs to somebody else: {place}", hint="name another output")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"another build is writing this bundle: {place}") from None


def _check_same(descriptor: int, place: Path) -> None:
    """Check that `place` is what was locked: the run that had it may have put it in place since."""
    try:
        same = os.path.samestat(os.fstat(descriptor), place.stat(follow_symlinks=False))
    except FileNotFoundError:
        same = False
    if not same:
        raise UsageError(f"another build was writing this bundle: {place}")


def _check_links(name: str, links: Mapping[str, str], inspection: Inspection) -> None:
    paths = {entry.path for entry in inspection.entries}
    for link, path in sorted(links.items()):
        if path not in paths:
            raise UsageError(
                f"the link `{printable(link)}` of {name} leads to a file that is not in the "
                f"archive: {printable(path)}"
            )
