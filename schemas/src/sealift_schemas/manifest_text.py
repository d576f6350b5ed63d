"""Reads a large manifest as the bundler writes it, without a parser for its long lists.

A manifest of 1,000 archives is nearly all lists of records that look the same. Each record is
matched as a whole by one expression that leaves nothing open: no escapes, no field but these, in
this order. What is left without the lists goes through the strict reader, which says that they
stood where it has empty ones. Whatever looks otherwise is for the strict reader alone.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeVar

from sealift_schemas.keys import TOOL_NAME
from sealift_schemas.lean import replace
from sealift_schemas.manifest import (
    DIGEST_SOURCES,
    FORMATS,
    GLIBC,
    INSTALLED_PATH,
    KINDS,
    LIBRARY,
    LINK_NAME,
    PLATFORM_OR_ANY,
    PREFIX,
    SOURCE_KINDS,
    VERSION,
    Archive,
    Manifest,
    Requirements,
    Source,
    check_consistent,
)
from sealift_schemas.pattern import Pattern
from sealift_schemas.payload import BUNDLE_PATH, CHUNK_SIZE, BundleFile
from sealift_schemas.strictjson import DocumentError

T = TypeVar("T")

# Printable ASCII without the quote and the backslash: a string that is what it looks like.
_TEXT = r"[ !#-\[\]-~]*"
_HASH = r"[0-9a-f]{64}"
# Below 10**15, so exact in every implementation.
_NUMBER = r"(0|[1-9][0-9]{0,14})"


def _inside(pattern: Pattern) -> str:
    """Return a pattern that allows neither quotes nor more than ASCII, to stand in a longer one."""
    return f"(?:{pattern.pattern})"


def _list(item: str, indent: int) -> str:
    """Return the pattern of what stands between the brackets of a list; its items are one group."""
    space = "\\n" + " " * indent
    return rf"(?:{space}({item}(?:,{space}{item})*)\n{' ' * (indent - 2)})?"


_FILE = re.compile(
    r'\n      \{\n        "path": "(' + _inside(BUNDLE_PATH)
    + r')",\n        "size": ' + _NUMBER
    + r',\n        "sha256": "(' + _HASH + r')",\n        "chunks": \['
    + _list(f'"{_HASH}"', 10) + r"\]\n      \}(,?)"
)  # fmt: skip
_ARCHIVE = re.compile(
    r'\n      \{\n        "name": "(' + _inside(TOOL_NAME) + r')",\n        "kind": "(' + "|".join(KINDS)
    + r')",\n        "version": "(' + _inside(VERSION) + r')",\n        "platform": "(' + _inside(PLATFORM_OR_ANY)
    + r')",\n        "format": "(' + "|".join(FORMATS).replace(".", r"\.")
    + r')",\n        "size": ' + _NUMBER + r',\n        "sha256": "(' + _HASH
    + r')",\n        "parts": \[' + _list(f'"{_TEXT}"', 10)
    + r'\],\n        "index": "(' + _TEXT + r')",\n        "members": ' + _NUMBER
    + r',\n        "unpacked": ' + _NUMBER
    + r',\n        "source": \{\n          "kind": "(' + "|".join(SOURCE_KINDS)
    + r')",\n          "request": "(' + _TEXT + r')",\n          "url": "(' + _TEXT
    + r')",\n          "digest_source": "(' + "|".join(DIGEST_SOURCES)
    + r')"\n        \},(?:\n        "prefix": "(' + _TEXT + r')",)?'
    + r'(?:\n        "interpreter": "(' + _TEXT + r')",)?\n        "links": \{'
    + _list(f'"{_inside(LINK_NAME)}": "{_TEXT}"', 10)
    + r'\},\n        "requires": \{(?:\n          "glibc": "(' + _inside(GLIBC) + r')",)?'
    + r'\n          "libraries": \[' + _list(f'"{_inside(LIBRARY)}"', 12) + r"\]\n        \}\n      \}(,?)"
)  # fmt: skip
_QUOTED = re.compile(r'"([^"]*)"')
_PAIR = re.compile(r'"([^"]*)": "([^"]*)"')
_SUBJECTS, _ARCHIVES, _FILES = '\n  "subject": [', '\n    "archives": [', '\n    "files": ['
_SUBJECT = '\n    {\n      "name": "%s",\n      "digest": {\n        "sha256": "%s"\n      }\n    }'


class _OtherwiseError(Exception):
    """It is not as the bundler writes it, or not as it must be."""


def read_written(data: bytes) -> Manifest | None:
    """Return the manifest in `data`, or None: it takes the strict reader to say what it is."""
    try:
        return _read(data.decode("ascii"))
    except (_OtherwiseError, UnicodeDecodeError, DocumentError):
        return None


def _read(text: str) -> Manifest:
    subjects = _behind(text, _SUBJECTS, 0)
    archives_at = _behind(text, _ARCHIVES, subjects)
    archives, archives_end = _records(text, _ARCHIVE, archives_at, _archive)
    files_at = _behind(text, _FILES, archives_end)
    files, files_end = _records(text, _FILE, files_at, _file)
    subjects_end = _behind_subjects(text, subjects, files)
    rest = (
        text[:subjects],
        text[subjects_end:archives_at],
        text[archives_end:files_at],
        text[files_end:],
    )
    head = Manifest.read("".join(rest).encode("ascii"), limit=64 * 1024)
    if head.files or head.archives:
        raise _OtherwiseError
    manifest = replace(head, files=files, archives=archives)
    check_consistent(manifest, "manifest.predicate")
    return manifest


def _behind(text: str, mark: str, start: int) -> int:
    """Return where the list begins to whose name `mark` belongs. Strings have no line breaks."""
    found = text.find(mark, start)
    if found < 0:
        raise _OtherwiseError
    return found + len(mark)


def _behind_subjects(text: str, start: int, files: Iterable[BundleFile]) -> int:
    """Return where the subjects end, which must be just the paths and digests of `files`."""
    before = ""
    for file in files:
        subject = before + _SUBJECT % (file.path, file.sha256)
        if not text.startswith(subject, start):
            raise _OtherwiseError
        start += len(subject)
        before = ","
    return start


def _records(
    text: str, record: re.Pattern[str], start: int, read: Callable[[tuple[Any, ...]], T]
) -> tuple[tuple[T, ...], int]:
    """Match one record after the other and read its groups; return where the last one ends too.

    The last group is the comma that another one follows.
    """
    found = []
    position = start
    more = ","
    while more:
        match = record.match(text, position)
        if match is None:
            raise _OtherwiseError
        values = match.groups()
        found.append(read(values))
        more = values[-1]
        position = match.end()
    return tuple(found), position


def _file(values: tuple[Any, ...]) -> BundleFile:
    path, size, sha256, listed, _ = values
    chunks = tuple(_QUOTED.findall(listed or ""))
    if chunks == (sha256,):
        chunks = (sha256,)  # one string in memory, not two
    file = BundleFile(path, int(size), sha256, chunks)
    count = -(-file.size // CHUNK_SIZE)
    if len(chunks) != count or (count == 1 and chunks[0] != sha256):
        raise _OtherwiseError
    return file


def _archive(values: tuple[Any, ...]) -> Archive:
    (
        name, kind, version, platform, archive_format, size, sha256, parts, index, members, unpacked,
        source, request, url, digest_source, prefix, interpreter, links, glibc, libraries, _,
    ) = values  # fmt: skip
    if not parts or size == "0":
        raise _OtherwiseError
    return Archive(
        name=name,
        kind=kind,
        version=version,
        platform=platform,
        format=archive_format,
        size=int(size),
        sha256=sha256,
        # That these two are paths of `files`, which were compared, is checked with the whole.
        parts=tuple(_QUOTED.findall(parts)),
        index=index,
        members=int(members),
        unpacked=int(unpacked),
        source=Source(source, request, url, digest_source),
        prefix=None if prefix is None else _text(prefix, PREFIX),
        interpreter=None if interpreter is None else _text(interpreter, INSTALLED_PATH),
        links=_links(links) if links else {},
        requires=Requirements(
            glibc=glibc, libraries=tuple(_QUOTED.findall(libraries)) if libraries else ()
        ),
    )


def _links(listed: str) -> dict[str, str]:
    pairs = _PAIR.findall(listed)
    links = {link: _text(path, INSTALLED_PATH) for link, path in pairs}
    if len(links) != len(pairs):
        raise _OtherwiseError
    return links


@lru_cache(maxsize=256)  # the paths of programs come again and again
def _text(text: str, pattern: Pattern) -> str:
    if pattern.fullmatch(text) is None:
        raise _OtherwiseError
    return text
