"""What an answer is worth: compared with the digest that we have, verified, or merely carried.

A digest that differs, and a signature that does not verify, are errors. That there is nothing, or
that nobody answered, is recorded.
"""

from collections.abc import Iterable
from typing import NoReturn
from urllib.parse import quote, urlsplit

from sealift_bundler.downloads_json import public_url
from sealift_bundler.sources.found import archive_filename
from sealift_bundler.upstream.ask import Asked
from sealift_bundler.upstream.checksums import UnreadableList, stated_digests
from sealift_bundler.upstream.github import (
    LONGEST_FIELD,
    UnreadableAnswer,
    find_asset,
    read_lines,
)
from sealift_bundler.upstream.index import package_name, wheel_name
from sealift_bundler.upstream.show import AT_A_MIRROR
from sealift_bundler.upstream.signers import find_signer
from sealift_bundler.upstream.store import EvidenceStore
from sealift_bundler.upstream.verify import Verification
from sealift_installer.errors import Damaged, Untrusted, mismatch, printable
from sealift_schemas.lean import dataclass, replace
from sealift_schemas.lock import LockedArchive
from sealift_schemas.publishers import Publisher
from sealift_schemas.strictjson import encode
from sealift_schemas.upstream import UpstreamEvidence

# A longer list is compared and not carried, once for each archive that it speaks of (bytes).
LARGEST_CARRIED = 1024 * 1024
ATTESTATIONS = "attestations.sigstore.jsonl"
PROVENANCE = "provenance.json"
RELEASE = "github-release.json"
_LONGEST_DETAIL = 500
# What may stand in an address as it is; spaces and other scripts are written as escapes.
_PLAIN = "%/:@!$&'()*+,;=~-._[]"


