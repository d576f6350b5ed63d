"""Read every payload byte of an authenticated bundle and compare it with the manifest."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from io import FileIO

from sealift_installer.authenticate import Authenticated
from sealift_installer.bundle import Bundle
from sealift_installer.chunks import AuthenticatedFile
from sealift_installer.cores import count_cores
from sealift_installer.errors import Damaged, host_errors, mismatch
from sealift_schemas.lean import dataclass
from sealift_schemas.payload import CHUNK_SIZE, BundleFile

Progress = Callable[[str, int], None]
# What stays in a core's cache between reading and hashing.
_STEP = 128 * 1024
# So many bytes are read before a second thread pays.
_SHARE = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was read: numbers of files, bytes, archives, index entries and templates in use."""

    files: int
    size: int
    archives: int
    entries: int
    templates: int


def verify_files(
    authenticated: Authenticated, progress: Progress | None = None, *, whole: bool = True
) -> VerifyReport:
    """Read and compare all payload files, and check that indexes and templates belong together.

    Args:
        authenticated: the bundle.
        progress: called with a path and the number of bytes that were just read of it.
        whole: compare the SHA-256 of each file as a whole too, and not of its chunks alone: what
            a bundler owes to those who read its manifest. For others the chunks are all bytes.

    Raises:
        Damaged: a file is not what the manifest says, or an index not what its archive needs.
        HostError: a file cannot be read.
    """
    manifest = authenticated.manifest
    entries = 0
    templates: set[str] = set()
    for archive in manifest.archives:
        for entry in authenticated.entries(archive):
            entries += 1
            if entry.template is not None and entry.template.sha256 not in templates:
                authenticated.template(entry.template)
                templates.add(entry.template.sha256)
    if whole:
        _read_whole(authenticated, progress)
    else:
        _Chunks(authenticated.bundle, manifest.files, progress).compare()
    return VerifyReport(
        files=len(manifest.files),
        size=sum(file.size for file in manifest.files),
        archives=len(manifest.archives),
        entries=entries,
        templates=len(templates),
    )


def _read_whole(authenticated: Authenticated, progress: Progress | None) -> None:
    carried: set[str] = set()
    for archive in authenticated.manifest.archives:
        carried.update(archive.parts)
        _read(authenticated.source(archive), progress)
    for file in authenticated.manifest.files:
        # The parts of an archive were read with it, and the SHA-256 of each was compared.
        if file.path not in carried:
            source = AuthenticatedFile(authenticated.bundle, (file,), file.sha256, file.path)
            _read(source, progress)


def _read(source: AuthenticatedFile, progress: Progress | None) -> None:
    for chunk in source.chunks():
        if progress is not None:
            progress(source.name, len(chunk))


class _Chunks:
    """Compares all chunks of some files, each once, by as many threads as there are cores."""

    def __init__(
        self, bundle: Bundle, files: Sequence[BundleFile], progress: Progress | None
    ) -> None:
        self._bundle = bundle
        self._threads = min(count_cores(), sum(file.size for file in files) // _SHARE)
        self._progress = progress
        self._work = enumerate(_number(files))
        self._lock = threading.Lock()
        self._faults: dict[int, BaseException] = {}

    def compare(self) -> None:
        """Compare them.

        Raises:
            Damaged, HostError: the first chunk, in the order of the files, that is another one or
                cannot be read.
        """
        threads = []
        for _ in range(self._threads - 1):
            thread = threading.Thread(target=self._run)
            try:
                thread.start()
            except RuntimeError:
                break  # the system allows no more: those that are there do it all
            threads.append(thread)
        self._run()
        for thread in threads:
            thread.join()
        if self._faults:
            # They are taken in order, so that none before the first fault is left undone.
            raise self._faults[min(self._faults)]

    def _run(self) -> None:
        buffer = memoryview(bytearray(_STEP))
        while True:
            with self._lock:
                place, task = (0, None) if self._faults else next(self._work, (0, None))
            if task is None:
                return
            file, number = task
            try:
                size = self._compare(file, number, buffer)
                if self._progress is not None:
                    with self._lock:
                        self._progress(file.path, size)
            except BaseException as error:  # noqa: BLE001 - raised by the thread that began
                with self._lock:
                    self._faults[place] = error
                return

    def _compare(self, file: BundleFile, number: int, buffer: memoryview) -> int:
        """Compare one chunk; the last one must end where the manifest says. Return its size."""
        start = number * CHUNK_SIZE
        wanted = min(CHUNK_SIZE, file.size - start)
        with self._bundle.open(file.path) as stream, host_errors(f"cannot read {file.path}"):
            stream.seek(start)
            digest, found = _hash(stream, wanted, buffer)
            longer = start + wanted == file.size and bool(stream.read(1))
        if found != wanted:
            what = f"cut short: {file.path}"
            raise Damaged(mismatch(what, f"{file.size} bytes", f"{start + found} bytes"))
        if longer:
            what = f"too long: {file.path}"
            raise Damaged(mismatch(what, f"{file.size} bytes", "more than that"))
        if file.chunks and digest != file.chunks[number]:
            where = file.path if len(file.chunks) == 1 else f"{file.path}, chunk {number + 1}"
            raise Damaged(mismatch(f"wrong SHA-256: {where}", file.chunks[number], digest))
        return wanted


def _number(files: Sequence[BundleFile]) -> Iterator[tuple[BundleFile, int]]:
    """Yield each chunk of each file; of an empty one, that there is nothing."""
    for file in files:
        for number in range(len(file.chunks) or 1):
            yield file, number


def _hash(stream: FileIO, size: int, buffer: memoryview) -> tuple[str, int]:
    """Return the SHA-256 of the next `size` bytes, and how many there are of them."""
    digest = hashlib.sha256()
    found = 0
    while found < size:
        # The bundle's files are unbuffered, so that nothing is copied twice.
        count = stream.readinto(buffer[: size - found])
        if not count:
            break
        digest.update(buffer[:count])
        found += count
    return digest.hexdigest(), found
