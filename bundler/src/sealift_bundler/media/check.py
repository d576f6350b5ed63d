"""Is what stands on a medium what was signed, byte for byte?

The first fault is enough to refuse a bundle, and the installer stops there. Who has to mend a stick
wants to know all of them: here every chunk is read, whatever became of the one before.
"""

import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sealift_bundler.media.faults import KINDS, UNLISTED, Fault, find_faults
from sealift_bundler.media.plan import is_unfinished
from sealift_bundler.media.uncached import UncachedBundle, Way
from sealift_bundler.progress import Progress
from sealift_bundler.site import clock_time
from sealift_installer.authenticate import Authenticated, Terms, authenticate, follow_roots
from sealift_installer.bundle import CHECKSUMS, ENVELOPE, MANIFEST, Bundle, is_control
from sealift_installer.errors import (
    Damaged,
    HostError,
    SealiftError,
    UsageError,
    host_errors,
    printable,
)
from sealift_installer.evidence import check_evidence
from sealift_installer.trust.dsse import check_type, count_signers, read_envelope
from sealift_installer.trust.roots import TrustedRoot
from sealift_installer.trust.state import TrustState
from sealift_schemas.manifest import PAYLOAD_TYPE, Manifest
from sealift_schemas.strictjson import DocumentError


@dataclass(frozen=True, slots=True)
class BundleCheck:
    """What was found of one bundle on a medium.

    `error` is why it is refused, with `faults` in its files; without both it is good. `manifest` is
    None where nobody whom the root trusts has signed one. `size` bytes were read in `seconds`.
    """

    path: Path
    manifest: Manifest | None
    manifest_sha256: str
    signers: tuple[str, ...]
    warnings: tuple[str, ...]
    faults: tuple[Fault, ...]
    error: SealiftError | None
    size: int
    seconds: float
    way: Way

    @property
    def good(self) -> bool:
        """Whether it is what was sealed."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class Found:
    """What stands on a medium: bundles, what was left unfinished, and links, which are passed."""

    bundles: tuple[Path, ...]
    unfinished: tuple[Path, ...]
    links: tuple[Path, ...]


def find_bundles(directory: Path) -> Found:
    """Find the bundle that `directory` is, or those directly in it. No link is followed in it.

    Raises:
        UsageError: it is no directory.
        Damaged: there is no bundle.
        HostError: it cannot be listed.
    """
    if not directory.is_dir():
        raise UsageError(f"not a directory: {directory}", hint="is the medium mounted?")
    if is_bundle(directory):
        return Found((directory,), (), ())
    with host_errors("cannot list the medium"):
        entries = [path for path in sorted(directory.iterdir()) if path.is_dir()]
    links = tuple(path for path in entries if path.is_symlink())
    folders = [path for path in entries if path not in links]
    unfinished = tuple(path for path in folders if is_unfinished(path.name))
    bundles = tuple(path for path in folders if path not in unfinished and is_bundle(path))
    if not bundles:
        left = f"; unfinished: {printable(unfinished[0].name)}" if unfinished else ""
        raise Damaged(
            f"no bundle on the medium: {directory}{left}",
            hint="a bundle is a directory there; sealift media write BUNDLE DIR brings one",
        )
    return Found(bundles, unfinished, links)


def is_bundle(directory: Path) -> bool:
    """Tell whether a directory is one, whole or not, by documents that only bundles have."""
    # Others have a manifest.json as well.
    return _has(directory, ENVELOPE) or (_has(directory, MANIFEST) and _has(directory, CHECKSUMS))


def _has(directory: Path, name: str) -> bool:
    # What an operating system keeps for itself may not be looked into.
    with suppress(OSError):
        return stat.S_ISREG((directory / name).lstat().st_mode)
    return False


def check_bundle(path: Path, root: TrustedRoot, watch: Progress) -> BundleCheck:
    """Verify the bundle at `path` as `sealift verify` does, and find every byte that is wrong.

    Raises:
        HostError: the medium is gone.
    """
    bundle = UncachedBundle(path)
    begin = time.monotonic()
    found, error = _authenticate(bundle, root)
    manifest = found.manifest if found else None
    if manifest is None and isinstance(error, Damaged):
        manifest = _signed_manifest(bundle, root)
    files = () if manifest is None else manifest.files
    faults = find_faults(bundle, files, watch)
    if found is not None and not faults:
        error = _check_evidence(found)
    elif manifest is not None and error is not None:
        faults += _unlisted(bundle, manifest)
    return BundleCheck(
        path=path,
        manifest=manifest,
        manifest_sha256=found.manifest_sha256 if found else "",
        signers=found.signers if found else (),
        warnings=found.warnings if found else (),
        faults=tuple(faults),
        error=_judge(error, faults),
        size=sum(file.size for file in files),
        seconds=time.monotonic() - begin,
        way=bundle.way,
    )


def _authenticate(
    bundle: Bundle, root: TrustedRoot
) -> tuple[Authenticated | None, SealiftError | None]:
    try:
        return authenticate(bundle, TrustState(root), Terms(now=clock_time())), None
    except SealiftError as error:
        return None, error


def _check_evidence(found: Authenticated) -> SealiftError | None:
    try:
        check_evidence(found)
    except SealiftError as error:
        return error
    return None


def _signed_manifest(bundle: Bundle, root: TrustedRoot) -> Manifest | None:
    """Return the manifest of a bundle that is damaged, where enough signatures over it hold.

    It says what else is damaged. Nothing is called good by it.
    """
    limit = bundle.limits.envelope
    try:
        followed = follow_roots(bundle, TrustState(root))
        envelope = read_envelope(bundle, ENVELOPE, limit)
        check_type(envelope, PAYLOAD_TYPE, ENVELOPE)
        for trusted in followed.roots:
            count_signers(envelope, trusted.root, "release", ENVELOPE)
        data = envelope.signed_bytes
        return Manifest.read(data, limit=limit, start=len(data) - envelope.size)
    except (SealiftError, DocumentError):
        return None


def _unlisted(bundle: Bundle, manifest: Manifest) -> list[Fault]:
    try:
        sizes = bundle.scan().sizes
    except SealiftError:
        return []  # what is there besides files is the error that is told
    listed = {file.path for file in manifest.files}
    unlisted = sorted(name for name in sizes if name not in listed and not is_control(name))
    return [Fault(name, 0, 0, UNLISTED) for name in unlisted]


def _judge(error: SealiftError | None, faults: Sequence[Fault]) -> SealiftError | None:
    """Return why the bundle is refused; what the faults say as well is not said twice."""
    if not faults:
        return error
    if error is not None and not any(printable(fault.path) in error.message for fault in faults):
        return error
    unread = all(fault.reason not in KINDS for fault in faults)
    kind = HostError if unread and error is None else Damaged
    count = len({fault.path for fault in faults})
    return kind(f"{count} {'file is' if count == 1 else 'files are'} not what was sealed")
