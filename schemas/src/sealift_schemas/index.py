r"""The index of an archive: one JSON line for each member in archive order, then what is added.

A line says where a member stands in the archive, where it is installed, what it is, and what
relocation does with it. A line without `member` is added by the bundler; a line without `path` is
a member that is not installed, with the reason in `dropped`. The installed tree is exactly the
lines with a path: the target makes up nothing of its own.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from sealift_schemas.lean import dataclass
from sealift_schemas.pattern import Pattern
from sealift_schemas.strictjson import (
    LARGEST_INTEGER,
    DocumentError,
    Fields,
    check_integer,
    check_text,
    encode,
    parse,
    shorten,
)

TYPES = ("file", "link", "hardlink", "directory")
MODES = ("644", "755")
# How the prefix is written at a place of a template: one escaping, or several from left to right.
ESCAPINGS = (
    "raw",
    "shell",
    "shell-single",
    "shell-double",
    "make",
    "json",
    "python",
    "python-double",
    "pc",
)
ESCAPING = Pattern(rf"(?:{'|'.join(ESCAPINGS)})(?:\+(?:{'|'.join(ESCAPINGS)})){{0,2}}")
# A file or a link that is installed as it is, in the encoding that `Entry.encode` gives: nine of ten
# lines of an index, and read five times faster than through a parser. What matches has one meaning
# and nothing left to check: no escapes, no field but these, sizes below 2**53.
_TEXT = r'"([ !#-\[\]-~]*)"'
_ORDINARY = Pattern(
    rf'\{{"type":"(?:file","path":{_TEXT},"member":{_TEXT},"mode":"(644|755)"'
    rf',"size":(0|[1-9][0-9]{{0,14}}),"sha256":"([0-9a-f]{{64}})"'
    rf'|link","path":{_TEXT},"member":{_TEXT},"target":{_TEXT})\}}\n'
)
# A place's offset counts in the template, where the prefix itself takes no bytes.
LINE_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where a template gets the prefix: offset in bytes, and how the prefix is escaped there."""

    offset: int
    escaping: str


@dataclass(frozen=True, slots=True)
class Template:
    """A member's bytes after all rewriting that does not depend on the prefix.

    `sha256` and `size` (bytes) are those of `templates/<sha256>` in the bundle.
    """

    sha256: str
    size: int
    places: tuple[Place, ...]

    @classmethod
    def from_json(cls, value: object, where: str) -> "Template":
        """Read `template`.

        Raises:
            DocumentError: malformed, or places out of order or outside of the template.
        """
        with Fields(value, where) as fields:
            template = cls(
                sha256=fields.sha256("sha256"),
                size=fields.integer("size"),
                places=fields.items("places", _place),
            )
            offsets = [place.offset for place in template.places]
            if offsets != sorted(offsets) or any(offset > template.size for offset in offsets):
                fields.fail("places", "ascending offsets inside of the template", offsets)
        return template

    def to_json(self) -> dict[str, Any]:
        """Return the template as JSON values."""
        return {
            "sha256": self.sha256,
            "size": self.size,
            "places": [[place.offset, place.escaping] for place in self.places],
        }


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an index.

    `size` and `sha256` are those of the member's bytes as they stand in the archive (absent for
    added files, whose bytes are a template). `target` is a link's target as it stands in the
    archive, `installed_target` what is written instead where the two differ. `kept` is the reason
    why a member that names the old prefix is left as it is.
    """

    type: str
    path: str | None
    member: str | None
    mode: str | None = None
    size: int | None = None
    sha256: str | None = None
    target: str | None = None
    installed_target: str | None = None
    template: Template | None = None
    kept: str | None = None
    dropped: str | None = None

    @classmethod
    def from_json(cls, value: object, where: str) -> "Entry":
        """Read one line's value."""
        with Fields(value, where) as fields:
            given = fields.names
            entry = cls(
                type=fields.choice("type", TYPES),
                path=_text_or_null(fields, "path"),
                member=_text_or_null(fields, "member"),
                mode=fields.choice("mode", MODES) if fields.has("mode") else None,
                size=fields.integer("size") if fields.has("size") else None,
                sha256=fields.sha256("sha256") if fields.has("sha256") else None,
                target=fields.optional_text("target"),
                installed_target=fields.optional_text("installed_target"),
                template=Template.from_json(fields.take("template"), fields.place("template"))
                if fields.has("template")
                else None,
                kept=fields.optional_text("kept"),
                dropped=fields.optional_text("dropped"),
            )
        _check_shape(entry, given, where)
        return entry

    def to_json(self) -> dict[str, Any]:
        """Return the line as JSON values."""
        optional = {
            "mode": self.mode,
            "size": self.size,
            "sha256": self.sha256,
            "target": self.target,
            "installed_target": self.installed_target,
            "template": None if self.template is None else self.template.to_json(),
            "kept": self.kept,
            "dropped": self.dropped,
        }
        return {
            "type": self.type,
            "path": self.path,
            "member": self.member,
            **{name: value for name, value in optional.items() if value is not None},
        }

    def encode(self) -> bytes:
        """Return the line's bytes, newline included."""
        return encode(self.to_json())

    @property
    def link_target(self) -> str:
        """What a link is made to point to, or the installed path a hard link shares."""
        target = self.target if self.installed_target is None else self.installed_target
        return target or ""


