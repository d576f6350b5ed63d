"""Who sealed this bundle, and may it be installed here: the steps in their order.

Sizes are capped by every read; roots walked; types checked; signatures counted; strict reading;
stream, epoch, sequence, withdrawal; expiry; then the files: manifest.json, SHA256SUMS, nothing
missing and nothing added. What /etc/sealift says counts beside what the prefix trusts: a bundle
has to be good for both. No byte of a payload file is read here: `source` and its like
authenticate each chunk when it is used.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sealift_installer import __version__
from sealift_installer.bundle import ENVELOPE, Bundle
from sealift_installer.chunks import AuthenticatedFile, read_authenticated
from sealift_installer.errors import (
    BundleError,
    Damaged,
    HostError,
    Untrusted,
    documents_damaged,
    mismatch,
    printable,
)
from sealift_installer.trust.coverage import (
    check_copies,
    check_files,
    check_signatures,
    write_checksums,
)
from sealift_installer.trust.dsse import Signers, check_type, count_signers, read_envelope
from sealift_installer.trust.followed import Followed, follow_roots
from sealift_installer.trust.host import NO_HOST, HostTrust
from sealift_installer.trust.policy import Terms, Verdict, check_place, check_terms, check_time
from sealift_installer.trust.roots import TrustedRoot
from sealift_installer.trust.site import (
    Policies,
    check_bundle,
    check_overrides,
    check_root,
    check_signers,
)
from sealift_installer.trust.state import TrustState
from sealift_schemas.envelope import LongEnvelope
from sealift_schemas.index import Entry, Template, count_installed, read_lines
from sealift_schemas.lean import dataclass, field, replace
from sealift_schemas.manifest import PAYLOAD_TYPE, Archive, Manifest
from sealift_schemas.payload import BundleFile
from sealift_schemas.receipt import BundleIdentity
from sealift_schemas.strictjson import DocumentError

__all__ = ["Authenticated", "Terms", "authenticate", "follow_roots"]

# Of one kind: whoever can add files to a stick shall not flood a terminal.
_MOST_WARNINGS = 10
_SIGNED = (
    "it was signed like this, so that no other copy will help: do not use it and tell the site"
)
# What the statement is comes first in it, and says whether the rest is to be read at all.
_TYPE_FIELDS = ("manifest._type", "manifest.predicateType")


@dataclass(frozen=True, slots=True)
class Authenticated:
    """A bundle whose manifest is authentic, and the authenticated ways to its files.

    `root` is the newest root, `new_roots` those that the target did not know yet, oldest first;
    `signers` are the key ids that count; `overrides` the overrides that were needed, with their
    reasons, for the receipt; `policies` those of host and prefix, for what is asked for later.
    """

    bundle: Bundle
    manifest: Manifest
    manifest_sha256: str
    root: TrustedRoot
    new_roots: tuple[TrustedRoot, ...]
    signers: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, BundleFile] = field(default_factory=dict, repr=False)
    policies: Policies = ()

    @property
    def identity(self) -> BundleIdentity:
        """What a receipt says about the bundle."""
        return BundleIdentity(
            manifest=self.manifest_sha256,
            stream=self.manifest.stream,
            epoch=self.manifest.epoch,
            sequence=self.manifest.sequence,
            root_version=self.root.root.version,
            signers=self.signers,
        )

    def source(self, archive: Archive) -> AuthenticatedFile:
        """Return the archive's bytes, authenticated as they are read."""
        parts = [self.files[path] for path in archive.parts]
        return AuthenticatedFile(self.bundle, parts, archive.sha256, archive.parts[0])

    def entries(self, archive: Archive) -> tuple[Entry, ...]:
        """Return the archive's index.

        Raises:
            Damaged: its bytes are wrong, it is malformed, or it installs another number of
                members or bytes than the manifest says.
        """
        limit = self.bundle.limits.index
        data = read_authenticated(self.bundle, self.files[archive.index], limit)
        with documents_damaged(archive.index):
            entries = tuple(read_lines(data, what=archive.index, limit=limit))
        counted = count_installed(entries)
        if counted != (archive.members, archive.unpacked):
            raise Damaged(
                mismatch(
                    f"{archive.index} does not agree with the manifest",
                    f"{archive.members} members, {archive.unpacked} bytes",
                    f"{counted[0]} members, {counted[1]} bytes",
                )
            )
        return entries

    def template(self, template: Template) -> bytes:
        """Return the bytes of a template.

        Raises:
            Damaged: it is no file of the bundle, or not what index and manifest say.
        """
        path = f"templates/{template.sha256}"
        file = self.files.get(path)
        if file is None:
            raise Damaged(f"an index names a template that the manifest does not list: {path}")
        if (file.size, file.sha256) != (template.size, template.sha256):
            raise Damaged(
                mismatch(
                    f"index and manifest disagree about {path}",
                    f"{file.size} bytes, {file.sha256}",
                    f"{template.size} bytes, {template.sha256}",
                )
            )
        return read_authenticated(self.bundle, file, self.bundle.limits.template)


