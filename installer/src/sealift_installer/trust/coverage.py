"""Does the bundle hold what its manifest says, no less and no more?

The copy of the manifest for people and the checksums for stock tools must say what the signed
manifest says: an auditor who reads them alone must not be told another story.
"""

import hashlib
from collections.abc import Iterator, Mapping

from sealift_installer.bundle import (
    CHECKSUMS,
    MANIFEST,
    Bundle,
    Listing,
    is_control,
    is_unfinished,
    signature_keyid,
    signature_name,
)
from sealift_installer.errors import Damaged, Untrusted, host_errors, mismatch, printable
from sealift_installer.trust.keys import verify_signature
from sealift_schemas.manifest import Manifest
from sealift_schemas.payload import BundleFile
from sealift_schemas.root import Root

# Bytes that are read at a time.
_STEP = 64 * 1024


def checksum_lines(manifest: Manifest, manifest_sha256: str) -> Iterator[bytes]:
    """Yield SHA256SUMS: `HEX  PATH` for each subject and manifest.json, sorted by path."""
    own = f"{manifest_sha256}  {MANIFEST}\n".encode("ascii")
    left = own
    # They are sorted in every manifest.
    for file in manifest.files:
        if left and file.path > MANIFEST:
            yield own
            left = b""
        yield f"{file.sha256}  {file.path}\n".encode("ascii")
    yield left


def write_checksums(manifest: Manifest, manifest_sha256: str) -> bytes:
    """Return SHA256SUMS as a whole."""
    # Without a list of the lines, which would take more than all of them.
    text = bytearray()
    for line in checksum_lines(manifest, manifest_sha256):
        text += line
    return bytes(text)


def check_copies(bundle: Bundle, manifest: Manifest, sha256: str, checksums: bytes) -> None:
    """Check that manifest.json is the signed payload and SHA256SUMS what follows from it.

    Args:
        bundle: the bundle.
        manifest: what was signed, as it was read.
        sha256: that of the payload.
        checksums: what SHA256SUMS must be.

    Raises:
        Damaged: one of them is missing or says something else.
    """
    computed = _sha256(bundle, MANIFEST)
    if computed != sha256:
        what = f"{MANIFEST} is not the payload that was signed"
        written = manifest.encode()
        if hashlib.sha256(written).hexdigest() != sha256:
            raise Damaged(mismatch(what, f"sha256 {sha256}", f"sha256 {computed}"))
        copy = bundle.read(MANIFEST, bundle.limits.envelope)
        raise Damaged(f"{what}: {_first_difference(written, copy)}")
    found = bundle.read(CHECKSUMS, bundle.limits.checksums)
    if found != checksums:
        raise Damaged(
            f"{CHECKSUMS} is not what the manifest says: {_first_difference(checksums, found)}"
        )


def check_signatures(
    bundle: Bundle, listing: Listing, root: Root, signers: tuple[str, ...], checksums: bytes
) -> tuple[str, ...]:
    """Check the signatures over SHA256SUMS; return the names of those by unknown keys.

    Raises:
        Untrusted: one that claims a key of the root does not verify.
        Damaged: a signer of the manifest has none.
    """
    for keyid in signers:
        if signature_name(keyid) not in listing.sizes:
            raise Damaged(f"missing in the bundle: {signature_name(keyid)}")
    unknown = []
    for name in sorted(listing.sizes):
        claimed = signature_keyid(name)
        if claimed is None:
            continue
        keys = [key for keyid, key in root.keys.items() if keyid.startswith(claimed)]
        if not keys:
            unknown.append(name)
            continue
        signature = bundle.read(name, bundle.limits.signature_file)
        if not any(verify_signature(key, signature, checksums) for key in keys):
            raise Untrusted(f"the signature {name} does not verify over {CHECKSUMS}")
    return tuple(unknown)


def check_files(listing: Listing, files: Mapping[str, BundleFile]) -> None:
    """Check that all payload files are there in their sizes, and that nothing else is.

    Raises:
        Damaged: a file is missing, has another size, or is not listed.
    """
    for path, file in files.items():
        if is_control(path):
            raise Damaged(f"the manifest lists a file that cannot be a payload file: {path}")
        size = listing.sizes.get(path)
        if size is None:
            raise Damaged(f"missing in the bundle: {path}")
        if size != file.size:
            message = f"wrong size: {path}"
            raise Damaged(mismatch(message, f"{file.size} bytes", f"{size} bytes"))
    unlisted = [name for name in listing.sizes if name not in files and not is_control(name)]
    if unlisted:
        shown = ", ".join(printable(name) for name in sorted(unlisted)[:5])
        more = f" and {len(unlisted) - 5} more" if len(unlisted) > 5 else ""  # noqa: PLR2004
        hint = "files were added after the bundle was sealed; do not use them"
        if all(is_unfinished(name) for name in unlisted):
            hint = (
                "a signer was stopped who was writing it; `sealift seal` takes it away, or "
                "delete it"
            )
        raise Damaged(f"not listed in the manifest: {shown}{more}", hint=hint)


def _sha256(bundle: Bundle, name: str) -> str:
    """Return the SHA-256 of a file, which is read a bit at a time and not far beyond the limit."""
    computed, left = hashlib.sha256(), bundle.limits.envelope
    with bundle.open(name) as file, host_errors(f"cannot read {name} in the bundle"):
        while left >= 0 and (data := file.read(_STEP)):
            computed.update(data)
            left -= len(data)
    return computed.hexdigest()


def _first_difference(expected: bytes, found: bytes) -> str:
    """Return where two texts part, for a message."""
    if len(expected) != len(found):
        sizes = f"{len(expected)} bytes expected, {len(found)} found"
    else:
        sizes = "same size"
    for number, (one, other) in enumerate(
        zip(expected.splitlines(), found.splitlines(), strict=False), start=1
    ):
        if one != other:
            return f"line {number} differs ({sizes})"
    return f"the ends differ ({sizes})"
