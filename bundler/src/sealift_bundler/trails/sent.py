"""The bundles that were sent, and whether a receipt says the truth about one of them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sealift_installer.bundle import MANIFEST, Bundle
from sealift_installer.errors import documents_damaged, host_errors, printable
from sealift_installer.limits import LIMITS
from sealift_schemas.manifest import Archive, Manifest
from sealift_schemas.receipt import Receipt

# Of these a receipt names the bundle because something of it stands there afterwards.
_BRINGING = frozenset({"install", "repair", "rollback", "relocate"})


@dataclass(frozen=True, slots=True)
class Sent:
    """The manifests of the bundles that were sent, by their SHA-256."""

    manifests: Mapping[str, tuple[Manifest, str]]

    def places(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Yield the stream of each bundle, and its epoch and sequence."""
        for manifest, _ in self.manifests.values():
            yield manifest.stream, (manifest.epoch, manifest.sequence)

    def doubt(self, receipt: Receipt) -> Iterator[str]:
        """Yield what in a receipt contradicts the bundles that were sent."""
        bundle, archive = receipt.bundle, receipt.archive
        if bundle is None or receipt.action not in _BRINGING:
            return
        what = f"receipt {receipt.number}"
        name = f"bundle {bundle.sequence} of stream {bundle.stream}, {bundle.manifest}"
        known = self.manifests.get(bundle.manifest)
        if known is None:
            yield f"{what} names a bundle that was not sent: {name}"
            return
        manifest = known[0]
        place = (bundle.stream, bundle.epoch, bundle.sequence)
        if place != (manifest.stream, manifest.epoch, manifest.sequence):
            yield f"{what} gives the wrong place of a bundle: {name}"
        if archive is None:
            return
        carried = next((each for each in manifest.archives if each.name == archive.name), None)
        if carried is None or carried.sha256 != archive.sha256:
            yield f"{what}: {archive.name} with sha256 {archive.sha256} is not in {name}"
        elif archive.index is not None and archive.index != _index(manifest, carried):
            yield f"{what}: {archive.name} was not installed by the index that {name} has"


def read_sent(paths: Sequence[Path]) -> Sent:
    """Read the manifests of bundles.

    Args:
        paths: a bundle, a folder of bundles, or a file `manifest.json` alone.

    Raises:
        Damaged: one is malformed.
        HostError: one cannot be read.
    """
    manifests = {}
    for file in (file for path in paths for file in _manifests(path)):
        data = _read(file)
        with documents_damaged(printable(str(file))):
            manifest = Manifest.read(data, limit=LIMITS.envelope)
        sha256 = hashlib.sha256(data).hexdigest()
        manifests[sha256] = (manifest, sha256)
    return Sent(manifests)


def _read(file: Path) -> bytes:
    """Return the bytes of a manifest; in a bundle it is a file, and no pipe without an end."""
    if file.name == MANIFEST and file.exists():
        return Bundle(file.parent).read(MANIFEST, LIMITS.envelope)
    with host_errors("cannot read the manifest"), file.open("rb") as stream:
        return stream.read(LIMITS.envelope + 1)


def _manifests(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    if (path / MANIFEST).exists():
        return [path / MANIFEST]
    return sorted(path.glob(f"*/{MANIFEST}")) or [path / MANIFEST]


def _index(manifest: Manifest, archive: Archive) -> str | None:
    return next((file.sha256 for file in manifest.files if file.path == archive.index), None)
