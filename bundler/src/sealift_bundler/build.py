"""lock, fetch, inspect, write, sign, seal: a bundle from a site."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from sealift_bundler.bundle_page import PATH as PAGE
from sealift_bundler.bundle_page import travelling_page
from sealift_bundler.carried_wheels import CarriedWheels
from sealift_bundler.current import current_lock
from sealift_bundler.downloads_json import downloads_json
from sealift_bundler.draft import Draft
from sealift_bundler.evidence.book import EvidenceBook
from sealift_bundler.evidence.statements import Building, find_code
from sealift_bundler.inspect import inspect_archive
from sealift_bundler.keys import keyid
from sealift_bundler.lock import Locked
from sealift_bundler.means import Means
from sealift_bundler.obtain import obtain, obtain_wheels
from sealift_bundler.packed import Packed
from sealift_bundler.paper import install_scripts, readme_text, verify_text
from sealift_bundler.resolve import evidence_search
from sealift_bundler.roots import RootFile, read_roots
from sealift_bundler.runtime import own_wheels, requirements_text
from sealift_bundler.seal import Verified, read_trusted_root, seal_bundle
from sealift_bundler.sign import Signer
from sealift_bundler.sign.bundle import sign_bundle
from sealift_bundler.site import BUNDLES_NAME, Site
from sealift_bundler.upstream.carry import carry_evidence
from sealift_bundler.write import find_leftovers, staged
from sealift_installer.bundle import root_name
from sealift_installer.errors import HostError
from sealift_installer.page.model import ArchiveReport, describe_archive
from sealift_schemas.lean import replace
from sealift_schemas.lock import Lock
from sealift_schemas.manifest import Manifest
from sealift_schemas.root import Root

# Room for what stands beside the archives: indexes, templates, documents (bytes).
_SLACK = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Built:
    """A bundle that was written; `verified` is None where it was left unsigned.

    `changes` are those of the lock.
    """

    path: Path
    manifest: Manifest
    changes: tuple[str, ...]
    verified: Verified | None = None
    signers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How to build: where to, and signed by whom (none: unsigned).

    `builders` sign what is said about how the bundle was made. `report` is told what changed in the
    lock, `step` what is being done.
    """

    means: Means
    now: str
    output: Path | None = None
    signers: Sequence[Signer] = field(default_factory=tuple)
    report: Callable[[str], None] = lambda _: None
    step: Callable[[str], None] = lambda _: None
    builders: Sequence[Signer] = field(default_factory=tuple)


def build_bundle(site: Site, options: BuildOptions) -> Built:
    """Build the site's bundle; nothing is left at the output if it cannot be sealed.

    Raises:
        UsageError: the spec, the keys or the output are wrong.
        Untrusted: the signers are not those that the root asks for.
        NetworkError, Damaged, HostError: something cannot be fetched, read or written.
    """
    roots = read_roots(site.roots)
    with ExitStack() as stack:
        stack.enter_context(options.means.cache.hold())
        # A place that cannot be written should not cost a download.
        place = None if options.output is None else stack.enter_context(staged(options.output))
        locked = current_lock(site, options.means, options.now)
        _report(locked, site, options)
        lock = replace(locked.lock, archives=Packed(locked.lock.archives))
        changes = locked.changes
        del locked
        output = options.output or site.directory / BUNDLES_NAME / f"{lock.stream}-{lock.sequence}"
        place = place or stack.enter_context(staged(output))
        for other in find_leftovers(place):
            options.report(
                f"left by a run that was killed: {other}\n"
                "the same command as then goes on with it or removes it; else remove it yourself"
            )
        manifest = _write(place, site, lock, roots, options)
        if not options.signers:
            return Built(output, manifest, changes)
        # What is verified is read anew, and of a thousand archives each of these takes much.
        del manifest, lock, site
        options.step("sign")
        signers = sign_bundle(place, options.signers)
        options.step("seal")
        first = roots[0]
        verified = seal_bundle(place, read_trusted_root(first.data, first.sha256))
        return Built(output, verified.authenticated.manifest, changes, verified, signers)


