"""Provenance and verification summary of a bundle, from its lock. Nothing here signs.

All times are the lock's: the same lock, keys and code give the same bytes.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from itertools import chain

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from sealift_bundler import __version__
from sealift_bundler.downloads_json import public_url
from sealift_bundler.draft import describe_source
from sealift_bundler.evidence import purl
from sealift_bundler.evidence.subjects import (
    builder_uri,
    bundle_uri,
    by_name,
    distinct,
    published,
    subject,
)
from sealift_bundler.lazily import Lazily
from sealift_bundler.packed import Packed
from sealift_bundler.runtime_wheels import code_wheels
from sealift_schemas.lock import Lock, LockedArchive, LockedCatalog, LockedWheel
from sealift_schemas.provenance import Dependency, Parameters, Provenance, Wanted
from sealift_schemas.statement import Named
from sealift_schemas.upstream import TRUSTED_ROOT, TrustedRootFile
from sealift_schemas.vsa import Check, Summary


@dataclass(frozen=True, slots=True)
class Building:
    """One build: what it is made from, in which epoch, and for which Pythons unseal travels.

    `code` is the code that builds, where it was looked at before it is written down.
    """

    lock: Lock
    epoch: int
    pythons: tuple[str, ...] = ()
    code: tuple[Named, ...] = ()


def policy_text() -> bytes:
    """Return the policy that archives are held against before they are carried."""
    return files("sealift_bundler").joinpath("paper", "policy.txt").read_bytes()


def make_provenance(building: Building, byproducts: Mapping[str, str]) -> Provenance:
    """Return how the archives of the lock came into the bundle.

    Args:
        building: the build.
        byproducts: the SHA-256 of files that were written about the archives, by path.
    """
    lock = building.lock
    archives = by_name(lock.archives)
    trusted = lock.trusted_root
    return Provenance(
        subjects=Lazily(subject, distinct(archives)),
        parameters=_parameters(building),
        epoch=building.epoch,
        dependencies=Lazily(
            partial(_dependency, lock.stream),
            Packed(chain(archives, lock.wheels, lock.catalogs, [trusted] if trusted else [])),
        ),
        builder=builder_uri(lock.stream),
        version=__version__,
        code=building.code or find_code(lock.created),
        invocation=bundle_uri(lock, building.epoch),
        byproducts=tuple(Named(path, byproducts[path]) for path in sorted(byproducts)),
    )


def make_summary(building: Building) -> Summary:
    """Return what was verified about each archive of the lock."""
    lock = building.lock
    return Summary(
        verifier=builder_uri(lock.stream),
        version=__version__,
        time=lock.created,
        resource=bundle_uri(lock, building.epoch),
        policy=hashlib.sha256(policy_text()).hexdigest(),
        checks=Lazily(_check, distinct(lock.archives)),
    )


def _check(archive: LockedArchive) -> Check:
    name = subject(archive).name
    return Check(name, archive.sha256, archive.digest_source, archive.upstream)


def archive_purl(archive: LockedArchive) -> str:
    """Return the package URL of an archive: of its package where an index has it."""
    if archive.source == "package":
        name = wheel_project(archive.filename)
        if name is not None:
            return purl.pypi(*name, archive.filename)
    return purl.generic(
        archive_project(archive),
        archive.version,
        url=published(archive.url),
        sha256=archive.sha256,
    )


def archive_project(archive: LockedArchive) -> str:
    """Return what the archive is, without version and platform: `cpython`, or a tool's name."""
    if archive.kind == "interpreter":
        return archive.name.partition("-")[0]
    name = archive.name.removesuffix(f"-{archive.platform}")
    # Names are in lower case and without what a version may have.
    head = name.rpartition(f"-{archive.version.lower()}")[0]
    return head or name.partition("-")[0]


def wheel_project(filename: str) -> tuple[str, str] | None:
    """Return project and version of a wheel by its file's name."""
    try:
        name, found, _, _ = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return None
    return name, str(found)


def _hash(pieces: Iterable[bytes]) -> str:
    computed = hashlib.sha256()
    for piece in pieces:
        computed.update(piece)
    return computed.hexdigest()


def _parameters(building: Building) -> Parameters:
    lock = building.lock
    return Parameters(
        stream=lock.stream,
        sequence=lock.sequence,
        created=lock.created,
        expires=lock.expires,
        spec=lock.spec,
        lock=_hash(lock.pieces()),
        pythons=building.pythons,
        catalogs=tuple(_catalog(catalog, lock.stream).uri for catalog in lock.catalogs),
        archives=Lazily(partial(_wanted, lock.stream), by_name(lock.archives)),
    )


def _wanted(stream: str, archive: LockedArchive) -> Wanted:
    return Wanted(
        name=archive.name,
        request=describe_source(archive, stream).request,
        version=archive.version,
        platform=archive.platform,
        strip=archive.strip,
        prefix=archive.prefix,
        links=archive.links,
    )


def _dependency(
    stream: str, one: LockedArchive | LockedWheel | LockedCatalog | TrustedRootFile
) -> Dependency:
    if isinstance(one, LockedArchive):
        return _archive(one)
    if isinstance(one, LockedWheel):
        return _wheel(one)
    return _catalog(one, stream) if isinstance(one, LockedCatalog) else _trusted_root(one)


def _archive(archive: LockedArchive) -> Dependency:
    return Dependency(
        kind="archive",
        name=archive.name,
        uri=archive_purl(archive),
        sha256=archive.sha256,
        location=published(archive.url),
        size=archive.size,
        digest_source=archive.digest_source,
        upstream=archive.upstream,
    )


def _wheel(wheel: LockedWheel) -> Dependency:
    project = wheel_project(wheel.filename)
    uri = purl.generic(wheel.filename) if project is None else purl.pypi(*project, wheel.filename)
    return Dependency(
        kind="wheel",
        name=wheel.filename,
        uri=uri,
        sha256=wheel.sha256,
        location=published(wheel.url),
        size=wheel.size,
    )


def _catalog(catalog: LockedCatalog, stream: str) -> Dependency:
    """Return a catalogue, whose path on this machine is nobody's business."""
    name = catalog.url.partition("?")[0].rstrip("/").rpartition("/")[2] or "catalog"
    location = published(catalog.url)
    return Dependency(
        kind="catalog",
        name=name,
        uri=location or public_url("", name, stream),
        sha256=catalog.sha256,
        location=location,
    )


def _trusted_root(file: TrustedRootFile) -> Dependency:
    """Return the keys of Sigstore that travel; many places offer the same bytes."""
    uri = purl.generic("sigstore-trusted-root", sha256=file.sha256)
    return Dependency("trusted-root", TRUSTED_ROOT, uri, file.sha256, size=file.size)


def find_code(created: str) -> tuple[Named, ...]:
    """Return the code that builds, each of its distributions as the wheel that it makes.

    Raises:
        HostError: the installed code cannot be read.
    """
    names = ("sealift", "sealift-installer", "sealift-schemas")
    return tuple(
        Named(filename, hashlib.sha256(data).hexdigest(), purl.pypi(name, version(name)))
        for name, (filename, data) in zip(names, code_wheels(created), strict=True)
    )
