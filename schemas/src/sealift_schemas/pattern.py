"""Regular expressions that are compiled when they are first used.

Compiling all that the documents' grammar has takes as long as an interpreter's start, and a
command uses few of them.
"""

import re
from collections.abc import Callable
from functools import cached_property


class Pattern:
    """A regular expression that whole texts are compared with.

    Args:
        pattern: its source, as `re` reads it.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    @cached_property
    def fullmatch(self) -> Callable[[str], re.Match[str] | None]:
        """Match the whole of a text; as `re.Pattern.fullmatch`."""
        return re.compile(self.pattern).fullmatch

    @cached_property
    def match(self) -> Callable[[str, int], re.Match[str] | None]:
        """Match what stands at a place of a text; as `re.Pattern.match`."""
        return re.compile(self.pattern).match
