"""A package index on loopback: pages in HTML by PEP 503, files that are never asked for."""

import hashlib
from collections.abc import Mapping

from loopback import Body, LoopbackServer

WHEEL = b"a wheel's bytes"


def digest_of(filename: str) -> str:
    """Return the digest that the index tells for a file."""
    return hashlib.sha256(filename.encode()).hexdigest()


def publish(
    server: LoopbackServer, project: str, filenames: Mapping[str, str] | list[str], root: str = ""
) -> None:
    """Serve a project's page; a mapping gives the attributes of each link, `href` apart."""
    attributes = filenames if isinstance(filenames, Mapping) else dict.fromkeys(filenames, "")
    links = "".join(
        f'<a href="{root}/files/{name}{_fragment(name, more)}" {more}>{name}</a>\n'
        for name, more in attributes.items()
    )
    page = f"<!DOCTYPE html><html><body>\n{links}</body></html>".encode()
    server.faults[f"/simple/{project}/"] = [Body(page, "text/html")]
    for name in attributes:
        server.faults[f"/files/{name}"] = [Body(WHEEL)]


def _fragment(name: str, more: str) -> str:
    return "" if "no-digest" in more else f"#sha256={digest_of(name)}"
