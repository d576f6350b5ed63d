"""What is written down: links and receipts of publications, roots and bundles accepted or refused.

Counter and receipt are one step of `StateStore.record`, so they cannot disagree.
"""

import time
from collections.abc import Sequence
from contextlib import suppress

from sealift_installer.authenticate import Authenticated
from sealift_installer.errors import BundleError, HostError, SealiftError, printable
from sealift_installer.links import activate_links, make_links, move_links
from sealift_installer.prefix import Prefix
from sealift_installer.publish import Publication
from sealift_installer.receipts import Event
from sealift_installer.trust.host import HOST, HostPlace, HostTrust, may_raise
from sealift_installer.trust.roots import TrustedRoot
from sealift_installer.trust.state import StateStore, TrustState
from sealift_schemas.manifest import Manifest
from sealift_schemas.receipt import ArchiveIdentity, BundleIdentity

_DETAIL = 1000  # characters of an error that a receipt keeps


def utc_now() -> str:
    """Return the system's time in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def account(
    prefix: Prefix, store: StateStore, publication: Publication, host: HostPlace | None = None
) -> None:
    """Do what belongs to a publication: links, then receipt and counter, if they are missing.

    The counter of the host is raised first: a kill in between leaves the stricter one standing.
    Without `host` it is not raised: what a journal says of a bundle was not authenticated by this
    run, and the prefix may be somebody else's than the host.

    Raises:
        HostError: a link or the state cannot be written.
        Untrusted: state and receipts contradict each other.
    """
    _link(prefix, publication)
    state = store.load(removed=True)
    if state.receipts > publication.receipts and _is_recorded(store, publication):
        return
    bundle = publication.bundle
    root_version = None
    if bundle is not None and publication.action in {"install", "repair"}:
        # Of the other actions no bundle was there, whose root and place would be accepted.
        place = _place(publication, bundle)
        if host is not None:
            raise_counter(host, prefix, place, bundle)
        state = state.with_bundle(place, bundle.manifest)
        root_version = bundle.root_version
    event = Event(
        clock=utc_now(),
        action=publication.action,
        detail=publication.detail,
        bundle=bundle,
        archive=_identity(publication),
        root_version=root_version,
        overrides=publication.overrides,
    )
    store.record(state, event)


def _link(prefix: Prefix, publication: Publication) -> None:
    if publication.action == "activate":
        activate_links(prefix, publication.record, publication.links)
    elif publication.action == "relocate":
        move_links(prefix, publication.record)
    elif publication.action != "uninstall":
        make_links(prefix, publication.record, publication.links)


def start_from_host(store: StateStore, host: HostTrust) -> None:
    """Let a new prefix trust what the host does; without a root of the host it stays without one."""
    if host.state is None or store.exists() or store.log.exists():
        return
    root = host.state.root
    event = Event(
        clock=utc_now(),
        action="trust",
        detail=f"root version {root.root.version} is what this host trusts",
        root_version=root.root.version,
    )
    store.record(TrustState(root), event)


def accept_roots(
    store: StateStore, roots: Sequence[TrustedRoot], bundle: BundleIdentity | None
) -> None:
    """Trust the roots that a bundle brought: the chain to them was walked.

    `bundle` is None for one that was refused, of which nothing else is to be believed.
    """
    if not roots:
        return
    state = store.load()
    newest = roots[-1]
    if newest.root.version <= state.root.root.version:
        return  # another run brought them meanwhile
    came = "came with the bundle" if bundle else "came with a bundle that was refused"
    event = Event(
        clock=utc_now(),
        action="trust",
        detail=f"root version {newest.root.version} {came}",
        bundle=bundle,
        root_version=newest.root.version,
    )
    store.record(state.with_roots(roots), event)


def raise_roots(
    place: HostPlace, roots: Sequence[TrustedRoot], bundle: BundleIdentity | None
) -> None:
    """Let the host trust the roots that a bundle brought, if this run may say so."""
    if roots and may_raise(place):
        with place.prefix.lock(lambda _: None):
            accept_roots(place.store, roots, bundle)


def raise_counter(
    place: HostPlace, prefix: Prefix, manifest: Manifest, bundle: BundleIdentity
) -> None:
    """Raise the counter of the host to an accepted bundle, if this run may and there is one.

    Raises:
        HostError: it cannot be written.
        Untrusted: the host's state and receipts contradict each other.
    """
    if not may_raise(place) or not place.store.exists():
        return
    state = place.store.load()
    if state.with_bundle(manifest, bundle.manifest) == state:
        return
    with place.prefix.lock(lambda _: None):
        state = place.store.load()
        accepted = state.with_bundle(manifest, bundle.manifest)
        if accepted == state:
            return  # another run raised it meanwhile
        event = Event(
            clock=utc_now(),
            action="install",
            detail=f"accepted in {printable(str(prefix.path))}",
            bundle=bundle,
            root_version=bundle.root_version,
        )
        place.store.record(accepted, event)


def accept_bundle(
    prefix: Prefix, store: StateStore, authenticated: Authenticated, host: HostPlace = HOST
) -> None:
    """Accept a bundle of which everything was there already, and its overrides."""
    raise_counter(host, prefix, authenticated.manifest, authenticated.identity)
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


def note_refusal(
    store: StateStore, error: SealiftError, bundle: BundleIdentity | None = None
) -> None:
    """Leave a receipt of what was refused; a full disk does not hide the refusal.

    `bundle` says which one it is, where the error does not.
    """
    if isinstance(error, BundleError):
        bundle = error.bundle or bundle
    lines = (line.strip() for line in error.message.splitlines())
    message = f"{type(error).__name__}: {'; '.join(lines)}"
    # A receipt is strict JSON: what is no text must not keep the refusal out of it.
    detail = message[:_DETAIL].encode("utf-8", "backslashreplace").decode("utf-8")
    with suppress(HostError):
        store.record(
            store.load(), Event(clock=utc_now(), action="refuse", detail=detail, bundle=bundle)
        )


def _is_recorded(store: StateStore, publication: Publication) -> bool:
    """Tell whether one of the receipts since the journal was written is this publication's."""
    identity = _identity(publication)
    store.complete()
    return any(
        receipt.number > publication.receipts
        and receipt.archive == identity
        and receipt.action == publication.action
        and receipt.bundle == publication.bundle
        for receipt in store.log.read()
    )


def _identity(publication: Publication) -> ArchiveIdentity:
    record = publication.record
    return ArchiveIdentity(
        name=record.name,
        sha256=record.archive,
        path=record.path,
        index=record.index,
        members=record.members,
        unpacked=record.unpacked,
    )


def _place(publication: Publication, bundle: BundleIdentity) -> Manifest:
    """Return the bundle's place in its stream, all that is left of its manifest after a kill."""
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
