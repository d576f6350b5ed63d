"""Looks into an archive before it is carried: its index, its templates, what it demands.

It is read with the reader that the target uses, so an archive that the target would refuse is
refused here already.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sealift_bundler.evidence.collect import Collector
from sealift_bundler.evidence.findings import Findings
from sealift_bundler.inspection_added import EXTERNALLY_MANAGED, find_interpreter
from sealift_bundler.inspection_layout import find_layout
from sealift_bundler.inspection_needs import find_requirements
from sealift_bundler.inspection_relocate import relocate_members
from sealift_bundler.inspection_scan import scan_archive
from sealift_bundler.inspection_tree import Placed, place_members
from sealift_bundler.relocation import Rewrite
from sealift_installer.errors import Damaged, printable
from sealift_schemas.index import Entry, Template, count_installed
from sealift_schemas.lock import LockedArchive
from sealift_schemas.manifest import LINK_NAME, Requirements

OURS = "replaced by what sealift adds"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found in an archive, and what the target does with it.

    `entries` is the index, `templates` the bytes of all templates by SHA-256; `members` and
    `unpacked` (bytes) count what is installed; `interpreter` is the program that must start;
    `links` are the commands that the archive offers by itself; `findings` is what its SBOM names.
    """

    entries: tuple[Entry, ...]
    templates: Mapping[str, bytes]
    members: int
    unpacked: int
    requires: Requirements
    interpreter: str | None
    links: Mapping[str, str]
    findings: Findings = field(default_factory=Findings, repr=False)


def inspect_archive(archive: LockedArchive, path: Path) -> Inspection:
    """Look into `archive`, whose file is at `path`.

    Raises:
        Damaged: it is not what the lock says, malformed, hostile, or not what its name promises.
        HostError: it cannot be read.
    """
    with _naming(archive):
        collector = Collector(archive)
        members = scan_archive(archive, path, collector)
        placed = place_members(members, find_layout(archive, members), archive.prefix)
        book = _Book()
        relocated = relocate_members(archive, placed)
        added = book.added(archive, placed)
        for item in placed:
            outcome = None if item.path is None else relocated.get(item.path)
            book.add_member(item, outcome, executable=_is_script(archive, item))
        entries = (*book.entries, *added.entries)
    count, unpacked = count_installed(entries)
    needs = {
        item.path: item.member.needs
        for item in placed
        if item.path is not None and item.member.needs is not None
    }
    return Inspection(
        entries=entries,
        templates=book.templates,
        members=count,
        unpacked=unpacked,
        requires=find_requirements(archive, needs, [entry.path for entry in entries if entry.path]),
        interpreter=added.interpreter,
        links=_links(archive, placed),
        findings=collector.findings(),
    )


@dataclass(slots=True)
class _Added:
    entries: list[Entry] = field(default_factory=list)
    interpreter: str | None = None


@dataclass(slots=True)
class _Book:
    """The index and the templates, as they are written."""

    entries: list[Entry] = field(default_factory=list)
    templates: dict[str, bytes] = field(default_factory=dict)

    def add_member(self, item: Placed, outcome: Rewrite | str | None, *, executable: bool) -> None:
        """Add the line of a member."""
        member = item.member
        entry = Entry(type=member.type, path=item.path, member=member.name, dropped=item.dropped)
        if member.type == "file":
            entry = Entry(
                type="file",
                path=item.path,
                member=member.name,
                mode="755" if member.executable or executable else "644",
                size=member.size,
                sha256=member.sha256,
                template=self._template(outcome) if isinstance(outcome, Rewrite) else None,
                kept=outcome if isinstance(outcome, str) else None,
                dropped=item.dropped,
            )
        elif member.type != "directory":
            differs = item.path is not None and item.link != member.target
            entry = Entry(
                type=member.type,
                path=item.path,
                member=member.name,
                target=member.target,
                installed_target=item.link if differs else None,
                dropped=item.dropped,
            )
        self.entries.append(entry)

    def added(self, archive: LockedArchive, placed: list[Placed]) -> _Added:
        """Return what an interpreter gets beside its members; members in its place are dropped."""
        if archive.kind != "interpreter":
            return _Added()
        members = {item.path: item for item in placed if item.path is not None}
        parts = find_interpreter(
            archive, {path for path, item in members.items() if item.member.type != "directory"}
        )
        entries = []
        if parts.python not in members:
            program = PurePosixPath(parts.program).name
            entries.append(Entry("link", parts.python, None, target=program))
        files = {} if archive.build is None else {"BUILD": archive.build.encode("utf-8")}
        if parts.library:
            files[f"{parts.library}/EXTERNALLY-MANAGED"] = EXTERNALLY_MANAGED
        for path, data in files.items():
            if path in members:
                members[path].drop(OURS)
            template = self._template(Rewrite(data))
            entries.append(Entry("file", path, None, mode="644", template=template))
        return _Added(entries, parts.program)

    def _template(self, rewrite: Rewrite) -> Template:
        sha256 = hashlib.sha256(rewrite.template).hexdigest()
        self.templates[sha256] = rewrite.template
        return Template(sha256, len(rewrite.template), rewrite.places)


@contextmanager
def _naming(archive: LockedArchive) -> Iterator[None]:
    """Name the archive in every message about what is wrong with it."""
    try:
        yield
    except Damaged as error:
        if archive.filename in error.message:
            raise
        raise Damaged(f"{printable(archive.filename)}: {error.message}", hint=error.hint) from None


def _is_script(archive: LockedArchive, item: Placed) -> bool:
    """Tell whether a wheel has the member among its scripts, which an installer makes executable."""
    return (
        archive.recipe == "wheel"
        and item.path is not None
        and item.path.startswith("bin/")
        and ".data/scripts/" in item.member.name
    )


def _links(archive: LockedArchive, placed: list[Placed]) -> dict[str, str]:
    """Return the commands of a wheel: its scripts but those that want a Python of their own."""
    links = {}
    for item in placed:
        if item.path is None or not _is_script(archive, item):
            continue
        name = item.path.removeprefix("bin/")
        if LINK_NAME.fullmatch(name) and not item.member.head.startswith(b"#!python"):
            links[name] = item.path
    return {name: path for name, path in links.items() if name not in archive.links}
