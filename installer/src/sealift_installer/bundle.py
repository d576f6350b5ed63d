"""Files of a bundle, read without following a link and never beyond a size.

The directory is somebody else's: a stick that can change while it is read, with links and devices
where files are expected. Whatever is read here is still unauthenticated, but for what `chunks`
hands out.
"""

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sealift_installer.errors import Damaged, HostError, host_errors, mismatch, printable
from sealift_installer.limits import LIMITS, Limits
from sealift_schemas.lean import dataclass
from sealift_schemas.pattern import Pattern
from sealift_schemas.payload import BundleFile

if TYPE_CHECKING:
    from io import FileIO

MANIFEST = "manifest.json"
ENVELOPE = "manifest.dsse.json"
CHECKSUMS = "SHA256SUMS"
ROOTS = "trust/root"

# The control set: what cannot be a subject of the manifest, because it is written after it or
# carries its own signatures.
_CHECKSUMS_SIGNATURE = Pattern(r"SHA256SUMS\.([0-9a-f]{16})\.sig")
# What a signer leaves that is killed while it writes: see durable.write_durably.
_UNFINISHED = Pattern(r"\.(?:manifest\.dsse\.json|SHA256SUMS\.[0-9a-f]{16}\.sig)\.tmp")
_ROOT = Pattern(r"trust/root/([1-9][0-9]{0,6})\.root\.dsse\.json")

# What operating systems leave on a medium by themselves. Names are exact; these are never opened.
_LITTER_FILE = Pattern(
    r"(?s:\._.*)|\.DS_Store|\.apdisk|\.localized|\.VolumeIcon\.icns|\.metadata_never_index"
    r"|\.directory|Thumbs\.db|ehthumbs\.db|[Dd]esktop\.ini"
)
# They stand at the root of a volume, so they can be in a bundle's top folder alone.
_LITTER_DIRECTORY = Pattern(
    r"System Volume Information|\$RECYCLE\.BIN|\.Spotlight-V100|\.Trashes|\.fseventsd"
    r"|\.TemporaryItems|\.DocumentRevisions-V100|\.Trash-[0-9]+|lost\+found|FOUND\.[0-9]{3}"
)
# Paths of subjects have at most eight components (sealift_schemas.payload.BUNDLE_PATH).
_DEEPEST = 8
_OTHER_KIND = {errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO}


@dataclass(frozen=True, slots=True)
class Listing:
    """What stands in a bundle: sizes in bytes by relative path, and the litter that is ignored."""

    sizes: Mapping[str, int]
    litter: tuple[str, ...]


class _Found:
    """What a walk has seen so far; `count` counts directories too."""

    def __init__(self, expected: Mapping[str, BundleFile]) -> None:
        self.sizes: dict[str, int] = {}
        self.litter: list[str] = []
        self.count = 0
        self._expected = expected

    def add(self, path: str, size: int) -> None:
        """Take a file."""
        file = self._expected.get(path)
        if file is not None and file.size == size:
            path, size = file.path, file.size
        self.sizes[path] = size


def is_control(name: str) -> bool:
    """Tell whether `name` belongs to the control set, by its exact pattern."""
    return (
        name in {MANIFEST, ENVELOPE, CHECKSUMS}
        or _CHECKSUMS_SIGNATURE.fullmatch(name) is not None
        or _ROOT.fullmatch(name) is not None
    )


def is_unfinished(name: str) -> bool:
    """Tell whether `name` is that of a signature that was being written."""
    return _UNFINISHED.fullmatch(name) is not None


def signature_name(keyid: str) -> str:
    """Return the name of the signature by the key `keyid` over SHA256SUMS."""
    return f"{CHECKSUMS}.{keyid[:16]}.sig"


def signature_keyid(name: str) -> str | None:
    """Return the first 16 digits of the key id that a name of a signature file claims."""
    match = _CHECKSUMS_SIGNATURE.fullmatch(name)
    return None if match is None else match[1]


def root_name(version: int) -> str:
    """Return the name of a root version in a bundle."""
    return f"{ROOTS}/{version}.root.dsse.json"


