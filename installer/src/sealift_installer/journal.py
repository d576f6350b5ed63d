"""What a run writes down before its one rename, so that the next run can finish or take it back.

An entry is written when all is ready, and removed when everything that belongs to it is done.

On a full disk nothing can be written, and yet a tree must go that fills it. So an uninstall can be
noted by a rename alone: the tree's record becomes the entry, and the entry's name says the rest.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sealift_installer.durable import make_directory, remove_durably, sync_directory, write_durably
from sealift_installer.errors import HostError, host_errors, printable
from sealift_installer.links import LINK_STYLES, LinkStyle
from sealift_installer.prefix import Prefix, open_kept
from sealift_installer.records import Record, Records
from sealift_schemas.lean import dataclass, field
from sealift_schemas.receipt import BundleIdentity
from sealift_schemas.strictjson import DocumentError, Fields, encode, parse

FORMAT = 1
ACTIONS = ("install", "repair", "rollback", "relocate", "activate", "uninstall")
# What a receipt says of an uninstall.
UNINSTALLED = "uninstalled"
# How the name of an entry ends that is a record: NAME.INODE.RECEIPTS.uninstall
_BARE = ".uninstall"
_JOURNAL_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Publication:
    """All that is needed to finish what becomes of one tree, by this run or by the next one.

    `staging` is the name of the staged tree in its `.staging/` (of an uninstalled one: where it
    goes), `inode` that of the directory that is renamed, `receipts` how many receipts there were
    before, `detail` what the receipt is to say, `created` the bundle's time, `links` what is to be
    made in `bin/`, `action` that of the receipt. `bundle` is None where the receipts do not know
    any more which bundle a tree came from.
    """

    record: Record
    staging: str
    inode: int
    receipts: int
    detail: str
    bundle: BundleIdentity | None
    created: str
    links: LinkStyle
    overrides: Mapping[str, str] = field(default_factory=dict)
    action: str = "install"

    @classmethod
    def read(cls, data: bytes, *, what: str, name: str) -> "Publication":
        """Read the journal entry of the tree `name`.

        Raises:
            DocumentError: it is none of this format, or another tree's.
        """
        with Fields(parse(data, what=what, limit=_JOURNAL_LIMIT), what) as fields:
            fields.constant("format", FORMAT)
            with Fields(fields.take("record"), fields.place("record")) as record:
                tree = Record.from_fields(record)
            if tree.name != name:
                fields.fail("record.name", name, tree.name)
            staging = fields.text("staging")
            if "/" in staging or not staging.startswith(f"{name}."):
                fields.fail("staging", "a name in the staging directory", staging)
            return cls(
                record=tree,
                staging=staging,
                inode=fields.integer("inode"),
                receipts=fields.integer("receipts"),
                detail=fields.text("detail"),
                bundle=BundleIdentity.from_json(fields.take("bundle"), fields.place("bundle"))
                if fields.has("bundle")
                else None,
                created=fields.time("created"),
                links=_style(fields),
                overrides={name: str(reason) for name, reason, _ in fields.mapping("overrides")},
                action=fields.choice("action", ACTIONS) if fields.has("action") else "install",
            )

    def to_json(self) -> dict[str, Any]:
        """Return the journal entry as JSON values."""
        return {
            "format": FORMAT,
            "record": self.record.to_json(),
            "staging": self.staging,
            "inode": self.inode,
            "receipts": self.receipts,
            "detail": self.detail,
            **({} if self.bundle is None else {"bundle": self.bundle.to_json()}),
            "created": self.created,
            "links": self.links,
            "overrides": dict(self.overrides),
            "action": self.action,
        }


def _style(fields: Fields) -> LinkStyle:
    name = fields.choice("links", LINK_STYLES)
    return next(style for style in LINK_STYLES if style == name)


class Journal:
    """The entries in a prefix's state directory, one for each tree that something becomes of."""

    def __init__(self, prefix: Prefix) -> None:
        self._prefix = prefix
        self._directory = prefix.state / "journal"
        self._records = Records(prefix.state)

    def path(self, name: str) -> Path:
        """Return where the entry of the tree `name` is."""
        return self._directory / f"{name}.json"

    def open(self, publication: Publication) -> None:
        """Write an entry.

        Raises:
            OSError: it cannot be written.
        """
        make_directory(self._directory, self._prefix.path)
        write_durably(self.path(publication.record.name), encode(publication.to_json(), indent=2))

    def open_without_room(self, publication: Publication) -> None:
        """Make an entry of an uninstall of the record itself: a full disk lets a file be renamed.

        Raises:
            OSError: it cannot be renamed.
        """
        name = publication.record.name
        remove_durably(self.path(name))
        entry = f"{name}.{publication.inode}.{publication.receipts}{_BARE}"
        self._rename(self._records.record_path(name), self._directory / entry)

    def close_uninstalled(self, name: str, *, restore: bool) -> None:
        """Remove the entries of an uninstall; with `restore` a record that became one is put back.

        Raises:
            HostError: one cannot be removed, or put back.
        """
        with host_errors("cannot close the journal"):
            for path in self._bare():
                if path.name.rsplit(".", 3)[0] != name:
                    continue
                if restore:
                    self._rename(path, self._records.record_path(name))
                else:
                    remove_durably(path)
        self.close(name)

    def close(self, name: str) -> None:
        """Remove an entry.

        Raises:
            HostError: it cannot be removed.
        """
        with host_errors("cannot close the journal"):
            remove_durably(self.path(name))

    def entries(self) -> Iterator[Publication]:
        """Yield what killed runs left.

        Raises:
            HostError: an entry cannot be read, or was changed by somebody.
        """
        with host_errors("cannot read the journal"):
            paths, bare = sorted(self._directory.glob("[!.]*.json")), self._bare()
        yield from map(_read, paths)
        yield from map(self._read_bare, bare)

    def _bare(self) -> list[Path]:
        return sorted(self._directory.glob(f"[!.]*{_BARE}"))

    @staticmethod
    def _rename(path: Path, other: Path) -> None:
        path.rename(other)
        sync_directory(other.parent)
        sync_directory(path.parent)

    def _read_bare(self, path: Path) -> Publication:
        """Read an entry that is a record: what it does not say, its name or the receipts do."""
        from sealift_installer.receipts import ReceiptLog

        with host_errors("cannot read the journal"), open_kept(path) as file:
            data = file.read(_JOURNAL_LIMIT + 1)
        try:
            name, inode, receipts = _split(path.name)
            record = Record.read(data, what=path.name, name=name)
        except DocumentError as error:
            raise _malformed(path, error) from None
        return Publication(
            record=record,
            staging=f"{name}.gone",  # wherever it went in the staging directory, that is emptied
            inode=inode,
            receipts=receipts,
            detail=UNINSTALLED,
            bundle=ReceiptLog(self._prefix.state / "receipts.jsonl").find_bundle(record.manifest),
            created=record.installed,
            links="none",
            action="uninstall",
        )


def _read(path: Path) -> Publication:
    with host_errors("cannot read the journal"), open_kept(path) as file:
        data = file.read(_JOURNAL_LIMIT + 1)
    try:
        return Publication.read(data, what=path.name, name=path.stem)
    except DocumentError as error:
        raise _malformed(path, error) from None


def _split(entry: str) -> tuple[str, int, int]:
    """Return what the name of an entry that is a record says: tree, inode, number of receipts."""
    parts = entry.removesuffix(_BARE).rsplit(".", 2)
    if len(parts) == 3 and parts[1].isdecimal() and parts[2].isdecimal():  # noqa: PLR2004 - these
        return parts[0], int(parts[1]), int(parts[2])
    raise DocumentError("name", f"NAME.INODE.RECEIPTS{_BARE}", entry)


def _malformed(path: Path, error: DocumentError) -> HostError:
    return HostError(
        f"the journal of an unfinished install is malformed: {printable(str(path))}\n"
        f"  {printable(str(error))}",
        hint="a kill does not leave that. Move the file away and install again",
    )
