"""Roots: the first one is given by hand, each later one is signed by the one before it.

After the TUF specification, section 5.3: version N+1 is signed by the root thresholds of N and of
N+1, in steps of exactly one, and the whole chain travels in the bundle.
"""

import hashlib
from collections.abc import Mapping

from sealift_installer.bundle import Bundle, root_name
from sealift_installer.errors import Damaged, Untrusted, documents_damaged, mismatch
from sealift_installer.limits import LIMITS, Limits
from sealift_installer.trust.dsse import check_type, count_signers
from sealift_installer.trust.keys import check_key
from sealift_schemas.envelope import Envelope
from sealift_schemas.lean import dataclass, field
from sealift_schemas.root import PAYLOAD_TYPE, Root


@dataclass(frozen=True, slots=True)
class TrustedRoot:
    """A root that is trusted, with the bytes of its envelope and their SHA-256.

    `lineage` maps each version that was ever trusted here, this one included, to the SHA-256 of
    its envelope: a published version never changes.
    """

    root: Root
    envelope: bytes = field(repr=False)
    sha256: str
    lineage: Mapping[int, str]


def read_first_root(data: bytes, sha256: str, limits: Limits = LIMITS) -> TrustedRoot:
    """Read the root that is given by hand, with the SHA-256 of the file to compare.

    Raises:
        Untrusted: the SHA-256 is another one, or the root does not reach its own threshold.
        Damaged: it is no root.
    """
    computed = hashlib.sha256(data).hexdigest()
    if computed != sha256:
        raise Untrusted(
            mismatch("wrong SHA-256 of the root's file", sha256, computed),
            hint="compare the file and the digest with what the site published",
        )
    root, _ = _read(data, "the root", limits)
    return TrustedRoot(root, data, computed, {root.version: computed})


def follow(trusted: TrustedRoot, data: bytes, limits: Limits = LIMITS) -> TrustedRoot:
    """Return the next version after `trusted`, signed by the thresholds of both.

    Raises:
        Untrusted: it is not signed so, or not the next version.
        Damaged: it is no root.
    """
    version = trusted.root.version + 1
    what = f"root version {version}"
    root, envelope = _read(data, what, limits)
    if root.version != version:
        raise Untrusted(mismatch(f"the file of {what} is another version", version, root.version))
    count_signers(envelope, trusted.root, "root", what)
    sha256 = hashlib.sha256(data).hexdigest()
    return TrustedRoot(root, data, sha256, {**trusted.lineage, version: sha256})


class RootChain:
    """The roots that a bundle carries, each read once: a stick can give other bytes the next time.

    Raises:
        Damaged: the folder of the roots is missing or a link, or holds too many.
        HostError: the operating system refuses.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.limits = bundle.limits
        self.versions = bundle.root_versions()
        self._bundle = bundle
        self._read: dict[int, bytes] = {}

    def read(self, version: int) -> bytes:
        """Return the bytes of a version. Raises what `Bundle.read` raises."""
        if version not in self._read:
            self._read[version] = self._bundle.read(root_name(version), self.limits.root)
        return self._read[version]


def walk(trusted: TrustedRoot, chain: RootChain) -> tuple[TrustedRoot, ...]:
    """Return the roots of the chain that come after `trusted`, oldest first; none if there is none.

    Raises:
        Untrusted: the chain has a gap, a version is not signed as it must be, or a version that
            was trusted here has other bytes in this bundle.
        Damaged: a root is missing or malformed, or one before the trusted one is missing.
    """
    versions = chain.versions
    for version in range(1, trusted.root.version + 1):
        # A bundle that is older than the trusted root ends before it; it does not start later.
        if version in versions:
            _check_known(trusted, version, chain)
        elif not versions or version < versions[-1]:
            raise Damaged(f"missing in the bundle: {root_name(version)}")
    followed: list[TrustedRoot] = []
    newest = trusted
    for version in versions:
        if version <= trusted.root.version:
            continue
        wanted = newest.root.version + 1
        if version != wanted:
            message = "the chain of roots in the bundle has a gap"
            raise Untrusted(mismatch(message, root_name(wanted), root_name(version)))
        newest = follow(newest, chain.read(version), chain.limits)
        followed.append(newest)
    return tuple(followed)


def _check_known(trusted: TrustedRoot, version: int, chain: RootChain) -> None:
    """Check that a version that was trusted here before has the same bytes in the bundle."""
    known = trusted.lineage.get(version)
    if known is None:
        # It is older than the first root that was imported here, so it has no say.
        return
    computed = hashlib.sha256(chain.read(version)).hexdigest()
    if computed != known:
        message = f"root version {version} in the bundle is not the one that was trusted here"
        raise Untrusted(
            mismatch(message, known, computed), hint="ask the site which one it published"
        )


def _read(data: bytes, what: str, limits: Limits) -> tuple[Root, Envelope]:
    """Read an envelope with a root that reaches its own threshold."""
    if len(data) > limits.root:
        raise Damaged(mismatch(f"too large: {what}", f"{limits.root} bytes", f"{len(data)} bytes"))
    with documents_damaged(what):
        envelope = Envelope.read(data, what=what, limit=limits.root)
        check_type(envelope, PAYLOAD_TYPE, what)
        root = Root.read(envelope.payload, what=what, limit=limits.root)
    for keyid, key in root.keys.items():
        check_key(keyid, key)
    count_signers(envelope, root, "root", what)
    return root, envelope
