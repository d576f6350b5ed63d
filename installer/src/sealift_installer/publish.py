"""One rename makes a finished tree the installed one; a journal makes a kill harmless.

The journal is written when the staged tree is complete, proven and synced, and removed when
everything that belongs to the publication is done. The inode of the staged directory tells the next
run which side of the rename the kill was on: a rename keeps it. Before the rename everything is
taken back, after it everything is finished.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sealift_installer.durable import make_directory, remove_durably, sync_directory, write_durably
from sealift_installer.errors import HostError, host_errors, printable
from sealift_installer.links import LINK_STYLES, LinkStyle
from sealift_installer.prefix import Prefix, remove_tree
from sealift_installer.records import Record, Records
from sealift_installer.rename import exchange
from sealift_schemas.lean import dataclass, field
from sealift_schemas.receipt import BundleIdentity
from sealift_schemas.strictjson import DocumentError, Fields, encode, parse

FORMAT = 1
_JOURNAL_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Publication:
    """All that is needed to finish a publication, by this run or by the next one.

    `staging` is the name of the staged tree in its `.staging/`, `inode` that of its directory,
    `receipts` how many receipts there were before, `detail` what the receipt is to say, `created`
    the bundle's time, `links` what is to be made in `bin/`.
    """

    record: Record
    staging: str
    inode: int
    receipts: int
    detail: str
    bundle: BundleIdentity
    created: str
    links: LinkStyle
    overrides: Mapping[str, str] = field(default_factory=dict)

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
                bundle=BundleIdentity.from_json(fields.take("bundle"), fields.place("bundle")),
                created=fields.time("created"),
                links=_style(fields),
                overrides={name: str(reason) for name, reason, _ in fields.mapping("overrides")},
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
            "bundle": self.bundle.to_json(),
            "created": self.created,
            "links": self.links,
            "overrides": dict(self.overrides),
        }


def _style(fields: Fields) -> LinkStyle:
    name = fields.choice("links", LINK_STYLES)
    return next(style for style in LINK_STYLES if style == name)


# What belongs to a publication and comes after the rename: links, receipt, counter. It is called
# again for the same publication when a kill came between, and must then do only what is missing.
Account = Callable[[Publication], None]


def standing(prefix: Prefix, kind: str, name: str) -> Record | None:
    """Return the record of the tree that stands where `name` goes, or None where nothing stands.

    Raises:
        HostError: something stands there that is not ours, and it is left alone.
    """
    path = prefix.destination(kind, name)
    with host_errors("cannot look at the destination"):
        if not _there(path):
            return None
        record = Records(prefix.state).get(name)
        if record is not None and path.is_dir() and not path.is_symlink():
            return record
    raise HostError(
        f"{printable(str(path))} is there already, and it was not installed by unseal",
        hint="move it away, or choose another directory with --prefix",
    )


def publish(prefix: Prefix, publication: Publication, account: Account) -> None:
    """Make the staged tree the installed one, and do what belongs to it.

    Raises:
        HostError: it cannot be renamed, and what stood there before still does; or it was, and
            the next run has to finish what follows.
    """
    record = publication.record
    journal = _journal(prefix, record.name)
    try:
        with host_errors("cannot publish the install"):
            make_directory(journal.parent, prefix.path)
            write_durably(journal, encode(publication.to_json(), indent=2))
            _swap(_staging(prefix, publication), prefix.destination(record.kind, record.name))
    except BaseException:
        _settle(prefix, publication, account)
        raise
    _complete(prefix, publication, account)


def recover(prefix: Prefix, account: Account) -> tuple[str, ...]:
    """Finish or take back what a killed run began; return the names that were finished.

    Only under the lock.

    Raises:
        HostError: a journal entry was changed by somebody, or the disk does not let us.
    """
    finished = []
    with host_errors("cannot read the journal"):
        entries = sorted((prefix.state / "journal").glob("[!.]*.json"))
    for path in entries:
        publication = _read(path)
        if _settle(prefix, publication, account):
            finished.append(publication.record.name)
    prefix.clear_staging()
    return tuple(finished)


def is_pending(prefix: Prefix, name: str) -> bool:
    """Tell whether the next run has something to settle; the staging area is its matter then."""
    return _there(_journal(prefix, name))


def _swap(staging: Path, destination: Path) -> None:
    if not _there(destination):
        staging.rename(destination)
    elif not exchange(staging, destination):
        destination.rename(_holding(staging))
        staging.rename(destination)
    sync_directory(destination.parent)


def _settle(prefix: Prefix, publication: Publication, account: Account) -> bool:
    """Finish a publication if its rename was done, else take it back; tell which."""
    record = publication.record
    destination = prefix.destination(record.kind, record.name)
    if _inode(destination) == publication.inode:
        _complete(prefix, publication, account)
        return True
    holding = _holding(_staging(prefix, publication))
    with host_errors("cannot take back what was begun"):
        if not _there(destination) and _there(holding):
            holding.rename(destination)
            sync_directory(destination.parent)
        remove_durably(_journal(prefix, record.name))
    return False


def _complete(prefix: Prefix, publication: Publication, account: Account) -> None:
    """Do what comes after the rename. Every step can be done twice."""
    record = publication.record
    staging = _staging(prefix, publication)
    records = Records(prefix.state)
    with host_errors("cannot keep the tree that was replaced"):
        for old in (staging, _holding(staging)):
            if _there(old):
                _retire(prefix, record, old)
    known = records.get(record.name)
    if known != record:
        if known is not None:
            records.put_previous(known)
        records.put(record)
    account(publication)
    with host_errors("cannot close the journal"):
        remove_durably(_journal(prefix, record.name))


def _retire(prefix: Prefix, record: Record, old: Path) -> None:
    """Keep `old` as the previous tree; the one that was kept so far goes."""
    previous = prefix.previous(record.kind, record.name)
    make_directory(previous.parent, prefix.path)
    trash = prefix.new_staging(record.kind, record.name)
    if _there(previous):
        previous.rename(trash)
    old.rename(previous)
    sync_directory(previous.parent)
    remove_tree(trash)


def _read(path: Path) -> Publication:
    with host_errors("cannot read the journal"):
        data = path.read_bytes()
    try:
        return Publication.read(data, what=path.name, name=path.stem)
    except DocumentError as error:
        raise HostError(
            f"the journal of an unfinished install is malformed: {printable(str(path))}\n  {error}",
            hint="a kill does not leave that. Move the file away and install again",
        ) from None


def _journal(prefix: Prefix, name: str) -> Path:
    return prefix.state / "journal" / f"{name}.json"


def _staging(prefix: Prefix, publication: Publication) -> Path:
    return prefix.parent(publication.record.kind) / ".staging" / publication.staging


def _holding(staging: Path) -> Path:
    """Return where the old tree waits while two renames stand in for an exchange."""
    return staging.with_name(f"{staging.name}.old")


def _there(path: Path) -> bool:
    """Tell whether something stands at `path`, be it a dangling link."""
    return _inode(path) is not None


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except (FileNotFoundError, NotADirectoryError):
        return None
