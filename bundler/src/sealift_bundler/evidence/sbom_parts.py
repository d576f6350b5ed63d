"""Components of a CycloneDX SBOM, as JSON values: https://cyclonedx.org/docs/1.6/json/."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from sealift_bundler.evidence import purl
from sealift_bundler.evidence.findings import Findings, LicenceFile, Licensing, Part
from sealift_bundler.evidence.statements import archive_project, archive_purl, wheel_project
from sealift_bundler.evidence.subjects import published, subject
from sealift_schemas.lock import LockedArchive
from sealift_schemas.upstream import UpstreamEvidence

_PLAIN_VERSION = re.compile(r"([0-9]+\.[0-9]+\.[0-9]+)((?:a|b|rc)[0-9]+)?")
_TYPES = {"interpreter": "platform", "tool": "application"}
# Owners of releases are the first segment of the path there.
_FORGES = ("github.com", "gitlab.com", "codeberg.org")


def archive_component(archive: LockedArchive, found: Findings) -> dict[str, Any]:
    """Return an archive with everything that was found in it."""
    reference = f"archive:{archive.name}"
    own = found.own
    wheel = own is not None and archive.recipe == "wheel"
    value: dict[str, Any] = {
        "type": "library" if wheel and not archive.links else _TYPES[archive.kind],
        "bom-ref": reference,
        **_supplier(archive),
        **_authors(own),
        "name": own.name if own is not None and wheel else archive_project(archive),
        "version": archive.version,
        "hashes": _hashes(archive.sha256),
        **_licences(own),
        **_cpe(archive),
        "purl": archive_purl(archive),
        "externalReferences": [
            *_distribution(published(archive.url), archive.sha256),
            *_references({} if own is None else own.links),
            *_upstream(archive.upstream, archive.sha256),
        ],
        "components": list(_nested(reference, found.parts)),
        **_evidence((), found.licences),
        "properties": _properties(
            [
                ("sealift:archive", subject(archive).name),
                ("sealift:install-name", archive.name),
                ("sealift:platform", archive.platform),
                ("sealift:digest-source", archive.digest_source),
                *(("sealift:left-out", reason) for reason in found.left_out),
            ]
        ),
    }
    return _filled(value)


def wheel_component(filename: str, sha256: str, url: str | None, found: Findings) -> dict[str, Any]:
    """Return a wheel of unseal, which travels with the bundle."""
    own = found.own
    project, version = wheel_project(filename) or (filename, None)
    part = own or Part(name=project, version=version, found="", places=())
    reference = f"wheel:{filename}"
    value = _component(part, reference, found.licences)
    value |= {
        "hashes": _hashes(sha256),
        "purl": purl.pypi(part.name, part.version, filename),
        "externalReferences": [
            *_distribution(None if url is None else published(url), sha256),
            *_references(part.links),
        ],
        "components": list(_nested(reference, found.parts)),
        "properties": _properties(
            [
                ("sealift:file", f"unseal/wheels/{filename}"),
                *(("sealift:left-out", reason) for reason in found.left_out),
            ]
        ),
    }
    return _filled(value)


def _nested(parent: str, parts: Iterable[Part]) -> Iterable[dict[str, Any]]:
    used: set[str] = set()
    for part in parts:
        name = part.name if part.version is None else f"{part.name}@{part.version}"
        reference, number = f"{parent}/{name}", 1
        while reference in used:
            number += 1
            reference = f"{parent}/{name}#{number}"
        used.add(reference)
        value = _component(part, reference, ())
        value["components"] = list(_nested(reference, part.parts))
        value["properties"] = _properties([("sealift:named-by", part.found)])
        yield _filled(value)


def _component(part: Part, reference: str, licences: Sequence[LicenceFile]) -> dict[str, Any]:
    version = {} if part.version is None else {"version": part.version}
    return {
        "type": "library",
        "bom-ref": reference,
        **_authors(part),
        "name": part.name,
        **version,
        "hashes": [] if part.sha256 is None else _hashes(part.sha256),
        **_licences(part),
        **({} if part.purl is None else {"purl": part.purl}),
        "externalReferences": _references(part.links),
        **_evidence(part.places, licences),
    }


def _supplier(archive: LockedArchive) -> dict[str, Any]:
    """Return who offers the archive for download, as its address says; nobody says it otherwise."""
    url = published(archive.url)
    if url is None or archive.source == "package":
        # An index offers what others have made.
        return {}
    parts = urlsplit(url)
    name, address = parts.hostname or "", f"{parts.scheme}://{parts.netloc}"
    owner = parts.path.split("/")[1] if parts.hostname in _FORGES else ""
    if owner:
        name, address = owner, f"{address}/{owner}"
    return {"supplier": {"name": name, "url": [address]}}


def _authors(part: Part | None) -> dict[str, Any]:
    if part is None or part.author is None:
        return {}
    return {"authors": [{"name": part.author}]}


def _hashes(sha256: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": sha256}]


def _licences(part: Part | None) -> dict[str, Any]:
    licensing = Licensing() if part is None else part.licensing
    said = {"acknowledgement": "concluded" if licensing.concluded else "declared"}
    if licensing.expression is not None:
        return {"licenses": [{"expression": licensing.expression, **said}]}
    return {"licenses": [{"license": {"name": name, **said}} for name in licensing.names]}


def _cpe(archive: LockedArchive) -> dict[str, str]:
    """Return the name that the list of vulnerabilities has for CPython, and for nothing else here."""
    match = _PLAIN_VERSION.fullmatch(archive.version)
    if archive.recipe != "cpython" or match is None:
        return {}
    return {"cpe": f"cpe:2.3:a:python:python:{match[1]}:{match[2] or '*'}:*:*:*:*:*:*"}


def _distribution(url: str | None, sha256: str) -> list[dict[str, Any]]:
    if url is None:
        return []
    return [{"type": "distribution", "url": url, "hashes": _hashes(sha256)}]


def _references(links: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"type": kind, "url": links[kind]} for kind in sorted(links)]


def _upstream(evidence: Iterable[UpstreamEvidence], archive: str) -> list[dict[str, Any]]:
    """Return the publisher's files that travel, by their place beside the SBOM."""
    return [
        {
            "type": "attestation" if one.kind in {"attestation", "pep740"} else "evidence",
            "url": path.removeprefix("evidence/"),
            "comment": f"{one.kind}: {one.result}",
            "hashes": _hashes(one.sha256),
        }
        for one in evidence
        if one.sha256 is not None and (path := one.path(archive)) is not None
    ]


def _evidence(places: Sequence[str], licences: Iterable[LicenceFile]) -> dict[str, Any]:
    texts = [
        {"license": {"name": licence.path, "url": f"licenses/{licence.sha256}.txt"}}
        for licence in licences
    ]
    return {
        "evidence": _filled(
            {"occurrences": [{"location": place} for place in places], "licenses": texts}
        )
    }


def _properties(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs if value]


def _filled(value: dict[str, Any]) -> dict[str, Any]:
    """Return `value` without empty arrays and objects, which say nothing."""
    return {name: one for name, one in value.items() if one not in ([], {})}
