"""Evidence by the publisher in a lock: which results a kind can have, which files they name."""

from typing import Any

import pytest

from documents import LOCK, replaced
from sealift_schemas.lock import Lock
from sealift_schemas.strictjson import DocumentError, encode
from sealift_schemas.upstream import RESULTS, UpstreamEvidence

SUMS, _, ATTESTATION = LOCK["archives"][0]["upstream"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({**SUMS, "result": "verified"}, "evidence.result: expected one of agrees, absent"),
        ({**ATTESTATION, "result": "agrees"}, "evidence.result: expected one of verified, carried"),
        ({**SUMS, "result": "absent"}, 'no unknown field, found "name"'),
        (
            {"kind": "pep740", "result": "carried", "source": "https://a.invalid/"},
            "expected the field name, found none",
        ),
        (
            {"kind": "checksum-file", "result": "agrees", "source": "https://a.invalid", "size": 1},
            "expected the field name, found none",
        ),
        ({**SUMS, "source": "https://me:secret@a.invalid/"}, "without credentials and query"),
        ({**SUMS, "source": "https://a.invalid/sums?token=1"}, "without credentials and query"),
        ({**SUMS, "source": "file:///home/me/sums"}, "without credentials and query"),
        ({**SUMS, "name": "../sums"}, "expected a portable file name"),
        ({**ATTESTATION, "detail": "\x1b[31m"}, "expected printable ASCII"),
    ],
)
def test_what_evidence_is_not(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        UpstreamEvidence.from_json(changes, "evidence")


def test_a_digest_that_agrees_need_not_travel() -> None:
    bare = {name: SUMS[name] for name in ("kind", "result", "source")}
    evidence = UpstreamEvidence.from_json(bare, "evidence")
    assert evidence.path("0" * 64) is None
    assert evidence.to_json() == bare


def test_files_stand_below_the_digest_of_their_archive() -> None:
    evidence = UpstreamEvidence.from_json(SUMS, "evidence")
    assert evidence.path("0" * 64) == f"evidence/upstream/{'0' * 64}/SHA256SUMS"


def test_two_files_of_an_archive_differ_by_more_than_case() -> None:
    twin = {**ATTESTATION, "name": "sha256sums"}
    lock = replaced(LOCK, ("archives", 0, "upstream"), [SUMS, twin])
    with pytest.raises(DocumentError, match=r"upstream: expected names that differ by more"):
        Lock.read(encode(lock))


def test_only_a_digest_or_a_signature_that_was_checked_confirms() -> None:
    confirming = {
        result
        for result in RESULTS
        if UpstreamEvidence("attestation", result, "https://a.invalid").confirms
    }
    assert confirming == {"verified", "agrees"}
