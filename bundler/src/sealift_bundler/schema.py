"""The JSON Schemas at work: what jsonschema finds wrong with a document, place by place.

The validators get an empty registry: jsonschema would otherwise fetch what a schema refers to.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from sealift_bundler.schema_pieces import Pieces, follows
from sealift_installer.errors import Damaged, documents_damaged, printable
from sealift_schemas.pieces import LARGE, split
from sealift_schemas.resources import read_schema
from sealift_schemas.strictjson import parse, shorten

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong: where (keys and positions), what is expected, what stands there."""

    path: tuple[str | int, ...]
    expected: str
    found: str

    def place(self, what: str) -> str:
        """Return the place as `what.archives[3].size`."""
        return what + "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path
        )


def find_issues(name: str, value: object) -> list[Issue]:
    """Return everything that the schema `name` finds wrong with `value`, in the document's order.

    Raises:
        KeyError: there is no schema of that name.
    """
    errors = _validator(name).iter_errors(value)
    return sorted((_issue(error) for error in errors), key=lambda issue: _order(issue.path))


def check_documents(name: str, documents: Iterable[tuple[str, bytes | Pieces]]) -> None:
    """Check documents of a bundle, each given as its name in messages and its capped bytes.

    The bytes of a long one are given by a function that yields them piece by piece.

    Raises:
        Damaged: one is not what the schema `name` describes; all that is wrong with it is named.
    """
    for what, data in documents:
        if not isinstance(data, bytes):
            if follows(_validator(name), data):
                continue
            data = b"".join(data())  # noqa: PLW2901 - to say what is wrong takes the whole
        elif len(data) > LARGE and follows(_validator(name), partial(split, data)):
            continue
        with documents_damaged(what):
            issues = find_issues(name, parse(data, what=what, limit=len(data)))
        if issues:
            lines = [
                f"  {printable(issue.place(what))}\n"
                f"    Expected: {issue.expected}\n    Found: {printable(issue.found)}"
                for issue in issues
            ]
            raise Damaged("\n".join([f"{what} does not follow the schema `{name}`", *lines]))


@cache
def _validator(name: str) -> "Draft202012Validator":
    # Takes 0.2 s to import, and many commands check no document.
    from jsonschema import Draft202012Validator
    from referencing import Registry

    return Draft202012Validator(json.loads(read_schema(name)), registry=Registry())


def _order(path: tuple[str | int, ...]) -> list[tuple[bool, int, str]]:
    return [
        (isinstance(part, int), part if isinstance(part, int) else 0, str(part)) for part in path
    ]


def _issue(error: "ValidationError") -> Issue:
    path = tuple(error.absolute_path)
    limit: Any = error.validator_value
    match error.validator:
        case "additionalProperties" | "unevaluatedProperties":
            known = (
                set(error.schema.get("properties", {})) if isinstance(error.schema, dict) else ()
            )
            instance = error.instance if isinstance(error.instance, dict) else {}
            unknown = sorted(name for name in instance if name not in known)
            return Issue((*path, *unknown[:1]), f"one of {', '.join(sorted(known))}", "this key")
        case "required":
            instance = error.instance if isinstance(error.instance, dict) else {}
            missing = [name for name in limit if name not in instance]
            return Issue(path, f"the key {missing[0]}", "none")
        case "const":
            expected = shorten(limit)
        case "enum":
            expected = "one of " + ", ".join(str(choice) for choice in limit)
        case "type":
            expected = f"a value of type {limit}"
        case "pattern":
            expected = _described(error)
        case "minimum":
            expected = f"a number of at least {limit}"
        case "maximum":
            expected = f"a number of at most {limit}"
        case _:
            expected = f"{error.validator} {shorten(limit)}"
    return Issue(path, expected, shorten(error.instance))


def _described(error: "ValidationError") -> str:
    """Return what a pattern is for: its description says it better than the pattern does."""
    schema = error.schema if isinstance(error.schema, dict) else {}
    description = schema.get("description")
    if description:
        return str(description).rstrip(".")
    return f"a match of {error.validator_value}"
