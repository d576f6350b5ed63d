"""PYTHON.json: what python-build-standalone says about a full archive.

https://docs.astral.sh/python-build-standalone/distributions/, "PYTHON.json File". It names the
licences of the distribution, and for each extension module the libraries that are linked into it.
"""

import json
from collections.abc import Iterator
from typing import Any

from sealift_bundler.evidence import purl
from sealift_bundler.evidence.findings import Part, word
from sealift_bundler.evidence.libraries import name_project
from sealift_bundler.evidence.licensing import joined

_FOUND = "PYTHON.json of python-build-standalone"


def read_standalone(data: bytes, path: str) -> tuple[Part | None, list[Part]]:
    """Return what PYTHON.json says of the interpreter, and of the libraries in it.

    A document of another shape says nothing; the file is upstream's, and none of ours depends on it.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None, []
    if not isinstance(value, dict):
        return None, []
    version = word(value.get("python_version"))
    own = Part(
        name=word(value.get("python_implementation_name")) or "cpython",
        version=version,
        licensing=joined(_texts(value.get("licenses"))),
        places=(path,),
        found=_FOUND,
    )
    licences: dict[str, set[str]] = {}
    for name, identifiers in _linked(value.get("build_info")):
        licences.setdefault(name, set()).update(identifiers)
    libraries = []
    for name in sorted(licences):
        # A number in a library's name is that of a series; the version is found elsewhere, if at all.
        project, _ = name_project(name)
        libraries.append(
            Part(
                name=project or name,
                purl=None if project is None else purl.generic(project),
                licensing=joined(sorted(licences[name])),
                places=(path,),
                found=_FOUND,
            )
        )
    return own, libraries


def _linked(build: Any) -> Iterator[tuple[str, list[str]]]:
    """Yield each library that is linked in, with its licences where the extension tells them."""
    if not isinstance(build, dict):
        return
    core = build.get("core")
    yield from ((name, []) for name in _links(core))
    extensions = build.get("extensions")
    if not isinstance(extensions, dict):
        return
    for variants in extensions.values():
        for variant in variants if isinstance(variants, list) else []:
            if isinstance(variant, dict):
                names = list(_links(variant))
                # Of several projects together, nobody says which licence is whose.
                alone = len({name_project(name)[0] or name for name in names}) == 1
                identifiers = _texts(variant.get("licenses")) if alone else []
                yield from ((name, identifiers) for name in names)


def _links(value: Any) -> Iterator[str]:
    """Yield the libraries that are not the system's."""
    links = value.get("links") if isinstance(value, dict) else None
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and not link.get("system") and not link.get("framework"):
            name = word(link.get("name"))
            if name is not None:
                yield name


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
