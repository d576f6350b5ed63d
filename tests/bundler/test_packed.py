"""Long lists that are kept packed."""

import pytest

from sealift_bundler.packed import Packed, in_order
from sealift_schemas.manifest import Archive, Requirements, Source

SOURCE = Source("url", "https://example.org/a", "https://example.org/a", "spec")


def archive(number):
    name = f"tool{number}"
    return Archive(
        name=name,
        kind="tool",
        version="1.0",
        platform="any",
        format="tar.gz",
        size=number + 1,
        sha256=f"{number:064x}",
        parts=(f"archives/{name}",),
        index=f"index/{name}",
        members=1,
        unpacked=2,
        source=SOURCE,
        links={"tool": "bin/tool"} if number % 2 else {},
        requires=Requirements(glibc="2.17"),
    )


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 32, 100])
def test_it_is_what_a_tuple_is(count):
    plain = tuple(map(archive, range(count)))
    packed = Packed(plain)
    assert len(packed) == count
    assert bool(packed) == bool(plain)
    assert tuple(packed) == plain
    assert packed == plain
    assert plain == packed
    assert [packed[place] for place in range(-count, count)] == [*plain, *plain]
    assert tuple(packed[3:-2]) == plain[3:-2]
    assert packed != (*plain, archive(count))


@pytest.mark.parametrize("place", [-21, 20])
def test_there_is_nothing_beyond(place):
    with pytest.raises(IndexError, match="out of range"):
        Packed(range(20))[place]


def test_an_order_is_no_copy():
    packed = Packed(map(archive, range(50)))
    ordered = in_order(packed, lambda one: one.name)
    assert tuple(ordered) == tuple(sorted(packed, key=lambda one: one.name))
    assert tuple(in_order((), str)) == ()
    assert tuple(in_order(("b", "a"), str)) == ("a", "b")


def test_ones_that_are_equal_keep_their_order():
    items = (("a", 1), ("b", 2), ("a", 3))
    assert tuple(in_order(items, lambda one: one[0])) == (("a", 1), ("a", 3), ("b", 2))
