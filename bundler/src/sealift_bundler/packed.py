"""Long lists of records that are kept packed: of a thousand some are objects at a time.

A record of a dozen texts takes more memory as an object than as text, and most of the text is that
of its neighbours.
"""

import pickle
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar, overload

from sealift_bundler.lazily import Lazily

T = TypeVar("T")

# Records that are packed together, so that what they have in common is there once.
_TOGETHER = 16
# The quickest: digests, which are most of it, are in hexadecimal digits.
_LEVEL = 1


class Packed(Sequence[T]):
    """A sequence that grows at its end. Its items are made anew whenever they are looked at.

    Nothing of it leaves the process.
    """

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._packs: list[bytes] = []
        self._last: list[T] = []
        # The pack that was looked at last: who asks for an item asks for its neighbour next.
        self._seen: tuple[int, list[T]] = (-1, [])
        for item in items:
            self.append(item)

    def append(self, item: T) -> None:
        """Add an item."""
        self._last.append(item)
        if len(self._last) == _TOGETHER:
            self._packs.append(zlib.compress(pickle.dumps(self._last, protocol=5), _LEVEL))
            self._last = []

    def __len__(self) -> int:
        return len(self._packs) * _TOGETHER + len(self._last)

    def __iter__(self) -> Iterator[T]:
        for pack in self._packs:
            yield from _unpack(pack)
        yield from self._last

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...
    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        if isinstance(place, slice):
            return Lazily(self.__getitem__, range(len(self))[place])
        number, inside = divmod(range(len(self))[place], _TOGETHER)
        if number == len(self._packs):
            return self._last[inside]
        if self._seen[0] != number:
            self._seen = (number, _unpack(self._packs[number]))
        return self._seen[1][inside]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packed | Lazily | tuple) and tuple(self) == tuple(other)

    # It can grow.
    __hash__ = None  # type: ignore[assignment]


def in_order(items: Sequence[T], key: Callable[[T], str]) -> Sequence[T]:
    """Return `items` in the order of what `key` says of each; there is no copy of them."""
    keys = [key(item) for item in items]
    places = sorted(range(len(keys)), key=keys.__getitem__)
    return Lazily(items.__getitem__, places)


def _unpack(pack: bytes) -> list[Any]:
    # From this process's own memory, where nobody else has put anything.
    found: list[Any] = pickle.loads(zlib.decompress(pack))  # noqa: S301
    return found
