"""The verb `preflight`: everything that an install asks before it writes, and nothing written."""

from pathlib import Path
from typing import Any

from sealift_installer.account import utc_now
from sealift_installer.admission import open_bundle
from sealift_installer.authenticate import Authenticated, Terms
from sealift_installer.journal import Journal
from sealift_installer.links import check_links
from sealift_installer.prefix import Prefix
from sealift_installer.preflight import (
    check_apart,
    check_host,
    check_names,
    check_paths,
    contested,
    free_room,
    wanted_room,
)
from sealift_installer.publish import standing
from sealift_installer.records import Record
from sealift_installer.relocation import check_prefix
from sealift_installer.selection import select
from sealift_installer.trust.host import HOST, HostPlace
from sealift_schemas.lean import dataclass
from sealift_schemas.manifest import Archive


@dataclass(frozen=True, slots=True)
class Planned:
    """What an install would do with one archive: "install", "replace" or "present"."""

    archive: Archive
    what: str
    path: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, sizes in bytes."""
        return {
            "name": self.archive.name,
            "what": self.what,
            "path": self.path,
            "archive": self.archive.sha256,
            "members": self.archive.members,
            "unpacked": self.archive.unpacked,
        }


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What an install would do: the archives, what is left out and why, and the room it takes.

    `needed` and `free` are bytes; `unfinished` names trees with which a killed run was busy, which
    the next install finishes or takes back first.
    """

    authenticated: Authenticated
    planned: tuple[Planned, ...]
    skipped: dict[str, str]
    warnings: tuple[str, ...]
    needed: int
    free: int
    unfinished: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        authenticated = self.authenticated
        return {
            **authenticated.identity.to_json(),
            "archives": [planned.to_json() for planned in self.planned],
            "skipped": self.skipped,
            "warnings": list(self.warnings),
            "overrides": dict(authenticated.overrides),
            "needed": self.needed,
            "free": self.free,
            "unfinished": list(self.unfinished),
        }


def rehearse(
    bundle: Path,
    path: Path,
    terms: Terms,
    *,
    names: tuple[str, ...] = (),
    link: bool = False,
    host: HostPlace = HOST,
) -> Rehearsal:
    """Ask all that an install of the bundle at `bundle` to the prefix at `path` would ask.

    The bytes of the archives are not read: `verify` does that.

    Raises:
        Untrusted, Damaged, RefusedByPolicy: as `authenticate` says. No receipt is written.
        HostError: this host cannot, or something that is not ours stands in the way.
        UsageError: a name that is not in the bundle, or a prefix inside of it.
    """
    prefix = Prefix(path)
    check_prefix(str(prefix.path))
    check_apart(bundle, prefix.path)
    authenticated = open_bundle(bundle, prefix.path, terms, host)
    archives, skipped = select(authenticated.manifest, names, authenticated.policies)
    planned = tuple(_plan(prefix, authenticated, archive, link=link) for archive in archives)
    wanted = [each.archive for each in planned if each.what != "present"]
    for archive in wanted:
        check_paths(authenticated.entries(archive), prefix.destination(archive.kind, archive.name))
    check_host(wanted, prefix.path)
    rivals = contested(archives).items() if link else ()
    return Rehearsal(
        authenticated=authenticated,
        planned=planned,
        skipped=skipped,
        warnings=(
            *authenticated.warnings,
            *(f"{name} in bin/ is offered by {', '.join(names)}" for name, names in rivals),
        ),
        needed=wanted_room(wanted),
        free=free_room(prefix.path),
        unfinished=tuple(entry.record.name for entry in Journal(prefix).entries()),
    )


def _plan(prefix: Prefix, authenticated: Authenticated, archive: Archive, *, link: bool) -> Planned:
    check_names(archive)
    record = Record.of(
        archive,
        path=prefix.destination(archive.kind, archive.name),
        index=authenticated.files[archive.index].sha256,
        bundle=authenticated.manifest_sha256,
        now=utc_now(),
    )
    there = standing(prefix, archive.kind, archive.name)
    what = "install"
    if there is not None:
        what = "present" if there.same_tree(record) else "replace"
    check_links(prefix, record, link=link)
    return Planned(archive, what, record.path)
