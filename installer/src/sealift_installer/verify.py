"""Read every payload byte of an authenticated bundle and compare it with the manifest."""

from collections.abc import Callable

from sealift_installer.authenticate import Authenticated
from sealift_installer.chunks import AuthenticatedFile
from sealift_schemas.lean import dataclass
from sealift_schemas.manifest import BundleFile

Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was read: numbers of files, bytes, archives, index entries and templates in use."""

    files: int
    size: int
    archives: int
    entries: int
    templates: int


def verify_files(authenticated: Authenticated, progress: Progress | None = None) -> VerifyReport:
    """Read and compare all payload files, and check that indexes and templates belong together.

    Args:
        authenticated: the bundle.
        progress: called with a path and the number of bytes that were just read of it.

    Raises:
        Damaged: a file is not what the manifest says, or an index not what its archive needs.
        HostError: a file cannot be read.
    """
    entries = 0
    templates: set[str] = set()
    carried: set[str] = set()
    for archive in authenticated.manifest.archives:
        for entry in authenticated.entries(archive):
            entries += 1
            if entry.template is not None and entry.template.sha256 not in templates:
                authenticated.template(entry.template)
                templates.add(entry.template.sha256)
        carried.update(archive.parts)
        _read(authenticated.source(archive), progress)
    for file in authenticated.manifest.files:
        # The parts of an archive were read with it, and the SHA-256 of each was compared.
        if file.path not in carried:
            _read(_whole(authenticated, file), progress)
    return VerifyReport(
        files=len(authenticated.manifest.files),
        size=sum(file.size for file in authenticated.manifest.files),
        archives=len(authenticated.manifest.archives),
        entries=entries,
        templates=len(templates),
    )


def _whole(authenticated: Authenticated, file: BundleFile) -> AuthenticatedFile:
    return AuthenticatedFile(authenticated.bundle, (file,), file.sha256, file.path)


def _read(source: AuthenticatedFile, progress: Progress | None) -> None:
    for chunk in source.chunks():
        if progress is not None:
            progress(source.name, len(chunk))
