"""Who signed an envelope (https://github.com/secure-systems-lab/dsse, version 1)."""

from sealift_installer.bundle import Bundle
from sealift_installer.errors import Untrusted, documents_damaged, host_errors, mismatch, printable
from sealift_installer.trust.keys import verify_signature
from sealift_schemas.envelope import Envelope, LongEnvelope
from sealift_schemas.lean import dataclass
from sealift_schemas.root import Root


@dataclass(frozen=True, slots=True)
class Signers:
    """Key ids, ascending: whose signature counts, and whom the root does not know for this role."""

    valid: tuple[str, ...]
    unknown: tuple[str, ...]


# Bytes that are read at a time.
_STEP = 64 * 1024


def read_envelope(bundle: Bundle, name: str, limit: int) -> LongEnvelope:
    """Return the envelope `name`, of at most `limit` bytes, with one copy of it in memory.

    Raises:
        Damaged: it is missing, larger, or none in its canonical encoding.
        HostError: it cannot be read.
    """
    with (
        bundle.open(name) as file,
        host_errors(f"cannot read {printable(name)} in the bundle"),
    ):
        # One byte more than is allowed is enough to see that it is too large.
        steps = (min(_STEP, limit + 1 - start) for start in range(0, limit + 1, _STEP))
        found = LongEnvelope.read(iter(lambda: file.read(next(steps, 0)), b""), what=name)
        if found is not None and file.tell() <= limit:
            return found
    data = bundle.read(name, limit)
    with documents_damaged(name):
        whole = Envelope.read(data, what=name, limit=limit)
    return LongEnvelope.around(whole.payload_type, len(whole.payload), (whole.payload,)).signed_by(
        whole.signatures
    )


def check_type(envelope: Envelope | LongEnvelope, payload_type: str, what: str) -> None:
    """Check the payload's type, so that no signed thing can stand in for another.

    Raises:
        Untrusted: it is another one.
    """
    if envelope.payload_type != payload_type:
        computed = printable(envelope.payload_type)
        raise Untrusted(mismatch(f"wrong type of the payload of {what}", payload_type, computed))


def count_signers(
    envelope: Envelope | LongEnvelope, root: Root, role: str, what: str = "envelope"
) -> Signers:
    """Return who signed `envelope` for `role`; at least the role's threshold of distinct keys did.

    A signature that claims a key of the root must verify, whatever the key's role. One by a key
    that the root does not know is left out: another site may have signed as well.

    Raises:
        Untrusted: a signature does not verify, a scheme is not allowed by the root, or too few
            distinct keys of the role signed.
    """
    wanted = root.roles[role]
    valid: set[str] = set()
    unknown: set[str] = set()
    for signature in envelope.signatures:
        key = root.keys.get(signature.keyid)
        if key is None:
            unknown.add(signature.keyid)
            continue
        if not verify_signature(key, signature.signature, envelope.signed_bytes):
            raise Untrusted(f"a signature of {what} does not verify: key {signature.keyid}")
        if signature.keyid not in wanted.keys:
            unknown.add(signature.keyid)
            continue
        if key.scheme not in root.schemes:
            raise Untrusted(f"{what} is signed with {key.scheme}, which the root does not allow")
        valid.add(signature.keyid)
    if len(valid) < wanted.threshold:
        raise Untrusted(
            mismatch(
                f"too few signatures of {what} by keys that root version {root.version} trusts "
                f"for {role}",
                f"{wanted.threshold} distinct keys",
                _describe(valid, unknown),
            ),
            hint="compare the key ids with those that the site published",
        )
    return Signers(tuple(sorted(valid)), tuple(sorted(unknown)))


def _describe(valid: set[str], unknown: set[str]) -> str:
    others = ", ".join(sorted(unknown))
    strangers = f"; not trusted for it: {others}" if unknown else ""
    return f"{len(valid)}{strangers}"
