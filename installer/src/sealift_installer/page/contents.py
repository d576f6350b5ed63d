"""What a bundle carries: archives, sizes, and what is done with them on the target."""

from collections.abc import Iterator

from sealift_installer.page.figures import Amount, size_figure
from sealift_installer.page.markup import Content, Markup, code, element, join, table
from sealift_installer.page.model import ArchiveReport, BundleReport
from sealift_installer.text import size

_KINDS = {"interpreter": "interpreter", "tool": "tool"}


def tiles(report: BundleReport) -> Markup:
    """Return the numbers that come first."""
    count = len(report.archives)
    platforms = {one.archive.platform for one in report.archives}
    numbers = [
        (str(count), "archive" if count == 1 else "archives"),
        (size(sum(file.size for file in report.manifest.files)), "in all files"),
        (size(sum(one.archive.unpacked for one in report.archives)), "when installed"),
        (str(len(platforms)), "platform" if len(platforms) == 1 else "platforms"),
    ]
    items = (element("li", element("strong", number), what) for number, what in numbers)
    return element("ul", *items, class_="tiles")


def contents(report: BundleReport) -> Iterator[Content]:
    """Yield the section of the contents."""
    if not report.archives:
        yield element("p", "The bundle carries no archives.")
        return
    rows = (
        (
            archive.name,
            _KINDS.get(archive.kind, archive.kind),
            archive.version,
            archive.platform,
            archive.format,
            size(archive.size),
            f"{size(archive.unpacked)} in {archive.members} members",
        )
        for archive in (one.archive for one in report.archives)
    )
    heads = ("Name", "Kind", "Version", "Platform", "Format", "Packed", "Installed")
    yield table("What the bundle carries", heads, rows)
    yield size_figure(
        [
            Amount(one.archive.name, one.archive.size, one.archive.unpacked)
            for one in report.archives
        ]
    )


def relocation(report: BundleReport) -> Iterator[Content]:
    """Yield the section on what is rewritten for the place where an archive is installed."""
    yield element(
        "p",
        "Files that name the place they were built for get the new place on the target, at the "
        "offsets that the index lists. Nothing else in them changes.",
    )
    heads = ("Name", "Built for", "Get the new place", "Made anew", "Added", "Left as they are")
    yield table(
        "What relocation does",
        heads,
        (
            (
                one.archive.name,
                code(one.archive.prefix) if one.archive.prefix else "any place",
                f"{_files(one.relocated)}, {one.places} places" if one.relocated else "none",
                _files(one.rewritten),
                _files(one.added),
                _reasons(one),
            )
            for one in report.archives
        ),
    )


def needs(report: BundleReport) -> Iterator[Content]:
    """Yield the section on what the host must have."""
    rows = []
    for archive in (one.archive for one in report.archives):
        glibc = archive.requires.glibc
        libraries = ", ".join(archive.requires.libraries)
        if glibc or libraries:
            rows.append(
                (archive.name, f"{glibc} or newer" if glibc else "any", libraries or "none")
            )
    if rows:
        yield table("Looked for before anything is written", ("Name", "glibc", "Libraries"), rows)
    else:
        yield element("p", "Nothing beyond the platform.")


def _files(count: int) -> str:
    if count == 0:
        return "none"
    return "1 file" if count == 1 else f"{count} files"


def _reasons(one: ArchiveReport) -> Content:
    reasons = [*one.kept, *((f"not installed: {reason}", count) for reason, count in one.dropped)]
    if not reasons:
        return "none"
    items = (element("li", join(_files(count), ": ", reason)) for reason, count in reasons)
    return element("ul", *items, class_="plain")
