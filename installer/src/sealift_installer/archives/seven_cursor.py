"""Reads the numbers, bits and names of which the header of a 7z archive is made."""

from sealift_installer.errors import Damaged

_NO, _YES = 0, 1
# What follows says how far a number goes: each leading one is a byte more (7zFormat.txt).
_TOP = 0x80


class Cursor:
    """A place in some bytes; whatever is asked for beyond their end is refused as truncated."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._place

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        if size > self.left:
            raise Damaged("its header is truncated")
        self._place += size
        return self._data[self._place - size : self._place]

    def byte(self) -> int:
        """Return the next byte."""
        return self.take(1)[0]

    def expect(self, kind: int) -> None:
        """Take the byte `kind`."""
        found = self.byte()
        if found != kind:
            raise Damaged(f"its header has a part {found:#04x} where {kind:#04x} belongs")

    def inside(self) -> None:
        """Take the byte that says that what follows stands here and not in another stream."""
        if self.byte() != _NO:
            raise Damaged("a part of its header stands elsewhere")

    def finish(self) -> None:
        """Make sure that nothing is left."""
        if self.left:
            raise Damaged("a part of its header is longer than what it has to say")

    def number(self) -> int:
        """Return a number of 1 to 9 bytes: the first one's leading ones count those behind it."""
        first = self.byte()
        more = 0
        mask = _TOP
        while mask and first & mask:
            more += 1
            mask >>= 1
        low = int.from_bytes(self.take(more), "little")
        high = first & (mask - 1) if mask else 0
        return low + (high << (8 * more))

    def count(self) -> int:
        """Return how many things follow, each of which takes a byte at least."""
        count = self.number()
        if count > self.left:
            raise Damaged("its header is truncated, or counts more than it has")
        return count

    def bits(self, count: int) -> list[bool]:
        """Return `count` bits, the highest of each byte first."""
        data = self.take((count + 7) // 8)
        return [bool(data[place >> 3] & _TOP >> (place & 7)) for place in range(count)]

    def checksums(self, count: int) -> list[int | None]:
        """Return `count` numbers of four bytes, None where none is defined."""
        everyone = self.byte()
        if everyone not in {_NO, _YES}:
            raise Damaged("a part of its header has a mark that is neither yes nor no")
        # Most bytes are asked for before a list of this length is made.
        if count > 8 * self.left and count:
            raise Damaged("its header is truncated")
        defined = [True] * count if everyone else self.bits(count)
        data = self.take(4 * sum(defined))
        values = iter(
            int.from_bytes(data[place : place + 4], "little") for place in range(0, len(data), 4)
        )
        return [next(values) if known else None for known in defined]

    def attributes(self, count: int) -> list[int | None]:
        """Return the attributes of `count` members, and make sure that nothing is left."""
        everyone = self.byte()
        if everyone not in {_NO, _YES}:
            raise Damaged("a part of its header has a mark that is neither yes nor no")
        defined = [True] * count if everyone else self.bits(count)
        self.inside()
        data = self.take(4 * sum(defined))
        self.finish()
        values = iter(
            int.from_bytes(data[place : place + 4], "little") for place in range(0, len(data), 4)
        )
        return [next(values) if known else None for known in defined]

    def names(self, count: int) -> list[str]:
        """Return `count` names in UTF-16, each with a zero at its end, and all of what is left.

        Halves of characters stay as they are: no path may have them, which is said elsewhere.
        """
        self.inside()
        text = self.take(self.left - self.left % 2).decode("utf-16-le", "surrogatepass")
        self.finish()
        names = text.split("\0")
        if names.pop() or len(names) != count:
            raise Damaged("it has another number of names than of members")
        return names
