"""What is installed: one record for each tree, and the index that it was made from.

A record is kept by the target alone. It says what stands in the directory that it names, so that a
directory without one is nobody's business of ours.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sealift_installer.durable import make_directory, remove_durably, write_durably
from sealift_installer.errors import HostError, host_errors, printable
from sealift_installer.prefix import open_kept
from sealift_schemas.keys import KEY, TOOL_NAME
from sealift_schemas.lean import dataclass, field
from sealift_schemas.manifest import (
    INSTALLED_PATH,
    KINDS,
    PLATFORM_OR_ANY,
    VERSION,
    Archive,
    read_links,
)
from sealift_schemas.strictjson import DocumentError, Fields, check_text, encode, parse

FORMAT = 1
_RECORD_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """One installed tree: which archive it is, from which bundle, and the prefix it was given.

    `archive`, `index` and `manifest` are SHA-256 values; `members` counts what was
    installed and `unpacked` the bytes that it takes, as the manifest says; `merged` names the
    paths of the index that stand in another spelling, because the file system does not tell the
    two apart (see `spellings`).
    """

    name: str
    kind: str
    version: str
    platform: str
    path: str
    archive: str
    index: str
    manifest: str
    installed: str
    members: int
    unpacked: int
    interpreter: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    merged: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, archive: Archive, *, path: Path, index: str, bundle: str, now: str) -> "Record":
        """Return the record of `archive` at `path`; `index` and `bundle` are SHA-256 values."""
        return cls(
            name=archive.name,
            kind=archive.kind,
            version=archive.version,
            platform=archive.platform,
            path=str(path),
            archive=archive.sha256,
            index=index,
            manifest=bundle,
            installed=now,
            members=archive.members,
            unpacked=archive.unpacked,
            interpreter=archive.interpreter,
            links=archive.links,
        )

    @classmethod
    def read(cls, data: bytes, *, what: str, name: str) -> "Record":
        """Read the record of the tree `name`.

        Raises:
            DocumentError: it is none of this format, or another tree's.
        """
        with Fields(parse(data, what=what, limit=_RECORD_LIMIT), what) as fields:
            fields.constant("format", FORMAT)
            record = cls.from_fields(fields)
            if record.name != name:
                fields.fail("name", name, record.name)
            return record

    @classmethod
    def from_fields(cls, fields: Fields) -> "Record":
        """Read the fields of a record."""
        name = fields.text("name", TOOL_NAME, "an install key or a tool's directory name")
        kind = fields.choice("kind", KINDS)
        if kind == "interpreter" and not KEY.fullmatch(name):
            fields.fail("name", "an install key", name)
        return cls(
            name=name,
            kind=kind,
            version=fields.text("version", VERSION, "a version"),
            platform=fields.text("platform", PLATFORM_OR_ANY, "a platform or any"),
            path=fields.text("path"),
            archive=fields.sha256("archive"),
            index=fields.sha256("index"),
            manifest=fields.sha256("manifest"),
            installed=fields.time("installed"),
            members=fields.integer("members"),
            unpacked=fields.integer("unpacked"),
            interpreter=fields.optional_text(
                "interpreter", INSTALLED_PATH, "a path in the installed tree"
            ),
            links=read_links(fields, "links"),
            merged=_merged(fields) if fields.has("merged") else {},
        )

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values, without its format."""
        interpreter = {} if self.interpreter is None else {"interpreter": self.interpreter}
        return {
            "name": self.name,
            "kind": self.kind,
            "version": self.version,
            "platform": self.platform,
            "path": self.path,
            "archive": self.archive,
            "index": self.index,
            "manifest": self.manifest,
            "installed": self.installed,
            "members": self.members,
            "unpacked": self.unpacked,
            **interpreter,
            "links": dict(self.links),
            **({"merged": dict(self.merged)} if self.merged else {}),
        }

    def encode(self) -> bytes:
        """Return the record's bytes."""
        return encode({"format": FORMAT, **self.to_json()}, indent=2)

    def same_tree(self, other: "Record") -> bool:
        """Tell whether both describe the same bytes, relocated to the same place."""
        return (self.archive, self.index, self.path) == (other.archive, other.index, other.path)


