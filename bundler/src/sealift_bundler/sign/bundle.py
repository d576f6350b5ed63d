"""Signing a bundle that was written: the manifest's envelope, and SHA256SUMS beside it.

On another machine the bundle may be on a medium that cannot be written; its signatures then go to
a directory of their own, and `add_signatures` brings them to the bundle.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sealift_bundler.keys import keyid
from sealift_bundler.schema import check_documents
from sealift_bundler.sign.signer import Signer, check_clock, make_signatures, sign_checked
from sealift_installer.bundle import CHECKSUMS, ENVELOPE, MANIFEST, Bundle, signature_name
from sealift_installer.durable import write_durably
from sealift_installer.errors import (
    Damaged,
    HostError,
    Untrusted,
    UsageError,
    documents_damaged,
    host_errors,
    mismatch,
)
from sealift_installer.limits import LIMITS
from sealift_installer.trust.coverage import write_checksums
from sealift_installer.trust.dsse import read_envelope
from sealift_installer.trust.keys import verify_signature
from sealift_installer.trust.roots import RootChain, TrustedRoot, walk
from sealift_schemas.envelope import LongEnvelope, Signature
from sealift_schemas.manifest import PAYLOAD_TYPE, Manifest
from sealift_schemas.pieces import STEP, split
from sealift_schemas.root import Root


@dataclass(frozen=True, slots=True)
class Unsigned:
    """What is signed of a bundle: the manifest, and the checksums that follow from it.

    The manifest is in an envelope that has no signatures yet.
    """

    manifest: LongEnvelope
    checksums: bytes


def sign_bundle(
    path: Path, signers: Sequence[Signer], output: Path | None = None
) -> tuple[str, ...]:
    """Add the signatures of `signers` to the bundle at `path`; return the ids of all its signers.

    What is signed is read first: a manifest that is malformed, or does not fit its SHA256SUMS,
    gets no signature. The payload's bytes are compared by `seal`, not here.

    Args:
        path: the bundle.
        signers: whose signatures are made; each is verified before anything is written.
        output: a directory for the signatures; the bundle is then only read.

    Raises:
        UsageError: `output` is in the bundle, where its files would be refused as unlisted.
        Damaged: the manifest, SHA256SUMS or the envelope that is there is not what it must be.
        RefusedByPolicy: the bundle bears a time more than a day ahead of the clock.
        HostError: the bundle cannot be read or written, or a signer cannot sign.
    """
    place = path if output is None else output
    if output is not None and output.resolve().is_relative_to(path.resolve()):
        raise UsageError(f"the signatures would be in the bundle: {output}")
    if output is None and not os.access(path, os.W_OK):
        raise HostError(
            f"the bundle cannot be written to: {path}",
            hint="--output DIR writes the signatures elsewhere; `seal --add DIR` adds them",
        )
    found = read_unsigned(Bundle(path))
    # A signature that could not join what is there is not asked for.
    _read_signatures(Bundle(place), found.manifest.payload)
    made = make_signatures(found.manifest.signed_bytes, signers)
    plain = {keyid(signer.public): sign_checked(signer, found.checksums) for signer in signers}
    with host_errors("cannot write the signature"):
        place.mkdir(parents=True, exist_ok=True)
    with hold(place):
        # A signer can take minutes: others may have signed meanwhile.
        known = _read_signatures(Bundle(place), found.manifest.payload)
        return _write(place, found.manifest, (*known, *made), plain)


def add_signatures(path: Path, sources: Sequence[Path], trusted: TrustedRoot) -> tuple[str, ...]:
    """Add to the bundle at `path` what was signed elsewhere; return the ids of all its signers.

    Args:
        path: the bundle.
        sources: directories that `sign_bundle` wrote, or signed copies of the bundle.
        trusted: a root from which the chain in the bundle leads to the one whose release keys
            count.

    Raises:
        Untrusted: a signature does not verify or is not by a release key, or the chain is broken.
        Damaged: a source is of another bundle, or one of its files is missing or malformed.
        HostError: something cannot be read or written.
    """
    found = read_unsigned(Bundle(path))
    root = (trusted, *walk(trusted, RootChain(Bundle(path))))[-1].root
    signatures: dict[str, Signature] = {}
    plain: dict[str, bytes] = {}
    for source in sources:
        bundle = Bundle(source)
        added = _read_signatures(bundle, found.manifest.payload)
        if not added:
            raise Damaged(f"there are no signatures in it: {source}")
        for one in added:
            if not (source / signature_name(one.keyid)).exists():
                raise Damaged(f"missing: {source / signature_name(one.keyid)}")
            given = bundle.read(signature_name(one.keyid), LIMITS.signature_file)
            _check(root, one, given, found, source)
            signatures[one.keyid], plain[one.keyid] = one, given
    with hold(path):
        known = _read_signatures(Bundle(path), found.manifest.payload)
        return _write(path, found.manifest, (*known, *signatures.values()), plain)


def check_signed(path: Path, trusted: TrustedRoot) -> None:
    """Check that enough signatures are there, and say else who may still sign.

    Nothing is verified here: that is for what comes next.

    Raises:
        Untrusted: there are too few, or the chain of roots is broken.
        Damaged, HostError: as `read_unsigned`.
    """
    bundle = Bundle(path)
    root = (trusted, *walk(trusted, RootChain(bundle)))[-1].root
    role = root.roles["release"]
    signatures = _read_signatures(bundle, bundle.read(MANIFEST, LIMITS.envelope))
    signed = {one.keyid for one in signatures} & set(role.keys)
    if len(signed) < role.threshold:
        others = ", ".join(key[:16] for key in role.keys if key not in signed)
        raise Untrusted(
            mismatch(
                f"too few signatures of {path} for root version {root.version}",
                f"{role.threshold} distinct release keys",
                len(signed),
            ),
            hint=f"`sealift sign` adds one, or `seal --add`; not there yet: {others}",
        )


def read_unsigned(bundle: Bundle) -> Unsigned:
    """Return what is to be signed of a bundle.

    Raises:
        Damaged: the manifest is malformed, or SHA256SUMS does not say what it says.
        RefusedByPolicy: it bears a time more than a day ahead of the clock.
        HostError: it cannot be read.
    """
    found = _read_manifest(bundle)
    check_documents("manifest", [(MANIFEST, partial(split, found.payload))])
    with documents_damaged(MANIFEST):
        start = len(found.signed_bytes) - found.size
        manifest = Manifest.read(found.signed_bytes, limit=LIMITS.envelope, start=start)
    check_clock(manifest.created, "the bundle")
    sums = write_checksums(manifest, hashlib.sha256(found.payload).hexdigest())
    if bundle.read(CHECKSUMS, LIMITS.checksums) != sums:
        raise Damaged(f"{CHECKSUMS} does not say what {MANIFEST} says: {bundle.path}")
    return Unsigned(found, sums)


def _read_manifest(bundle: Bundle) -> LongEnvelope:
    """Return the manifest as it is signed: of a large one there is one copy in memory."""
    with bundle.open(MANIFEST) as file, host_errors(f"cannot read {MANIFEST} in the bundle"):
        size = os.fstat(file.fileno()).st_size
        # What grows while it is read is of another size than was announced.
        most = 0 if size > LIMITS.envelope else size + 1
        steps = (min(STEP, most - start) for start in range(0, most, STEP))
        with suppress(ValueError):
            return LongEnvelope.around(PAYLOAD_TYPE, size, map(file.read, steps))
    data = bundle.read(MANIFEST, LIMITS.envelope)
    return LongEnvelope.around(PAYLOAD_TYPE, len(data), (data,))


@contextmanager
def hold(place: Path) -> Iterator[bool]:
    """Keep others from writing signatures to `place`, so that none gets lost.

    In a bundle the manifest is locked: a build holds the directory until it is in place. Yields
    whether that is so: not every medium knows locks.

    Raises:
        HostError: there is no such directory, or it cannot be opened.
    """
    manifest = place / MANIFEST
    with host_errors("cannot write the signature"):
        descriptor = os.open(manifest if manifest.is_file() else place, os.O_RDONLY)
    held = False
    try:
        # Not every medium knows locks. That shall keep nobody from signing.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            held = True
        yield held
    finally:
        os.close(descriptor)


def _check(root: Root, one: Signature, plain: bytes, found: Unsigned, source: Path) -> None:
    key = root.keys.get(one.keyid)
    if key is None or one.keyid not in root.roles["release"].keys:
        raise Untrusted(
            f"a signature in {source} is not by a release key of root version {root.version}: "
            f"{one.keyid}",
            hint="`sealift root show` lists them",
        )
    if not verify_signature(key, one.signature, found.manifest.signed_bytes):
        raise Untrusted(f"a signature of {source / ENVELOPE} does not verify: key {one.keyid}")
    if not verify_signature(key, plain, found.checksums):
        raise Untrusted(
            f"the signature {source / signature_name(one.keyid)} does not verify over {CHECKSUMS}"
        )


def _read_signatures(bundle: Bundle, payload: bytes | memoryview) -> tuple[Signature, ...]:
    if not (bundle.path / ENVELOPE).exists():
        return ()
    envelope = read_envelope(bundle, ENVELOPE, LIMITS.envelope)
    if envelope.payload_type != PAYLOAD_TYPE:
        what = f"the envelope is of another type: {ENVELOPE}"
        raise Damaged(mismatch(what, PAYLOAD_TYPE, envelope.payload_type))
    if envelope.payload != payload:
        raise Damaged(f"what was signed is not the manifest of this bundle: {bundle.path}")
    return envelope.signatures


def _write(
    place: Path, manifest: LongEnvelope, signatures: Iterable[Signature], plain: dict[str, bytes]
) -> tuple[str, ...]:
    """Write the plain signatures, and then the envelope, which makes them count.

    Of two signatures by one key the last one is kept. Returns the ids of all keys.
    """
    signed = manifest.signed_by(make_signatures(manifest.signed_bytes, (), signatures))
    with host_errors("cannot write the signature"):
        place.mkdir(parents=True, exist_ok=True)
        for name, data in plain.items():
            write_durably(place / signature_name(name), data)
        write_durably(place / ENVELOPE, signed.pieces())
    return tuple(signature.keyid for signature in signed.signatures)
