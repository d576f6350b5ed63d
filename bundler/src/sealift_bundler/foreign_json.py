"""JSON that servers send: read only where its values fit into memory.

In memory an empty list takes twenty times the bytes that it has in a text, so that a limit to the
text alone is none.
"""

import json
from typing import Any

# Of values in one document. A catalogue of 6,800 entries has 120,000, the longest pages of the
# public package index half a million.
_MOST = 2_000_000


def read_json(data: bytes) -> Any:
    """Return the values of a document.

    Raises:
        ValueError: it is no JSON, or has too many values, or they stand too deep in each other.
    """
    check_amount(data)
    try:
        return json.loads(data)
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
