"""Finds the upstream evidence of a lock's archives: asked for what is new, kept for the rest.

It is asked for again where it could not be had, where the questions have changed, and where the
archive is upgraded. With `require` an archive is refused for which no publisher vouches.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from sealift_bundler.access import Access
from sealift_bundler.cache import Cache
from sealift_bundler.errors import join_messages
from sealift_bundler.sources.pip_settings import PipSettings, read_pip_settings, through_pip
from sealift_bundler.upstream.ask import Ways, ask_all
from sealift_bundler.upstream.github import forget_assets
from sealift_bundler.upstream.index import integrity_address
from sealift_bundler.upstream.judge import Rules, check_carried, distinct_names, judge, source_of
from sealift_bundler.upstream.questions import Question, find_questions
from sealift_bundler.upstream.reader import Reader, Request
from sealift_bundler.upstream.store import EvidenceStore
from sealift_bundler.upstream.verify import Verification, can_verify, find_root
from sealift_installer.errors import Damaged, RefusedByPolicy, SealiftError, Untrusted, printable
from sealift_schemas.lean import dataclass, replace
from sealift_schemas.lock import Lock, LockedArchive
from sealift_schemas.spec import Spec, UrlWanted
from sealift_schemas.upstream import KINDS, TrustedRootFile, UpstreamEvidence

_SIGNED = ("attestation", "pep740")
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Search:
    """What looking for evidence needs.

    Attributes:
        spec: of the site.
        directory: of the site.
        cache: where evidence is kept.
        access: the way to the servers.
        old: the lock so far.
        offline: take what the old lock and the cache have.
        upgrade: ask again about everything, or with `names` about what they name.
        names: archives, requests or addresses.
    """

    spec: Spec
    directory: Path
    cache: Cache
    access: Access
    old: Lock | None = None
    offline: bool = False
    upgrade: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gathered:
    """The archives with their evidence, and the keys by which it can be verified."""

    archives: tuple[LockedArchive, ...]
    trusted_root: TrustedRootFile | None = None


def gather_evidence(archives: Sequence[LockedArchive], search: Search) -> Gathered:
    """Return the archives with what their publishers say of them.

    Raises:
        Damaged: a publisher states another digest than ours.
        Untrusted: a signature does not verify.
        RefusedByPolicy: nobody vouches for an archive, and the spec requires it.
        UsageError: the trusted root, a token or pip's configuration is wrong.
        HostError: the cache cannot be read or written.
    """
    upstream = search.spec.upstream
    if upstream.check == "off":
        return Gathered(
            tuple(replace(one, upstream=()) if one.upstream else one for one in archives)
        )
    given = search.directory / upstream.trusted_root if upstream.trusted_root else None
    root = find_root(given)
    verification = Verification(root) if root is not None and can_verify() else None
    rules = Rules(search.spec.stream, upstream.publishers, verification)
    if not can_verify():
        rules = replace(rules, reason="sealift[upstream] is not installed")
    store = EvidenceStore(search.cache)
    found = _find(archives, search, rules, store)
    located = tuple(replace(one, upstream=found[one.sha256]) for one in archives)
    if upstream.check == "require":
        _require(located, can_verify=verification is not None)
    return Gathered(located, _choose_root(located, root, search, store))


def _choose_root(
    archives: Iterable[LockedArchive], root: bytes | None, search: Search, store: EvidenceStore
) -> TrustedRootFile | None:
    """Return the trusted root that travels: the old lock's, unless there is more to verify."""
    signed = _signed_files(archives)
    if not signed:
        return None
    old = None if search.old is None else search.old.trusted_root
    if old is not None and search.old is not None and not search.upgrade:
        nothing_new = signed <= _signed_files(search.old.archives)
        if nothing_new and store.find(old.sha256) is not None:
            return old
    return None if root is None else TrustedRootFile(store.keep(root), len(root))


def _signed_files(archives: Iterable[LockedArchive]) -> set[str]:
    found = (one for archive in archives for one in archive.upstream if one.kind in _SIGNED)
    return {one.sha256 for one in found if one.sha256 is not None}


def _find(
    archives: Sequence[LockedArchive], search: Search, rules: Rules, store: EvidenceStore
) -> dict[str, tuple[UpstreamEvidence, ...]]:
    """Return the evidence of each archive's bytes by their digest."""
    questions = find_all_questions(archives, search)
    kept = {
        one.sha256: tuple(_judge_again(one, each, rules, store) for each in one.upstream)
        for one in _keepable(archives, questions, search)
    }
    asked = [(one, each) for one, each in questions if one.sha256 not in kept]
    known = _known(search)
    gathered: dict[str, list[UpstreamEvidence]] = {one.sha256: [] for one in archives}
    errors: list[SealiftError] = []
    for answer in ask_all(asked, ask_ways(search, store, asked)) if asked else ():
        try:
            evidence = judge(answer, rules, store)
            if evidence.result == "unreachable":
                key = (answer.archive.sha256, *question_key(evidence.kind, evidence.source, search))
                evidence = _judge_again(answer.archive, known.get(key, evidence), rules, store)
        except (Damaged, Untrusted) as error:
            errors.append(error)
        else:
            gathered[answer.archive.sha256].append(evidence)
    forget_assets()
    _raise_worst(errors)
    new = {sha256: distinct_names(sorted(each, key=_order)) for sha256, each in gathered.items()}
    return {**new, **kept}


