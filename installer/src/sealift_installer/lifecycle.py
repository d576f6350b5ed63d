"""The verbs for what is installed: activate, rollback, uninstall.

Each is a journal entry, one rename at the most, links and a receipt, as an install is: a kill at
any point leaves the old state or the new one, and the next run finishes or takes back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sealift_installer.account import account, note_refusal, utc_now
from sealift_installer.check import compare_tree
from sealift_installer.compare import Comparison
from sealift_installer.errors import Drift, HostError, RefusedByPolicy, UsageError, printable
from sealift_installer.journal import UNINSTALLED
from sealift_installer.links import (
    LinkStyle,
    activated,
    activation,
    check_activation,
    linked,
)
from sealift_installer.prefix import LOCK_SECONDS, Prefix
from sealift_installer.publish import Publication, publish, recover, standing
from sealift_installer.records import Record, Records
from sealift_installer.report import Progress, Silence
from sealift_installer.smoke import needs_wrapper
from sealift_installer.trust.host import HOST, HostPlace, add_prefix, load_host
from sealift_installer.trust.site import check_overrides, is_forbidden
from sealift_installer.trust.state import StateStore, TrustState
from sealift_schemas.lean import dataclass, replace
from sealift_schemas.receipt import BundleIdentity


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be changed where; `host` is another place in tests alone.

    `lock_seconds` is how long another run is waited for.
    """

    prefix: Path
    name: str
    lock_seconds: float = LOCK_SECONDS
    host: HostPlace = HOST


@dataclass(frozen=True, slots=True)
class Changed:
    """What came of it: the tree as it is now known, and the names in `bin/` that lead to it."""

    action: str
    record: Record
    detail: str
    links: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "action": self.action,
            "name": self.record.name,
            "path": self.record.path,
            "archive": self.record.archive,
            "detail": self.detail,
            "links": list(self.links),
        }


@dataclass(frozen=True, slots=True)
class Run:
    """What the steps of one change share."""

    prefix: Prefix
    store: StateStore
    change: Change
    progress: Progress

    @property
    def records(self) -> Records:
        """What is installed."""
        return Records(self.prefix.state)

    def publication(self, action: str, record: Record, detail: str) -> Publication:
        """Return the entry of an action that renames nothing; the others fill in what they do."""
        return Publication(
            record=record,
            staging=self.prefix.new_staging(record.kind, record.name).name,
            inode=0,
            receipts=self.store.load(removed=True).receipts,
            detail=detail,
            bundle=self.store.log.find_bundle(record.manifest),
            created=utc_now(),
            links="none",
            action=action,
        )

    def publish(self, publication: Publication) -> None:
        """Do what the entry says, with its links and its receipt.

        Raises:
            HostError: as `publish.publish` says.
        """
        host = self.change.host
        publish(self.prefix, publication, partial(account, self.prefix, self.store, host=host))


def activate(change: Change, progress: Progress | None = None) -> Changed:
    """Make the names in `bin/` lead to one tree, those without a version as well.

    Raises:
        UsageError: it is not installed, or offers nothing.
        HostError: something that is not ours stands where a link goes.
    """
    with held(change, progress) as run:
        record = _standing(run)
        tree = Path(record.path)
        if not activation(record):
            raise UsageError(f"{record.name} offers no program")
        check_activation(run.prefix, record)
        style: LinkStyle = "symlink"
        if record.interpreter is not None:
            scratch = run.prefix.new_staging(record.kind, record.name)
            program = tree / record.interpreter
            wrapped = needs_wrapper(program, tree, record.name, scratch)
            style = "wrapper" if wrapped else "symlink"
        names = tuple(activation(record))
        detail = f"made {', '.join(names)} lead to it"
        publication = run.publication("activate", record, detail)
        run.publish(with_tree(publication, inode=tree.stat().st_ino, links=style))
        links = tuple(map(str, activated(run.prefix, record)))
        return Changed("activate", record, detail, links)


def rollback(change: Change, progress: Progress | None = None) -> Changed:
    """Bring back the tree that the last install of this key replaced; the one there now is kept.

    Raises:
        UsageError: it is not installed, or no tree was kept.
        RefusedByPolicy: the bundle of the kept tree is withdrawn, or a policy forbids to go back.
        Drift: the kept tree is not what was sealed.
        HostError: the kept tree was made for another prefix.
    """
    with held(change, progress) as run:
        current = _standing(run)
        kept = run.records.get_previous(current.name)
        tree = run.prefix.previous(current.kind, current.name)
        if kept is None or tree.is_symlink() or not tree.is_dir():
            raise UsageError(
                f"no tree was kept that {current.name} replaced", hint=_other_way_back(run)
            )
        if kept.path != current.path:
            raise HostError(
                f"the kept tree names another prefix: {printable(kept.path)}",
                hint="install the bundle that has it",
            )
        try:
            _check_allowed(run, kept, run.store.log.find_bundle(kept.manifest))
            run.progress.step(current.name, "check")
            _check_kept(kept, compare_tree(run.prefix, kept, tree))
        except (RefusedByPolicy, Drift) as error:
            note_refusal(run.store, error)
            raise
        style = linked(run.prefix, current)
        detail = f"back from archive {current.archive}"
        publication = run.publication("rollback", kept, detail)
        run.publish(with_tree(publication, inode=tree.stat().st_ino, links=style))
        return Changed("rollback", kept, detail)


