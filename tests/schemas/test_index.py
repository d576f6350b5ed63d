import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift_schemas.index import Entry, read_lines
from sealift_schemas.strictjson import DocumentError, parse

LIMIT = 2**20
SHA256 = "0" * 63 + "a"
FILE = Entry("file", "lib/a b.py", "python/lib/a b.py", "644", 9, SHA256)
LINK = Entry("link", "bin/a", "python/bin/a", target="../lib/a")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def read(line: bytes) -> Entry:
    (entry,) = read_lines(line + b"\n", what="index", limit=LIMIT)
    return entry


def parsed(line: bytes) -> Entry:
    return Entry.from_json(parse(line, what="index", limit=LIMIT), "index")


@given(
    st.builds(
        Entry,
        type=st.just("file"),
        path=texts,
        member=texts,
        mode=st.sampled_from(["644", "755"]),
        size=st.integers(0, 2**53 - 1),
        sha256=st.just(SHA256),
    )
    | st.builds(Entry, type=st.just("link"), path=texts, member=texts, target=texts)
)
def test_a_line_is_read_without_a_parser_as_with_one(entry: Entry):
    line = entry.encode().rstrip(b"\n")

    assert read(line) == parsed(line) == entry


@given(
    st.sampled_from([FILE, LINK]), st.integers(0, 200), st.sampled_from(b'\\"\0\x7f\xff{}[],:09aA ')
)
def test_one_byte_changed_is_read_or_refused_as_by_the_parser(entry: Entry, at: int, byte: int):
    line = bytearray(entry.encode().rstrip(b"\n"))
    line[at % len(line)] = byte
    try:
        expected = parsed(bytes(line))
    except DocumentError:
        with pytest.raises(DocumentError, match=r"^index line 1"):
            read(bytes(line))
    else:
        assert read(bytes(line)) == expected
