"""cache dir, list, verify, prune: the archives that were downloaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sealift_bundler.cli.common import Json, Quiet, open_site, reporter, say, say_json
from sealift_bundler.cli.program import Program
from sealift_bundler.sizes import show_count, show_size
from sealift_installer.errors import Damaged, UsageError, printable

if TYPE_CHECKING:
    from sealift_bundler.upkeep import CachedFile
    from sealift_schemas.lock import Lock

cache_app = Program(no_args_is_help=True, help="The cache of downloaded archives.")
Locks = Annotated[
    list[Path] | None,
    typer.Argument(metavar="LOCK", help="Files or sites. Default: the site you are in."),
]


@cache_app.command("dir")
def show_directory() -> None:
    """Show where the cache is. SEALIFT_CACHE_DIR names another place."""
    from sealift_bundler.cache import Cache

    say(str(Cache().directory))


@cache_app.command("list")
def show_archives(*, as_json: Json = False) -> None:
    """List the archives in the cache with their sizes."""
    from sealift_bundler.cache import Cache
    from sealift_bundler.upkeep import list_archives

    found = list_archives(Cache())
    if as_json:
        say_json(_values(found))
        return
    _say_files(found)
    say(f"{show_count(len(found), 'file')}, {show_size(sum(kept.size for kept in found))}")


@cache_app.command("verify")
def verify_archives(
    locks: Locks = None,
    *,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove what is damaged; it is fetched anew.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read every archive in the cache and compare it with its digest."""
    from sealift_bundler.cache import Cache
    from sealift_bundler.upkeep import check_archives, needed_names

    cache = Cache()
    checked = check_archives(cache, needed_names(_read(locks)), remove=remove)
    if as_json:
        say_json(
            {
                "files": checked.files,
                "bytes": checked.size,
                "damaged": _values(checked.damaged),
                "removed": remove,
            }
        )
    else:
        _say_files(checked.damaged)
        gone = f"; {show_count(len(checked.damaged), 'damaged file')} removed" if remove else ""
        reporter(quiet=quiet)(
            f"{show_count(checked.files, 'file')}, {show_size(checked.size)} read{gone}"
        )
    if checked.damaged and not remove:
        raise Damaged(
            f"{show_count(len(checked.damaged), 'file')} of the cache with other bytes than the name says",
            hint="no build uses what is damaged; sealift cache verify --remove takes it away",
        )


@cache_app.command("prune")
def prune_archives(
    locks: Locks = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Remove all archives, whoever needs them.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Remove the archives that none of these locks needs, and what was left unfinished."""
    from sealift_bundler.cache import Cache
    from sealift_bundler.upkeep import needed_names, prune

    if everything and locks:
        raise UsageError("--all leaves nothing to a lock")
    read = [] if everything else _read(locks)
    if not everything and not read:
        raise UsageError(
            "no lock says what is needed",
            hint="name the locks of your sites, or say --all",
        )
    cache = Cache()
    with cache.hold(alone=not dry_run):
        pruned = prune(cache, needed_names(read), dry_run=dry_run)
    if as_json:
        say_json(
            {
                "removed": _values(pruned.removed),
                "freed": pruned.freed,
                "kept": {"files": pruned.files, "bytes": pruned.size},
                "dry_run": dry_run,
            }
        )
        return
    _say_files(pruned.removed)
    done = "would be removed" if dry_run else "removed"
    reporter(quiet=quiet)(
        f"{show_count(len(pruned.removed), 'file')}, {show_size(pruned.freed)} {done}; "
        f"{show_count(pruned.files, 'file')}, {show_size(pruned.size)} kept"
    )


def _read(paths: Sequence[Path] | None) -> "list[Lock]":
    """Return the locks at the paths, or that of the site that the command runs in."""
    from sealift_bundler.lock import read_lock
    from sealift_bundler.site import LOCK_NAME, find_site

    if not paths:
        here = find_site(Path.cwd())
        lock = None if here is None else read_lock(open_site(here).lock_path)
        return [] if lock is None else [lock]
    found = []
    for path in paths:
        lock = read_lock(path / LOCK_NAME if path.is_dir() else path)
        if lock is None:
            raise UsageError(f"there is no lock: {printable(str(path))}")
        found.append(lock)
    return found


def _values(files: "Sequence[CachedFile]") -> list[dict[str, object]]:
    return [{"name": kept.path.name, "path": str(kept.path), "size": kept.size} for kept in files]


def _say_files(files: "Sequence[CachedFile]") -> None:
    for kept in files:
        say(f"{show_size(kept.size):>10}  {printable(kept.name)}")