def read_lines(data: bytes, *, what: str, limit: int) -> Iterator[Entry]:
    """Read an index of at most `limit` bytes, line by line.

    Raises:
        DocumentError: too large, a line too long, the last one unfinished, or a line malformed.
    """
    if len(data) > limit:
        raise DocumentError(what, f"at most {limit} bytes", f"{len(data)} bytes")
    if data and not data.endswith(b"\n"):
        raise DocumentError(what, "a newline at the end", "none")
    # Every byte is one character, so that places are the same; what matches is ASCII.
    text = data.decode("latin-1")
    match_ordinary = _ORDINARY.match
    start = number = 0
    while start < len(text):
        number += 1
        match = match_ordinary(text, start)
        if match is None:
            end = data.index(b"\n", start)
            yield _any_line(data[start:end], f"{what} line {number}")
            start = end + 1
            continue
        start = match.end()
        path, member, mode, size, sha256, link, linked, target = match.groups()
        if mode is None:
            yield Entry("link", link, linked, target=target)
        else:
            yield Entry("file", path, member, mode, int(size), sha256)


def _any_line(line: bytes, where: str) -> Entry:
    return Entry.from_json(parse(line, what=where, limit=LINE_LIMIT), where)


def count_installed(entries: Iterable[Entry]) -> tuple[int, int]:
    """Return how many entries are installed, of any type, and how many bytes their files have.

    That is `members` and `unpacked` of a manifest's archive. A file with a template counts with
    the template's size: the prefix that is put in is left out, as its length is not known yet.
    """
    members = unpacked = 0
    for entry in entries:
        if entry.path is None:
            continue
        members += 1
        unpacked += (entry.size or 0) if entry.template is None else entry.template.size
    return members, unpacked


def _text_or_null(fields: Fields, name: str) -> str | None:
    value = fields.take(name)
    return None if value is None else check_text(value, fields.place(name))


def _place(value: object, where: str) -> Place:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004
        raise DocumentError(where, "an offset and an escaping", shorten(value))
    return Place(
        offset=check_integer(value[0], f"{where}[0]", 0, LARGEST_INTEGER),
        escaping=check_text(value[1], f"{where}[1]", ESCAPING, "escapings joined by +"),
    )


_ALWAYS = frozenset({"type", "path", "member"})
# For each type: fields that must be there, and all that may be.
_SHAPES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "file": (
        _ALWAYS | {"mode"},
        _ALWAYS | {"mode", "size", "sha256", "template", "kept", "dropped"},
    ),
    "link": (_ALWAYS | {"target"}, _ALWAYS | {"target", "installed_target", "dropped"}),
    "hardlink": (_ALWAYS | {"target"}, _ALWAYS | {"target", "installed_target", "dropped"}),
    "directory": (_ALWAYS, _ALWAYS | {"dropped"}),
}


def _check_shape(entry: Entry, given: frozenset[str], where: str) -> None:
    required, allowed = _SHAPES[entry.type]
    if not required <= given <= allowed:
        found = ", ".join(sorted(given - _ALWAYS)) or "none"
        raise DocumentError(where, f"the fields of a {entry.type}", found)
    if (entry.path is None) != (entry.dropped is not None):
        raise DocumentError(where, "either a path or the reason why it is dropped", "both or none")
    if entry.path is None and entry.member is None:
        raise DocumentError(where, "a member or a path", "neither")
    if entry.type != "file":
        return
    if entry.member is None:
        if entry.template is None or entry.size is not None or entry.sha256 is not None:
            raise DocumentError(where, "an added file to have a template alone", "otherwise")
    elif entry.size is None or entry.sha256 is None:
        raise DocumentError(where, "the size and sha256 of the member", "none")
    if entry.template is not None and (entry.path is None or entry.kept is not None):
        raise DocumentError(where, "a template only where the file is installed anew", "otherwise")
