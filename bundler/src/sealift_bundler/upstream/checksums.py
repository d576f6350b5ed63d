"""Lists of digests as publishers write them, and what they say about one file.

GNU coreutils write `HEX  NAME`, `HEX *NAME` and, where a name has a backslash or a line's end, a
backslash before the digest; BSD and openssl write `SHA256 (NAME) = HEX`. A file beside one archive
may hold the digest alone. What is no such line (headings, comments, signatures around the list) is
passed over.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

# Of lines without the blanks around them: a pattern for these would go back on itself.
_GNU = re.compile(r"(\\?)([0-9A-Fa-f]{64})[ \t]+\*?(\S.*)")
_BSD = re.compile(r"SHA2?-?256 ?\((.+)\)\s?= ?([0-9A-Fa-f]{64})")
_BARE = re.compile(r"[0-9A-Fa-f]{64}")
_WEB_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head)\b", re.IGNORECASE)
_ESCAPES = {"\\n": "\n", "\\r": "\r", "\\\\": "\\"}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class UnreadableList(ValueError):
    """It is no list of digests at all."""


def stated_digests(data: bytes, url: str, *, alone: bool = False) -> frozenset[str]:
    """Return the SHA-256 digests that a list states for the file at `url`; more than one is odd.

    Args:
        data: the list's bytes.
        url: the address of the file; the names in the list are compared with the end of its path.
        alone: the list belongs to this file alone, so it may leave out its name, or name it by
            the place where it was made.

    Raises:
        UnreadableList: there is no line with a SHA-256, or it is a web page.
    """
    path = "/" + unquote(urlsplit(url).path).lstrip("/")
    lines = list(_read(data))
    if not lines:
        raise UnreadableList("it has no line with a SHA-256")
    return frozenset(
        digest
        for name, digest in lines
        if (name is None and alone) or (name is not None and _is_name(name, path, alone=alone))
    )


def _is_name(name: str, path: str, *, alone: bool) -> bool:
    """Tell whether `name` is a file at `path`: another folder's file of that name is another."""
    name = name.removeprefix("./")
    if alone:
        name = name.replace("\\", "/").rpartition("/")[2]
    return bool(name) and path.endswith("/" + name)


def _read(data: bytes) -> Iterator[tuple[str | None, str]]:
    """Yield name (None: the digest stands alone) and digest of each line that has one."""
    if _WEB_PAGE.match(data):
        raise UnreadableList("it is a web page")
    for each in _text(data).splitlines():
        line = each.strip()
        if match := _BSD.fullmatch(line):
            yield match[1], match[2].lower()
        elif _BARE.fullmatch(line):
            yield None, line.lower()
        elif match := _GNU.fullmatch(line):
            name = match[3]
            if match[1]:
                name = re.sub(r"\\[nr\\]", lambda escape: _ESCAPES[escape.group()], name)
            yield name, match[2].lower()


def _text(data: bytes) -> str:
    # PowerShell writes UTF-16 into files, and Windows' editors a mark before UTF-8.
    encoding = "utf-16" if data.startswith(_UTF16) else "utf-8-sig"
    return data.decode(encoding, errors="replace")