class Bundle:
    """A bundle's directory.

    Args:
        path: the directory; it may be reached by a link, nothing inside of it may.
        limits: the caps on what is read and counted.
    """

    def __init__(self, path: Path, limits: Limits = LIMITS) -> None:
        self.path = path
        self.limits = limits

    def open(self, name: str) -> "FileIO":
        """Open the regular file `name`, a relative path with slashes.

        Raises:
            Damaged: it is missing, no regular file, or behind a link.
            HostError: the operating system refuses.
        """
        with _bundle_errors(name):
            descriptor = self._descend(name.split("/"))
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise Damaged(f"not a regular file in the bundle: {printable(name)}")
            # Unbuffered: the readers ask for whole chunks.
            return os.fdopen(descriptor, "rb", buffering=0)

    def read(self, name: str, limit: int) -> bytes:
        """Return the bytes of `name`, at most `limit` of them.

        Raises:
            Damaged: as for `open`, or the file is larger.
            HostError: the operating system refuses.
        """
        with self.open(name) as file, _bundle_errors(name):
            size = os.fstat(file.fileno()).st_size
            data = b"" if size > limit else _read_up_to(file, limit + 1, size + 1)
            if max(size, len(data)) > limit:
                raise Damaged(
                    mismatch(
                        f"too large: {printable(name)}",
                        f"at most {limit} bytes",
                        f"{max(size, len(data))} bytes",
                    )
                )
            return data

    def scan(self, expected: Mapping[str, BundleFile] | None = None) -> Listing:
        """List all files but litter, by `lstat` alone: nothing is opened but directories.

        What is told of files that are as `expected` has them is not in memory twice.

        Raises:
            Damaged: a link, a special file, too many files, or too deep.
            HostError: the bundle cannot be read.
        """
        found = _Found(expected or {})
        with host_errors("cannot list the bundle"):
            self._walk("", 1, found)
        return Listing(found.sizes, tuple(sorted(found.litter)))

    def root_versions(self) -> tuple[int, ...]:
        """Return the versions of the roots that the bundle carries, ascending.

        Raises:
            Damaged: the folder of the roots is missing or a link, or holds too many.
            HostError: the operating system refuses.
        """
        with host_errors("cannot open the bundle"):
            found = {path.name for path in self.path.iterdir()}
            if not found & {ENVELOPE, "trust"}:
                raise Damaged(
                    f"this is no bundle: {printable(str(self.path))}",
                    hint=f"a bundle is a directory with a file {ENVELOPE}",
                )
        with _bundle_errors(ROOTS):
            descriptor = self._descend(ROOTS.split("/"), os.O_DIRECTORY)
            try:
                with os.scandir(descriptor) as entries:
                    names = [entry.name for entry in entries]
            finally:
                os.close(descriptor)
        matches = [_ROOT.fullmatch(f"{ROOTS}/{name}") for name in names]
        versions = sorted(int(match[1]) for match in matches if match is not None)
        if len(versions) > self.limits.root_versions:
            raise Damaged(f"more than {self.limits.root_versions} root versions in the bundle")
        return tuple(versions)

    def _descend(self, components: list[str], flags: int = 0) -> int:
        """Open a path component by component; a link at any of them is an error."""
        if any(component in {"", ".", ".."} for component in components):
            raise Damaged(f"not a path inside the bundle: {printable('/'.join(components))}")
        if os.open not in os.supports_dir_fd:
            raise HostError(
                "this system cannot open a file relative to a directory, so a bundle cannot be "
                "read without the risk of following links"
            )
        with host_errors("cannot open the bundle"):
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        last = len(components) - 1
        for number, component in enumerate(components):
            # Without O_NONBLOCK, opening a FIFO would wait for a writer.
            kind = flags | os.O_NONBLOCK if number == last else os.O_DIRECTORY
            try:
                inner = os.open(
                    component, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | kind, dir_fd=descriptor
                )
            finally:
                os.close(descriptor)
            descriptor = inner
        return descriptor

    def _walk(self, folder: str, depth: int, found: _Found) -> None:
        """Put what stands below `folder` into `found`."""
        with os.scandir(self.path / folder) as listed:
            entries = sorted(listed, key=lambda entry: entry.name, reverse=True)
        found.count += len(entries)
        if found.count > self.limits.bundle_files:
            raise Damaged(f"more than {self.limits.bundle_files} files in the bundle")
        before = f"{folder}/" if folder else ""
        while entries:
            # Taken off, for it keeps what it is asked for.
            entry = entries.pop()
            path = before + entry.name
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                if _LITTER_FILE.fullmatch(entry.name) is None:
                    found.add(path, status.st_size)
                else:
                    found.litter.append(path)
            elif not stat.S_ISDIR(status.st_mode):
                kind = "a link" if stat.S_ISLNK(status.st_mode) else "a special file"
                raise Damaged(f"{kind} in the bundle, which has only files: {printable(path)}")
            elif depth == 1 and _LITTER_DIRECTORY.fullmatch(entry.name):
                found.litter.append(f"{path}/")
            elif depth >= _DEEPEST:
                raise Damaged(f"too deep in the bundle: {printable(path)}")
            else:
                self._walk(path, depth + 1, found)


def _read_up_to(file: "FileIO", most: int, step: int) -> bytes:
    """Read to the end, or `most` bytes, `step` at a time: of the file's size, mostly once.

    To ask for all that is allowed would take that much room, however small the file is.
    """
    parts = []
    while most > 0 and (part := file.read(min(most, step))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


@contextmanager
def _bundle_errors(name: str) -> Iterator[None]:
    """Tell a file that is missing or of another kind from a host that cannot read it."""
    try:
        yield
    except FileNotFoundError:
        raise Damaged(f"missing in the bundle: {printable(name)}") from None
    except OSError as error:
        # With O_NOFOLLOW a link is ELOOP on Linux, or ENOTDIR together with O_DIRECTORY.
        if error.errno in _OTHER_KIND:
            raise Damaged(
                f"a link, or not a file, on the way to {printable(name)} in the bundle"
            ) from None
        reason = error.strerror or str(error)
        raise HostError(f"cannot read {printable(name)} in the bundle: {reason}") from error
