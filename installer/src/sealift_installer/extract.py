"""Joins an archive's members with its index, line by line, and writes what the index says.

Nothing is made up here. A member that the index does not list, or that is another one than it
says, ends the extraction; so does a line without its member. A member's content is not hashed
again: it follows from chunks that are authentic, and to compare it is the work of `check`.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from sealift_installer.archives import ArchiveReader
from sealift_installer.archives.members import Member
from sealift_installer.archives.tar import TarReader
from sealift_installer.errors import Damaged, mismatch, printable
from sealift_installer.limits import LIMITS, Limits
from sealift_installer.relocation import render
from sealift_schemas.index import Entry, Template
from sealift_schemas.lean import dataclass
from sealift_schemas.manifest import Archive


class Tree(Protocol):
    """What is written to: sealift_installer.tree.TreeWriter, or a test's stand-in."""

    def add_directory(self, path: str) -> None:
        """Make a directory."""
        ...

    def add_file(self, path: str, data: Iterable[bytes | memoryview], *, executable: bool) -> None:
        """Write a file."""
        ...

    def add_link(self, path: str, target: str) -> None:
        """Make a symbolic link, at the end."""
        ...

    def add_hardlink(self, path: str, target: str) -> None:
        """Make a hard link to a file of the tree, at the end."""
        ...


class Authentic(Protocol):
    """The part of sealift_installer.authenticate.Authenticated that is needed here."""

    def template(self, template: Template) -> bytes:
        """Return a template's bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """One archive to be written: its index, and the prefix that goes into the templates.

    `prefix` is where the tree will stand, not where it is staged.
    """

    archive: Archive
    entries: Sequence[Entry]
    prefix: str


@dataclass(slots=True)
class Counts:
    """What was written: members of all types, and files that the prefix was put into."""

    members: int = 0
    relocated: int = 0


def extract(
    bundle: Authentic, job: Job, reader: ArchiveReader, tree: Tree, limits: Limits = LIMITS
) -> Counts:
    """Write the archive of `job`, which `reader` reads, to `tree`. The caller finishes the tree.

    Raises:
        Damaged: archive and index differ, or the archive is not what the manifest says.
        HostError: the tree cannot be written.
    """
    counts = Counts()
    _add_members(bundle, job, reader.members(_limits(job, limits)), tree, counts)
    for entry in job.entries:
        if entry.member is None:
            _add(bundle, job, entry, tree, counts)
    return counts


def _add_members(
    bundle: Authentic, job: Job, members: Iterator[Member], tree: Tree, counts: Counts
) -> None:
    """Write the members that have a path, each compared with its line; most are plain files."""
    short = members if isinstance(members, TarReader) else _NoShortWay()
    plain = 0
    for entry in job.entries:
        name, path = entry.member, entry.path
        if name is None:
            continue
        if entry.template is None and path is not None and entry.type == "file":
            plain += 1
            data = short.take(name, entry.size or 0)
            if data is not None:
                tree.add_file(path, (data,), executable=entry.mode == "755")
            else:
                member = _compared(job, entry, next(members, None))
                tree.add_file(path, member.data, executable=entry.mode == "755")
            continue
        if entry.type != "link" or not short.take_link(name, entry.target or ""):
            _compared(job, entry, next(members, None))
        if path is not None:
            _add(bundle, job, entry, tree, counts)
    surplus = next(members, None)
    if surplus is not None:
        raise Damaged(_differs(job.archive.name, _describe(None), _describe(surplus)))
    counts.members += plain


class _NoShortWay:
    """Of zip and 7z all members come from the iterator."""

    def take(self, _name: str, _size: int) -> memoryview | None:
        return None

    def take_link(self, _name: str, _target: str) -> bool:
        return False


def _compared(job: Job, entry: Entry, member: Member | None) -> Member:
    """Return the member if it is the one that the line is about."""
    if (
        member is None
        or entry.member != member.name
        or entry.type != member.type
        or (entry.target or "") != member.target
        or (entry.size or 0) != member.size
    ):
        raise Damaged(_differs(job.archive.name, _describe(entry), _describe(member)))
    return member


def _limits(job: Job, limits: Limits) -> Limits:
    """Return the limits that follow from the signed index: a bomb is refused before it grows."""
    sizes = [entry.size or 0 for entry in job.entries if entry.member is not None]
    return limits.within(len(sizes), sum(sizes))


def _add(bundle: Authentic, job: Job, entry: Entry, tree: Tree, counts: Counts) -> None:
    """Write what needs no bytes of the archive: a link, a directory, a file made of a template."""
    path = entry.path or ""
    counts.members += 1
    template = entry.template
    if entry.type == "directory":
        tree.add_directory(path)
    elif entry.type == "link":
        tree.add_link(path, entry.link_target)
    elif entry.type == "hardlink":
        tree.add_hardlink(path, entry.link_target)
    elif template is not None:
        counts.relocated += bool(template.places)
        rendered = render(bundle.template(template), template.places, job.prefix)
        tree.add_file(path, (rendered,), executable=entry.mode == "755")
    else:
        tree.add_file(path, (), executable=entry.mode == "755")


def _describe(item: Entry | Member | None) -> str:
    """Return what a line or a member is, for the message that they differ."""
    if item is None:
        return "no more members"
    name = item.member if isinstance(item, Entry) else item.name
    target = f" -> {item.target}" if item.target else ""
    size = f", {item.size} bytes" if item.type == "file" else ""
    return f"{item.type} {name}{target}{size}"


def _differs(name: str, expected: str, computed: str) -> str:
    what = f"the archive of {name} is not the one that its index describes"
    return mismatch(what, printable(expected), printable(computed))
