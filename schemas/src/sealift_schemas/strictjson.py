"""Strict JSON: one meaning for each document, or an error that names the place.

Signed documents must not mean two things to two readers. So duplicate keys, NaN, floats, byte
order marks, invalid UTF-8 and lone surrogates are refused here, unknown fields by `Fields`, and a
size cap comes before the parser. (RFC 8259 leaves all of these to the implementation.)
"""

import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Self, TypeVar

from sealift_schemas.pattern import Pattern

T = TypeVar("T")

# The largest integer that every JSON implementation reads exactly (RFC 7493, section 2.2).
LARGEST_INTEGER = 2**53 - 1
# How deep arrays and objects may be nested. Our documents need six levels.
DEEPEST = 32

SHA256 = Pattern(r"[0-9a-f]{64}")
TIME = Pattern(
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z"
)


class DocumentError(ValueError):
    """A document is not what its schema describes.

    Args:
        where: the place, as `manifest.predicate.archives[3].size`.
        expected: what the contract asks for there.
        found: what stands there, shortened and escaped.
    """

    def __init__(self, where: str, expected: str, found: str) -> None:
        super().__init__(f"{where}: expected {expected}, found {found}")
        self.where = where
        self.expected = expected
        self.found = found


def shorten(value: object, most: int = 80) -> str:
    """Return `value` as ASCII JSON of at most `most` characters, for a message."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        text = ascii(value)
    return text if len(text) <= most else text[: most - 3] + "..."


def parse(data: bytes, *, what: str, limit: int) -> object:
    """Parse `data` (at most `limit` bytes) strictly; `what` names the document in errors.

    Raises:
        DocumentError: too large, not UTF-8, not JSON, or JSON with a second meaning.
    """
    if len(data) > limit:
        raise DocumentError(what, f"at most {limit} bytes", f"{len(data)} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(what, "UTF-8", f"an invalid byte at offset {error.start}") from None
    # Counted before the parser runs: the C scanner recurses, and its limit differs by version.
    if count_levels(text) > DEEPEST:
        raise DocumentError(what, f"at most {DEEPEST} levels of nesting", "more")
    try:
        value: object = STRICT_DECODER.decode(text)
    except _Refused as error:
        raise DocumentError(what, error.expected, error.found) from None
    except (ValueError, RecursionError) as error:
        raise DocumentError(what, "JSON", str(error)) from None
    return value


def encode(value: object, *, indent: int | None = None) -> bytes:
    """Return `value` as ASCII JSON with a final newline, keys in the order given."""
    if indent is None:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
        return b"".join((text.encode("ascii"), b"\n"))
    # Piece by piece: `dumps` would hold all pieces at once, five times what they are together.
    encoder = json.JSONEncoder(indent=indent, separators=(",", ": "), allow_nan=False)
    data = io.BytesIO()
    for piece in encoder.iterencode(value):
        data.write(piece.encode("ascii"))
    data.write(b"\n")
    return data.getvalue()


class _Refused(ValueError):
    def __init__(self, expected: str, found: str) -> None:
        super().__init__(expected)
        self.expected = expected
        self.found = found


def count_levels(text: str) -> int:
    """Return how deep `text` is nested at most, brackets inside strings not counted."""
    opened = text.count("{") + text.count("[")
    if opened <= DEEPEST:
        # It cannot be deeper than that, and a line of an index has one or two.
        return opened
    deepest = depth = 0
    for match in _BRACKETS_OR_STRINGS.finditer(text):
        bracket = match.group()
        if bracket in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif bracket in "]}":
            depth -= 1
    return deepest


# Possessive, so that a string of many megabytes is one step and nothing is kept to go back to.
_BRACKETS_OR_STRINGS = re.compile(r'[\[\]{}]|"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _Refused("each key once", f"{shorten(name)} twice")
            seen.add(name)
    for name in result:
        if not name.isascii():
            _check_text(name)
    return result


def _check_text(text: str) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise _Refused("Unicode text", "a lone surrogate")


def _no_float(text: str) -> NoReturn:
    raise _Refused("integers only", text[:40])


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > LARGEST_INTEGER or text == "-0":  # noqa: PLR2004
        raise _Refused("an integer within 2**53", text[:40])
    return int(text)


STRICT_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_no_float, parse_int=_integer, parse_constant=_no_float
)


class ReadItems(tuple[Any, ...]):
    """What was read from the items of an array, one by one: see sealift_schemas.pieces."""

    __slots__ = ()


class Fields:
    """Takes a JSON object apart, field by field; what is left over at the end is an error.

    Use as a context manager, so that unknown fields are refused on the way out:

        with Fields(value, "root") as fields:
            version = fields.integer("version", minimum=1)
    """

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise DocumentError(where, "an object", shorten(value))
        self._left: dict[str, Any] = dict(value)
        self._where = where

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if kind is None and self._left:
            name = min(self._left)
            raise DocumentError(self._where, "no unknown field", shorten(name))

    @property
    def names(self) -> frozenset[str]:
        """The fields that are not taken yet."""
        return frozenset(self._left)

    def place(self, name: str) -> str:
        """Return the place of the field `name`, for a message."""
        return f"{self._where}.{name}"

    def has(self, name: str) -> bool:
        """Tell whether the field `name` is there and not taken yet."""
        return name in self._left

    def take(self, name: str) -> object:
        """Take the field `name`, whatever it is.

        Raises:
            DocumentError: it is missing.
        """
        if name not in self._left:
            raise DocumentError(self._where, f"the field {name}", "none")
        value: object = self._left.pop(name)
        return value

    def fail(self, name: str, expected: str, found: object) -> NoReturn:
        """Raise the error for the field `name`."""
        raise DocumentError(self.place(name), expected, shorten(found))

    def text(
        self, name: str, pattern: Pattern | re.Pattern[str] | None = None, expected: str = ""
    ) -> str:
        """Take a string; the whole of it must match `pattern` where one is given."""
        return check_text(self.take(name), self.place(name), pattern, expected)

    def optional_text(
        self, name: str, pattern: Pattern | re.Pattern[str] | None = None, expected: str = ""
    ) -> str | None:
        """Take a string if the field is there."""
        return self.text(name, pattern, expected) if self.has(name) else None

    def sha256(self, name: str) -> str:
        """Take a SHA-256 as 64 lower-case hexadecimal digits."""
        return self.text(name, SHA256, "64 lower-case hexadecimal digits")

    def time(self, name: str) -> str:
        """Take a time in UTC with seconds, `2026-01-31T09:00:00Z`."""
        return self.text(name, TIME, "a time such as 2026-01-31T09:00:00Z")

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """Take a string that is one of `choices`."""
        value = self.take(name)
        if not isinstance(value, str) or value not in choices:
            self.fail(name, "one of " + ", ".join(choices), value)
        # The one that is there already: of thousands of records this is one string in memory.
        return choices[choices.index(value)]

    def constant(self, name: str, expected: str | int) -> None:
        """Take a field whose value is fixed."""
        value = self.take(name)
        if value != expected or type(value) is not type(expected):
            self.fail(name, shorten(expected), value)

    def integer(self, name: str, minimum: int = 0, maximum: int = LARGEST_INTEGER) -> int:
        """Take an integer of `minimum` to `maximum`."""
        return check_integer(self.take(name), self.place(name), minimum, maximum)

    def flag(self, name: str) -> bool:
        """Take a boolean."""
        value = self.take(name)
        if not isinstance(value, bool):
            self.fail(name, "true or false", value)
        return value

    def items(self, name: str, read: Callable[[object, str], T], minimum: int = 0) -> tuple[T, ...]:
        """Take an array and read each item with `read(item, place)`."""
        value = self.take(name)
        if not isinstance(value, list | ReadItems):
            self.fail(name, "an array", value)
        if len(value) < minimum:
            self.fail(name, f"at least {minimum} items", value)
        if isinstance(value, ReadItems):
            return tuple(value)
        place = self.place(name)
        return tuple(read(item, f"{place}[{number}]") for number, item in enumerate(value))

    def texts(
        self, name: str, pattern: Pattern | re.Pattern[str] | None = None, expected: str = ""
    ) -> tuple[str, ...]:
        """Take an array of strings."""
        return self.items(name, lambda item, place: check_text(item, place, pattern, expected))

    def mapping(self, name: str) -> Iterator[tuple[str, object, str]]:
        """Take an object with free keys: yields key, value and the value's place."""
        value = self.take(name)
        if not isinstance(value, dict):
            self.fail(name, "an object", value)
        place = self.place(name)
        for key, item in value.items():
            yield key, item, f"{place}.{shorten(key).strip(chr(34))}"


def check_text(
    value: object, where: str, pattern: Pattern | re.Pattern[str] | None = None, expected: str = ""
) -> str:
    """Return `value` if it is a string that matches `pattern` as a whole.

    Raises:
        DocumentError: it is not.
    """
    if not isinstance(value, str):
        raise DocumentError(where, expected or "a string", shorten(value))
    try:
        _check_text(value)
    except _Refused as error:
        raise DocumentError(where, error.expected, error.found) from None
    if pattern is not None and not pattern.fullmatch(value):
        raise DocumentError(where, expected or f"a match of {pattern.pattern}", shorten(value))
    return value


def check_integer(
    value: object, where: str, minimum: int = 0, maximum: int = LARGEST_INTEGER
) -> int:
    """Return `value` if it is an integer of `minimum` to `maximum` (true and false are none).

    Raises:
        DocumentError: it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise DocumentError(where, f"an integer from {minimum} to {maximum}", shorten(value))
    return value
