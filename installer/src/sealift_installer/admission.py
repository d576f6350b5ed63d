"""Is a bundle let in: by what this host says, by what the prefix trusts; and what is noted of it.

`open_bundle` only looks, `admit` leaves receipts: of roots that came with the bundle, whatever
becomes of it, and of a refusal.
"""

from pathlib import Path

from sealift_installer.account import accept_roots, note_refusal, raise_roots
from sealift_installer.authenticate import (
    Authenticated,
    Terms,
    authenticate,
    follow_roots,
    judge,
    refusals_of,
)
from sealift_installer.bundle import Bundle
from sealift_installer.errors import (
    BundleError,
    RefusedByPolicy,
    SealiftError,
    UsageError,
    printable,
)
from sealift_installer.prefix import LOCK_SECONDS, Prefix
from sealift_installer.trust.dsse import Signers
from sealift_installer.trust.host import HOST, HostPlace, HostTrust, add_prefix, load_host
from sealift_installer.trust.policy import check_terms
from sealift_installer.trust.site import check_signers, wanted_evidence
from sealift_installer.trust.state import StateStore

# Their paths again: the readers of both are imported for a bundle that has one.
_STATEMENTS = frozenset({"evidence/provenance.dsse.json", "evidence/vsa.dsse.json"})


def open_bundle(bundle: Path, prefix: Path, terms: Terms, place: HostPlace = HOST) -> Authenticated:
    """Authenticate the bundle at `bundle` by what host and prefix trust; nothing is written.

    Raises:
        Untrusted, Damaged, RefusedByPolicy, HostError, UsageError: as `authenticate` says.
    """
    where = Prefix(prefix)
    host = add_prefix(load_host(place), where)
    store = StateStore(where.state)
    new = not store.exists() and not store.log.exists()
    state = host.state if new and host.state is not None else store.load()
    authenticated = authenticate(Bundle(bundle), state, terms, host)
    if wanted_evidence(host.policies):
        _check_evidence(authenticated)
    return authenticated


def load_trust(prefix: Prefix, place: HostPlace, *, seconds: float = LOCK_SECONDS) -> HostTrust:
    """Return what the host and the policy of a prefix say before a bundle is let in.

    Raises:
        Untrusted: there is no root, neither here nor on the host.
        HostError: a policy, or the host's state, is not to be believed; a receipt says so.
        UsageError: the prefix is the host's own place.
    """
    if prefix.path == place.directory:
        raise UsageError(
            f"nothing is installed to {printable(str(prefix.path))}, which says what is trusted",
            hint="choose another directory with --prefix",
        )
    store = StateStore(prefix.state)
    try:
        host = add_prefix(load_host(place), prefix)
    except SealiftError as error:
        if store.exists():
            with prefix.lock(lambda _: None, seconds=seconds):
                note_refusal(store, error)
        raise
    if not store.exists() and host.state is None:
        store.load()  # says how to get a root
    return host


def admit(
    bundle: Bundle, store: StateStore, host: HostTrust, terms: Terms, place: HostPlace
) -> Authenticated:
    """Authenticate and judge a bundle. The roots that it brings are kept, whatever becomes of it.

    Raises:
        Untrusted, Damaged, RefusedByPolicy: as `authenticate` says; a receipt records it.
        HostError, UsageError: as `authenticate` says.
    """
    check_terms(terms)
    try:
        followed = follow_roots(bundle, store.load(), host)
    except BundleError as error:
        note_refusal(store, error)
        raise
    try:
        authenticated = judge(followed, terms)
        with refusals_of(authenticated.identity):
            _check_evidence(authenticated)
    except SealiftError as error:
        accept_roots(store, followed.new_roots, None)
        raise_roots(place, followed.new_host_roots, None)
        if isinstance(error, BundleError):
            note_refusal(store, error)
        raise
    accept_roots(store, followed.new_roots, authenticated.identity)
    raise_roots(place, followed.new_host_roots, authenticated.identity)
    return authenticated


def _check_evidence(authenticated: Authenticated) -> None:
    """Check the evidence that the bundle carries, and that it is what the policies ask for.

    Raises:
        RefusedByPolicy: a policy asks for more.
        Untrusted, Damaged, HostError: as `check_evidence` says.
    """
    wanted = wanted_evidence(authenticated.policies)
    if not wanted and not authenticated.files.keys() & _STATEMENTS:
        return
    from sealift_installer.evidence import check_evidence

    evidence = check_evidence(authenticated)
    carried = {
        "provenance": evidence.provenance is not None,
        "vsa": evidence.summary is not None,
        "sbom": evidence.sbom,
    }
    for kind, file in wanted.items():
        if not carried[kind]:
            raise RefusedByPolicy(
                f"the bundle carries no {kind}, which the policy {printable(file.path)} asks for",
                hint="build it with evidence, or ask who wrote the policy",
            )
    if carried["provenance"] or carried["vsa"]:
        builders = Signers(evidence.builders, ())
        root = authenticated.root.root
        check_signers(authenticated.policies, root, builders, "builder", "the evidence")
