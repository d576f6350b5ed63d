"""Large documents against their JSON Schemas, list by list and item by item.

A manifest of 1,000 archives as one tree of values would be the largest thing that a build holds.
Here is only found that a document follows its schema; where it does not, the whole is looked at.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sealift_schemas.pieces import parse_stream
from sealift_schemas.strictjson import DocumentError, ReadItems, parse

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

Path = tuple[str, ...]
# Gives the bytes of a document, piece by piece; each call begins anew.
Pieces = Callable[[], Iterable[bytes | memoryview]]

# What may stand in a schema of an object, and of a list, whose items are checked by themselves.
_OF_OBJECTS = {"$schema", "$id", "$defs", "title", "description", "type", "properties", "required"}
_OF_OBJECTS |= {"additionalProperties"}
_OF_LISTS = {"title", "description", "type", "items", "minItems"}
_BEFORE_PAYLOAD, _BEHIND_PAYLOAD = b'{"payload":"', b'","payloadType":'
# What the schema of envelopes says of base64, and what follows from it for a part of such a text.
_BASE64_PATTERN = r"^(?:[A-Za-z0-9+/]*={0,2})$(?!\n)"
_BASE64_PART = re.compile(rb"[A-Za-z0-9+/]*+={0,2}")


def follows(validator: "Draft202012Validator", pieces: Pieces) -> bool:
    """Tell whether a document follows a schema; if not, it may be that only the whole can tell."""
    rest = _without_payload(pieces()) if _is_envelope(validator.schema) else None
    if rest is not None:
        try:
            return validator.is_valid(parse(rest, what="", limit=len(rest)))
        except DocumentError:
            return False
    lists = dict(_lists(validator.schema, ()))
    readers = {
        path: _Check(validator.evolve(schema=items).is_valid) for path, items in lists.items()
    }
    value = parse_stream(pieces(), what="", lists=readers)
    return value is not None and validator.is_valid(_shortened(value))


class _Check:
    """Checks the items of a list. The first is kept, to stand for the list in the whole."""

    def __init__(self, is_valid: Callable[[object], bool]) -> None:
        self._is_valid = is_valid

    def __call__(self, item: object, place: str) -> object:
        if not self._is_valid(item):
            raise DocumentError(place, "an item that follows the schema", "another")
        return item if place.endswith("[0]") else None


def _lists(schema: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Yield where lists stand in the document, with the schema of their items."""
    if not isinstance(schema, dict) or not schema.keys() <= _OF_OBJECTS:
        return
    for name, inner in schema.get("properties", {}).items():
        if inner.get("type") != "array":
            yield from _lists(inner, (*path, name))
        elif inner.keys() <= _OF_LISTS and inner.get("minItems", 0) <= 1 and "items" in inner:
            yield (*path, name), inner["items"]


def _shortened(value: object) -> object:
    """Return a document with one item in each list that was read."""
    if isinstance(value, ReadItems):
        return list(value[:1])
    if isinstance(value, dict):
        return {name: _shortened(inner) for name, inner in value.items()}
    return value


def _is_envelope(schema: Any) -> bool:
    """Tell whether a schema is that of envelopes, whose payload is base64."""
    if not isinstance(schema, dict) or "payload" not in schema.get("properties", {}):
        return False
    if schema["properties"]["payload"] != {"$ref": "#/$defs/base64"}:
        return False
    return bool(schema["$defs"]["base64"]["pattern"] == _BASE64_PATTERN)


def _without_payload(pieces: Iterable[bytes | memoryview]) -> bytes | None:
    """Return an envelope without its payload, if that is base64 as the schema has it."""
    coming = iter(pieces)
    text = b""
    while len(text) < len(_BEFORE_PAYLOAD):
        piece = next(coming, None)
        if piece is None:
            return None
        text += piece
    if not text.startswith(_BEFORE_PAYLOAD):
        return None
    text, padded = text[len(_BEFORE_PAYLOAD) :], False
    while True:
        end = text.find(b'"')
        part = text if end < 0 else text[:end]
        if part and (padded or _BASE64_PART.fullmatch(part) is None):
            return None
        padded = padded or part.endswith(b"=")
        if end >= 0:
            break
        piece = next(coming, None)
        if piece is None:
            return None
        text = bytes(piece)
    rest = b"".join((text[end:], *coming))
    return _BEFORE_PAYLOAD + rest if rest.startswith(_BEHIND_PAYLOAD) else None
