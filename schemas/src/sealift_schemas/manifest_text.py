"""Reads a large manifest as the bundler writes it, without a parser for its long lists.

A manifest of 1,000 archives is nearly all lists of records that look the same. Each record is
matched as a whole by one expression that leaves nothing open: no escapes, no field but these, in
this order. What is left without the lists goes through the strict reader, which says that they
stood where it has empty ones. Whatever looks otherwise is for the strict reader alone.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from sys import intern
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

# Bytes that are looked at as text together.
_STEP = 64 * 1024

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
_SUBJECTS, _ARCHIVES, _FILES = b'\n  "subject": [', b'\n    "archives": [', b'\n    "files": ['
_SUBJECT = '\n    {\n      "name": "%s",\n      "digest": {\n        "sha256": "%s"\n      }\n    }'


class _OtherwiseError(Exception):
    """It is not as the bundler writes it, or not as it must be."""


def read_written(data: bytes | bytearray, start: int = 0) -> Manifest | None:
    """Return the manifest that begins at `start` of `data`.

    Returns None if it takes the strict reader to say what it is.
    """
    try:
        return _read(data, start)
    except (_OtherwiseError, UnicodeDecodeError, DocumentError):
        return None


def _read(data: bytes | bytearray, start: int) -> Manifest:
    subjects = _behind(data, _SUBJECTS, start)
    archives_at = _behind(data, _ARCHIVES, subjects)
    known: dict[str, str] = {}
    archives, archives_end = _records(data, _ARCHIVE, archives_at, partial(_archive, known))
    files_at = _behind(data, _FILES, archives_end)
    files, files_end = _records(data, _FILE, files_at, partial(_file, known))
    subjects_end = _behind_subjects(data, subjects, files)
    rest = (
        data[start:subjects],
        data[subjects_end:archives_at],
        data[archives_end:files_at],
        data[files_end:],
    )
    head = Manifest.read(b"".join(rest), limit=64 * 1024)
    if head.files or head.archives:
        raise _OtherwiseError
    manifest = replace(head, files=files, archives=archives)
    check_consistent(manifest, "manifest.predicate")
    return manifest


def _behind(data: bytes | bytearray, mark: bytes, start: int) -> int:
    """Return where the list begins to whose name `mark` belongs. Strings have no line breaks."""
    found = data.find(mark, start)
    if found < 0:
        raise _OtherwiseError
    return found + len(mark)


def _behind_subjects(data: bytes | bytearray, start: int, files: Iterable[BundleFile]) -> int:
    """Return where the subjects end, which must be just the paths and digests of `files`."""
    before = ""
    for file in files:
        subject = (before + _SUBJECT % (file.path, file.sha256)).encode("ascii")
        if not data.startswith(subject, start):
            raise _OtherwiseError
        start += len(subject)
        before = ","
    return start


def _records(
    data: bytes | bytearray,
    record: re.Pattern[str],
    start: int,
    read: Callable[[tuple[Any, ...]], T],
) -> tuple[tuple[T, ...], int]:
    """Match one record after the other and read its groups; return where the last one ends too.

    The last group is the comma that another one follows. As text there is a part of `data` at a
    time: at its end a record may go on.
    """
    found = []
    view, text, position = memoryview(data), "", 0
    more = ","
    while more:
        match = record.match(text, position)
        if match is None or match.end() == len(text):
            left = len(text) - position
            if start + len(text) < len(data):
                start, size = start + position, max(_STEP, 2 * left)
                text, position = str(view[start : start + size], "ascii"), 0
                continue
            if match is None:
                raise _OtherwiseError
        values = match.groups()
        found.append(read(values))
        more = values[-1]
        position = match.end()
    return tuple(found), start + position


def _file(known: Mapping[str, str], values: tuple[Any, ...]) -> BundleFile:
    path, size, sha256, listed, _ = values
    # Most files belong to an archive, whose record has the same texts.
    path, sha256 = known.get(path, path), known.get(sha256, sha256)
    chunks = tuple(_QUOTED.findall(listed or ""))
    if chunks == (sha256,):
        chunks = (sha256,)  # one string in memory, not two
    file = BundleFile(path, int(size), sha256, chunks)
    count = -(-file.size // CHUNK_SIZE)
    if len(chunks) != count or (count == 1 and chunks[0] != sha256):
        raise _OtherwiseError
    return file


def _archive(known: dict[str, str], values: tuple[Any, ...]) -> Archive:
    (
        name, kind, version, platform, archive_format, size, sha256, parts, index, members, unpacked,
        source, request, url, digest_source, prefix, interpreter, links, glibc, libraries, _,
    ) = values  # fmt: skip
    if not parts or size == "0":
        raise _OtherwiseError
    paths = tuple(_QUOTED.findall(parts))
    known[sha256] = sha256
    known[index] = index
    known.update(zip(paths, paths, strict=True))
    return Archive(
        name=name,
        kind=intern(kind),
        version=intern(version),
        platform=intern(platform),
        format=intern(archive_format),
        size=int(size),
        sha256=sha256,
        # That these two are paths of `files`, which were compared, is checked with the whole.
        parts=paths,
        index=index,
        members=int(members),
        unpacked=int(unpacked),
        source=Source(
            intern(source), request, request if url == request else url, intern(digest_source)
        ),
        prefix=None if prefix is None else _text(prefix, PREFIX),
        interpreter=None if interpreter is None else _text(interpreter, INSTALLED_PATH),
        links=_links(links) if links else {},
        requires=Requirements(
            glibc=glibc and intern(glibc),
            libraries=tuple(map(intern, _QUOTED.findall(libraries))) if libraries else (),
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