def _merged(fields: Fields) -> dict[str, str]:
    return {
        check_text(path, where): check_text(spelled, where)
        for path, spelled, where in fields.mapping("merged")
    }


class Records:
    """The records in a prefix's state directory.

    Args:
        directory: `state/` of the prefix.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._records = directory / "installs"
        self._previous = directory / "previous"
        self._indexes = directory / "index"

    def get(self, name: str) -> Record | None:
        """Return the record of the tree called `name`, if there is one.

        Raises:
            HostError: it cannot be read, or somebody changed it.
        """
        return self._read(self._records / f"{name}.json", name)

    def get_previous(self, name: str) -> Record | None:
        """Return the record of the tree that `name` replaced and that is kept, if there is one.

        Raises:
            HostError: it cannot be read, or somebody changed it.
        """
        return self._read(self._previous / f"{name}.json", name)

    def _read(self, path: Path, name: str) -> Record | None:
        with host_errors("cannot read the record of an install"):
            try:
                with open_kept(path) as file:
                    data = file.read(_RECORD_LIMIT + 1)
            except FileNotFoundError:
                return None
        try:
            return Record.read(data, what=path.name, name=name)
        except DocumentError as error:
            raise HostError(
                f"the record of an install is malformed: {printable(str(path))}\n  {printable(str(error))}",
                hint="move it away; the next `unseal install` then asks about the directory",
            ) from None

    def all(self) -> tuple[Record, ...]:
        """Return every record, sorted by name."""
        with host_errors("cannot list what is installed"):
            try:
                names = sorted(path.stem for path in self._records.glob("[!.]*.json"))
            except FileNotFoundError:
                return ()
        return tuple(record for record in map(self.get, names) if record is not None)

    def put(self, record: Record) -> None:
        """Write `record` in one step."""
        with host_errors("cannot write the record of an install"):
            make_directory(self._records, self._directory)
            write_durably(self._records / f"{record.name}.json", record.encode())

    def put_previous(self, record: Record) -> None:
        """Write the record of the tree that was replaced and is kept."""
        with host_errors("cannot write the record of the replaced install"):
            make_directory(self._previous, self._directory)
            write_durably(self._previous / f"{record.name}.json", record.encode())

    def record_path(self, name: str) -> Path:
        """Return where the record of the tree called `name` is."""
        return self._records / f"{name}.json"

    def remove(self, name: str) -> None:
        """Forget the tree called `name`, and the one that it replaced."""
        with host_errors("cannot remove the record of an install"):
            for directory in (self._previous, self._records):
                remove_durably(directory / f"{name}.json")

    def prune(self, pending: Iterable[str]) -> None:
        """Remove the indexes that no record names any more, but those with a hash in `pending`.

        Where there are no more indexes than records, none is read to see whether it is named.
        """
        with host_errors("cannot remove an index"):
            indexes = sorted(self._indexes.glob("[!.]*.jsonl"))
            folders = (self._records, self._previous)
            known = sum(len(list(folder.glob("[!.]*.json"))) for folder in folders)
            if len(indexes) <= known:
                return
        records = (*self.all(), *self._all_previous())
        named = {*pending, *(record.index for record in records)}
        with host_errors("cannot remove an index"):
            for path in indexes:
                if path.stem not in named:
                    remove_durably(path)

    def _all_previous(self) -> tuple[Record, ...]:
        with host_errors("cannot list what was replaced"):
            names = sorted(path.stem for path in self._previous.glob("[!.]*.json"))
        return tuple(record for record in map(self.get_previous, names) if record is not None)

    def keep_index(self, sha256: str, data: bytes) -> None:
        """Keep an index, so that the tree can be checked without the bundle."""
        path = self.index_path(sha256)
        with host_errors("cannot keep the index of an install"):
            if not path.is_file() or path.read_bytes() != data:
                make_directory(self._indexes, self._directory)
                write_durably(path, data)

    def index_path(self, sha256: str) -> Path:
        """Return where the index with this hash is kept."""
        return self._indexes / f"{sha256}.jsonl"