def _report(locked: Locked, site: Site, options: BuildOptions) -> None:
    if locked.misfit is not None:
        options.report(f"{site.lock_path.name} did not fit: {locked.misfit}")
    for change in locked.changes:
        options.report(f"locked: {change}")


def _write(
    place: Path, site: Site, lock: Lock, roots: Sequence[RootFile], options: BuildOptions
) -> Manifest:
    """Fetch what is not in the cache, and write everything but the signatures to `place`."""
    _check_space(place, lock)
    means = options.means
    paths = obtain(site, lock.archives, means)
    fetched = obtain_wheels(site, lock.wheels, means)
    draft = Draft(place, lock)
    epoch = _epoch(lock, roots)
    for name, data in carry_evidence(lock, evidence_search(site, means)):
        draft.add_bytes(name, data)
    described: Packed[ArchiveReport] = Packed()
    builders = _builders(options, roots[-1].root) if lock.archives else ()
    # While there is little else in memory: these take more than a thousand archives.
    code = find_code(lock.created) if builders else ()
    evidence = EvidenceBook(draft, Building(lock, epoch, site.spec.pythons, code))
    wheels = CarriedWheels(fetched, dict(own_wheels(lock.created)) if fetched else {})
    evidence.add_wheels(wheels)
    for archive, path in zip(lock.archives, paths, strict=True):
        options.step(f"inspect: {archive.name}")
        inspection = inspect_archive(archive, path)
        carried = draft.add_archive(archive, path, inspection)
        described.append(describe_archive(carried, inspection.entries, archive.upstream))
        evidence.add_archive(archive, inspection.findings)
    _add_papers(draft, lock, wheels)
    evidence.finish(builders)
    components = evidence.components()
    draft.add_pieces(PAGE, travelling_page(draft.manifest(epoch), described, roots, components))
    del described, evidence, components
    manifest = draft.finish(epoch)
    for root in roots:
        draft.add_control(root_name(root.version), root.data)
    return manifest


def _epoch(lock: Lock, roots: Sequence[RootFile]) -> int:
    rule = roots[-1].root.streams.get(lock.stream)
    return 1 if rule is None else rule.epoch


def _builders(options: BuildOptions, root: Root) -> Sequence[Signer]:
    """Return those who sign the evidence: enough for the role, or nobody, and then say so."""
    role = root.roles["builder"]
    known = {keyid(one.public): one for one in options.builders if keyid(one.public) in role.keys}
    if len(known) >= role.threshold:
        return tuple(known.values())
    keys = "1 key" if role.threshold == 1 else f"{role.threshold} keys"
    options.report(
        f"left out: provenance and VSA, for the role builder asks for {keys} of root version "
        f"{root.version} and {len(known) or 'none'} can sign here; name them in [signing] builders"
    )
    return ()


def _add_papers(draft: Draft, lock: Lock, wheels: CarriedWheels) -> None:
    if wheels:
        for filename in sorted(wheels):
            draft.add_bytes(f"unseal/wheels/{filename}", wheels[filename])
        draft.add_bytes("unseal/requirements.txt", requirements_text(wheels))
        for name, data in install_scripts().items():
            draft.add_bytes(name, data)
    draft.add_bytes("README.txt", readme_text(lock, with_installer=bool(wheels)))
    draft.add_bytes("VERIFY.txt", verify_text())
    draft.add_bytes("python-downloads.json", downloads_json(lock.archives, lock.stream))


def _check_space(place: Path, lock: Lock) -> None:
    needed = sum(archive.size for archive in lock.archives)
    needed += sum(wheel.size for wheel in lock.wheels) + _SLACK
    needed += sum(one.size or 0 for archive in lock.archives for one in archive.upstream)
    free = shutil.disk_usage(place).free
    if free < needed:
        raise HostError(
            f"not enough space for the bundle: {place.parent}\n"
            f"  Expected: {needed} bytes\n  Computed: {free} bytes"
        )
