"""Documents against their schemas item by item: the verdicts are those of the whole."""

import base64
import json
from functools import partial

import pytest

from documents import GOOD, at, places, removed, replaced
from sealift_bundler import schema
from sealift_bundler.schema import check_documents, find_issues
from sealift_bundler.schema_pieces import follows
from sealift_installer.errors import Damaged
from sealift_schemas.pieces import split
from sealift_schemas.strictjson import encode

BEFORE = b'{"payload":"'
NAMES = ["manifest", "lock", "provenance", "vsa", "envelope", "root"]
VALUES = ["a", "AAA\n", [], [0]]


def wrong(name):
    """Documents with something else, or nothing, at every place; lists twice as long too."""
    good = GOOD[name][1]
    for place in places(good):
        value = at(good, place)
        if place:
            yield removed(good, place)
            yield from (replaced(good, place, other) for other in VALUES)
            yield replaced(good, place, [value])
        if isinstance(value, dict):
            yield replaced(good, place, {**value, "another": 1})
        if isinstance(value, list) and value:
            yield replaced(good, place, [*value, *value])
            yield replaced(good, place, [*value, 7])


@pytest.mark.parametrize("name", NAMES)
def test_the_verdict_is_that_of_the_whole(name):
    validator = schema._validator(name)
    assert follows(validator, partial(split, encode(GOOD[name][1])))
    for number, document in enumerate(wrong(name)):
        good = not find_issues(name, document)
        # Which sizes the pieces have is all one: here each document comes in others.
        pieces = partial(split, encode(document), 1 << number % 12)
        assert follows(validator, pieces) == good, document


def test_what_is_wrong_is_named(monkeypatch):
    monkeypatch.setattr(schema, "LARGE", 0)
    document = replaced(GOOD["manifest"][1], ("predicate", "archives", 0, "size"), "a")
    with pytest.raises(Damaged, match=r"it\.predicate\.archives\[0\]\.size"):
        check_documents("manifest", [("it", encode(document))])
    with pytest.raises(Damaged, match=r"it\.predicate\.archives\[0\]\.size"):
        check_documents("manifest", [("it", partial(split, encode(document), 100))])
    check_documents("manifest", [("it", encode(GOOD["manifest"][1]))])


def test_keys_that_come_twice_are_refused(monkeypatch):
    monkeypatch.setattr(schema, "LARGE", 0)
    written = json.dumps(GOOD["vsa"][1])
    for first, second in (('"subject": [', '"subject": [], '), ('"name": ', '"name": "a", ')):
        twice = written.replace(first, second + first, 1)
        assert twice != written
        with pytest.raises(Damaged, match="each key once"):
            check_documents("vsa", [("it", twice.encode())])


@pytest.mark.parametrize(
    "payload",
    [b"A" * 400, base64.b64encode(b"text"), b"", b"AA=", b"A\\u0041", b"A A", b'A","a":"'],
)
def test_an_envelope_is_checked_without_its_payload(payload):
    data = (
        BEFORE + payload + b'",' + encode({**GOOD["envelope"][1], "payload": ""})[len(BEFORE) + 2 :]
    )
    try:
        good = not find_issues("envelope", json.loads(data))
    except ValueError:
        good = False
    for step in (1, 5, 1 << 16):
        found = follows(schema._validator("envelope"), partial(split, data, step))
        # Padding that comes in two pieces is for the whole to look at.
        assert found == good or (good and not found and step == 1 and b"==" in payload)
