r"""Where a text names the prefix, and how the prefix must be escaped there.

A prefix is a path, and `/install` is a part of many words that are none: `/usr/bin/install`,
`pip/install.py`, `https://example.org/install/`. Only what begins and ends like a path counts.

Inside of a command line (compiler flags, the arguments of configure) the prefix is escaped for
the shell's quoting around it, so that what splits the line gets one word back: a shell, make,
`shlex.split`, and `split_quoted` of distutils alike. (In double quotes it is the shell that is right
about `$` and a backtick; the others leave a backslash there.) A value that is one path stays as it
is.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from sealift_bundler.relocation.pieces import Hole, Pieces

# What may stand before a path: nothing, space, quotes, separators, and flags with a path glued on.
_SEPARATORS = r"\s'\"=:,;(\[{<>|&`!"
_FLAGS = "ILFBR"
# Variables whose value is a command even where it is a single word.
COMMANDS = frozenset({
    "AR", "BLDSHARED", "CC", "CPP", "CXX", "INSTALL", "LDCXXSHARED", "LDSHARED", "LINKCC",
    "MAINCC", "PYTHON_FOR_BUILD", "RANLIB",
})  # fmt: skip
# Quoted words that are command lines themselves: 'LDFLAGS=-L/install/lib -lm' for configure.
_NESTED = re.compile(r"[A-Z_]*(?:FLAGS|LIBS|CC|CXX|CPP|LDSHARED)[A-Z_]*=")
_TOKEN = re.compile(r"\\.|['\"]", re.DOTALL)
_SEPARATOR = re.compile(r"[\s'\"\\]")


@lru_cache(maxsize=16)
def _pattern(prefix: str) -> re.Pattern[str]:
    before = rf"(?<![^{_SEPARATORS}])|(?<=[{_SEPARATORS}]-[{_FLAGS}])|(?<=^-[{_FLAGS}])"
    # A closing brace or bracket ends a path, an opening one would go on with a name.
    after = r"(?=[/\s'\"=:,;)\]}<>|&`\\]|\Z)"
    return re.compile(rf"(?:{before}){re.escape(prefix)}{after}")


def names_path(text: str, prefix: str) -> bool:
    """Tell whether `text` names `prefix`, or something below it, as a path of its own."""
    return _pattern(prefix).search(text) is not None


def cut(text: str, prefix: str, escaping: Callable[[int], str]) -> Pieces:
    """Take `prefix` out of `text`; `escaping` says what goes in, by the offset in `text`."""
    pieces: list[str | Hole] = []
    end = 0
    for match in _pattern(prefix).finditer(text):
        pieces += [text[end : match.start()], Hole(escaping(match.start()))]
        end = match.end()
    return (*pieces, text[end:])


def cut_value(name: str, value: str, prefix: str, outer: str) -> Pieces:
    """Take `prefix` out of the value of the variable `name`, written with the escaping `outer`."""
    if name not in COMMANDS and value.startswith(prefix) and not _SEPARATOR.search(value.strip()):
        return cut(value, prefix, lambda _: outer)
    return cut_command(value, prefix, outer)


def cut_command(text: str, prefix: str, outer: str | None) -> Pieces:
    """Take `prefix` out of a command line that is itself written with the escaping `outer`."""
    quoting = _Quoting(text)
    suffix = "" if outer is None else f"+{outer}"
    return cut(text, prefix, lambda offset: quoting.at(offset) + suffix)


class _Quoting:
    """Tells the shell's quoting at ascending offsets of a command line."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: Iterator[re.Match[str]] = _TOKEN.finditer(text)
        self._next = next(self._tokens, None)
        self._quote = ""
        self._opened = 0

    def at(self, offset: int) -> str:
        """Return the escaping for the place `offset`."""
        while self._next is not None and self._next.start() < offset:
            self._pass(self._next)
            self._next = next(self._tokens, None)
        if not self._quote:
            return "shell"
        quoted = "shell-single" if self._quote == "'" else "shell-double"
        return f"shell+{quoted}" if _NESTED.match(self._text, self._opened) else quoted

    def _pass(self, token: re.Match[str]) -> None:
        mark = token.group()
        if mark[0] == "\\":
            # Inside of '...' a backslash is itself, so the character after it may end the quote.
            if self._quote == "'" and mark[1] == "'":
                self._quote = ""
        elif not self._quote:
            self._quote, self._opened = mark, token.end()
        elif mark == self._quote:
            self._quote = ""
