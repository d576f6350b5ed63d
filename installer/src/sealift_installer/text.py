"""What the commands show to people, as lines; nothing is printed here."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sealift_installer.errors import SealiftError, printable

if TYPE_CHECKING:
    from pathlib import Path

    from sealift_installer.inspect import ArchiveFacts, BundleFacts
    from sealift_installer.records import Record
    from sealift_installer.report import InstallReport, Outcome
    from sealift_schemas.manifest import Manifest

_KEYID = 16  # digits of a key id that tell keys apart for people, as in the name of a signature
_SHOWN = 5


def size(count: int) -> str:
    """Return a number of bytes for people: 512 B, 3.4 MiB."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":  # noqa: PLR2004 - binary units
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def error_lines(error: SealiftError) -> Iterator[str]:
    """Yield an error as it is shown: what failed, and the hint on a line of its own."""
    yield f"unseal: {error.message}"
    hint = error.hint or error.advice
    if hint:
        yield f"hint: {hint}"


def amount(count: int, noun: str) -> str:
    """Return how many there are of something."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def bundle_line(manifest: "Manifest", signers: Sequence[str], root_version: int) -> str:
    """Return which bundle it is and who sealed it."""
    return (
        f"bundle {manifest.sequence} of stream {manifest.stream}, made {manifest.created}, "
        f"{sealed_by(signers, root_version)}"
    )


def sealed_by(signers: Sequence[str], root_version: int) -> str:
    """Return who sealed a bundle."""
    keys = ", ".join(keyid[:_KEYID] for keyid in signers)
    return f"sealed by {keys} (root version {root_version})"


def install_lines(report: "InstallReport") -> Iterator[str]:
    """Yield what came of an install."""
    yield (
        f"bundle {report.sequence} of stream {report.stream}, "
        f"{sealed_by(report.signers, report.root_version)}"
    )
    for outcome in report.outcomes:
        yield from _outcome_lines(outcome)
    for name, reason in report.skipped.items():
        yield f"{name}: left out, {reason}"
    yield from _path_lines(link for outcome in report.outcomes for link in outcome.links)


def _path_lines(links: Iterable[str]) -> Iterator[str]:
    """Say it if a shell would not find these links."""
    here = {os.path.realpath(each) for each in os.environ.get("PATH", "").split(os.pathsep)}
    for folder in sorted({os.path.dirname(link) for link in links}):  # noqa: PTH120 - texts
        if os.path.realpath(folder) not in here:
            yield f"not on your PATH: {printable(folder)}"


def _outcome_lines(outcome: "Outcome") -> Iterator[str]:
    if outcome.error is not None:
        yield f"{outcome.name}: failed"
        return
    if outcome.status == "present":
        yield f"{outcome.name}: there already, {printable(outcome.path)}"
    else:
        took = ", ".join(f"{step} {value:.2f} s" for step, value in outcome.seconds.items())
        yield f"{outcome.name}: {outcome.status}, {printable(outcome.path)}"
        yield (
            f"  {amount(outcome.members, 'member')}, {size(outcome.unpacked)}, "
            f"{amount(outcome.relocated, 'file')} relocated ({took})"
        )
    for link in outcome.links:
        yield f"  {printable(link)}"


def inspect_lines(facts: "BundleFacts") -> Iterator[str]:
    """Yield what a bundle carries."""
    manifest = facts.manifest
    yield bundle_line(manifest, facts.signers, facts.root_version)
    yield f"manifest {facts.sha256}"
    expires = manifest.expires or "never"
    yield f"{len(manifest.files)} files, {size(facts.size)}; expires {expires}"
    for each in facts.archives:
        yield ""
        yield from _archive_lines(each)


def _archive_lines(facts: "ArchiveFacts") -> Iterator[str]:
    archive = facts.archive
    yield f"{archive.name} ({archive.kind}, {archive.platform})"
    yield f"  {archive.source.request}, from {printable(archive.source.url)}"
    yield f"  sha256 {archive.sha256} (digest: {archive.source.digest_source})"
    yield f"  {archive.format}, {size(archive.size)}; {archive.members} members, {size(archive.unpacked)}"
    needs = [f"glibc {archive.requires.glibc}"] if archive.requires.glibc else []
    needs += archive.requires.libraries
    if needs:
        yield f"  needs {', '.join(needs)}"
    places = sum(facts.relocated.values())
    yield f"  relocated: {amount(len(facts.relocated), 'file')}, {amount(places, 'place')}"
    yield from (f"    {printable(path)}" for path in facts.relocated)
    if facts.rewritten:
        yield f"  rewritten without a prefix: {_some(facts.rewritten)}"
    if facts.added:
        yield f"  added: {_some(facts.added)}"
    yield from _reasons("kept as it is", facts.kept)
    yield from _reasons("not installed", facts.dropped)


def _reasons(what: str, reasons: Mapping[str, str]) -> Iterator[str]:
    """Yield paths by reason."""
    for reason in dict.fromkeys(reasons.values()):
        paths = [path for path, each in reasons.items() if each == reason]
        yield f"  {what}, {printable(reason)}: {_some(paths)}"


def _some(paths: Sequence[str]) -> str:
    shown = ", ".join(printable(path) for path in paths[:_SHOWN])
    rest = len(paths) - _SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown


def _is_same(tree: "Path", path: str) -> bool:
    """Tell whether `path` is `tree`, be it by another name: a prefix can be reached by a link."""
    try:
        return str(tree) == path or tree.samefile(path)
    except OSError:
        return False


def list_lines(records: Iterable[tuple["Record", "Path | None"]]) -> Iterator[str]:
    """Yield what is installed, and where it stands; None: its directory is gone."""
    for record, tree in records:
        note = ""
        if tree is None:
            note = "  (its directory is gone)"
        elif not _is_same(tree, record.path):
            note = f"  (it was moved: unseal relocate {record.name})"
        yield f"{record.name}  {printable(record.path)}{note}"