def _known(search: Search) -> dict[tuple[str, str, str], UpstreamEvidence]:
    """Return what the old lock has, by archive and question, for those who do not answer now.

    Evidence that is there is not lost with the line; and who is away for another reason than the
    last time has said nothing new, which would be no reason for a new bundle.
    """
    return {
        (old.sha256, *question_key(one.kind, one.source, search)): one
        for old in (() if search.old is None else search.old.archives)
        if not _is_upgraded(old, search)
        for one in old.upstream
    }


def find_all_questions(
    archives: Sequence[LockedArchive], search: Search
) -> list[tuple[LockedArchive, Question]]:
    """Return what is to be asked; two archives of the same bytes are one."""
    wanted = {(one.url, one.version, one.platform): one for one in search.spec.url}
    mirrors = search.spec.network.mirrors
    # pip's configuration is of no concern where nothing is from the index.
    packaged = any(archive.source == "package" for archive in archives)
    settings = read_pip_settings() if packaged else PipSettings("")
    found: dict[tuple[str, str, str], tuple[LockedArchive, Question]] = {}
    for archive in archives:
        table: UrlWanted | None = None
        if archive.source == "url":
            table = wanted.get((archive.url, archive.version, archive.platform))
        asked = find_questions(archive, table, mirrors)
        if archive.source == "package":
            address = integrity_address(archive, settings)
            asked = [Question("pep740", Request(address, (address,)))]
        for one in asked:
            found.setdefault((archive.sha256, one.kind, one.request.address), (archive, one))
    return list(found.values())


def _keepable(
    archives: Iterable[LockedArchive],
    questions: Iterable[tuple[LockedArchive, Question]],
    search: Search,
) -> Iterable[LockedArchive]:
    """Yield those archives of the old lock whose evidence answers the questions of today."""
    asked: dict[str, set[tuple[str, str]]] = {one.sha256: set() for one in archives}
    for archive, question in questions:
        asked[archive.sha256].add(question_key(question.kind, question.request.address, search))
    for old in () if search.old is None else search.old.archives:
        told = {question_key(one.kind, one.source, search) for one in old.upstream}
        if old.sha256 not in asked or asked[old.sha256] != told or _is_upgraded(old, search):
            continue
        complete = all(one.result != "unreachable" for one in old.upstream)
        if complete or search.offline:
            yield old


def question_key(kind: str, address: str, search: Search) -> tuple[str, str]:
    """Return by what a question and its answer are known."""
    # The index may name another place for a provenance than the one where it mostly is.
    return kind, "" if kind == "pep740" else source_of(address, search.spec.stream)


def _is_upgraded(archive: LockedArchive, search: Search) -> bool:
    if not search.upgrade:
        return False
    mine = {archive.name, archive.request, archive.url}
    return not search.names or not mine.isdisjoint(search.names)


def _judge_again(
    archive: LockedArchive, evidence: UpstreamEvidence, rules: Rules, store: EvidenceStore
) -> UpstreamEvidence:
    """Return signed evidence judged by the rules of today, if that can be done, else as it is."""
    if evidence.kind not in _SIGNED or evidence.sha256 is None or rules.verification is None:
        return evidence
    data = store.find(evidence.sha256)
    return evidence if data is None else check_carried(archive, evidence, data, rules)


def ask_ways(
    search: Search, store: EvidenceStore, asked: Iterable[tuple[LockedArchive, Question]]
) -> Ways:
    """Return the ways to all who are asked."""
    publishers = Reader(store, search.access, offline=search.offline)
    if not any(question.kind == "pep740" for _, question in asked):
        return Ways(publishers, publishers, PipSettings(""))
    settings = read_pip_settings()
    through = through_pip(search.access, settings)
    return Ways(publishers, Reader(store, through, offline=search.offline), settings)


def _order(evidence: UpstreamEvidence) -> tuple[int, str]:
    return KINDS.index(evidence.kind), evidence.source


def _raise_worst(errors: Sequence[SealiftError]) -> None:
    """Raise what was found, of several kinds that of the wrong digests."""
    if not errors:
        return
    worst = next((error for error in errors if isinstance(error, Damaged)), errors[0])
    if len(errors) == 1:
        raise worst
    raise type(worst)(join_messages(errors), hint=worst.hint)


def _require(archives: Iterable[LockedArchive], *, can_verify: bool) -> None:
    # What was captured on this machine has no publisher: the machine is the source.
    alone = [
        one
        for one in archives
        if one.source != "captured" and not any(each.confirms for each in one.upstream)
    ]
    if not alone:
        return
    names = "\n".join(f"  {one.name}: {_told(one.upstream)}" for one in alone[:_SHOWN])
    more = f"\n  and {len(alone) - _SHOWN} more" if len(alone) > _SHOWN else ""
    carried = any(each.result == "carried" for one in alone for each in one.upstream)
    hint = "`checksums` and `attestation` of a [[url]] table name further evidence"
    if carried and not can_verify:
        hint = "install sealift[upstream], which verifies what is signed"
    raise RefusedByPolicy(
        f"the spec requires that publishers vouch for their archives, and these have nobody:\n"
        f"{names}{more}",
        hint=hint,
    )


def _told(evidence: Iterable[UpstreamEvidence]) -> str:
    return ", ".join(map(_result, evidence)) or "nobody to ask"


def _result(evidence: UpstreamEvidence) -> str:
    result = f"{evidence.kind} {evidence.result}"
    # What nobody could be asked about may be mended: it is said what failed.
    failed = evidence.result == "unreachable" and evidence.detail
    return f"{result} ({printable(evidence.detail or '')})" if failed else result
