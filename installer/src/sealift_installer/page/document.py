"""The page as a whole."""

from collections.abc import Iterable, Iterator

from sealift_installer.page import contents, origin, sealing, target
from sealift_installer.page.markup import Content, Markup, element, join
from sealift_installer.page.model import BundleReport, TargetReport
from sealift_installer.page.style import STYLE, policy

# Stands for what is written by and by.
_GAP = Markup("<!-- -->")

Section = tuple[str, str, Iterable[Content]]


def bundle_page(report: BundleReport, generator: str) -> bytes:
    """Return the page about a bundle; `generator` is the program and its version."""
    return b"".join(bundle_page_pieces(report, generator))


def bundle_page_pieces(report: BundleReport, generator: str) -> Iterator[bytes]:
    """Yield the page about a bundle, piece by piece."""
    manifest = report.manifest
    title = f"Bundle {manifest.sequence} of stream {manifest.stream}"
    lead = join(_bundle_lead(report), sealing.verdict(report), contents.tiles(report))
    return _page(title, lead, _bundle_sections(report), generator)


def target_page(report: TargetReport, bundle: BundleReport | None, generator: str) -> bytes:
    """Return the page about a target, and about a bundle on it where one is given."""
    title = f"Receipts of {report.head.host}"
    lead = element(
        "p",
        f"What unseal did under {report.head.prefix}, as its record has it at {report.head.clock}.",
        class_="quiet",
    )
    sections: list[Section] = [
        ("installed", "What is installed", target.installed(report)),
        ("receipts", "Receipts", target.receipts(report)),
    ]
    if bundle is not None:
        manifest = bundle.manifest
        name = f"Bundle {manifest.sequence} of stream {manifest.stream}"
        about = (_bundle_lead(bundle), sealing.verdict(bundle), contents.tiles(bundle))
        sections.append(("bundle", name, about))
        sections += _bundle_sections(bundle)
    return b"".join(_page(title, lead, sections, generator))


def _bundle_lead(report: BundleReport) -> Markup:
    manifest = report.manifest
    return element(
        "p",
        f"Made {manifest.created} by {manifest.generator}; epoch {manifest.epoch}; ",
        f"expires {manifest.expires or 'never'}.",
        class_="quiet",
    )


def _bundle_sections(report: BundleReport) -> list[Section]:
    return [
        ("contents", "Contents", contents.contents(report)),
        ("signers", "Signers", sealing.signers(report)),
        ("roots", "History of the root", sealing.history(report)),
        ("origin", "Where it came from", origin.origin(report)),
        ("licences", "Licences", origin.licences(report)),
        ("components", "Components", origin.components(report)),
        ("relocation", "Relocation", contents.relocation(report)),
        ("needs", "What the host must have", contents.needs(report)),
    ]


def _page(
    title: str, lead: Content, sections: Iterable[Section], generator: str
) -> Iterator[bytes]:
    sections = list(sections)
    links = (element("li", element("a", name, href=f"#{key}")) for key, name, _ in sections)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy()),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name_="generator", content=generator),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    body = element(
        "body",
        element("a", "To the content", href="#main", class_="skip"),
        element(
            "header",
            element("h1", title),
            lead,
            element("nav", element("ul", *links), aria_label="Sections"),
        ),
        element("main", _GAP, id="main"),
        element("footer", element("p", f"Written by {generator}.", class_="quiet")),
    )
    html = join(Markup("<!doctype html>\n"), element("html", head, body, lang="en"), "\n")
    # A title or a lead is text, in which this mark cannot stand.
    before, after = html.split(_GAP)
    yield before.encode("utf-8")
    for section in sections:
        yield from _section(*section)
    yield after.encode("utf-8")


def _section(key: str, name: str, content: Iterable[Content]) -> Iterator[bytes]:
    heading = element("h2", name, id=f"{key}-title")
    box = element("section", heading, _GAP, id=key, aria_labelledby=f"{key}-title")
    before, after = box.split(_GAP)
    yield before.encode("utf-8")
    for part in content:
        yield join(part).encode("utf-8")
    yield after.encode("utf-8")
