"""A large envelope is read without a parser, and with the same verdict."""

import random

import pytest

from sealift_schemas import envelope
from sealift_schemas.envelope import Envelope, LongEnvelope, Signature
from sealift_schemas.pieces import split
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
    assert LongEnvelope.read([data], what="envelope") is not None
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
            step = choose.randrange(1, 600)
            long = LongEnvelope.read(split(changed, step), what="envelope")
            quick_from(LIMIT)
            assert quick == verdict(bytes(changed)), (place, piece)
            assert whole(long) in (quick, None), (place, piece)
            refused += quick is None
    assert refused > 1000


def whole(long: LongEnvelope | None) -> Envelope | None:
    """Return the envelope as the parser would have read it."""
    if long is None:
        return None
    read = Envelope(bytes(long.payload), long.payload_type, long.signatures)
    assert read.signed_bytes == long.signed_bytes
    assert read.encode() == b"".join(long.pieces())
    return read


@pytest.mark.parametrize("step", [1, 3, 12, 13, 1000])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_it_is_read_in_pieces_of_any_size(size, step):
    data = large(size)
    long = LongEnvelope.read(split(data, step), what="envelope")
    assert long is not None
    assert whole(long) == verdict(data)


def test_it_is_made_of_pieces():
    payload = random.Random(1).randbytes(1000)
    long = LongEnvelope.around("text/plain", 1000, split(payload, 7)).signed_by(SIGNATURES)
    assert whole(long) == Envelope(payload, "text/plain", SIGNATURES)
    for size in (999, 1001):
        with pytest.raises(ValueError, match="size"):
            LongEnvelope.around("text/plain", size, split(payload, 7))
