"""What the in-toto Statements of a bundle's evidence share: subjects and resource descriptors.

https://github.com/in-toto/attestation, spec/v1/statement.md and spec/v1/resource_descriptor.md. Of
what these allow, only what this project writes is read, so that a statement has one meaning.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from sealift_schemas.lean import dataclass
from sealift_schemas.manifest import STATEMENT_TYPE
from sealift_schemas.pattern import Pattern
from sealift_schemas.payload import BUNDLE_PATH
from sealift_schemas.pieces import Lists, parse_large
from sealift_schemas.strictjson import DocumentError, Fields, shorten

T = TypeVar("T")

# Any absolute URI: of a package (purl), of a page, of a name under .invalid.
URI = Pattern(r"[a-z][a-z0-9+.-]*:[^\x00-\x20\x7f\"<>\\^`{|}]{1,4000}")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about. An archive in parts has the name of its parts without number."""

    name: str
    sha256: str

    @classmethod
    def from_json(cls, value: object, where: str) -> "Subject":
        """Read one entry of `subject`."""
        with Fields(value, where) as fields:
            name = fields.text("name", BUNDLE_PATH, "a portable relative path")
            return cls(name, read_digest(fields))

    def to_json(self) -> dict[str, Any]:
        """Return the subject as JSON values."""
        return {"name": self.name, "digest": {"sha256": self.sha256}}


@dataclass(frozen=True, slots=True)
class Named:
    """A file of the bundle, or code that was used, by name and SHA-256; `uri` where it has one."""

    name: str
    sha256: str
    uri: str | None = None

    @classmethod
    def from_json(cls, value: object, where: str) -> "Named":
        """Read a resource descriptor with a name and a digest."""
        with Fields(value, where) as fields:
            return cls(fields.text("name"), read_digest(fields), read_uri(fields))

    def to_json(self) -> dict[str, Any]:
        """Return the descriptor as JSON values."""
        uri = {} if self.uri is None else {"uri": self.uri}
        return {"name": self.name, **uri, "digest": {"sha256": self.sha256}}


def read_digest(fields: Fields) -> str:
    """Take `digest`, which has a SHA-256 and nothing else."""
    with Fields(fields.take("digest"), fields.place("digest")) as digest:
        return digest.sha256("sha256")


def read_uri(fields: Fields) -> str | None:
    """Take `uri` if it is there."""
    return fields.optional_text("uri", URI, "an absolute URI")


def read_statement(
    data: bytes | memoryview,
    predicate_type: str,
    read: Callable[[object, str], T],
    *,
    lists: Lists,
    what: str,
    limit: int,
) -> tuple[tuple[Subject, ...], T]:
    """Read a statement of this predicate type: its subjects, and what `read` makes of the predicate.

    `lists` are the readers of its long lists, by their path from the top.

    Raises:
        DocumentError: it is none, or a subject's name comes twice.
    """
    lists = {("subject",): Subject.from_json, **lists}
    with Fields(parse_large(data, what=what, limit=limit, lists=lists), what) as fields:
        fields.constant("_type", STATEMENT_TYPE)
        fields.constant("predicateType", predicate_type)
        subjects = fields.items("subject", Subject.from_json, minimum=1)
        predicate = read(fields.take("predicate"), fields.place("predicate"))
    seen: set[str] = set()
    for subject in subjects:
        if subject.name in seen:
            raise DocumentError(f"{what}.subject", "each name once", shorten(subject.name))
        seen.add(subject.name)
    return subjects, predicate


def write_statement(
    subjects: Iterable[Subject],
    predicate_type: str,
    predicate: dict[str, Any],
    collect: Callable[[Iterator[Any]], Any],
) -> dict[str, Any]:
    """Return a statement as JSON values; `collect` makes the list of its subjects."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": collect(subject.to_json() for subject in subjects),
        "predicateType": predicate_type,
        "predicate": predicate,
    }
