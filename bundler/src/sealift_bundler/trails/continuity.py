"""Is a trail the continuation of what the same host exported before, and signed by its key?

That the chain of one export holds says only that it was written as a whole. Who can write the
record of a host can write all of it anew; an earlier export, or its head alone, shows that.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sealift_installer.errors import Damaged, Untrusted, UsageError, printable
from sealift_installer.trail import Export, read_export
from sealift_installer.trust.keys import verify_signature
from sealift_schemas.root import PublicKey
from sealift_schemas.strictjson import SHA256


@dataclass(frozen=True, slots=True)
class Source:
    """An export and the file that it came from."""

    path: str
    export: Export

    @property
    def owner(self) -> tuple[str, str]:
        """Whose record it is: the host and the prefix."""
        return self.export.head.host, self.export.head.prefix

    @property
    def keyid(self) -> str | None:
        """The key that claims to have signed the head."""
        envelope = self.export.envelope
        return None if envelope is None else envelope.signatures[0].keyid


@dataclass(slots=True)
class Line:
    """The newest export of one record, the earlier ones, and what is wrong between them."""

    newest: Source
    earlier: list[Source] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_sources(paths: Iterable[Path]) -> tuple[list[Source], list[str]]:
    """Return the exports, and what is wrong with those that are none.

    Raises:
        HostError: a file cannot be read.
    """
    sources, broken = [], []
    for path in paths:
        try:
            sources.append(read_source(path))
        except (Untrusted, Damaged) as error:
            broken.append(error.message)
    return sources, broken


def read_source(path: Path) -> Source:
    """Read one export.

    Raises:
        Untrusted: its chain is broken, or does not end with its head.
        Damaged: the file is no export.
        HostError: it cannot be read.
    """
    return Source(printable(str(path)), read_export(path))


def read_heads(values: Iterable[str]) -> tuple[list[Source], list[str]]:
    """Return what was given as heads: files (exports, or heads alone) and plain hashes.

    Raises:
        UsageError: one is neither a file nor a SHA-256.
        Untrusted, Damaged, HostError: as `read_source` says.
    """
    sources, hashes = [], []
    for value in values:
        digits = "".join(value.replace(":", "").split()).lower()
        if SHA256.fullmatch(digits):
            hashes.append(digits)
        elif Path(value).is_file():
            sources.append(read_source(Path(value)))
        else:
            raise UsageError(
                f"neither a file nor a head: {printable(value)}",
                hint="a head has 64 hexadecimal digits; spaces in it do no harm",
            )
    return sources, hashes


def join(sources: Sequence[Source]) -> list[Line]:
    """Join the exports of each record, and check that each continues those before it.

    The clocks of the hosts say which is the newest. One that was wrong looks like a cut.

    Raises:
        Damaged: only the head of a record was given, so there is nothing to look into.
    """
    owners: dict[tuple[str, str], list[Source]] = {}
    for source in sources:
        owners.setdefault(source.owner, []).append(source)
    lines = []
    for owner in sorted(owners):
        ordered = sorted(owners[owner], key=_age)
        newest = ordered.pop()
        if not newest.export.receipts:
            raise Damaged(
                f"the head of a record, without the record: {newest.path}",
                hint="export the whole record, and give this file with --head",
            )
        line = Line(newest, ordered, list(_names_another(newest)))
        for each in ordered:
            line.problems += continues(newest, each)
        lines.append(line)
    return lines


def _names_another(source: Source) -> Iterator[str]:
    """Yield that a head names another host than the last receipt does, which the chain proves."""
    named, last = source.export.head.host, source.export.receipts[-1].host
    if named != last:
        yield (
            f"the head says {printable(named)}, and its last receipt {printable(last)}: the host "
            "was renamed since, or this is the record of another one"
        )


def _age(source: Source) -> tuple[str, int, int]:
    head = source.export.head
    return head.clock, head.receipts, len(source.export.receipts)


def continues(newest: Source, earlier: Source) -> Iterator[str]:
    """Yield what contradicts that `newest` is the same record as `earlier`, at a later time."""
    before, now = earlier.export, newest.export
    when = f"{earlier.path} ({before.head.receipts} receipts, {before.head.clock})"
    if len(now.hashes) < before.head.receipts:
        yield f"cut off: {len(now.hashes)} receipts, and more in {when}"
        return
    if now.hashes[before.head.receipts - 1] == before.head.head:
        return
    known = before.hashes or (before.head.first,)
    differing = next(
        (
            number
            for number, pair in enumerate(zip(known, now.hashes, strict=False), 1)
            if pair[0] != pair[1]
        ),
        None,
    )
    place = f"from receipt {differing} on" if differing else "behind the first receipt"
    yield f"written anew {place}: it is not the record of {when}"


def check_heads(
    lines: Sequence[Line], sources: Sequence[Source], hashes: Sequence[str]
) -> list[str]:
    """Check the trails against heads that were kept; return what fits no trail.

    What is wrong with a trail is added to its line.
    """
    homeless = []
    for source in sources:
        line = next((line for line in lines if line.newest.owner == source.owner), None)
        if line is not None:
            line.problems += continues(line.newest, source)
        elif not any(_holds(line, source.export.head.head) for line in lines):
            host, prefix = source.owner
            homeless.append(
                f"no trail of {printable(host)}, {printable(prefix)}, whose head is {source.path}"
            )
    homeless += [
        f"a head that no trail has, so one was cut off or written anew: {digest}"
        for digest in hashes
        if not any(_holds(line, digest) for line in lines)
    ]
    return homeless


def _holds(line: Line, digest: str) -> bool:
    return digest in line.newest.export.hashes


def check_signatures(lines: Sequence[Line], keys: Mapping[str, PublicKey]) -> None:
    """Check the signatures of the heads, that a record is signed by one key, and that by it alone.

    With `keys`, each head must be signed by one of them. What is wrong is added to the lines.
    """
    for line in lines:
        for source in (line.newest, *line.earlier):
            if source.keyid is None and source in line.earlier and _within(source, line.newest):
                # Of before the host had a key: what it says stands below the newest head too.
                continue
            problem = _flaw(source, keys)
            if problem:
                line.problems.append(f"{source.path}: {problem}")
        if line.newest.keyid in keys:
            continue
        others = {source.keyid for source in line.earlier} - {line.newest.keyid, None}
        line.problems += [
            f"signed by {line.newest.keyid or 'nobody'}, before by {keyid}"
            for keyid in sorted(filter(None, others))
        ]
    _check_owners(lines)


def _check_owners(lines: Sequence[Line]) -> None:
    """Add to the lines that two records are signed by one key.

    A key never leaves its host: with that of one host somebody could sign what another one is to
    have said. A host that was renamed or moved goes on with its record, and so with its first
    receipt.
    """
    records: dict[str, Source] = {}
    for line in lines:
        for source in (line.newest, *line.earlier):
            if source.keyid is None:
                continue
            other = records.setdefault(source.keyid, source)
            if other.export.head.first != source.export.head.first:
                line.problems.append(
                    f"{source.path}: signed by the key of another record, that of {other.path}: "
                    f"{source.keyid}"
                )


def _within(earlier: Source, newest: Source) -> bool:
    return not any(continues(newest, earlier))


def _flaw(source: Source, keys: Mapping[str, PublicKey]) -> str | None:
    envelope = source.export.envelope
    if envelope is None:
        return "the head is not signed" if keys else None
    signed = False
    for signature in envelope.signatures:
        key = keys.get(signature.keyid)
        if key is not None:
            if not verify_signature(key, signature.signature, envelope.signed_bytes):
                return f"the signature does not verify: key {signature.keyid}"
            signed = True
    if keys and not signed:
        return f"the head is signed by a key that was not given: {source.keyid}"
    return None