def uninstall(change: Change, progress: Progress | None = None) -> Changed:
    """Remove a tree, the one that was kept when it was installed, and the links to both.

    Raises:
        UsageError: it is not installed.
        HostError: something else stands in its place.
    """
    with held(change, progress) as run:
        record = run.records.get(change.name)
        if record is None:
            raise not_installed(change.name)
        there = standing(run.prefix, record.kind, record.name) is not None
        destination = run.prefix.destination(record.kind, record.name)
        inode = destination.stat().st_ino if there else 0
        detail = UNINSTALLED if there else f"{UNINSTALLED}; its directory was gone"
        publication = run.publication("uninstall", record, detail)
        run.publish(with_tree(publication, inode=inode))
        return Changed("uninstall", record, detail)


@contextmanager
def held(change: Change, progress: Progress | None) -> Iterator[Run]:
    """Hold the prefix, with what earlier runs began finished.

    Raises:
        Untrusted: this prefix has no record, or it does not hold.
        HostError: another run holds the prefix, or what one began cannot be finished.
    """
    progress = progress or Silence()
    prefix = Prefix(change.prefix)
    store = StateStore(prefix.state)
    store.load(removed=True)  # says how to get a root, before so much as a lock file is made
    with prefix.lock(progress.note, seconds=change.lock_seconds):
        store.complete()
        for name in recover(prefix, partial(account, prefix, store), progress.warn):
            progress.note(f"finished what an earlier run began: {name}")
        yield Run(prefix, store, change, progress)


def with_tree(publication: Publication, *, inode: int, links: LinkStyle = "none") -> Publication:
    """Return the entry with the tree that it is about, and what is made in `bin/`."""
    return replace(publication, inode=inode, links=links)


def _standing(run: Run) -> Record:
    """Return the record of the tree, which is there."""
    name = run.change.name
    record = run.records.get(name)
    if record is None:
        raise not_installed(name)
    if standing(run.prefix, record.kind, name) is None:
        raise HostError(
            f"the directory of {name} is gone: {printable(record.path)}",
            hint="unseal repair BUNDLE brings it back, unseal uninstall forgets it",
        )
    if record.path != str(run.prefix.destination(record.kind, name)):
        raise HostError(
            f"the prefix was moved, and {name} still names {printable(record.path)}",
            hint=f"unseal relocate {name}",
        )
    return record


def not_installed(name: str) -> UsageError:
    """Return the error about a name that is not installed."""
    return UsageError(
        f"not installed: {printable(name)}", hint="unseal list shows what is installed"
    )


def _check_kept(record: Record, found: Comparison) -> None:
    if found.drift:
        lines = "".join(
            f"\n  {each.what} {printable(each.path)}: {printable(each.detail)}"
            for each in found.drift[:5]
        )
        raise Drift(
            f"the kept tree of {record.name} is not what was sealed, so it stays where it is{lines}",
            hint="install the bundle that has it",
        )


def _other_way_back(run: Run) -> str:
    policies = add_prefix(load_host(run.change.host), run.prefix).policies
    if is_forbidden(policies, "allow_downgrade"):
        return "a policy forbids to go back to an older bundle: see unseal trust show"
    return "install the bundle that has it: unseal install BUNDLE --allow-downgrade ..."


def _check_allowed(run: Run, kept: Record, bundle: BundleIdentity | None) -> None:
    """Check that the bundle of the kept tree may still be installed here, and by going back."""
    host = add_prefix(load_host(run.change.host), run.prefix)
    check_overrides(host.policies, ["allow_downgrade"])
    for state in (run.store.load(), host.state):
        if state is not None:
            _check_withdrawn(state, kept, bundle)


def _check_withdrawn(state: TrustState, kept: Record, bundle: BundleIdentity | None) -> None:
    root = state.root.root
    rule = None if bundle is None else root.streams.get(bundle.stream)
    withdrawn = kept.manifest in root.withdrawn
    if bundle is not None and rule is not None:
        old = bundle.epoch != rule.epoch or bundle.sequence < rule.min_sequence
        withdrawn = withdrawn or old
    if withdrawn:
        raise RefusedByPolicy(
            f"the bundle of the kept tree was withdrawn by root version {root.version}: "
            f"{kept.manifest}",
            hint="install a newer bundle",
        )
