"""Brings the upstream evidence that a lock names, for the bundle: from the cache, or asked again."""

from collections.abc import Iterator, Mapping, Sequence

from sealift_bundler.errors import NetworkError
from sealift_bundler.upstream.ask import ask_all
from sealift_bundler.upstream.gather import Search, ask_ways, find_all_questions, question_key
from sealift_bundler.upstream.judge import Rules, check_carried, judge
from sealift_bundler.upstream.store import EvidenceStore
from sealift_bundler.upstream.verify import Verification, can_verify, find_root
from sealift_installer.errors import Damaged, UsageError, mismatch
from sealift_schemas.lock import Lock, LockedArchive
from sealift_schemas.upstream import TRUSTED_ROOT, UpstreamEvidence

_AGAIN = "what publishers say may change; look again with sealift lock --upgrade"


def carry_evidence(lock: Lock, search: Search) -> Iterator[tuple[str, bytes]]:
    """Yield path in the bundle and bytes of all evidence that the lock names.

    Each is judged once more before it travels: nothing in a bundle contradicts its archive.

    Raises:
        NetworkError: something is neither in the cache nor to be had.
        Damaged: it is not what the lock names, or contradicts the archive.
        Untrusted: a signature does not verify.
        UsageError: the trusted root that the lock names is not here any more.
    """
    archives = {one.sha256: one for one in lock.archives}
    store = EvidenceStore(search.cache)
    _ask_again(list(archives.values()), search, store)
    root = None if lock.trusted_root is None else _root(lock.trusted_root.sha256, search, store)
    verification = Verification(root) if root is not None and can_verify() else None
    rules = Rules(search.spec.stream, search.spec.upstream.publishers, verification)
    for sha256, archive in sorted(archives.items()):
        for evidence in archive.upstream:
            path = evidence.path(sha256)
            if path is not None:
                data = _bytes(archive, evidence, store)
                check_carried(archive, evidence, data, rules)
                yield path, data
    if root is not None:
        yield TRUSTED_ROOT, root


def _bytes(archive: LockedArchive, evidence: UpstreamEvidence, store: EvidenceStore) -> bytes:
    data = None if evidence.sha256 is None else store.find(evidence.sha256)
    if data is None or len(data) != evidence.size:
        raise Damaged(f"{archive.name}: {evidence.name} is not what the lock names", hint=_AGAIN)
    return data


def _ask_again(archives: Sequence[LockedArchive], search: Search, store: EvidenceStore) -> None:
    """Bring what the lock names and the cache has not; the answers must be those of the lock.

    Raises:
        NetworkError: nobody answers, or `offline` is set.
        Damaged: the answer is another one.
    """
    missing = {
        (archive.sha256, *question_key(one.kind, one.source, search)): one
        for archive in archives
        for one in archive.upstream
        if one.sha256 is not None and store.find(one.sha256) is None
    }
    if not missing:
        return
    questions = [
        (archive, question)
        for archive, question in find_all_questions(archives, search)
        if (archive.sha256, *question_key(question.kind, question.request.address, search))
        in missing
    ]
    names: Mapping[str, str] = {archive.sha256: archive.name for archive in archives}
    rules = Rules(search.spec.stream, search.spec.upstream.publishers)
    for asked in ask_all(questions, ask_ways(search, store, questions)):
        found = judge(asked, rules, store)
        key = (asked.archive.sha256, *question_key(found.kind, found.source, search))
        if key in missing:
            _compare(names[key[0]], missing.pop(key), found, store)
    for (sha256, *_), evidence in missing.items():
        raise Damaged(
            f"{names[sha256]}: {evidence.name} is not in the cache, and nothing in the spec says"
            " any more where it is",
            hint=_AGAIN,
        )


def _compare(
    name: str, evidence: UpstreamEvidence, found: UpstreamEvidence, store: EvidenceStore
) -> None:
    if found.result == "unreachable":
        here = evidence.sha256 is not None and store.path(evidence.sha256).exists()
        state = "damaged in the cache" if here else "not in the cache"
        raise NetworkError(
            f"{name}: {evidence.name} is {state} and cannot be had: {found.detail}",
            hint=f"it would come from {found.source}",
        )
    if found.sha256 != evidence.sha256:
        what = f"{name}: {evidence.name} has changed since the lock was made"
        raise Damaged(mismatch(what, evidence.sha256, found.sha256 or "nothing"), hint=_AGAIN)


def _root(sha256: str, search: Search, store: EvidenceStore) -> bytes:
    kept = store.find(sha256)
    if kept is not None:
        return kept
    named = search.spec.upstream.trusted_root
    root = find_root(search.directory / named if named else None)
    if root is None or store.keep(root) != sha256:
        raise UsageError(
            "the trusted root that the lock names is not in the cache, and another one is here",
            hint="take this one with sealift lock --upgrade",
        )
    return root
