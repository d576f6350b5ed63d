import copy
import dataclasses
import inspect
import pickle
from collections.abc import Mapping

import pytest

from sealift_schemas.lean import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Frozen:
    """All kinds of fields."""

    a: int
    b: str | None = None
    c: Mapping[str, int] = field(default_factory=dict, repr=False)
    d: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    """The same by the standard library."""

    a: int
    b: str | None = None
    c: Mapping[str, int] = dataclasses.field(default_factory=dict, repr=False)
    d: tuple[int, ...] = ()


@dataclass(slots=True)
class Open:
    a: int
    b: int = 2

    def total(self) -> int:
        return self.a + self.b


@dataclass(frozen=True, slots=True, order=True)
class Ordered:
    a: str
    b: int


def test_it_does_what_the_standard_librarys_does():
    for arguments, named in [((1,), {}), ((1, "x"), {"d": (2,)}), ((), {"c": {"k": 1}, "a": 3})]:
        ours, theirs = Frozen(*arguments, **named), Standard(*arguments, **named)
        assert repr(ours).replace("Frozen", "Standard") == repr(theirs)
        assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
        assert ours == Frozen(*arguments, **named)
        assert ours != replace(ours, a=7)
        assert ours != theirs
    assert Frozen.__doc__ == "All kinds of fields."
    assert Frozen.__match_args__ == Standard.__match_args__
    assert Frozen.__qualname__ == "Frozen"
    assert inspect.signature(Frozen(1).__init__).parameters.keys() == {"a", "b", "c", "d"}


def test_each_object_has_a_default_of_its_own():
    assert Frozen(1).c == {}
    assert Frozen(1).c is not Frozen(1).c


@pytest.mark.parametrize("action", ["a", "new"])
def test_a_frozen_one_does_not_change(action: str):
    with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot change the field '{action}"):
        setattr(Frozen(1), action, 2)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot change the field 'a'"):
        del Frozen(1).a  # type: ignore[misc]


def test_one_that_is_not_frozen_changes_and_has_no_other_fields():
    value = Open(1)
    value.b = 5
    assert (value.total(), value) == (6, Open(1, 5))
    with pytest.raises(AttributeError, match="new"):
        value.new = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="unhashable"):
        hash(value)


@pytest.mark.parametrize(
    ("arguments", "named"), [((), {}), ((1, 2, 3, 4, 5), {}), ((1,), {"e": 2})]
)
def test_wrong_arguments_are_refused_each_time(arguments, named):
    for _ in range(2):
        with pytest.raises(TypeError, match="argument"):
            Frozen(*arguments, **named)


def test_hashing_ordering_copying():
    assert len({Ordered("a", 1), Ordered("a", 1), Ordered("a", 2)}) == 2
    assert min([Ordered("b", 1), Ordered("a", 2)]) == Ordered("a", 2)
    with pytest.raises(TypeError, match="not supported"):
        sorted([Ordered("b", 1), Open(1)])
    value = Frozen(1, "x", {"y": 2}, (3,))
    assert copy.deepcopy(value) == value
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own


def test_the_functions_of_dataclasses_know_them():
    assert dataclasses.is_dataclass(Frozen)
    assert [each.name for each in dataclasses.fields(Frozen)] == ["a", "b", "c", "d"]
    assert dataclasses.replace(Frozen(1), b="z") == Frozen(1, "z")


def test_slots_are_no_choice():
    with pytest.raises(TypeError, match="have slots"):
        dataclass(slots=False)
