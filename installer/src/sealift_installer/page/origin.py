"""Where archives came from, what stands behind them, what is in them, and under which licences."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from sealift_installer.page.markup import Content, Markup, code, definitions, element, join, table
from sealift_installer.page.model import ArchiveReport, BundleReport
from sealift_installer.sbom import Component
from sealift_installer.text import size
from sealift_schemas.upstream import UpstreamEvidence

_DIGESTS = {
    "catalog": "the catalogue",
    "spec": "the site's own file sealift.toml",
    "index": "the package index",
    "accepted": "a person, who accepted what was found",
    "captured": "nobody else: it was made on the bundling machine",
}
_EVIDENCE = {
    "checksum-file": "checksum file",
    "release-digest": "digest of the release",
    "attestation": "attestation",
    "pep740": "attestation of the package index (PEP 740)",
}
# What to say of a result, and whether it is good news.
_RESULTS = {
    "verified": ("signature verified", "good"),
    "agrees": ("agrees", "good"),
    "carried": ("carried, not verified", "warn"),
    "absent": ("there is none", ""),
    "unreachable": ("could not be asked", "warn"),
}
_NO_LICENCE = "not stated"
_MOST_PARTS = 400


def origin(report: BundleReport) -> Iterator[Content]:
    """Yield the section on sources."""
    for one in report.archives:
        yield element("h3", one.archive.name)
        yield definitions(_facts(one))


def licences(report: BundleReport) -> Iterator[Content]:
    """Yield the section on licences: which are stated, and for what."""
    if not report.components:
        yield element("p", "The bundle has no SBOM, and so no list of licences.")
        return
    users: dict[str, list[str]] = defaultdict(list)
    texts: set[str] = set()
    for component in (part for top in report.components for part in top.walk()):
        texts.update(text.sha256 for text in component.texts)
        for licence in component.licences or (_NO_LICENCE,):
            users[licence].append(_named(component))
    rows = (
        (licence, len(names), _names(names))
        for licence, names in sorted(users.items(), key=lambda item: (-len(item[1]), item[0]))
    )
    yield table("Licences as they are stated", ("Licence", "Components", "Which"), rows)
    yield element(
        "p",
        f"{len(texts)} licence texts that stand in the archives are in ",
        code("evidence/licenses/"),
        "; the file INDEX.txt there says which is from where.",
    )


def components(report: BundleReport) -> Iterator[Content]:
    """Yield the section on the SBOM."""
    if not report.components:
        yield element("p", "The bundle has no SBOM.")
        return
    inside = sum(1 for top in report.components for _ in top.walk()) - len(report.components)
    yield element(
        "p",
        f"{len(report.components)} components are carried, and {inside} were found inside of them "
        "by their metadata and names. What an archive holds beyond these is not known. The whole is ",
        code("evidence/sbom.cdx.json"),
        " (CycloneDX 1.6).",
    )
    for top in report.components:
        parts = list(top.walk())[1:]
        title = join(_named(top), f", {len(parts)} inside" if parts else "")
        details = [
            definitions(
                {
                    "Package URL": code(top.purl) if top.purl else "",
                    "Supplier": top.supplier or "",
                    "Licence": ", ".join(top.licences),
                }
            )
        ]
        if parts:
            details.append(_parts(top, parts))
        yield element("details", element("summary", title), *details)


def _facts(one: ArchiveReport) -> dict[str, Content]:
    archive = one.archive
    source = archive.source
    return {
        "Asked for": source.request,
        "Fetched from": code(source.url),
        "SHA-256": code(archive.sha256),
        "Named by": _DIGESTS.get(source.digest_source, source.digest_source),
        "Size": f"{size(archive.size)} ({archive.size} bytes)",
        "Its publisher says": _upstream(one.upstream),
    }


def _upstream(found: Iterable[UpstreamEvidence]) -> Content:
    items = []
    for one in found:
        what, kind = _RESULTS.get(one.result, (one.result, ""))
        items.append(
            element(
                "li",
                element("span", what, class_=f"badge {kind}".strip()),
                f"{_EVIDENCE.get(one.kind, one.kind)}, ",
                code(one.source),
                f"; {one.detail}" if one.detail else "",
            )
        )
    if not items:
        return "Nobody asked, or the bundle does not say."
    return element("ul", *items, class_="plain")


def _parts(top: Component, parts: list[Component]) -> Markup:
    rows = [
        (
            part.name,
            part.version or "unknown",
            ", ".join(part.licences) or _NO_LICENCE,
            [code(place) for place in part.places[:1]],
        )
        for part in parts[:_MOST_PARTS]
    ]
    if len(parts) > _MOST_PARTS:
        rows.append((f"{len(parts) - _MOST_PARTS} more, in the SBOM", "", "", []))
    return table(f"Found inside of {top.name}", ("Name", "Version", "Licence", "Where"), rows)


def _named(component: Component) -> str:
    return f"{component.name} {component.version}" if component.version else component.name


def _names(names: list[str]) -> Content:
    distinct = sorted(set(names))
    if len(distinct) <= 12:  # noqa: PLR2004 - what is read at a glance
        return ", ".join(distinct)
    summary = element("summary", f"{', '.join(distinct[:6])} and {len(distinct) - 6} more")
    return element("details", summary, ", ".join(distinct[6:]))
