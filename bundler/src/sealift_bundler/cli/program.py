"""A typer program whose help says what is to be written, and not how it is held in memory."""

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

Function = TypeVar("Function", bound=Callable[..., Any])


class _PlainCommand(TyperCommand):
    """A command whose flags take no value in its help, and whose arguments have no Python type."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the arguments and options."""
        return [_plain(one) for one in super().get_params(ctx)]


class _PlainGroup(TyperGroup):
    """A group with such flags."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options."""
        return [_plain(one) for one in super().get_params(ctx)]


class Program(typer.Typer):
    """Commands that belong together. The arguments are those of `typer.Typer`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(cls=_PlainGroup, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Function], Function]:
        """Add a command, as `typer.Typer.command` does."""
        return super().command(name, cls=_PlainCommand, **options)


def _plain(parameter: Any) -> Any:
    """Take the type away that typer would show, as in `--json <bool>` and `BUNDLE <list[Path]>`.

    A flag takes no value, and the names of arguments say as much as they should.
    """
    if getattr(parameter, "is_flag", False) or parameter.param_type_name == "argument":
        parameter.display_type = _no_type
    return parameter


def _no_type(*_: object, **__: object) -> str:
    return ""
