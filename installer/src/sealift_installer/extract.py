"""Joins an archive's members with its index, line by line, and writes what the index says.

Nothing is made up here. A member that the index does not list, or that is another one than it
says, ends the extraction; so does a line without its member.
"""

import hashlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Protocol

from sealift_installer.archives import read_members
from sealift_installer.archives.members import Member
from sealift_installer.archives.source import ArchiveSource
from sealift_installer.errors import Damaged, mismatch, printable
from sealift_installer.limits import LIMITS, Limits
from sealift_installer.relocation import render
from sealift_schemas.index import Entry, Template
from sealift_schemas.lean import dataclass
from sealift_schemas.manifest import Archive

# A file of at most this many bytes is handled in one piece.
_WHOLE = 256 * 1024


class Tree(Protocol):
    """What is written to: sealift_installer.tree.TreeWriter, or a test's stand-in."""

    def add_directory(self, path: str) -> None:
        """Make a directory."""
        ...

    def add_file(self, path: str, data: Iterable[bytes], *, executable: bool) -> None:
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

    def source(self, archive: Archive) -> ArchiveSource:
        """Return the archive's bytes."""
        ...

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


def extract(bundle: Authentic, job: Job, tree: Tree, limits: Limits = LIMITS) -> Counts:
    """Write the archive of `job` to `tree`. The caller finishes the tree.

    Raises:
        Damaged: archive and index differ, or the archive is not what the manifest says.
        HostError: the tree cannot be written.
    """
    counts = Counts()
    name = job.archive.name
    source = bundle.source(job.archive)
    lines = (entry for entry in job.entries if entry.member is not None)
    members = read_members(job.archive.format, source, _limits(job, limits))
    try:
        for member, entry in zip_longest(members, lines):
            _check_pair(name, member, entry)
            if entry.path is not None:
                _add(bundle, job, entry, tree, counts, member)
    finally:
        # What reads ahead ends with the extraction, whatever ended that.
        if isinstance(members, Generator):
            members.close()
    for entry in job.entries:
        if entry.member is None:
            _add(bundle, job, entry, tree, counts, None)
    return counts


def _limits(job: Job, limits: Limits) -> Limits:
    """Return the limits that follow from the signed index: a bomb is refused before it grows."""
    sizes = [entry.size or 0 for entry in job.entries if entry.member is not None]
    return limits.within(len(sizes), sum(sizes))


def _add(
    bundle: Authentic,
    job: Job,
    entry: Entry,
    tree: Tree,
    counts: Counts,
    member: Member | None,
) -> None:
    path = entry.path or ""
    counts.members += 1
    if entry.type == "directory":
        tree.add_directory(path)
    elif entry.type == "link":
        tree.add_link(path, entry.link_target)
    elif entry.type == "hardlink":
        tree.add_hardlink(path, entry.link_target)
    elif entry.template is None:
        data = () if member is None else _member_data(job.archive.name, member, entry)
        tree.add_file(path, data, executable=entry.mode == "755")
    else:
        template = entry.template
        counts.relocated += bool(template.places)
        rendered = render(bundle.template(template), template.places, job.prefix)
        tree.add_file(path, (rendered,), executable=entry.mode == "755")


def _check_pair(name: str, member: Member | None, entry: Entry | None) -> None:
    """Check that the archive's next member is the one of the index's next line."""
    if member is None or entry is None:
        expected = "no more members" if entry is None else _describe(entry)
        computed = "no more members" if member is None else f"{member.type} {member.name}"
        raise Damaged(_differs(name, expected, computed))
    same = (entry.type, entry.member) == (member.type, member.name)
    if not same or (entry.target or "") != member.target:
        target = f" -> {member.target}" if member.target else ""
        raise Damaged(_differs(name, _describe(entry), f"{member.type} {member.name}{target}"))
    if entry.type == "file" and entry.size != member.size:
        what = f"{member.type} {member.name}, {member.size} bytes"
        raise Damaged(_differs(name, f"{_describe(entry)}, {entry.size} bytes", what))


def _member_data(name: str, member: Member, entry: Entry) -> Iterable[bytes]:
    """Return a member's bytes; the hash is compared with the index's at their end, or before."""
    if member.size <= _WHOLE:
        data = b"".join(member.data)
        _compare(name, member, entry, hashlib.sha256(data))
        return (data,) if data else ()
    return _long_data(name, member, entry)


def _long_data(name: str, member: Member, entry: Entry) -> Iterator[bytes]:
    computed = hashlib.sha256()
    for data in member.data:
        computed.update(data)
        yield data
    _compare(name, member, entry, computed)


def _compare(name: str, member: Member, entry: Entry, computed: "hashlib._Hash") -> None:
    if computed.hexdigest() != entry.sha256:
        what = f"{printable(member.name)} in {name} is not the file that the index lists"
        raise Damaged(mismatch(what, entry.sha256, computed.hexdigest()))


def _describe(entry: Entry) -> str:
    target = f" -> {entry.target}" if entry.target else ""
    return f"{entry.type} {entry.member}{target}"


def _differs(name: str, expected: str, computed: str) -> str:
    what = f"the archive of {name} is not the one that its index describes"
    return mismatch(what, printable(expected), printable(computed))
