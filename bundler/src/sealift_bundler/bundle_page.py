"""What the pages about a bundle tell: the one that travels in it, and one about a sealed bundle."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from sealift_bundler.lazily import Lazily
from sealift_bundler.packed import in_order
from sealift_bundler.roots import RootFile
from sealift_bundler.seal import verify_bundle
from sealift_installer.evidence import check_evidence
from sealift_installer.limits import LIMITS
from sealift_installer.page.document import bundle_page_pieces
from sealift_installer.page.model import (
    ArchiveReport,
    BundleReport,
    describe_bundle,
    read_root_report,
)
from sealift_installer.sbom import read_component, read_components
from sealift_installer.trust.roots import TrustedRoot
from sealift_schemas.manifest import Manifest

PATH = "report.html"
# Of more archives than these the page in the bundle leaves out what was found inside of them: the
# SBOM has it, and a page of a hundred thousand lines helps nobody.
_MOST_WITH_PARTS = 100


def travelling_page(
    manifest: Manifest,
    archives: Sequence[ArchiveReport],
    roots: Iterable[RootFile],
    components: Sequence[bytes],
) -> Iterator[bytes]:
    """Yield the page, piece by piece, that travels in the bundle, of everything that is in it but the page.

    `components` are those of the SBOM, each as JSON.
    """
    with_parts = len(archives) <= _MOST_WITH_PARTS
    report = BundleReport(
        manifest=manifest,
        archives=in_order(archives, lambda one: one.archive.name),
        roots=tuple(read_root_report(root.data, root.name, LIMITS.root) for root in roots),
        components=Lazily(partial(read_component, with_parts=with_parts), components),
    )
    return bundle_page_pieces(report, manifest.generator)


def describe_sealed(path: Path, root: TrustedRoot) -> BundleReport:
    """Verify the bundle at `path` and return what a page about it tells.

    Raises:
        Untrusted, Damaged, RefusedByPolicy, HostError: as `verify_bundle`.
    """
    verified = verify_bundle(path, root)
    found = verified.authenticated
    return describe_bundle(found, check_evidence(found), read_components(found), verified.report)
