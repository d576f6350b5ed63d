import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealift_schemas.strictjson import (
    DEEPEST,
    LARGEST_INTEGER,
    DocumentError,
    Fields,
    check_integer,
    check_text,
    encode,
    parse,
    shorten,
)

REFUSED = {
    b'{"a": 1, "a": 1}': 'each key once, found "a" twice',
    b'{"a": {"b": 1, "c": 2, "b": 3}}': 'found "b" twice',
    b'{"a": 1, "\\u0061": 1}': 'found "a" twice',
    b"[NaN]": "integers only, found NaN",
    b"[Infinity]": "integers only, found Infinity",
    b"[-Infinity]": "integers only, found -Infinity",
    b"[1.0]": "integers only, found 1.0",
    b"[1e2]": "integers only, found 1e2",
    b"[-0]": "an integer within 2\\*\\*53, found -0",
    b"[9007199254740992]": "an integer within 2\\*\\*53",
    b"[" + b"9" * 5000 + b"]": "an integer within 2\\*\\*53",
    b"\xef\xbb\xbf[]": "expected JSON, found",
    b'["\xff"]': "UTF-8, found an invalid byte at offset 2",
    b'["\xed\xa0\x80"]': "UTF-8, found an invalid byte",
    b'{"\\ud800": 1}': "Unicode text, found a lone surrogate",
    b"": "expected JSON, found",
    b"[] []": "expected JSON, found Extra data",
    b"[1,]": "expected JSON, found",
    b"{'a': 1}": "expected JSON, found",
    b'["\n"]': "expected JSON, found",
    b"[01]": "expected JSON, found",
    b"// comment\n[]": "expected JSON, found",
    b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1): "at most 32 levels of nesting",
    b"[" * 200_000: "at most 32 levels of nesting",
    b'{"a":' * 200_000: "at most 32 levels of nesting",
}


@pytest.mark.parametrize("data", REFUSED, ids=lambda data: repr(data[:24]))
def test_a_second_meaning_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError, match=f"^thing: .*{REFUSED[data]}"):
        parse(data, what="thing", limit=10**7)


def test_the_size_comes_before_the_parser() -> None:
    with pytest.raises(DocumentError, match="at most 3 bytes, found 4 bytes"):
        parse(b"\xff\xff\xff\xff", what="thing", limit=3)
    assert parse(b"[1]", what="thing", limit=3) == [1]


def test_brackets_in_strings_are_no_nesting() -> None:
    text = json.dumps(["[" * 100 + '\\"' + "{" * 100])
    assert parse(text.encode(), what="thing", limit=1000) == json.loads(text)
    deep = b"[" * DEEPEST + b"]" * DEEPEST
    assert parse(deep, what="thing", limit=1000) == json.loads(deep)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(values, st.sampled_from([None, 2]))
def test_what_is_encoded_is_read_back(value: object, indent: int | None) -> None:
    data = encode(value, indent=indent)
    assert data.isascii()
    assert data.endswith(b"\n")
    assert parse(data, what="thing", limit=10**6) == value


@settings(deadline=None)
@given(st.binary(max_size=64))
def test_bytes_are_read_as_json_reads_them_or_refused(data: bytes) -> None:
    try:
        value = parse(data, what="thing", limit=64)
    except DocumentError:
        return
    assert value == json.loads(data)


def test_not_a_number_is_never_written() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        encode([float("nan")])


def test_unknown_and_missing_fields_are_named() -> None:
    with (
        pytest.raises(DocumentError, match=r'^thing: expected no unknown field, found "b"'),
        Fields({"a": 1, "c": 1, "b": 1}, "thing") as fields,
    ):
        fields.integer("a")
    with (
        pytest.raises(DocumentError, match=r"^thing: expected the field b, found none"),
        Fields({"a": 1}, "thing") as fields,
    ):
        fields.integer("b")


def test_the_place_of_an_error_is_named() -> None:
    def inner(value: object, where: str) -> int:
        with Fields(value, where) as fields:
            return fields.integer("size", minimum=1, maximum=9)

    with (
        pytest.raises(DocumentError, match="an integer from 1 to 9") as caught,
        Fields({"a": [{"size": 10}]}, "thing") as fields,
    ):
        fields.items("a", inner)
    assert caught.value.where == "thing.a[0].size"
    assert caught.value.expected == "an integer from 1 to 9"
    assert caught.value.found == "10"


@pytest.mark.parametrize("value", [True, False, None, "1", 1.0, -1, 10])
def test_integers_are_integers(value: object) -> None:
    with pytest.raises(DocumentError, match="an integer from 0 to 9"):
        check_integer(value, "place", 0, 9)


@pytest.mark.parametrize("value", [1, 1.0, True, "2"])
def test_a_constant_has_its_type(value: object) -> None:
    with pytest.raises(DocumentError, match=r'thing.format: expected "1"'):
        Fields({"format": value}, "thing").constant("format", "1")
    with pytest.raises(DocumentError, match=r"thing.format: expected 2"):
        Fields({"format": value}, "thing").constant("format", 2)


def test_text_is_matched_as_a_whole() -> None:
    fields = Fields({"a": "0" * 64 + "\n", "b": "A" * 64, "c": "2026-02-30 09:00:00Z"}, "thing")
    with pytest.raises(DocumentError, match=r"thing.a: expected 64 lower-case"):
        fields.sha256("a")
    with pytest.raises(DocumentError, match=r"thing.b: expected 64 lower-case"):
        fields.sha256("b")
    with pytest.raises(DocumentError, match=r"thing.c: expected a time such as"):
        fields.time("c")
    with pytest.raises(DocumentError, match="a lone surrogate"):
        check_text("\udcff", "place")


def test_messages_stay_short_and_plain() -> None:
    assert shorten("\x1b[2J" + "é" * 500).isascii()
    assert len(shorten("\x1b" * 500)) == 80
    assert shorten({1, 2}) == "{1, 2}"
