"""JSON that servers send: read only where its values fit into memory, and where it means one thing.

In memory an empty list takes twenty times the bytes that it has in a text, so that a limit to the
text alone is none. An object that has a name twice would mean one thing to us and another to the
next reader: uv refuses a catalogue for it in the fields that it knows.
"""

import json
from collections import Counter
from typing import Any, Never

from sealift_schemas.strictjson import shorten

# Of values in one document. A catalogue of 6,800 entries has 120,000, the longest pages of the
# public package index half a million.
_MOST = 2_000_000


def read_json(data: bytes) -> Any:
    """Return the values of a document.

    Raises:
        ValueError: it is no JSON, or has too many values, or they stand too deep in each other, or
            an object has a name twice.
    """
    check_amount(data)
    try:
        return json.loads(data, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError(str(error)) from None


def check_amount(data: bytes) -> None:
    """Refuse a document before it is read whose values would not fit into memory.

    Raises:
        ValueError: it has too many.
    """
    # What is in texts is counted as well; it is room enough for it.
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > _MOST:
        raise ValueError(f"it has more than {_MOST} values")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"an object has the name {shorten(twice)} twice")
    return values


def _no_constant(name: str) -> Never:
    # RFC 8259 has no NaN and no Infinity; Python reads them.
    raise ValueError(f"{name} is no JSON")
