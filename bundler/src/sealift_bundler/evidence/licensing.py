"""Licences: which files hold their texts, and what metadata says about them."""

import re
from collections.abc import Iterable, Sequence

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from sealift_bundler.evidence.findings import LicencesLeftOut, Licensing, word

# The usual names, alone or with a hyphen, dot, underscore or digit behind them.
_NAME = re.compile(
    r"(?:licen[cs]es?|copying|copyrights?|notices?|unlicense|third[-_. ]?party[-_. ]?\w*"
    r"|additional_license_info|assembly_exception)(?:[-._ 0-9].*)?",
    re.IGNORECASE,
)
# With these it is code or data about licences, or a picture of one.
_NO_TEXT = re.compile(
    r"\.(?:py[cdiwx]?|so|dll|dylib|exe|[cm]?[jt]sx?|json|map|[ch]|cc|cpp|hpp|go|rs|rb|java|class"
    r"|jar|o|a|css|svg|png|gif|jpe?g|ico|gz|xz|zip|whl|sig|asc|ya?ml|toml|xsl|tmpl)",
    re.IGNORECASE,
)
_FOLDER = re.compile(r"(?:.*/)?[^/]+\.dist-info/licenses/.+", re.DOTALL)
_LONGEST_NAME = 120
# What stands in the licence of CPython from 2.1 on, and in no other.
_PYTHON = (
    b"PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2",
    b"BEOPEN.COM LICENSE AGREEMENT FOR PYTHON 2.0",
    b"CNRI LICENSE AGREEMENT FOR PYTHON 1.6.1",
)
_CLASSIFIER = "License :: "


class Unread:
    """Licences that are not taken: so many are named, the rest is counted.

    Args:
        most: how many are named.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._named: list[tuple[str, str]] = []
        self._more = 0

    def add(self, path: str, reason: str) -> None:
        """Add one by its path in the archive, and why it is not taken."""
        self.add_all(LicencesLeftOut(((path, reason),)))

    def add_all(self, others: LicencesLeftOut) -> None:
        """Add those of an archive inside of this one."""
        room = max(self._most - len(self._named), 0)
        self._named += others.named[:room]
        self._more += len(others.named[room:]) + others.more

    def all(self) -> LicencesLeftOut:
        """Return all of them by path."""
        return LicencesLeftOut(tuple(sorted(self._named)), self._more)


def holds_licence(path: str) -> bool:
    """Tell by the name of a member whether it is the text of a licence or a notice."""
    if _FOLDER.fullmatch(path):
        return True
    name = path.rpartition("/")[2]
    if not _NAME.fullmatch(name):
        return False
    _, dot, ending = name.rpartition(".")
    return _NO_TEXT.fullmatch(dot + ending) is None


def is_python_licence(text: bytes) -> bool:
    """Tell whether a text is the licence of CPython: what SPDX calls Python-2.0."""
    return all(heading in text for heading in _PYTHON)


def declared(
    expression: str | None, text: str | None = None, classifiers: Iterable[str] = ()
) -> Licensing:
    """Return what metadata declares, in the order of PEP 639: expression, old field, classifiers.

    The old field may hold an expression, a name, or the whole text; of a text nothing is taken.
    """
    for candidate in (expression, text):
        found = _expression(candidate)
        if found is not None:
            return Licensing(expression=found)
    names = [
        name
        for name in (
            one.rpartition(" :: ")[2] for one in classifiers if one.startswith(_CLASSIFIER)
        )
        if name != "OSI Approved"
    ]
    lines = (expression or text or "").strip().splitlines()
    if not names and len(lines) == 1 and len(lines[0]) <= _LONGEST_NAME:
        names = lines
    words = (word(name) for name in names)
    return Licensing(names=tuple(sorted({name for name in words if name is not None})))


def joined(identifiers: Sequence[str]) -> Licensing:
    """Return what SPDX identifiers say together, each of which applies."""
    found = _expression(" AND ".join(sorted(set(identifiers)))) if identifiers else None
    if found is not None:
        return Licensing(expression=found)
    words = (word(name) for name in identifiers)
    return Licensing(names=tuple(sorted({name for name in words if name is not None})))


def _expression(text: str | None) -> str | None:
    if not text or len(text) > _LONGEST_NAME * 4 or not text.isascii():
        return None
    try:
        return canonicalize_license_expression(text)
    except (InvalidLicenseExpression, ValueError, SyntaxError):
        return None