@dataclass(frozen=True, slots=True)
class Rules:
    """By what answers are judged.

    Attributes:
        stream: the site's, for the names of sources that are not on the web.
        publishers: those of the spec.
        verification: none where signatures cannot be verified.
        reason: why they cannot.
    """

    stream: str
    publishers: tuple[Publisher, ...] = ()
    verification: Verification | None = None
    reason: str = "there is no trusted root"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A result and why; `data` is what is carried as `name`."""

    result: str
    detail: str | None = None
    name: str | None = None
    data: bytes | None = None


def judge(asked: Asked, rules: Rules, store: EvidenceStore) -> UpstreamEvidence:
    """Return what an answer is worth; what is to be carried is kept in the cache.

    Raises:
        Damaged: the publisher states another digest than ours.
        Untrusted: a signature does not verify.
        HostError: the cache cannot be written.
    """
    kind, answer, address = asked.question.kind, asked.answer, asked.question.request.address
    source = source_of(address, rules.stream)
    if answer.fault is not None:
        outcome = Outcome("unreachable", answer.fault)
    elif answer.data is None:
        outcome = Outcome("absent")
    else:
        outcome = _judge(asked, answer.data, rules)
    mirror = AT_A_MIRROR if answer.place not in {"", address} else None
    detail = _detail("; ".join(filter(None, (outcome.detail, mirror))))
    if outcome.name is None or outcome.data is None:
        return UpstreamEvidence(kind, outcome.result, source, detail=detail)
    sha256, size = store.keep(outcome.data), len(outcome.data)
    return UpstreamEvidence(kind, outcome.result, source, outcome.name, sha256, size, detail)


def check_carried(
    archive: LockedArchive, evidence: UpstreamEvidence, data: bytes, rules: Rules
) -> UpstreamEvidence:
    """Judge once more what travels with an archive, as far as that can be done on this machine.

    Raises:
        Damaged: the publisher states another digest.
        Untrusted: a signature does not verify.
    """
    if evidence.kind in {"checksum-file", "release-digest"}:
        # Whatever a list is called, the line is there or the lock says more than the list does.
        if archive.sha256.encode() not in data.lower() and not _states(archive, data):
            raise Damaged(
                f"{archive.name}: what is carried does not state its digest: {evidence.name}",
                hint="look again with sealift lock --upgrade",
            )
        return evidence
    if rules.verification is None:
        return evidence
    if evidence.kind == "attestation":
        repository = _repository(archive.url)
        names = _verify_attestations(archive, evidence.source, data, rules, repository)
    else:
        names = _verify_provenance(archive, evidence.source, data, rules)
    outcome = _signed(names, rules, "", data)
    return replace(evidence, result=outcome.result, detail=_detail(outcome.detail))


def _states(archive: LockedArchive, data: bytes) -> bool:
    try:
        return archive.sha256 in stated_digests(data, archive.url, alone=True)
    except UnreadableList:
        return False


def _judge(asked: Asked, data: bytes, rules: Rules) -> Outcome:
    kind = asked.question.kind
    if kind == "checksum-file":
        return _judge_list(asked, data)
    if kind == "release-digest":
        return _judge_release(asked, data)
    judge_signed = _judge_attestations if kind == "attestation" else _judge_provenance
    return judge_signed(asked, data, rules)


def _judge_list(asked: Asked, data: bytes) -> Outcome:
    archive = asked.archive
    try:
        stated = stated_digests(data, archive.url, alone=asked.question.alone)
    except UnreadableList as error:
        return Outcome("absent", str(error))
    name = archive_filename(asked.question.request.address)
    if not stated:
        return Outcome("absent", "it does not name the file")
    if stated != {archive.sha256}:
        _disagree(archive, asked, ", ".join(sorted(stated)))
    if len(data) > LARGEST_CARRIED:
        return Outcome("agrees", f"{name}, too large to be carried")
    return Outcome("agrees", None, name, data)


def _judge_release(asked: Asked, data: bytes) -> Outcome:
    archive = asked.archive
    try:
        asset = find_asset(data, archive.url)
    except UnreadableAnswer as error:
        return Outcome("unreachable", str(error))
    if asset is None:
        return Outcome("absent", "the release does not have the file")
    if asset.sha256 is None:
        return Outcome("absent", "the release has no digest of the file")
    if asset.sha256 != archive.sha256:
        _disagree(archive, asked, asset.sha256)
    if asset.size not in {None, archive.size}:
        _disagree(archive, asked, f"{asset.size} bytes, not {archive.size}")
    detail = None
    if asset.left_out:
        names = ", ".join(asset.left_out)
        detail = f"without {names}: no text of at most {LONGEST_FIELD} characters"
    return Outcome("agrees", detail, RELEASE, encode(asset.record))


def _judge_attestations(asked: Asked, data: bytes, rules: Rules) -> Outcome:
    source = asked.question.request.address
    repository = asked.question.repository or _repository(asked.archive.url)
    names = _verify_attestations(asked.archive, source, data, rules, repository)
    return _signed(names, rules, ATTESTATIONS, data)


def _judge_provenance(asked: Asked, data: bytes, rules: Rules) -> Outcome:
    names = _verify_provenance(asked.archive, asked.question.request.address, data, rules)
    return _signed(names, rules, PROVENANCE, data)


def _signed(names: list[str], rules: Rules, name: str, data: bytes) -> Outcome:
    if names:
        return Outcome("verified", f"signed by {', '.join(names)}", name, data)
    why = rules.reason if rules.verification is None else "nobody says who must have signed"
    return Outcome("carried", why, name, data)


def _verify_attestations(
    archive: LockedArchive, source: str, data: bytes, rules: Rules, repository: str | None
) -> list[str]:
    signer = find_signer(rules.publishers, url=archive.url, repository=repository)
    if rules.verification is None or signer is None:
        return []
    try:
        attestations = read_lines(data)
        return rules.verification.verify_attestations(attestations, archive.sha256, signer)
    except (Untrusted, UnreadableAnswer) as error:
        _distrust(archive, source, error)


def _verify_provenance(archive: LockedArchive, source: str, data: bytes, rules: Rules) -> list[str]:
    if rules.verification is None:
        return []
    package = package_name(archive)
    signer = find_signer(rules.publishers, url=archive.url, package=package)
    try:
        return rules.verification.verify_provenance(
            data, wheel_name(archive), archive.sha256, signer
        )
    except Untrusted as error:
        _distrust(archive, source, error)


def _disagree(archive: LockedArchive, asked: Asked, stated: str) -> NoReturn:
    address = printable(public_url(asked.question.request.address, archive.filename, "site"))
    raise Damaged(
        mismatch(f"{archive.name}: its publisher states another digest", stated, archive.sha256)
        + f"\n  Stated at: {address}",
        hint="nothing is locked: find out which of the two is right before you go on",
    )


def _distrust(archive: LockedArchive, source: str, error: Exception) -> NoReturn:
    raise Untrusted(
        f"{archive.name}: what its publisher is said to have signed does not verify\n"
        f"  Reason: {printable(str(error))}\n  Read at: {printable(source)}",
        hint="[upstream] in sealift.toml names the trusted root and who must have signed",
    )


def _repository(url: str) -> str | None:
    """Return the repository at GitHub or GitLab that an address is below, by its first two parts."""
    parts = urlsplit(url)
    path = parts.path.split("/")
    if parts.scheme != "https" or parts.hostname != "github.com" or len(path) < 4:  # noqa: PLR2004
        return None
    return f"https://github.com/{path[1]}/{path[2]}"


def source_of(address: str, stream: str) -> str:
    """Return an address as it is recorded: without secrets, and never a path of this machine."""
    return quote(public_url(address, archive_filename(address), stream), safe=_PLAIN)


def _detail(text: str | None) -> str | None:
    if not text:
        return None
    plain = text.encode("ascii", "backslashreplace").decode()
    plain = "".join(each if each.isprintable() else " " for each in plain)
    return plain if len(plain) <= _LONGEST_DETAIL else plain[: _LONGEST_DETAIL - 3] + "..."


def distinct_names(evidence: Iterable[UpstreamEvidence]) -> tuple[UpstreamEvidence, ...]:
    """Return the evidence of one archive such that no two of its files have one name."""
    found: list[UpstreamEvidence] = []
    taken: set[str] = set()
    for one in evidence:
        name, number = one.name, 1
        while name is not None and name.lower() in taken:
            number += 1
            name = f"{number}-{one.name}"
        if name is not None:
            taken.add(name.lower())
        found.append(one if name == one.name else replace(one, name=name))
    return tuple(found)
