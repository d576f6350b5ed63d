"""Documents in pieces: the same values and the same bytes as of the whole, or no answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents import GOOD, READERS, at, places, removed, replaced
from sealift_schemas import pieces
from sealift_schemas.pieces import encode_pieces, parse_pieces, parse_stream, split
from sealift_schemas.strictjson import DocumentError, encode, parse

LISTS = {("a",): lambda item, place: (place, item), ("b", "c"): lambda item, place: (place, item)}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)
ITEMS = st.lists(VALUES, max_size=4)


@given(ITEMS, ITEMS, VALUES, st.sampled_from([None, 1, 3]), st.sampled_from([1, 2, 7, 1 << 16]))
def test_a_list_is_read_item_by_item(first, second, other, indent, step):
    document = {"a": first, "b": {"x": other, "c": second}, "d": other}
    text = json.dumps(document, indent=indent, ensure_ascii=step == 1).encode()
    found = parse_stream(split(text, step), what="it", lists=LISTS)
    assert found == {
        "a": tuple((f"it.a[{number}]", item) for number, item in enumerate(first)),
        "b": {
            "x": other,
            "c": tuple((f"it.b.c[{number}]", item) for number, item in enumerate(second)),
        },
        "d": other,
    }


@given(ITEMS, ITEMS, VALUES)
def test_a_list_is_written_item_by_item(first, second, other):
    document = {"a": first, "b": {"x": other, "c": second}, "d": {}, "e": []}
    lazy = {**document, "a": iter(first), "b": {"x": other, "c": iter(second)}}
    assert encode_pieces(lazy, indent=2) == encode(document, indent=2)


@pytest.mark.parametrize(
    "text",
    [
        *('{"a":[1],"a":[1]}', '{"a":[1,]}', '{"a":[1}', '{"a":[1]', '{"a":[1]}]', '{"a":[1 2]}'),
        *('{"a":[1.0]}', '{"a":[{"b":1,"b":1}]}', '{"b":{"c":[NaN]}}', '{"b":{"c":[1],}}'),
        *('{"a" [1]}', "{a:[1]}", '{"a":}', '{"a"', "{", "", '{"a":[-0]}', '{"a":["\n"]}'),
        '{"a":[%s]}' % ("[" * 40 + "]" * 40),
        '{"d":9007199254740992}',
        *('{"b":{"c":[%s]}}' % ("[" * 30 + "]" * 30), '{"d":%s}' % ("[" * 32 + "]" * 32)),
    ],
)
def test_what_the_parser_refuses_is_not_answered(text):
    with pytest.raises(DocumentError, match=r"^it"):
        parse(text.encode(), what="it", limit=1 << 20)
    for step in (1, 3, 1 << 16):
        assert parse_stream(split(text.encode(), step), what="it", lists=LISTS) is None


@pytest.mark.parametrize(
    "text",
    ['{"b":{"c":[%s]}}' % ("[" * 29 + "]" * 29), '{"d":["%s"]}' % ("[" * 40), '{"d":12345}'],
)
def test_what_is_as_deep_as_may_be_is_read_however_it_comes(text):
    expected = parse(text.encode(), what="it", limit=1 << 20)
    for step in (1, 3, 1 << 16):
        found = parse_stream(split(text.encode(), step), what="it", lists={})
        assert found == expected
        assert parse_stream(split(text.encode(), step), what="it", lists=LISTS) is not None


def test_the_size_and_the_encoding_are_checked():
    assert parse_pieces(b'{"a":[1]}', what="it", limit=8, lists=LISTS) is None
    assert parse_pieces(b'{"a":["\xff"]}', what="it", limit=99, lists=LISTS) is None


def test_a_reader_that_refuses_leaves_it_to_the_whole():
    def refuse(_item, place):
        raise DocumentError(place, "another", "this")

    assert parse_pieces(b'{"a":[1]}', what="it", limit=99, lists={("a",): refuse}) is None


@pytest.mark.parametrize("name", ["lock", "provenance", "vsa"])
def test_large_documents_are_read_as_small_ones(name, monkeypatch):
    read = READERS[name]
    good = GOOD[name][1]
    changed = [removed(good, place) for place in places(good) if place]
    changed += [
        replaced(good, place, value)
        for place in places(good)
        if place
        for value in ("a", [], [at(good, place)])
    ]
    for document in [good, *changed]:
        outcomes = []
        for large in (1 << 30, 0):
            monkeypatch.setattr(pieces, "LARGE", large)
            try:
                outcomes.append(read(document))
            except DocumentError as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]
