"""Reads and writes large JSON documents piece by piece: long lists item by item.

A tree of Python values takes ten times the memory of its text, and the allocator keeps what it had
once. Here an item of a long list is a tree of its own, which is gone when the next one is read. The
rules are those of `strictjson`; whatever breaks one is for its parser alone, which says what it is.
"""

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sealift_schemas.strictjson import (
    DEEPEST,
    STRICT_DECODER,
    ReadItems,
    count_levels,
    parse,
)

Path = tuple[str, ...]
# Takes an item of a list, and its place.
Read = Callable[[object, str], object]
Lists = Mapping[Path, Read]

# Bytes from which on it pays.
LARGE = 128 * 1024

_SPACE = re.compile(r"[ \t\n\r]*")


def parse_large(data: bytes, *, what: str, limit: int, lists: Lists) -> object:
    """Parse `data` as `strictjson.parse` does; items of `lists` are read as soon as they are parsed.

    Raises:
        DocumentError: as `strictjson.parse`.
    """
    if len(data) > LARGE:
        value = parse_pieces(data, what=what, limit=limit, lists=lists)
        if value is not None:
            return value
    return parse(data, what=what, limit=limit)


def parse_pieces(data: bytes, *, what: str, limit: int, lists: Lists) -> object | None:
    """Parse `data` strictly, giving each item of `lists` to its reader.

    Such a list becomes `ReadItems`, of what the reader returned. On the way to it are objects.

    Returns None if something is wrong, or a reader raised DocumentError: to say what, it takes
    `strictjson.parse`.
    """
    if len(data) > limit:
        return None
    try:
        text = data.decode("utf-8")
        if count_levels(text) > DEEPEST:
            return None
        value, end = _Walk(text, lists).value(_behind_space(text, 0), (), what)
    except (ValueError, RecursionError):
        return None
    return value if _behind_space(text, end) == len(text) else None


def encode_pieces(value: object, *, indent: int) -> bytes:
    """Return `value` as `strictjson.encode` does; an iterator in objects is a list."""
    data = io.BytesIO()
    data.writelines(write_pieces(value, indent=indent))
    return data.getvalue()


def write_pieces(value: object, *, indent: int) -> Iterator[bytes]:
    """Yield what `encode_pieces` returns, for a file that is written at once."""
    for piece in _pieces(value, indent, "\n"):
        yield piece.encode("ascii")
    yield b"\n"


class _OtherwiseError(ValueError):
    """It is not as it must be."""


class _Walk:
    """Walks through a text to its long lists."""

    def __init__(self, text: str, lists: Lists) -> None:
        self._text = text
        self._lists = lists
        self._ways = {path[:length] for path in lists for length in range(len(path))}

    def value(self, at: int, path: Path, place: str) -> tuple[object, int]:
        """Return the value that begins at `at`, and where it ends."""
        opening = self._text[at : at + 1]
        if opening == "{" and path in self._ways:
            return self._object(at, path, place)
        if opening == "[" and path in self._lists:
            return self._list(at, self._lists[path], place)
        return STRICT_DECODER.raw_decode(self._text, at)

    def _object(self, at: int, path: Path, place: str) -> tuple[dict[str, object], int]:
        text = self._text
        found: dict[str, object] = {}
        at = _behind_space(text, at + 1)
        if text[at : at + 1] == "}":
            return found, at + 1
        while True:
            self._expect(at, '"')
            key, at = STRICT_DECODER.raw_decode(text, at)
            if key in found or not key.isascii():
                raise _OtherwiseError
            at = _behind_space(text, at)
            self._expect(at, ":")
            at = _behind_space(text, at + 1)
            found[key], at = self.value(at, (*path, key), f"{place}.{key}")
            at = _behind_space(text, at)
            if text[at : at + 1] == "}":
                return found, at + 1
            self._expect(at, ",")
            at = _behind_space(text, at + 1)

    def _list(self, at: int, read: Read, place: str) -> tuple[ReadItems, int]:
        text = self._text
        found: list[object] = []
        at = _behind_space(text, at + 1)
        if text[at : at + 1] == "]":
            return ReadItems(), at + 1
        while True:
            value, at = STRICT_DECODER.raw_decode(text, at)
            found.append(read(value, f"{place}[{len(found)}]"))
            at = _behind_space(text, at)
            if text[at : at + 1] == "]":
                return ReadItems(found), at + 1
            self._expect(at, ",")
            at = _behind_space(text, at + 1)

    def _expect(self, at: int, sign: str) -> None:
        if self._text[at : at + 1] != sign:
            raise _OtherwiseError


def _behind_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _pieces(value: Any, indent: int, line: str) -> Iterator[str]:
    """Yield the text of `value`; `line` begins a line at its depth."""
    deeper = line + " " * indent
    if isinstance(value, dict) and value:
        opening = "{"
        for key, item in value.items():
            yield f"{opening}{deeper}{json.dumps(key)}: "
            yield from _pieces(item, indent, deeper)
            opening = ","
        yield line + "}"
    elif isinstance(value, Iterator):
        opening = "["
        for item in value:
            yield opening + deeper + _written(item, indent, deeper)
            opening = ","
        yield "[]" if opening == "[" else line + "]"
    else:
        yield _written(value, indent, line)


def _written(value: object, indent: int, line: str) -> str:
    # No string has a line break in JSON, so all of them are between values.
    written = json.dumps(value, indent=indent, separators=(",", ": "), allow_nan=False)
    return written.replace("\n", line)
