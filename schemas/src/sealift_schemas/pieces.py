"""Reads and writes large JSON documents piece by piece: long lists item by item.

A tree of Python values takes ten times the memory of its text, and the allocator keeps what it had
once. Here an item of a long list is a tree of its own, which is gone when the next one is read. The
rules are those of `strictjson`; whatever breaks one is for its parser alone, which says what it is.
"""

import codecs
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from sealift_schemas.strictjson import DEEPEST, STRICT_DECODER, ReadItems, parse

Path = tuple[str, ...]
# Takes an item of a list, and its place.
Read = Callable[[object, str], object]
Lists = Mapping[Path, Read]

# Bytes from which on it pays.
LARGE = 128 * 1024
# Bytes that are looked at together.
STEP = 64 * 1024

_SPACE = re.compile(r"[ \t\n\r]*")
# A string may go on behind the end of what is looked at.
_BRACKETS_OR_STRINGS = re.compile(r'[\[\]{}]|"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


def parse_large(data: bytes | memoryview, *, what: str, limit: int, lists: Lists) -> object:
    """Parse `data` as `strictjson.parse` does; items of `lists` are read as soon as they are parsed.

    Raises:
        DocumentError: as `strictjson.parse`.
    """
    if len(data) > LARGE:
        value = parse_pieces(data, what=what, limit=limit, lists=lists)
        if value is not None:
            return value
    return parse(bytes(data), what=what, limit=limit)


def parse_pieces(data: bytes | memoryview, *, what: str, limit: int, lists: Lists) -> object | None:
    """Parse `data` strictly, giving each item of `lists` to its reader.

    Such a list becomes `ReadItems`, of what the reader returned. On the way to it are objects.

    Returns None if something is wrong, or a reader raised DocumentError: to say what, it takes
    `strictjson.parse`.
    """
    if len(data) > limit:
        return None
    return parse_stream(split(data), what=what, lists=lists)


def parse_stream(pieces: Iterable[bytes | memoryview], *, what: str, lists: Lists) -> object | None:
    """Parse what `pieces` are together, as `parse_pieces` does; they are taken one by one."""
    window = _Window(iter(pieces))
    try:
        value = _Walk(window, lists).value((), what)
        return value if window.peek() == "" else None
    except (ValueError, RecursionError):
        return None


def split(data: bytes | bytearray | memoryview, step: int = STEP) -> Iterator[memoryview]:
    """Yield `data`, `step` bytes at a time, without a copy."""
    view = memoryview(data)
    for start in range(0, len(view), step):
        yield view[start : start + step]


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


class _Window:
    """The part of a text that is in memory: what was read and not passed yet, from `at` on."""

    def __init__(self, pieces: Iterator[bytes | memoryview]) -> None:
        self._pieces = pieces
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text = ""
        self._at = 0
        self._ended = False
        # How many arrays and objects are open at `at`.
        self.depth = 0

    def peek(self) -> str:
        """Return the next character behind space, nothing at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = self._at if match is None else match.end()
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._read_on()

    def take(self) -> str:
        """Pass the next character behind space, and return it."""
        sign = self.peek()
        self._at += 1
        return sign

    def value(self) -> object:
        """Return the value that comes next, parsed as a whole."""
        self.peek()
        while True:
            try:
                value, end = STRICT_DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if self._ended:
                    raise
            else:
                # At the end of what is there a number may go on.
                if end < len(self._text) or self._ended:
                    self._at = end
                    return value
            self._read_on()

    def _read_on(self) -> None:
        """Read at least as much as is left; what was passed is forgotten."""
        parts = [self._text[self._at :]]
        wanted = len(parts[0]) or 1
        while wanted > 0 and not self._ended:
            piece = next(self._pieces, None)
            self._ended = piece is None
            parts.append(self._decode(piece or b"", self._ended))
            wanted -= len(parts[-1])
        self._text, self._at = "".join(parts), 0
        # Counted before the parser runs: see `strictjson.parse`.
        if _deepest(self._text, self.depth) > DEEPEST:
            raise _OtherwiseError


def _deepest(text: str, depth: int) -> int:
    """Return how deep it goes in `text`, which begins `depth` levels deep and outside of strings."""
    deepest = depth
    for match in _BRACKETS_OR_STRINGS.finditer(text):
        bracket = match.group()
        if bracket in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif bracket in "]}":
            depth -= 1
    return deepest


class _Walk:
    """Walks through a text to its long lists."""

    def __init__(self, window: _Window, lists: Lists) -> None:
        self._window = window
        self._lists = lists
        self._ways = {path[:length] for path in lists for length in range(len(path))}

    def value(self, path: Path, place: str) -> object:
        """Return the value that comes next."""
        opening = self._window.peek()
        if opening == "{" and path in self._ways:
            return self._inside(self._object, path, place)
        if opening == "[" and path in self._lists:
            return self._inside(self._list, path, place)
        return self._window.value()

    def _inside(self, read: Callable[[Path, str], object], path: Path, place: str) -> object:
        self._window.take()
        self._window.depth += 1
        value = read(path, place)
        self._window.depth -= 1
        return value

    def _object(self, path: Path, place: str) -> dict[str, object]:
        """Read what stands behind the opening bracket."""
        window = self._window
        found: dict[str, object] = {}
        if window.peek() == "}":
            window.take()
            return found
        sign = ","
        while sign == ",":
            if window.peek() != '"':
                raise _OtherwiseError
            key = str(window.value())
            if key in found or not key.isascii() or window.take() != ":":
                raise _OtherwiseError
            found[key] = self.value((*path, key), f"{place}.{key}")
            sign = window.take()
        if sign != "}":
            raise _OtherwiseError
        return found

    def _list(self, path: Path, place: str) -> ReadItems:
        """Read what stands behind the opening bracket."""
        window, read = self._window, self._lists[path]
        found: list[object] = []
        if window.peek() == "]":
            window.take()
            return ReadItems()
        sign = ","
        while sign == ",":
            found.append(read(window.value(), f"{place}[{len(found)}]"))
            sign = window.take()
        if sign != "]":
            raise _OtherwiseError
        return ReadItems(found)


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