def authenticate(
    bundle: Bundle, state: TrustState, terms: Terms, host: HostTrust = NO_HOST
) -> Authenticated:
    """Authenticate a bundle and judge it by what this target trusts; nothing is written.

    Raises:
        Untrusted: roots, types or signatures do not hold.
        Damaged: a document is malformed, a file missing, added, or not what the manifest says.
        RefusedByPolicy: it is authentic, but withdrawn, older than what was accepted, expired, or
            against a policy.
        HostError: the bundle cannot be read, or it needs a newer unseal.
        UsageError: an override has no reason.
    """
    check_terms(terms)
    return judge(follow_roots(bundle, state, host), terms)


def judge(followed: Followed, terms: Terms) -> Authenticated:
    """Judge the bundle by the roots it was followed to. Raises what `authenticate` raises.

    A refusal of what the site did sign carries the bundle's identity, for the receipt.
    """
    check_terms(terms)
    bundle = followed.bundle
    envelope, signers = _read_signed(followed)
    sha256 = hashlib.sha256(envelope.payload).hexdigest()
    manifest = _read_manifest(envelope, bundle)
    del envelope  # of a large bundle it is megabytes
    sealed = Authenticated(
        bundle=bundle,
        manifest=manifest,
        manifest_sha256=sha256,
        root=followed.roots[-1],
        new_roots=followed.new_roots,
        signers=signers.valid,
        files={file.path: file for file in manifest.files},
        policies=followed.host.policies,
    )
    with refusals_of(sealed.identity):
        verdict = _check_policy(followed, sealed, terms)
        warnings = _check_files(sealed)
    unknown = _warn("a signature by a key that does not count", signers.unknown)
    warnings = (*verdict.warnings, *unknown, *warnings)
    return replace(sealed, warnings=warnings, overrides=verdict.overrides)


@contextmanager
def refusals_of(bundle: BundleIdentity) -> Iterator[None]:
    """Let each refusal in this context say which bundle it is about."""
    try:
        yield
    except BundleError as error:
        error.bundle = bundle
        raise


def _check_policy(followed: Followed, sealed: Authenticated, terms: Terms) -> Verdict:
    """Check what policies ask for, the place in the stream, and the time."""
    policies = followed.host.policies
    check_overrides(policies, terms.overrides)
    check_bundle(policies, sealed.manifest)
    verdict = Verdict()
    for state in followed.states:
        where = "on this host" if state is followed.host.state else "here"
        verdict += check_place(
            sealed.manifest, sealed.manifest_sha256, state, terms, where, policies
        )
    return verdict + check_time(sealed.manifest, followed.states, terms, policies)


def _check_files(sealed: Authenticated) -> tuple[str, ...]:
    """Check copies, signatures and files of the bundle; return what is to be said of them."""
    bundle = sealed.bundle
    checksums = write_checksums(sealed.manifest, sealed.manifest_sha256)
    check_copies(bundle, sealed.manifest, sealed.manifest_sha256, checksums)
    listing = bundle.scan(sealed.files)
    root = sealed.root.root
    strangers = check_signatures(bundle, listing, root, sealed.signers, checksums)
    check_files(listing, sealed.files)
    return (
        *_warn("a signature by an unknown key", strangers),
        *_warn("left by an operating system, ignored", listing.litter),
    )


def _read_signed(followed: Followed) -> tuple[LongEnvelope, Signers]:
    """Return the manifest's envelope and who signed it: a threshold of release keys of each root."""
    bundle = followed.bundle
    envelope = read_envelope(bundle, ENVELOPE, bundle.limits.envelope)
    check_type(envelope, PAYLOAD_TYPE, ENVELOPE)
    policies = followed.host.policies
    signers = Signers((), ())
    for trusted in followed.roots:
        signers = count_signers(envelope, trusted.root, "release", ENVELOPE)
        check_root(policies, trusted.root)
        check_signers(policies, trusted.root, signers, "release", ENVELOPE)
    return envelope, signers


def _read_manifest(envelope: LongEnvelope, bundle: Bundle) -> Manifest:
    """Read the signed payload strictly, and check that it fits this program."""
    data, limit = envelope.signed_bytes, bundle.limits.envelope
    try:
        manifest = Manifest.read(data, limit=limit, start=len(data) - envelope.size)
    except DocumentError as error:
        if error.where in _TYPE_FIELDS:
            # Signed by those whom we trust, but for another purpose: an attestation, say.
            raise Untrusted(
                f"what was signed is no manifest: {printable(error.where)}\n"
                f"  Expected: {error.expected}\n  Found: {printable(error.found)}"
            ) from None
        with documents_damaged(ENVELOPE, hint=_SIGNED):
            raise
    if _numbers(manifest.installer) > _numbers(__version__):
        raise HostError(
            mismatch("the bundle needs a newer unseal", manifest.installer, __version__),
            hint="install the one in the bundle's folder unseal/",
        )
    return manifest


def _warn(what: str, names: tuple[str, ...]) -> list[str]:
    """Return a warning for each of the first names, and one for the number of the others."""
    warnings = [f"{what}: {printable(name)}" for name in names[:_MOST_WARNINGS]]
    if len(names) > _MOST_WARNINGS:
        warnings.append(f"{what}: {len(names) - _MOST_WARNINGS} more")
    return warnings


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))
