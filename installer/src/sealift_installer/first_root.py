"""The first root by hand, and what is trusted."""

import re
from pathlib import Path
from typing import Any

from sealift_installer.errors import Untrusted, UsageError, host_errors, mismatch, printable
from sealift_installer.limits import LIMITS
from sealift_installer.prefix import Prefix
from sealift_installer.receipts import Event
from sealift_installer.relocation import check_prefix
from sealift_installer.report import Progress
from sealift_installer.trust.roots import TrustedRoot, follow, read_first_root
from sealift_installer.trust.state import StateStore, TrustState
from sealift_schemas.lean import dataclass
from sealift_schemas.strictjson import SHA256


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import: the root, and whether it is new here."""

    root: TrustedRoot
    new: bool


def import_root(file: Path, sha256: str, prefix: Prefix, now: str, progress: Progress) -> Imported:
    """Trust the root in `file`, whose SHA-256 a person compared; `now` is the time in UTC.

    A prefix that has a root already takes only its successor, signed by the one it has.

    Raises:
        UsageError: `sha256` is none.
        Untrusted: the file has another SHA-256, or the root cannot be trusted here.
        Damaged: it is no root.
        HostError: it cannot be read, or the state not be written.
    """
    expected = re.sub(r"[\s:]", "", sha256).lower()
    if not SHA256.fullmatch(expected):
        raise UsageError(f"not a SHA-256: {printable(sha256)}", hint="it has 64 hexadecimal digits")
    with host_errors("cannot read the root"), file.open("rb") as stream:
        data = stream.read(LIMITS.root + 1)
    given = read_first_root(data, expected)
    check_prefix(str(prefix.path))
    store = StateStore(prefix.state)
    with prefix.lock(progress.note):
        if not store.exists() and not store.log.path.exists():
            return _record(store, TrustState(given), given, now, "given by hand")
        state = store.load()
        version = given.root.version
        known = state.root.lineage.get(version)
        if known == given.sha256:
            return Imported(state.root, new=False)
        if known is None and version == state.root.root.version + 1:
            following = follow(state.root, data)
            detail = "given by hand, signed by the one before it"
            return _record(store, state.with_roots((following,)), following, now, detail)
    raise Untrusted(
        mismatch(
            f"{printable(str(prefix.path))} trusts another root already",
            f"version {state.root.root.version}, {state.root.sha256}",
            f"version {version}, {given.sha256}",
        ),
        hint="newer roots come with the bundles, each signed by the one before it",
    )


def describe_trust(state: TrustState) -> dict[str, Any]:
    """Return what is trusted as JSON values."""
    root = state.root.root
    return {
        "version": root.version,
        "sha256": state.root.sha256,
        "created": root.created,
        "expires": root.expires,
        "roles": {
            name: {"threshold": role.threshold, "keys": list(role.keys)}
            for name, role in root.roles.items()
        },
        "streams": {name: stream.to_json() for name, stream in sorted(state.streams.items())},
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
