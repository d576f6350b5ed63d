"""The stream of a tar archive, handed out as headers and payloads. It knows blocks, not their meaning."""

from collections.abc import Iterator

from sealift_installer.errors import Damaged

BLOCK = 512
# Payloads up to this many bytes are handed out as one piece; larger ones stream.
_WHOLE = 256 * 1024


class Blocks:
    """Reads a tar archive from chunks of any size.

    Args:
        chunks: the archive's bytes.
        name: what messages call the archive, printable.
    """

    __slots__ = ("_buffer", "_chunks", "_left", "_name", "_padding", "_position", "_turn")

    def __init__(self, chunks: Iterator[bytes], name: str) -> None:
        self._chunks = chunks
        self._name = name
        self._buffer = b""
        self._position = 0
        self._left = 0  # bytes of the payload at hand that were not read yet
        self._padding = 0  # bytes behind it, up to the next block
        self._turn = 0  # so that a payload knows that the reader went on

    def header(self) -> bytes:
        """Return the next block behind the payload at hand; at the stream's end, what there is.

        Raises:
            Damaged: the stream ends inside of the payload at hand.
        """
        if self._left or self._padding:
            self._skip()
        position = self._position
        end = position + BLOCK
        if end > len(self._buffer):
            return self._across(BLOCK)
        self._position = end
        return self._buffer[position:end]

    def whole(self, size: int) -> bytes:
        """Return a payload of `size` bytes, which follows the header read last.

        Raises:
            Damaged: the stream ends inside of it.
        """
        padded = size + -size % BLOCK
        position = self._position
        end = position + padded
        if end > len(self._buffer):
            data = self._across(padded)
            if len(data) < padded:
                self._fail_truncated()
            return data[:size]
        self._position = end
        return self._buffer[position : position + size]

    def at_hand(self, size: int) -> tuple[bytes, int] | None:
        """Return the bytes at hand and where in them the next header stands.

        None, unless all of a payload of `size` bytes behind the header is there too.
        """
        end = self._position + BLOCK + size + -size % BLOCK
        if self._left or self._padding or end > len(self._buffer):
            return None
        return self._buffer, self._position

    def take(self, size: int) -> memoryview:
        """Take a header and the payload of `size` bytes behind it, both at hand; return the latter."""
        start = self._position + BLOCK
        self._position = start + size + -size % BLOCK
        return memoryview(self._buffer)[start : start + size]

    def payload(self, size: int) -> Iterator[bytes]:
        """Return a payload of `size` bytes in pieces, valid until the next header is read.

        Raises:
            Damaged: the stream ends inside of it; a long payload says so while it is read.
        """
        if size == 0:
            return iter(())
        if size <= _WHOLE:
            return iter((self.whole(size),))
        self._left = size
        self._padding = -size % BLOCK
        self._turn += 1
        return self._stream(self._turn)

    def rest(self) -> Iterator[bytes]:
        """Yield everything that is left of the stream."""
        if self._position < len(self._buffer):
            yield self._buffer[self._position :]
        self._buffer, self._position = b"", 0
        yield from self._chunks

    def _stream(self, turn: int) -> Iterator[bytes]:
        while turn == self._turn and self._left:
            yield self._piece(self._left)
        if turn != self._turn:
            raise RuntimeError("a member's data was read after the next member was asked for")

    def _piece(self, most: int) -> bytes:
        """Take what is at hand of the payload, at most `most` bytes."""
        if self._position >= len(self._buffer):
            self._buffer, self._position = self._next(), 0
        start = self._position
        self._position = min(start + most, len(self._buffer))
        self._left -= self._position - start
        return self._buffer[start : self._position]

    def _skip(self) -> None:
        self._turn += 1
        self._left += self._padding
        self._padding = 0
        while self._left:
            if self._position >= len(self._buffer):
                self._buffer, self._position = self._next(), 0
            step = min(self._left, len(self._buffer) - self._position)
            self._position += step
            self._left -= step

    def _next(self) -> bytes:
        for chunk in self._chunks:
            if chunk:
                return chunk
        self._fail_truncated()
        return b""

    def _across(self, size: int) -> bytes:
        """Take `size` bytes that do not stand in one chunk; fewer where the stream ends.

        Of the chunk that they end in, no more is copied than they need.
        """
        taken = [self._buffer[self._position :]]
        missing = size - len(taken[0])
        self._buffer, self._position = b"", 0
        while missing:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            taken.append(chunk[:missing])
            if len(chunk) > missing:
                self._buffer, self._position = chunk, missing
            missing -= len(taken[-1])
        return b"".join(taken)

    def _fail_truncated(self) -> None:
        raise Damaged(f"{self._name} is truncated: it ends inside of a member")
