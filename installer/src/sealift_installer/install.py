"""The verb: authenticate, look before anything is written, then one archive after the other.

Each archive is staged, relocated, started and published by itself, so that one that fails leaves
the others whole.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from sealift_installer.account import accept_bundle, account, note_refusal, start_from_host, utc_now
from sealift_installer.admission import admit, load_trust
from sealift_installer.authenticate import Authenticated, Terms
from sealift_installer.bundle import Bundle
from sealift_installer.chunks import read_authenticated
from sealift_installer.errors import BundleError, RefusedByPolicy, SealiftError, printable
from sealift_installer.links import LinkStyle, check_links, make_links
from sealift_installer.prefix import LOCK_SECONDS, Prefix, remove_tree
from sealift_installer.preflight import (
    check_apart,
    check_host,
    check_names,
    contested,
)
from sealift_installer.publish import Publication, is_pending, publish, recover, standing
from sealift_installer.records import Record, Records
from sealift_installer.relocation import check_prefix
from sealift_installer.report import InstallReport, Outcome, Progress, Silence
from sealift_installer.selection import select, select_again
from sealift_installer.stage import Staged, Work, timed
from sealift_installer.stages import staging
from sealift_installer.trust.host import HOST, HostPlace, is_stuck
from sealift_installer.trust.state import StateStore
from sealift_schemas.lean import dataclass, replace
from sealift_schemas.manifest import Archive


@dataclass(frozen=True, slots=True)
class InstallOptions:
    """What is to be installed where, and on which terms.

    `names` empty means everything that fits this host; `repair` means to write again what stands
    there by the receipts, of `names` alone; the overrides are reasons, as in `Terms`; `lock_seconds` is how long another run is waited for; `host` is another place in tests alone.
    """

    prefix: Path
    names: tuple[str, ...] = ()
    link: bool = False
    repair: bool = False
    allow_downgrade: str | None = None
    accept_expired: str | None = None
    lock_seconds: float = LOCK_SECONDS
    host: HostPlace = HOST


@dataclass(frozen=True, slots=True)
class _Run:
    """What the steps of one run share."""

    prefix: Prefix
    store: StateStore
    options: InstallOptions
    progress: Progress
    authenticated: Authenticated
    seconds: dict[str, float]


def install(
    bundle: Path, options: InstallOptions, progress: Progress | None = None
) -> InstallReport:
    """Install what the bundle at `bundle` carries for this host.

    An archive that fails is in the report and leaves the others whole; what concerns the bundle or
    the host as a whole is raised before anything is installed.

    Raises:
        Untrusted, Damaged, RefusedByPolicy: as `authenticate` says; a receipt records it.
        HostError: this host cannot, or something that is not ours stands in the way.
        UsageError: a name that is not in the bundle, or a prefix inside of it.
    """
    progress = progress or Silence()
    prefix = Prefix(options.prefix)
    check_prefix(str(prefix.path))
    check_apart(bundle, prefix.path)
    host = load_trust(prefix, options.host, seconds=options.lock_seconds)
    store = StateStore(prefix.state)
    with prefix.lock(progress.note, seconds=options.lock_seconds):
        for path in prefix.exposed():
            progress.warn(f"everybody can write to {printable(str(path))}, and so change its trust")
        if is_stuck(options.host):
            where = printable(str(options.host.directory))
            progress.warn(f"{where} cannot be written, so its root and counters stay behind")
        start_from_host(store, host)
        store.complete()
        for name in recover(prefix, partial(account, prefix, store), progress.warn):
            progress.note(f"finished what an earlier run began: {name}")
        seconds: dict[str, float] = {}
        with timed(seconds, "authenticate"):
            terms = Terms(utc_now(), options.allow_downgrade, options.accept_expired)
            authenticated = admit(Bundle(bundle), store, host, terms, options.host)
        for warning in authenticated.warnings:
            progress.warn(warning)
        return _install(_Run(prefix, store, options, progress, authenticated, seconds))


def _install(run: _Run) -> InstallReport:
    authenticated = run.authenticated
    manifest = authenticated.manifest
    archives, skipped = _select(run)
    with timed(run.seconds, "preflight"):
        present = _preflight(run, archives)
    outcomes = _install_each(run, archives, present)
    if not run.options.repair and all(outcome.status == "present" for outcome in outcomes):
        accept_bundle(run.prefix, run.store, authenticated, run.options.host)
    return InstallReport(
        stream=manifest.stream,
        epoch=manifest.epoch,
        sequence=manifest.sequence,
        manifest=authenticated.manifest_sha256,
        root_version=authenticated.root.root.version,
        signers=authenticated.signers,
        outcomes=outcomes,
        skipped=skipped,
        warnings=authenticated.warnings,
        overrides=authenticated.overrides,
        seconds=run.seconds,
    )


def _select(run: _Run) -> tuple[tuple[Archive, ...], dict[str, str]]:
    authenticated = run.authenticated
    names, policies = run.options.names, authenticated.policies
    try:
        if run.options.repair:
            from sealift_installer.trail import installed_by, read_trail

            installed = installed_by(read_trail(run.store).receipts)
            return select_again(authenticated, names, installed)
        return select(authenticated.manifest, names, policies)
    except RefusedByPolicy as error:
        note_refusal(run.store, error, authenticated.identity)
        raise


def _preflight(run: _Run, archives: tuple[Archive, ...]) -> frozenset[str]:
    """Check everything that can be checked before a byte is written; return what is there."""
    present = set()
    for archive in archives:
        check_names(archive)
        record = _record(run, archive)
        there = standing(run.prefix, archive.kind, archive.name)
        if there is not None and there.same_tree(record) and not run.options.repair:
            present.add(archive.name)
        check_links(run.prefix, record, link=run.options.link)
    if run.options.link:
        for link, names in contested(archives).items():
            run.progress.warn(
                f"{link} in bin/ is offered by {', '.join(names)}: the last one has it"
            )
    wanted = [archive for archive in archives if archive.name not in present]
    check_host(wanted, run.prefix.path)
    return frozenset(present)


def _install_each(
    run: _Run, archives: tuple[Archive, ...], present: frozenset[str]
) -> tuple[Outcome, ...]:
    """Install what is not there; several are staged at a time, and published in their order."""
    works = {
        archive.name: Work(
            archive,
            run.prefix.new_staging(archive.kind, archive.name),
            run.prefix.destination(archive.kind, archive.name),
        )
        for archive in archives
        if archive.name not in present
    }
    try:
        with staging(run.authenticated, tuple(works.values()), run.progress) as staged:
            return tuple(
                _attempt(run, archive, works.get(archive.name), staged) for archive in archives
            )
    finally:
        for name, work in works.items():
            if not is_pending(run.prefix, name):
                with suppress(OSError):
                    remove_tree(work.staging)


def _attempt(
    run: _Run, archive: Archive, work: Work | None, staged: Callable[[Work], Staged]
) -> Outcome:
    """Install one archive; a failure is in the outcome."""
    record = _record(run, archive)
    outcome = Outcome(archive.name, "present", record.path, archive.sha256, seconds={})
    try:
        if work is None:
            run.progress.step(archive.name, "present")
            style = _link_style(run, record, Path(record.path))
            links = make_links(run.prefix, record, style)
            return replace(outcome, links=tuple(map(str, links)))
        return _stage_and_publish(run, work, outcome, staged)
    except SealiftError as error:
        if isinstance(error, BundleError):
            note_refusal(run.store, error, run.authenticated.identity)
        return replace(outcome, status="failed", error=error)


def _stage_and_publish(
    run: _Run, work: Work, outcome: Outcome, staged: Callable[[Work], Staged]
) -> Outcome:
    archive = work.archive
    replaced = standing(run.prefix, archive.kind, archive.name)
    try:
        result = staged(work)
        seconds = dict(result.seconds)
        record = replace(_record(run, archive), merged=result.merged)
        run.progress.step(archive.name, "publish")
        with timed(seconds, "publish"):
            publication = _publication(run, record, work.staging, replaced)
            host = run.options.host
            publish(run.prefix, publication, partial(account, run.prefix, run.store, host=host))
    finally:
        if not is_pending(run.prefix, archive.name):
            with suppress(OSError):
                remove_tree(work.staging)
    links = [run.prefix.bin / name for name in archive.links] if run.options.link else []
    return replace(
        outcome,
        status=_status(run, replaced),
        members=archive.members,
        unpacked=archive.unpacked,
        relocated=result.relocated,
        links=tuple(map(str, links)),
        seconds=seconds,
    )


def _publication(run: _Run, record: Record, staging: Path, replaced: Record | None) -> Publication:
    """Return what the journal is to hold, and keep the index that a later check needs."""
    authenticated = run.authenticated
    archive = next(each for each in authenticated.manifest.archives if each.name == record.name)
    file = authenticated.files[archive.index]
    bundle = authenticated.bundle
    data = read_authenticated(bundle, file, bundle.limits.index)
    Records(run.prefix.state).keep_index(record.index, data)
    return Publication(
        record=record,
        staging=staging.name,
        inode=staging.stat().st_ino,
        receipts=run.store.load().receipts,
        detail=_detail(run, record, replaced),
        bundle=authenticated.identity,
        created=authenticated.manifest.created,
        links=_link_style(run, record, staging),
        overrides=authenticated.overrides,
        action="repair" if run.options.repair else "install",
    )


def _status(run: _Run, replaced: Record | None) -> str:
    if run.options.repair:
        return "repaired"
    return "installed" if replaced is None else "replaced"


def _detail(run: _Run, record: Record, replaced: Record | None) -> str:
    done = _status(run, replaced)
    if done == "replaced" and replaced is not None:
        done = f"replaced archive {replaced.archive}"
    if not record.merged:
        return done
    return f"{done}; names that this file system takes for others: {len(record.merged)}"


def _link_style(run: _Run, record: Record, tree: Path) -> LinkStyle:
    """Return what is to be made in `bin/` for the `tree`, staged or published."""
    if not run.options.link:
        return "none"
    if record.kind != "interpreter" or record.interpreter is None:
        return "symlink"
    from sealift_installer.smoke import needs_wrapper

    scratch = run.prefix.new_staging(record.kind, record.name)
    wrapper = needs_wrapper(tree / record.interpreter, tree, record.name, scratch)
    return "wrapper" if wrapper else "symlink"


def _record(run: _Run, archive: Archive) -> Record:
    return Record.of(
        archive,
        path=run.prefix.destination(archive.kind, archive.name),
        index=run.authenticated.files[archive.index].sha256,
        bundle=run.authenticated.manifest_sha256,
        now=utc_now(),
    )
