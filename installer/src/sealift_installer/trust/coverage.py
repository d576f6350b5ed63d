"""Does the bundle hold what its manifest says, no less and no more?

The copy of the manifest for people and the checksums for stock tools must say what the signed
manifest says: an auditor who reads them alone must not be told another story.
"""

from collections.abc import Mapping

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


def write_checksums(manifest: Manifest, manifest_sha256: str) -> bytes:
    """Return SHA256SUMS: `HEX  PATH` for each subject and manifest.json, sorted by path."""
    digests = {file.path: file.sha256 for file in manifest.files}
    digests[MANIFEST] = manifest_sha256
    text = bytearray()
    for path in sorted(digests):
        text += f"{digests[path]}  {path}\n".encode("ascii")
    return bytes(text)


def check_copies(bundle: Bundle, payload: memoryview, checksums: bytes) -> None:
    """Check that manifest.json is the signed payload and SHA256SUMS what follows from it.

    Raises:
        Damaged: one of them is missing or says something else.
    """
    if not _has(bundle, MANIFEST, payload):
        copy = bundle.read(MANIFEST, bundle.limits.envelope)
        difference = _first_difference(bytes(payload), copy)
        raise Damaged(f"{MANIFEST} is not the payload that was signed: {difference}")
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


def _has(bundle: Bundle, name: str, expected: memoryview) -> bool:
    """Tell whether the file `name` has these bytes and no more; it is read a bit at a time."""
    start = 0
    with (
        bundle.open(name) as file,
        host_errors(f"cannot read {printable(name)} in the bundle"),
    ):
        while data := file.read(_STEP):
            # As bytes: two views would be compared one number after the other.
            if data != bytes(expected[start : start + len(data)]):
                return False
            start += len(data)
    return start == len(expected)


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
