"""What is written down: links and receipts of publications, roots and bundles accepted or refused.

Counter and receipt are one step of `StateStore.record`, so they cannot disagree.
"""

import time
from contextlib import suppress

from sealift_installer.authenticate import Authenticated
from sealift_installer.errors import BundleError, HostError
from sealift_installer.links import make_links
from sealift_installer.prefix import Prefix
from sealift_installer.publish import Publication
from sealift_installer.receipts import Event
from sealift_installer.trust.state import StateStore, TrustState
from sealift_schemas.manifest import Manifest
from sealift_schemas.receipt import ArchiveIdentity
from sealift_schemas.strictjson import shorten

_DETAIL = 1000  # characters of an error that a receipt keeps


def utc_now() -> str:
    """Return the system's time in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def account(prefix: Prefix, store: StateStore, publication: Publication) -> None:
    """Do what belongs to a publication: links, then receipt and counter, if they are missing.

    Raises:
        HostError: a link or the state cannot be written.
        Untrusted: state and receipts contradict each other.
    """
    make_links(prefix, publication.record, publication.links)
    state = store.load()
    if state.receipts > publication.receipts and _is_recorded(store, publication):
        return
    bundle = publication.bundle
    event = Event(
        clock=utc_now(),
        action="install",
        detail=publication.detail,
        bundle=bundle,
        archive=_identity(publication),
        root_version=bundle.root_version,
        overrides=publication.overrides,
    )
    store.record(state.with_bundle(_place(publication), bundle.manifest), event)


def accept_roots(store: StateStore, authenticated: Authenticated) -> None:
    """Trust the roots that a bundle brought: the chain to them was walked."""
    roots = authenticated.new_roots
    if roots:
        version = roots[-1].root.version
        event = Event(
            clock=utc_now(),
            action="trust",
            detail=f"root version {version} came with the bundle",
            bundle=authenticated.identity,
            root_version=version,
        )
        store.record(store.load().with_roots(roots), event)


def accept_bundle(store: StateStore, authenticated: Authenticated) -> None:
    """Accept a bundle of which everything was there already, and its overrides."""
    state = store.load()
    accepted = state.with_bundle(authenticated.manifest, authenticated.manifest_sha256)
    if accepted != state or authenticated.overrides:
        event = Event(
            clock=utc_now(),
            action="install",
            detail="everything was there already",
            bundle=authenticated.identity,
            root_version=authenticated.root.root.version,
            overrides=authenticated.overrides,
        )
        store.record(accepted, event)


def note_refusal(store: StateStore, state: TrustState, error: BundleError) -> None:
    """Leave a receipt of a bundle that was refused; a full disk does not hide the refusal."""
    detail = f"{type(error).__name__}: {shorten(error.message, _DETAIL)}"
    with suppress(HostError):
        store.record(state, Event(clock=utc_now(), action="refuse", detail=detail))


def _is_recorded(store: StateStore, publication: Publication) -> bool:
    """Tell whether one of the receipts since the journal was written is this publication's."""
    identity = _identity(publication)
    store.complete()
    return any(
        receipt.number > publication.receipts
        and receipt.archive == identity
        and receipt.bundle == publication.bundle
        for receipt in store.log.read()
    )


def _identity(publication: Publication) -> ArchiveIdentity:
    record = publication.record
    return ArchiveIdentity(name=record.name, sha256=record.archive, path=record.path)


def _place(publication: Publication) -> Manifest:
    """Return the bundle's place in its stream, all that is left of its manifest after a kill."""
    bundle = publication.bundle
    return Manifest(
        stream=bundle.stream,
        epoch=bundle.epoch,
        sequence=bundle.sequence,
        created=publication.created,
        generator="",
        installer="",
        files=(),
        archives=(),
    )
