"""Dataclasses that cost next to nothing until they are used.

The standard library's `dataclass` writes and compiles six methods for each class when it is
defined, and imports `inspect` to do so: with some fifty classes that is half of the time that
`unseal list` has. Here one method is compiled for each class, `__init__`, when its first object is
made; the others are shared. What is not needed is not there: no inheritance of fields, no
`__post_init__`. `dataclasses.fields`, `replace` and `asdict` know these classes too. (ADR 0016)
"""

import sys
from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")

_ABSENT: Any = object()


class _Field:
    """What `field` says of one field."""

    __slots__ = ("default", "default_factory", "repr")

    def __init__(self, default: object, default_factory: object, *, shown: bool) -> None:
        self.default = default
        self.default_factory = default_factory
        self.repr = shown


@overload
def field(*, default_factory: Callable[[], T], repr: bool = True) -> T: ...
@overload
def field(*, default: T, repr: bool = True) -> T: ...
@overload
def field(*, repr: bool = True) -> Any: ...
def field(*, default: Any = _ABSENT, default_factory: Any = _ABSENT, repr: bool = True) -> Any:  # noqa: A002 - as in dataclasses
    """Describe a field, as `dataclasses.field` does."""
    return _Field(default, default_factory, shown=repr)


@dataclass_transform(field_specifiers=(field,))
def dataclass(
    *, frozen: bool = False, slots: bool = True, order: bool = False
) -> Callable[[type[T]], type[T]]:
    """Make a dataclass of a class, as `dataclasses.dataclass` does; its fields are its slots.

    A frozen one can be hashed, and compared with others of its class if `order` says so.
    """
    if not slots:
        raise TypeError("these dataclasses have slots")

    def decorate(cls: type[T]) -> type[T]:
        return _make(cls, frozen=frozen, order=order)

    return decorate


def replace(value: T, /, **changes: Any) -> T:
    """Return a copy of a dataclass's object with other values in some of its fields."""
    for name in type(value).__match_args__:  # type: ignore[attr-defined]
        if name not in changes:
            changes[name] = getattr(value, name)
    return type(value)(**changes)


def _make(cls: type[T], *, frozen: bool, order: bool) -> type[T]:
    """Return the class anew, with slots, and with the methods that a dataclass has."""
    annotations = _annotations(cls)
    names = tuple(annotations)
    namespace = dict(cls.__dict__)
    given = {name: namespace.pop(name) for name in names if name in namespace}
    for name in ("__dict__", "__weakref__"):
        namespace.pop(name, None)
    shown = [name for name in names if getattr(given.get(name), "repr", True)]
    namespace |= {
        "__slots__": names,
        "__match_args__": names,
        "__init__": _late_init(names, given),
        "__dataclass_fields__": _StandardFields(given),
        "_shown": shown,
        "_values": attrgetter(*names),  # of all fields together, to be compared and hashed
        **_METHODS,
        **(_FROZEN if frozen else {}),
        **(_ORDER if order else {}),
    }
    made: type[T] = type(cls.__name__, cls.__bases__, namespace)
    made.__qualname__ = cls.__qualname__
    return made


def _annotations(cls: type) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        return cls.__annotations__
    annotations: dict[str, Any] = vars(cls).get("__annotations__", {})
    return annotations


def _late_init(names: tuple[str, ...], given: dict[str, Any]) -> Callable[..., None]:
    """Return an `__init__` that makes the real one when it is called first, and steps aside."""

    def __init__(self: Any, *values: Any, **named: Any) -> None:  # noqa: N807 - it is one
        cls = type(self)
        init = _compile_init(cls, names, given)
        cls.__init__ = init
        init(self, *values, **named)

    return __init__


def _compile_init(cls: type, names: tuple[str, ...], given: dict[str, Any]) -> Callable[..., None]:
    """Compile an `__init__`. The slots' own setters are used: they do not ask `__setattr__`."""
    parameters = ["self"]
    body = []
    known: dict[str, Any] = {"absent": _ABSENT}
    for name in names:
        known[f"set_{name}"] = getattr(cls, name).__set__
        value = name
        default = given.get(name, _ABSENT)
        if isinstance(default, _Field):
            if default.default_factory is not _ABSENT:
                known[f"make_{name}"] = default.default_factory
                value = f"make_{name}() if {name} is absent else {name}"
                default = None
                known[f"default_{name}"] = _ABSENT
            else:
                default = default.default
        if default is _ABSENT:
            parameters.append(name)
        else:
            known.setdefault(f"default_{name}", default)
            parameters.append(f"{name}=default_{name}")
        body.append(f"    set_{name}(self, {value})")
    source = "\n".join([f"def __init__({', '.join(parameters)}):", *body, "    return None"])
    exec(source, known)  # noqa: S102 - as dataclasses does; names of fields are all that varies
    init: Callable[..., None] = known["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


class _StandardFields:
    """`__dataclass_fields__`: what the functions of `dataclasses` look for, made when they do."""

    __slots__ = ("_given",)

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given

    def __get__(self, instance: object, owner: type) -> dict[str, Any]:
        import dataclasses

        fields = []
        for name, annotation in _annotations(owner).items():
            given = self._given.get(name, _ABSENT)
            options: dict[str, Any] = {}
            if isinstance(given, _Field):
                options = {
                    option: getattr(given, option)
                    for option in ("default", "default_factory", "repr")
                    if getattr(given, option) is not _ABSENT
                }
            elif given is not _ABSENT:
                options = {"default": given}
            fields.append((name, annotation, dataclasses.field(**options)))
        stand_in = dataclasses.make_dataclass(owner.__name__, fields)
        made = {each.name: each for each in dataclasses.fields(stand_in)}
        # `asdict` asks for each object, and there may be thousands.
        owner.__dataclass_fields__ = made  # type: ignore[attr-defined]
        return made


def _repr(self: Any) -> str:
    values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
    return f"{type(self).__qualname__}({values})"


def _eq(self: Any, other: Any) -> bool:
    same: bool = (
        self._values(self) == self._values(other) if type(other) is type(self) else NotImplemented
    )
    return same


def _lt(self: Any, other: Any) -> bool:
    less: bool = (
        self._values(self) < self._values(other) if type(other) is type(self) else NotImplemented
    )
    return less


def _hash(self: Any) -> int:
    return hash(self._values(self))


def _refuse(self: object, name: str, *_: object) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot change the field {name!r} of a {type(self).__name__}")


def _reduce(self: Any) -> tuple[Any, ...]:
    """Let `copy` and `pickle` make another one."""
    # A tuple that is made from an iterator grows while it is made. Python then keeps thousands of
    # them for a use that never comes.
    values = self._values(self)
    return type(self), values if len(self.__match_args__) > 1 else (values,)


_METHODS: dict[str, Any] = {
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": None,
    "__reduce__": _reduce,
}
_FROZEN: dict[str, Any] = {"__hash__": _hash, "__setattr__": _refuse, "__delattr__": _refuse}
_ORDER: dict[str, Any] = {"__lt__": _lt}
