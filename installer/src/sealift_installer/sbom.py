"""The SBOM and the licence texts of a bundle, read for reports: CycloneDX 1.6.

The files are authentic, for their hashes are in the manifest. What they say is not ours: names and
texts come out of archives, so a reader shows them as text and nothing else.
"""

from collections.abc import Iterator
from typing import Any

from sealift_installer.authenticate import Authenticated
from sealift_installer.chunks import read_authenticated
from sealift_installer.errors import Damaged, documents_damaged
from sealift_installer.evidence import LICENCES, SBOM
from sealift_schemas.lean import dataclass
from sealift_schemas.strictjson import parse

# Bytes: of 1,000 interpreters some 20 MiB; and of the largest licence text that is collected.
_LIMIT = 256 * 1024 * 1024
_TEXT = 4 * 1024 * 1024
_SPEC_VERSION = "1.6"


@dataclass(frozen=True, slots=True)
class LicenceText:
    """A licence that was found: where in the archive, and the SHA-256 of its text."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Component:
    """An archive, a wheel of unseal, or a part of one. Texts are as they stand in the SBOM.

    `licences` are SPDX expressions or names, `texts` the licence files, `places` where a part was
    found, `parts` the components inside.
    """

    reference: str
    kind: str
    name: str
    version: str | None
    purl: str | None
    supplier: str | None
    licences: tuple[str, ...]
    texts: tuple[LicenceText, ...]
    places: tuple[str, ...]
    parts: tuple["Component", ...]

    def walk(self) -> Iterator["Component"]:
        """Yield the component and all that is inside of it."""
        yield self
        for part in self.parts:
            yield from part.walk()


def read_components(authenticated: Authenticated) -> tuple[Component, ...]:
    """Return the components of the bundle's SBOM; none if it has none.

    Raises:
        Damaged: it is no SBOM of CycloneDX 1.6.
        HostError: it cannot be read.
    """
    file = authenticated.files.get(SBOM)
    if file is None:
        return ()
    data = read_authenticated(authenticated.bundle, file, _LIMIT)
    with documents_damaged(SBOM):
        value = parse(data, what=SBOM, limit=_LIMIT)
    if not isinstance(value, dict) or value.get("bomFormat") != "CycloneDX":
        raise Damaged(f"{SBOM} is no SBOM of CycloneDX")
    if value.get("specVersion") != _SPEC_VERSION:
        raise Damaged(f"{SBOM} is not of CycloneDX {_SPEC_VERSION}")
    return _components(value)


def read_component(data: bytes, *, with_parts: bool) -> Component:
    """Return one component of an SBOM that is being written; without parts, those inside are left.

    Raises:
        DocumentError: it is no JSON.
    """
    value: Any = parse(data, what=SBOM, limit=_LIMIT)
    return _component(value if with_parts else {**value, "components": []})


def read_licence(authenticated: Authenticated, sha256: str) -> bytes | None:
    """Return a licence text by its SHA-256, None if the bundle does not have it.

    Raises:
        Damaged: it is not what the manifest says.
        HostError: it cannot be read.
    """
    file = authenticated.files.get(f"{LICENCES}{sha256}.txt")
    return None if file is None else read_authenticated(authenticated.bundle, file, _TEXT)


def _components(value: dict[str, Any]) -> tuple[Component, ...]:
    return tuple(_component(one) for one in _objects(value, "components"))


def _component(value: dict[str, Any]) -> Component:
    evidence = value.get("evidence")
    evidence = evidence if isinstance(evidence, dict) else {}
    supplier = value.get("supplier")
    return Component(
        reference=_text(value, "bom-ref") or "",
        kind=_text(value, "type") or "",
        name=_text(value, "name") or "",
        version=_text(value, "version"),
        purl=_text(value, "purl"),
        supplier=_text(supplier, "name") if isinstance(supplier, dict) else None,
        licences=tuple(_licences(value)),
        texts=tuple(_texts(evidence)),
        places=tuple(
            place
            for one in _objects(evidence, "occurrences")
            if (place := _text(one, "location")) is not None
        ),
        parts=_components(value),
    )


def _licences(value: dict[str, Any]) -> Iterator[str]:
    for one in _objects(value, "licenses"):
        licence = one.get("license")
        named = licence if isinstance(licence, dict) else {}
        text = _text(one, "expression") or _text(named, "id") or _text(named, "name")
        if text is not None:
            yield text


def _texts(evidence: dict[str, Any]) -> Iterator[LicenceText]:
    for one in _objects(evidence, "licenses"):
        licence = one.get("license")
        if isinstance(licence, dict):
            path, url = _text(licence, "name"), _text(licence, "url")
            if path is not None and url is not None:
                yield LicenceText(path, url.rpartition("/")[2].removesuffix(".txt"))


def _objects(value: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    items = value.get(name)
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict):
            yield item


def _text(value: dict[str, Any], name: str) -> str | None:
    text = value.get(name)
    return text if isinstance(text, str) else None
