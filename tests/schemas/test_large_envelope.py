"""A large envelope is read without a parser, and with the same verdict."""

import random

import pytest

from sealift_schemas import envelope
from sealift_schemas.envelope import Envelope, Signature
from sealift_schemas.strictjson import DocumentError

LIMIT = 1 << 24
SIGNATURES = (Signature("a" * 64, b"one"), Signature("b" * 64, b"other"))


def large(size: int) -> bytes:
    payload = random.Random(size).randbytes(size)
    return Envelope(payload, "application/vnd.in-toto+json", SIGNATURES).encode()


def verdict(data: bytes) -> Envelope | None:
    try:
        return Envelope.read(data, what="envelope", limit=LIMIT)
    except DocumentError:
        return None


@pytest.fixture
def quick_from(monkeypatch):
    """Set the size from which envelopes are read so."""
    return lambda size: monkeypatch.setattr(envelope, "_LARGE", size)


@pytest.mark.parametrize("size", [300_000, 300_001, 300_002])
def test_a_large_one(size, quick_from):
    data = large(size)
    assert envelope._read_written(data, "envelope") is not None
    quick = verdict(data)
    quick_from(LIMIT)
    assert quick is not None
    assert quick == verdict(data)
    with pytest.raises(DocumentError, match="at most 1000 bytes"):
        Envelope.read(data, what="envelope", limit=1000)


def test_whatever_is_changed_the_verdict_is_the_same(quick_from):
    choose = random.Random(3)
    refused = 0
    for size in (1000, 1001, 1002):
        data = large(size)
        end = data.index(b'"payloadType"')
        places = [*range(14), *range(end - 12, len(data))] * 4 + choose.sample(
            range(len(data)), 300
        )
        for place in places:
            changed = bytearray(data)
            piece = choose.choice([b"", b"A", b"B", b"=", b'"', b"\\", b" ", b"\n", b"\xff", b"9"])
            changed[place : place + choose.choice([0, 1])] = piece
            # What is left without the payload is short enough for the parser.
            quick_from(700)
            quick = verdict(bytes(changed))
            quick_from(LIMIT)
            assert quick == verdict(bytes(changed)), (place, piece)
            refused += quick is None
    assert refused > 1000
