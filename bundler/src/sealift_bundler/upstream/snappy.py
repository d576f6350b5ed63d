"""Snappy's block format, unpacked: GitHub keeps attestations in it.

https://github.com/google/snappy/blob/main/format_description.txt. The size stands in front, so a
bomb is refused before anything is made of it.
"""

_LITERAL, _SHORT_COPY, _COPY, _LONG_COPY = range(4)
_LONGEST_VARINT = 5
# Lengths of literals up to this one stand in the tag; from there on in the bytes behind it.
_SHORT_LITERAL = 60


class SnappyError(ValueError):
    """The bytes are no snappy block, or a block of more than may be."""


def unpack(data: bytes, limit: int) -> bytes:
    """Return what is packed in `data`, of at most `limit` bytes.

    Raises:
        SnappyError: it is no whole block, or one of something larger.
    """
    size, at = _read_size(data)
    if size > limit:
        raise SnappyError(f"it holds {size} bytes, and {limit} are taken at most")
    made = bytearray()
    while at < len(data):
        tag = data[at]
        kind = tag & 3
        at += 1
        if kind == _LITERAL:
            length, at = _literal_length(data, tag >> 2, at)
            if at + length > len(data):
                raise SnappyError("it ends within a literal")
            made += data[at : at + length]
            at += length
        else:
            length, offset, at = _read_copy(data, tag, at)
            _copy(made, length, offset)
        if len(made) > size:
            raise SnappyError("it holds more than it says")
    if len(made) != size:
        raise SnappyError("it holds less than it says")
    return bytes(made)


def _read_size(data: bytes) -> tuple[int, int]:
    size = 0
    for at, byte in enumerate(data[:_LONGEST_VARINT]):
        size |= (byte & 0x7F) << (7 * at)
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follows
            return size, at + 1
    raise SnappyError("it does not start with a size")


def _literal_length(data: bytes, length: int, at: int) -> tuple[int, int]:
    if length < _SHORT_LITERAL:
        return length + 1, at
    width = length - _SHORT_LITERAL + 1
    return _number(data, at, width) + 1, at + width


def _read_copy(data: bytes, tag: int, at: int) -> tuple[int, int, int]:
    """Return length and offset of a copy, and where the next tag is."""
    if tag & 3 == _SHORT_COPY:
        return 4 + (tag >> 2 & 7), tag >> 5 << 8 | _number(data, at, 1), at + 1
    width = 2 if tag & 3 == _COPY else 4
    return 1 + (tag >> 2), _number(data, at, width), at + width


def _number(data: bytes, at: int, width: int) -> int:
    if at + width > len(data):
        raise SnappyError("it ends within a tag")
    return int.from_bytes(data[at : at + width], "little")


def _copy(made: bytearray, length: int, offset: int) -> None:
    if not 0 < offset <= len(made):
        raise SnappyError("it refers to what is not there")
    start = len(made) - offset
    # What is copied may reach into itself: then it is repeated.
    piece = bytes(made[start : start + length])
    made += (piece * (length // len(piece) + 1))[:length]
