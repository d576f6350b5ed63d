"""Provenance and verification summary of a bundle, from its lock. Nothing here signs.

All times are the lock's: the same lock, keys and code give the same bytes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from sealift_bundler import __version__
from sealift_bundler.downloads_json import public_url
from sealift_bundler.evidence import purl
from sealift_bundler.evidence.subjects import (
    builder_uri,
    bundle_uri,
    distinct,
    published,
    subject,
)
from sealift_bundler.runtime_wheels import code_wheels
from sealift_bundler.write import describe_source
from sealift_schemas.lock import Lock, LockedArchive, LockedCatalog, LockedWheel
from sealift_schemas.provenance import Dependency, Parameters, Provenance, Wanted
from sealift_schemas.statement import Named
from sealift_schemas.upstream import TRUSTED_ROOT
from sealift_schemas.vsa import Check, Summary


@dataclass(frozen=True, slots=True)
class Building:
    """One build: what it is made from, in which epoch, and for which Pythons unseal travels."""

    lock: Lock
    epoch: int
    pythons: tuple[str, ...] = ()


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
    archives = sorted(lock.archives, key=lambda one: one.name)
    return Provenance(
        subjects=tuple(subject(archive) for archive in distinct(archives)),
        parameters=_parameters(building),
        epoch=building.epoch,
        dependencies=(
            *(_archive(archive) for archive in archives),
            *(_wheel(wheel) for wheel in lock.wheels),
            *(_catalog(catalog, lock.stream) for catalog in lock.catalogs),
            *_trusted_root(lock),
        ),
        builder=builder_uri(lock.stream),
        version=__version__,
        code=_code(lock.created),
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
        checks=tuple(
            Check(subject(one).name, one.sha256, one.digest_source, one.upstream)
            for one in distinct(lock.archives)
        ),
    )


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


def _parameters(building: Building) -> Parameters:
    lock = building.lock
    return Parameters(
        stream=lock.stream,
        sequence=lock.sequence,
        created=lock.created,
        expires=lock.expires,
        spec=lock.spec,
        lock=hashlib.sha256(lock.encode()).hexdigest(),
        pythons=building.pythons,
        catalogs=tuple(_catalog(catalog, lock.stream).uri for catalog in lock.catalogs),
        archives=tuple(
            Wanted(
                name=archive.name,
                request=describe_source(archive, lock.stream).request,
                version=archive.version,
                platform=archive.platform,
                strip=archive.strip,
                prefix=archive.prefix,
                links=archive.links,
            )
            for archive in sorted(lock.archives, key=lambda one: one.name)
        ),
    )


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


def _trusted_root(lock: Lock) -> list[Dependency]:
    """Return the keys of Sigstore that travel, if they do; many places offer the same bytes."""
    file = lock.trusted_root
    if file is None:
        return []
    uri = purl.generic("sigstore-trusted-root", sha256=file.sha256)
    return [Dependency("trusted-root", TRUSTED_ROOT, uri, file.sha256, size=file.size)]


def _code(created: str) -> tuple[Named, ...]:
    """Return the code that built, each of its distributions as the wheel that it makes."""
    names = ("sealift", "sealift-installer", "sealift-schemas")
    return tuple(
        Named(filename, hashlib.sha256(data).hexdigest(), purl.pypi(name, version(name)))
        for name, (filename, data) in zip(names, code_wheels(created), strict=True)
    )
