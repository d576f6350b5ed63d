"""One rename makes a finished tree the installed one; a journal makes a kill harmless.

The journal is written when the staged tree is complete, proven and synced, and removed when
everything that belongs to the publication is done. The inode of the staged directory tells the next
run which side of the rename the kill was on: a rename keeps it. Before the rename everything is
taken back, after it everything is finished.

To roll back is to publish the tree that was kept, to uninstall is to rename a tree away.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC, EXDEV
from pathlib import Path

from sealift_installer.durable import make_directory, sync_directory
from sealift_installer.errors import HostError, host_errors, printable
from sealift_installer.journal import Journal, Publication
from sealift_installer.links import remove_dangling, remove_links
from sealift_installer.prefix import Prefix, discard
from sealift_installer.records import Record, Records
from sealift_installer.rename import exchange

__all__ = ["Account", "Publication", "is_pending", "publish", "recover", "standing"]

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
    try:
        failure = _FAILURES.get(publication.action, "cannot publish the install")
        with host_errors(failure), _layers_named(failure):
            _open_journal(prefix, publication)
            _rename(prefix, publication)
    except BaseException:
        _settle(prefix, publication, account)
        raise
    _complete(prefix, publication, account)


def _open_journal(prefix: Prefix, publication: Publication) -> None:
    """Write down what is about to be done; what makes room can do so where there is none."""
    try:
        Journal(prefix).open(publication)
    except OSError as error:
        if publication.action != "uninstall" or error.errno not in {ENOSPC, EDQUOT}:
            raise
        Journal(prefix).open_without_room(publication)


_FAILURES = {
    "uninstall": "cannot uninstall",
    "activate": "cannot activate",
    "rollback": "cannot roll back",
    "relocate": "cannot put the relocated tree in its place",
}


@contextmanager
def _layers_named(failure: str) -> Iterator[None]:
    """Say what is the matter where a directory cannot be renamed to a place beside it.

    overlayfs keeps what a lower layer holds, such as the image of a container, where it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno != EXDEV:
            raise
        name = printable(str(error.filename))
        raise HostError(
            f"{failure}: a lower layer of the file system holds the tree: {name}",
            hint="make the change where that layer is made, such as the container's image, "
            "or choose another directory with --prefix",
        ) from error


def recover(
    prefix: Prefix, account: Account, warn: Callable[[str], None] = lambda _: None
) -> tuple[str, ...]:
    """Finish or take back what a killed run began; return the names that were finished.

    Only under the lock. `warn` is told what is left, for it belongs to somebody else.

    Raises:
        HostError: a journal entry was changed by somebody, or the disk does not let us.
    """
    entries = list(Journal(prefix).entries())
    finished = [entry.record.name for entry in entries if _settle(prefix, entry, account)]
    for path in prefix.clear_staging():
        warn(
            f"an old tree is left, with files that are not yours to remove: {printable(str(path))}"
        )
    _sweep(prefix)
    _prune(prefix)
    return tuple(finished)


def _sweep(prefix: Prefix) -> None:
    """Remove the files that killed runs were writing to the state (see durable.write_durably)."""
    with host_errors("cannot remove what an earlier run left"):
        for folder in (".", "journal", "installs", "previous", "index", "roots", "bin"):
            for path in (prefix.state / folder).glob(".*.tmp"):
                path.unlink()


def is_pending(prefix: Prefix, name: str) -> bool:
    """Tell whether the next run has something to settle; the staging area is its matter then."""
    return _there(Journal(prefix).path(name))


def _rename(prefix: Prefix, publication: Publication) -> None:
    """Do the one step that counts."""
    record = publication.record
    staging = _staging(prefix, publication)
    destination = prefix.destination(record.kind, record.name)
    if publication.action == "activate":
        return
    if publication.action == "uninstall":
        if _there(destination):
            destination.rename(staging)
            sync_directory(destination.parent)
        return
    if publication.action == "rollback":
        prefix.previous(record.kind, record.name).rename(staging)
    _swap(staging, destination)


