r"""Puts the prefix into a template, and takes it out again.

Everything that does not depend on the prefix was done by the bundler and signed. What is left is
one operation: at each place of a template the prefix is written, escaped as the file's syntax at
that place asks for. The inverse proves at any later time that an installed file is what was sealed.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence

from sealift_installer.errors import HostError, printable
from sealift_schemas.index import Place

# Everything else is given a backslash in an unquoted word of a shell (POSIX, 2.2.1). Bytes beyond
# ASCII have no meaning to a shell, to make or to pkg-config, so they stay.
_SHELL_SPECIAL = r"[^A-Za-z0-9_@%+=:,./\-\x80-\U0010ffff]"
# In double quotes a backslash keeps its meaning before these alone (POSIX, 2.2.3).
_DOUBLE_QUOTED_SPECIAL = r'[$`"\\]'
# make takes 2n+1 backslashes and a # for n backslashes and a plain #; other backslashes stay.
_MAKE_HASH = r"(\\*)#"
_CONTROL = r"[\x00-\x1f\x7f-\x9f]"


def escape(prefix: str, escaping: str) -> bytes:
    """Return `prefix` as it is written where `escaping` holds: names joined by +, left to right.

    Raises:
        ValueError: an escaping that the index format does not know.
    """
    text = prefix
    for name in escaping.split("+"):
        if name not in _ESCAPERS:
            raise ValueError(f"not an escaping: {name!r}")
        text = _ESCAPERS[name](text)
    return text.encode("utf-8")


def render(template: bytes, places: Sequence[Place], prefix: str) -> bytes:
    """Return `template` with `prefix` put in at each of `places` (ascending offsets)."""
    escaped = _escaped(places, prefix)
    return b"".join(
        piece
        for start, end, place in _pieces(places, len(template))
        for piece in (template[start:end], escaped[place.escaping] if place else b"")
    )


def recover(installed: bytes, places: Sequence[Place], prefix: str) -> bytes | None:
    """Return the template that `render` made `installed` of, or None where it cannot be one.

    That the result is the template that was sealed is for its SHA-256 to show.
    """
    escaped = _escaped(places, prefix)
    size = len(installed) - sum(len(escaped[place.escaping]) for place in places)
    if size < 0 or any(place.offset > size for place in places):
        return None
    template = []
    position = 0
    for start, end, place in _pieces(places, size):
        template.append(installed[position : position + end - start])
        position += end - start
        if place:
            text = escaped[place.escaping]
            if not installed.startswith(text, position):
                return None
            position += len(text)
    return b"".join(template)


def check_prefix(prefix: str) -> None:
    """Refuse a prefix that cannot be written into every file that wants it.

    A line break would end the line of a Makefile or of a script that names the prefix, and no
    escaping there can say it otherwise.

    Raises:
        HostError: not absolute, not UTF-8, or with a control character in it.
    """
    hint = "choose another directory with --prefix"
    if not prefix.startswith("/"):
        raise HostError(f"the prefix is not an absolute path: {printable(prefix)}", hint=hint)
    try:
        prefix.encode("utf-8")
    except UnicodeEncodeError:
        raise HostError(f"the prefix is not UTF-8: {printable(prefix)}", hint=hint) from None
    if re.search(_CONTROL, prefix):
        raise HostError(f"the prefix has a control character in it: {printable(prefix)}", hint=hint)


def _escaped(places: Sequence[Place], prefix: str) -> dict[str, bytes]:
    return {name: escape(prefix, name) for name in {place.escaping for place in places}}


def _pieces(places: Sequence[Place], size: int) -> Iterator[tuple[int, int, Place | None]]:
    """Yield the stretches of a template of `size` bytes, each with the place at its end."""
    start = 0
    for place in places:
        yield start, place.offset, place
        start = place.offset
    yield start, size, None


def _shell(text: str) -> str:
    return re.sub(_SHELL_SPECIAL, r"\\\g<0>", text)


def _make(text: str) -> str:
    return re.sub(_MAKE_HASH, r"\1\1\\#", text.replace("$", "$$"))


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _python(text: str) -> str:
    # uv's reader of _sysconfigdata knows these three escapes and no others.
    return re.sub(r"[\\'\"]", r"\\\g<0>", text)


def _python_double(text: str) -> str:
    # uv writes no backslash before an apostrophe, so with one it would write our file anew.
    return re.sub(r'[\\"]', r"\\\g<0>", text)


_ESCAPERS: dict[str, Callable[[str], str]] = {
    "raw": lambda text: text,
    "shell": _shell,
    "shell-single": lambda text: text.replace("'", "'\\''"),
    "shell-double": lambda text: re.sub(_DOUBLE_QUOTED_SPECIAL, r"\\\g<0>", text),
    "make": _make,
    "json": _json,
    "python": _python,
    "python-double": _python_double,
    # Flags are split as a shell does. What pkg-config reads before that, `$$` (which pkgconf does
    # not know), `${` and a bare `#`, cannot come of it: a backslash stands between.
    "pc": _shell,
}
