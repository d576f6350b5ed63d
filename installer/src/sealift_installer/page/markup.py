"""HTML as values: text is escaped when it becomes part of an element, and only markup is markup.

Names, addresses and texts in a report come out of archives. The one way into a page is `element`,
which escapes everything that is not `Markup` already, and `Markup` is made here alone.
"""

from collections.abc import Iterable, Mapping
from html import escape

from sealift_installer.errors import printable

# Elements without an end (HTML Living Standard, 13.1.2), those that are in use.
_VOID = frozenset({"meta"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Content = str | int | Iterable["Content"]


def text(value: str | int) -> Markup:
    """Return text as HTML, with its control and invisible characters written out."""
    if isinstance(value, Markup):
        return value
    return Markup(escape(printable(str(value)) if isinstance(value, str) else str(value)))


def element(name: str, *children: Content, **attributes: str | int | None) -> Markup:
    """Return an element. `class_` and `for_` are attributes that are words of Python.

    An attribute that is None is left out; `_` in a name stands for `-`.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: Content) -> Markup:
    """Return contents one after the other."""
    return Markup("".join(_flat(child) for child in children))


def table(caption: str, heads: Iterable[str], rows: Iterable[Iterable[Content]]) -> Markup:
    """Return a table whose first column names the row, in a box that scrolls sideways."""
    head = element("tr", *(element("th", name, scope="col") for name in heads))
    body = [_row(list(row)) for row in rows]
    inner = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *body),
    )
    # A box that scrolls must be reachable by the keyboard (WCAG 2.1.1).
    return element("div", inner, class_="wide", role="region", aria_label=caption, tabindex=0)


def definitions(pairs: Mapping[str, Content]) -> Markup:
    """Return terms and what they are; a term with nothing is left out."""
    items = [
        element("div", element("dt", name), element("dd", value))
        for name, value in pairs.items()
        if value not in ("", [])
    ]
    return element("dl", *items)


def moment(value: str) -> Markup:
    """Return a time in UTC, `2026-01-31T09:00:00Z`."""
    return element("time", value, datetime=value)


def code(value: str) -> Markup:
    """Return text as a computer writes it, which may be broken anywhere."""
    return element("code", value)


def _row(cells: list[Content]) -> Markup:
    first, *others = cells
    return element(
        "tr", element("th", first, scope="row"), *(element("td", cell) for cell in others)
    )


def _flat(child: Content) -> str:
    if isinstance(child, str | int):
        return text(child)
    return "".join(_flat(one) for one in child)