def _swap(staging: Path, destination: Path) -> None:
    if not _there(destination):
        staging.rename(destination)
    elif not exchange(staging, destination):
        destination.rename(_holding(staging))
        staging.rename(destination)
    sync_directory(destination.parent)


def _settle(prefix: Prefix, publication: Publication, account: Account) -> bool:
    """Finish a publication if its rename was done, else take it back; tell which."""
    if _is_done(prefix, publication):
        _complete(prefix, publication, account)
        return True
    record = publication.record
    destination = prefix.destination(record.kind, record.name)
    staging = _staging(prefix, publication)
    with host_errors("cannot take back what was begun"):
        if publication.action != "uninstall":
            if not _there(destination) and _there(_holding(staging)):
                _holding(staging).rename(destination)
                sync_directory(destination.parent)
            previous = prefix.previous(record.kind, record.name)
            if publication.action == "rollback" and _inode(staging) == publication.inode:
                staging.rename(previous)
                sync_directory(previous.parent)
    _close_journal(prefix, publication, done=False)
    return False


def _close_journal(prefix: Prefix, publication: Publication, *, done: bool) -> None:
    name = publication.record.name
    if publication.action == "uninstall":
        Journal(prefix).close_uninstalled(name, restore=not done)
    else:
        Journal(prefix).close(name)


def _is_done(prefix: Prefix, publication: Publication) -> bool:
    record = publication.record
    there = _inode(prefix.destination(record.kind, record.name)) == publication.inode
    if publication.action == "uninstall":
        return not there
    return there


def _complete(prefix: Prefix, publication: Publication, account: Account) -> None:
    """Do what comes after the rename. Every step can be done twice."""
    record = publication.record
    if publication.action == "uninstall":
        # First of all, for it makes the room that the rest may need.
        discard(_staging(prefix, publication))
        _forget(prefix, record)
    elif publication.action != "activate":
        _replace(prefix, publication)
    account(publication)
    _close_journal(prefix, publication, done=True)


def _replace(prefix: Prefix, publication: Publication) -> None:
    """Keep what was replaced, or remove it, and write the record of what stands there now."""
    record = publication.record
    staging = _staging(prefix, publication)
    records = Records(prefix.state)
    # A tree that was repaired or moved was damaged or is the same: there is none to go back to.
    kept = publication.action in {"install", "rollback"}
    with host_errors("cannot keep the tree that was replaced"):
        for old in (staging, _holding(staging)):
            if _there(old) and kept:
                _retire(prefix, record, old)
            elif _there(old):
                discard(old)
    known = records.get(record.name)
    if known != record:
        if known is not None and kept:
            records.put_previous(known)
        records.put(record)
        if known is not None and _offers(known) != _offers(record):
            remove_dangling(prefix, record)


def _offers(record: Record) -> tuple[dict[str, str], str | None]:
    return dict(record.links), record.interpreter


def _forget(prefix: Prefix, record: Record) -> None:
    """Remove what belongs to a tree that is gone: its links, its record and the tree it replaced."""
    remove_links(prefix, record)
    with host_errors("cannot remove the tree that was kept"):
        previous = prefix.previous(record.kind, record.name)
        if _there(previous):
            trash = prefix.new_staging(record.kind, record.name)
            previous.rename(trash)
            discard(trash)
    Records(prefix.state).remove(record.name)
    _prune(prefix)


def _prune(prefix: Prefix) -> None:
    """Remove the indexes that nothing needs any more, be it installed, kept or half done.

    Once a run: with many trees, to do it at each would take longer than to install them.
    """
    entries = Journal(prefix).entries()
    pending = {entry.record.index for entry in entries if entry.action != "uninstall"}
    Records(prefix.state).prune(pending)


def _retire(prefix: Prefix, record: Record, old: Path) -> None:
    """Keep `old` as the previous tree; the one that was kept so far goes."""
    previous = prefix.previous(record.kind, record.name)
    make_directory(previous.parent, prefix.path)
    trash = prefix.new_staging(record.kind, record.name)
    if _there(previous):
        previous.rename(trash)
    old.rename(previous)
    sync_directory(previous.parent)
    discard(trash)


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
