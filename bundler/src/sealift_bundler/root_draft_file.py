"""A draft of a root as it is read: what it asks for, who has signed it, what came before it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sealift_bundler.roots import list_roots
from sealift_installer.errors import (
    Damaged,
    Untrusted,
    documents_damaged,
    host_errors,
    mismatch,
)
from sealift_installer.limits import LIMITS
from sealift_installer.trust.keys import check_key, verify_signature
from sealift_schemas.draft import read_draft as read_document
from sealift_schemas.envelope import Envelope, Signature
from sealift_schemas.root import Root


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one version asks of a draft's signatures: `threshold` distinct ones of its root keys.

    `signed` and `unsigned` are the ids of those keys.
    """

    version: int
    threshold: int
    signed: tuple[str, ...]
    unsigned: tuple[str, ...]

    @property
    def missing(self) -> int:
        """How many more signatures are needed."""
        return max(self.threshold - len(self.signed), 0)


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft that was read: its signatures verify, as far as their keys are known.

    `previous` is the version before it, from the file beside the draft; None if it is the first
    version or the file is not there.
    """

    path: Path
    envelope: Envelope
    root: Root
    previous: Root | None

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """What each version asks for: the one before first, then the draft's own."""
        roots = [root for root in (self.previous, self.root) if root is not None]
        return tuple(_wanted(root, self.envelope) for root in roots)

    @property
    def complete(self) -> bool:
        """Whether all thresholds stand. False where the version before is not known."""
        known = self.previous is not None or self.root.version == 1
        return known and not any(wanted.missing for wanted in self.wanted)


def draft_path(directory: Path, version: int) -> Path:
    """Return where the draft of a version is kept."""
    return directory / f"{version}.root.draft.json"


def find_draft(directory: Path) -> Path | None:
    """Return the draft of the version that comes next in `directory`, or None.

    Raises:
        HostError: the directory cannot be looked at.
    """
    with host_errors("cannot read the roots"):
        versions = [version for version, _ in list_roots(directory)]
        path = draft_path(directory, max(versions, default=0) + 1)
        return path if path.exists() else None


def read_draft(path: Path) -> Draft:
    """Read the draft at `path`, which may have any name.

    Raises:
        Untrusted: a signature does not verify, or a key has another id than it claims.
        Damaged: it is none, or its root is malformed.
        HostError: it cannot be read.
    """
    with host_errors("cannot read the draft"), path.open("rb") as file:
        data = file.read(LIMITS.root + 1)
    with documents_damaged(str(path)):
        envelope = read_document(data, what=path.name, limit=LIMITS.root)
        root = Root.read(envelope.payload, what=path.name, limit=LIMITS.root)
    for name, key in root.keys.items():
        check_key(name, key)
    draft = Draft(path, envelope, root, find_previous(path, root))
    check_signatures(draft, envelope.signatures)
    return draft


def find_previous(path: Path, root: Root) -> Root | None:
    """Return the version before `root` from the file beside `path`, None if it is not there.

    Raises:
        Untrusted: a key in it has another id than it claims.
        Damaged: the file is malformed, or holds another version.
        HostError: it cannot be read.
    """
    if root.version == 1:
        return None
    file = path.with_name(f"{root.version - 1}.root.dsse.json")
    if not file.exists():
        return None
    with host_errors("cannot read the root"):
        data = file.read_bytes()
    with documents_damaged(str(file)):
        envelope = Envelope.read(data, what=file.name, limit=LIMITS.root)
        previous = Root.read(envelope.payload, what=file.name, limit=LIMITS.root)
    if previous.version != root.version - 1:
        message = f"the file holds another version than its name says: {file}"
        raise Damaged(mismatch(message, root.version - 1, previous.version))
    for name, key in previous.keys.items():
        check_key(name, key)
    return previous


def check_signatures(
    draft: Draft, signatures: Iterable[Signature], *, strangers: bool = True
) -> None:
    """Check the signatures, and unless `strangers` that all of them are by keys with a say.

    Where the version before is not at hand, a stranger may be one of its keys.

    Raises:
        Untrusted: one does not verify, or is a stranger's.
    """
    strangers = strangers or (draft.previous is None and draft.root.version > 1)
    keys = {**(draft.previous.keys if draft.previous else {}), **draft.root.keys}
    ours = {name for wanted in draft.wanted for name in (*wanted.signed, *wanted.unsigned)}
    data = draft.envelope.signed_bytes
    for one in signatures:
        if one.keyid in keys and not verify_signature(keys[one.keyid], one.signature, data):
            raise Untrusted(f"a signature of {draft.path} does not verify: key {one.keyid}")
        if one.keyid not in ours and not strangers:
            raise Untrusted(
                f"a signature of the draft is by a key that has no say in it: {one.keyid}",
                hint=no_say(draft),
            )


def no_say(draft: Draft) -> str:
    """Return why a key has no say in a draft, for a hint."""
    before = draft.root.version - 1
    if before and draft.previous is None:
        return f"a root key of version {before} signs where {before}.root.dsse.json lies beside"
    return "the keys of the role `root` sign roots: those of the version before, and its own"


def _wanted(root: Root, envelope: Envelope) -> Wanted:
    role = root.roles["root"]
    by = {signature.keyid for signature in envelope.signatures}
    signed = tuple(key for key in role.keys if key in by)
    return Wanted(
        root.version, role.threshold, signed, tuple(key for key in role.keys if key not in by)
    )
