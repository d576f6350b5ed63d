"""The Makefile of the build, which CPython installs for those who compile against it.

make has no quotes: a variable holds the path as it is, with `$` and `#` escaped, and what a recipe
does with a path that has spaces in it is the recipe's own matter. Command lines in a variable are
escaped for the shell first.
"""

import re

from sealift_bundler.relocation.pieces import Hole, Rewrite, decode, rewrite
from sealift_bundler.relocation.words import cut, cut_command, cut_value

# A line together with those that a backslash at its end goes on with.
_LINE = re.compile(r"(?:[^\n\\]|\\.)*(?:\n|\Z)", re.DOTALL)
_ASSIGNMENT = re.compile(r"([A-Za-z_][\w.-]*)[ \t]*(?:[:+?!]{0,2}=)[ \t]*")


def rewrite_makefile(data: bytes, prefix: str) -> Rewrite:
    """Rewrite a Makefile that was made for `prefix`."""
    pieces: list[str | Hole] = []
    for match in _LINE.finditer(decode(data)):
        line = match.group()
        assignment = _ASSIGNMENT.match(line)
        if prefix not in line:
            pieces.append(line)
        elif assignment is not None:
            value = line[assignment.end() :]
            pieces += [assignment.group(), *cut_value(assignment[1], value, prefix, "make")]
        elif line.startswith("#"):
            pieces += cut(line, prefix, lambda _: "raw")
        else:
            pieces += cut_command(line, prefix, "make")
    return rewrite(pieces)
