"""Sizes as a picture: bars in SVG, with the same figures as text for those who do not see it."""

from collections.abc import Sequence

from sealift_installer.page.markup import Markup, element, join
from sealift_installer.text import size
from sealift_schemas.lean import dataclass

MOST_BARS = 30
_WIDTH = 760
_BAR = 11
_ROW = 46
_SMALLEST = 2  # pixels: what is there is seen


@dataclass(frozen=True, slots=True)
class Amount:
    """A name, and its sizes packed and unpacked in bytes."""

    name: str
    packed: int
    unpacked: int


def size_figure(amounts: Sequence[Amount]) -> Markup:
    """Return the picture of the largest; the others are one bar together."""
    shown = _largest(amounts)
    most = max((max(one.packed, one.unpacked) for one in shown), default=0) or 1
    rows = [_bars(one, number * _ROW, most) for number, one in enumerate(shown)]
    height = len(shown) * _ROW
    summary = "; ".join(
        f"{one.name}: {size(one.packed)} packed, {size(one.unpacked)} unpacked" for one in shown
    )
    picture = element(
        "svg",
        element("title", f"Sizes. {summary}"),
        *rows,
        role="img",
        viewBox=f"0 0 {_WIDTH} {height}",
    )
    legend = element(
        "figcaption",
        "Each archive",
        element("span", class_="key packed"),
        "as it travels",
        element("span", class_="key unpacked"),
        "as it is installed",
    )
    return element("figure", legend, picture, tabindex=0)


def _largest(amounts: Sequence[Amount]) -> list[Amount]:
    ordered = sorted(amounts, key=lambda one: (-max(one.packed, one.unpacked), one.name))
    shown, rest = ordered[:MOST_BARS], ordered[MOST_BARS:]
    if rest:
        packed, unpacked = (sum(one.packed for one in rest), sum(one.unpacked for one in rest))
        shown.append(Amount(f"{len(rest)} others", packed, unpacked))
    return shown


def _bars(one: Amount, top: int, most: int) -> Markup:
    def bar(value: int, below: int, kind: str) -> Markup:
        width = max(_SMALLEST, round(value / most * _WIDTH))
        return element("rect", x=0, y=top + below, width=width, height=_BAR, rx=2, class_=kind)

    amount = f"{size(one.packed)}, installed {size(one.unpacked)}"
    return join(
        element("text", one.name, x=0, y=top + 12),
        element("text", amount, x=_WIDTH, y=top + 12, text_anchor="end", class_="amount"),
        bar(one.packed, 18, "packed"),
        bar(one.unpacked, 18 + _BAR + 2, "unpacked"),
    )
