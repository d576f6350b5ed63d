"""The first root by hand, its removal by hand, and what is trusted."""

import re
from pathlib import Path
from typing import Any

from sealift_installer.errors import Untrusted, UsageError, host_errors, mismatch, printable
from sealift_installer.limits import LIMITS
from sealift_installer.prefix import Prefix
from sealift_installer.receipts import Event
from sealift_installer.relocation import check_prefix
from sealift_installer.report import Progress
from sealift_installer.trust.host import (
    HOST,
    HostPlace,
    add_prefix,
    check_owner,
    load_host,
    load_policy,
)
from sealift_installer.trust.policy import check_reason
from sealift_installer.trust.roots import TrustedRoot, follow, read_first_root
from sealift_installer.trust.site import Policies, check_root, check_succession
from sealift_installer.trust.state import StateStore, TrustState
from sealift_schemas.lean import dataclass, replace
from sealift_schemas.strictjson import SHA256


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import: the root, and whether it is new here."""

    root: TrustedRoot
    new: bool


def import_root(
    file: Path,
    sha256: str,
    prefix: Prefix,
    now: str,
    progress: Progress,
    place: HostPlace = HOST,
) -> Imported:
    """Trust the root in `file`, whose SHA-256 a person compared; `now` is the time in UTC.

    A prefix that has a root already takes only its successor, signed by the one it has; one whose
    root was removed takes any, and keeps its counters. The prefix may be the host's own place.

    Raises:
        UsageError: `sha256` is none.
        Untrusted: the file has another SHA-256, or the root cannot be trusted here.
        RefusedByPolicy: a policy asks for more than the root does.
        Damaged: it is no root.
        HostError: it cannot be read, the state not be written, or a policy not be believed.
    """
    expected = re.sub(r"[\s:]", "", sha256).lower()
    if not SHA256.fullmatch(expected):
        raise UsageError(f"not a SHA-256: {printable(sha256)}", hint="it has 64 hexadecimal digits")
    with host_errors("cannot read the root"), file.open("rb") as stream:
        data = stream.read(LIMITS.root + 1)
    given = read_first_root(data, expected)
    check_prefix(str(prefix.path))
    policies = _check_against_host(given, prefix, place)
    store = StateStore(prefix.state)
    with prefix.lock(progress.note):
        if not store.exists() and not store.log.exists():
            return _record(store, TrustState(given), given, now, "given by hand")
        state = store.load(removed=True)
        if state.removed:
            detail = "given by hand, in the place of one that was removed"
            trusted = replace(state, root=given, removed=False)
            return _record(store, trusted, given, now, detail)
        version = given.root.version
        known = state.root.lineage.get(version)
        if known == given.sha256:
            return Imported(state.root, new=False)
        if known is None and version == state.root.root.version + 1:
            following = follow(state.root, data)
            check_succession(policies, state.root.root, following)
            detail = "given by hand, signed by the one before it"
            return _record(store, state.with_roots((following,)), following, now, detail)
    raise Untrusted(
        mismatch(
            f"{printable(str(prefix.path))} trusts another root already",
            f"version {state.root.root.version}, {state.root.sha256}",
            f"version {version}, {given.sha256}",
        ),
        hint="newer roots come with the bundles, each signed by the one before it; only if the site "
        "lost its root keys: unseal trust remove --reason REASON, then import its new first root",
    )


def remove_root(
    reason: str, prefix: Prefix, now: str, progress: Progress, place: HostPlace = HOST
) -> TrustedRoot:
    """Trust the root of a prefix no more; return it. Counters and receipts stay.

    Raises:
        UsageError: the reason is empty, or too long for a receipt.
        Untrusted: there is no root, or state and receipts contradict each other.
        HostError: the state cannot be written.
    """
    check_reason("--reason", reason)
    store = StateStore(prefix.state)
    if prefix.path == place.directory:
        check_owner(place)
    store.load()  # before so much as a lock file is made
    with prefix.lock(progress.note):
        state = store.load()
        version = state.root.root.version
        detail = f"root version {version} is not trusted any more: {reason}"
        event = Event(clock=now, action="trust", detail=detail, root_version=version)
        store.record(replace(state, removed=True), event)
        return state.root


def _check_against_host(given: TrustedRoot, prefix: Prefix, place: HostPlace) -> Policies:
    """Check a root by the policies, which are returned, and that the host has no other one."""
    if prefix.path == place.directory:
        check_owner(place)
        host = load_policy(place)
    else:
        host = add_prefix(load_host(place), prefix)
    check_root(host.policies, given.root)
    check_succession(host.policies, given.root, given)
    known = None if host.state is None else host.state.root.lineage.get(given.root.version)
    if known is not None and known != given.sha256:
        message = f"this host trusts another root version {given.root.version}"
        raise Untrusted(
            mismatch(f"{message}: {printable(str(place.directory))}", known, given.sha256),
            hint="a prefix cannot trust another site than its host does",
        )
    return host.policies


def describe_trust(prefix: Prefix, place: HostPlace = HOST) -> dict[str, Any]:
    """Return what is trusted as JSON values: by the prefix, by the host, and the policies in force.

    A host may have policies and no root; a prefix without one, and without a host's, is an error.

    Raises:
        Untrusted: neither has a root, or a state was edited.
        HostError: a state or a policy cannot be read, or not be believed.
    """
    host = add_prefix(load_host(place), prefix)
    store = StateStore(prefix.state)
    state: TrustState | None
    if prefix.path == place.directory:
        state, new = host.state, False
    elif host.state is not None and not store.exists():
        state, new = host.state, True
    else:
        state, new = store.load(removed=True), False
    shown = None if host.state is None else _describe_state(host.state)
    return {
        **({} if state is None else {**_describe_state(state), "removed": state.removed}),
        "from_host": new,
        "host": shown and {"directory": str(place.directory), **shown},
        "policies": [{"file": each.path, **each.policy.to_json()} for each in host.policies],
    }


def _describe_state(state: TrustState) -> dict[str, Any]:
    root = state.root.root
    return {
        "version": root.version,
        "sha256": state.root.sha256,
        "created": root.created,
        "expires": root.expires,
        "schemes": list(root.schemes),
        "roles": {
            name: {"threshold": role.threshold, "keys": list(role.keys)}
            for name, role in root.roles.items()
        },
        "streams": {name: stream.to_json() for name, stream in sorted(state.streams.items())},
        "rules": {
            name: {"epoch": rule.epoch, "min_sequence": rule.min_sequence}
            for name, rule in sorted(root.streams.items())
        },
        "withdrawn": list(root.withdrawn),
        "floor": state.floor,
        "receipts": state.receipts,
        "head": state.head,
    }


def _record(
    store: StateStore, state: TrustState, root: TrustedRoot, now: str, detail: str
) -> Imported:
    version = root.root.version
    event = Event(
        clock=now, action="trust", detail=f"root version {version} {detail}", root_version=version
    )
    store.record(state, event)
    return Imported(root, new=True)
