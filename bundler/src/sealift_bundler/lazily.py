"""Long lists whose items are made when somebody looks at them, and not kept."""

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar, overload

S = TypeVar("S")
T = TypeVar("T")


class Lazily(Sequence[T], Generic[S, T]):
    """A sequence of what `make` returns for each of `items`; it equals a tuple of the same.

    A document is written item by item: of a thousand of them one is in memory.
    """

    def __init__(self, make: Callable[[S], T], items: Sequence[S]) -> None:
        self._make = make
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return map(self._make, self._items)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> "Lazily[S, T]": ...
    def __getitem__(self, place: int | slice) -> "T | Lazily[S, T]":
        if isinstance(place, slice):
            return Lazily(self._make, self._items[place])
        return self._make(self._items[place])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lazily | tuple) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))
