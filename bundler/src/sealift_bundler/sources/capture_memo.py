"""What an interpreter gave when it was captured before, so that it is not packed again.

To pack one takes seconds, to read it a fraction of one. `captured/<fingerprint>` in the cache holds
the SHA-256 of the archive. The fingerprint covers all that decides what is packed: the bytes of each
file, not its times, for those can be set; what the interpreter tells of itself; and this program.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

from sealift_bundler.cache import Cache
from sealift_bundler.kept_files import read_kept
from sealift_bundler.sources.capture import Item
from sealift_bundler.sources.capture_layout import Layout
from sealift_installer.errors import host_errors
from sealift_schemas.strictjson import SHA256

FOLDER = "captured"


def fingerprint(layout: Layout, items: Mapping[str, Item]) -> str:
    """Return the SHA-256 of all that decides what is packed.

    Raises:
        HostError: a file of the interpreter cannot be read.
    """
    digest = hashlib.sha256(_program())
    # Order counts for nobody, and paths are told apart by their place.
    told = {"facts": asdict(layout.facts), "places": dict(layout.places)}
    digest.update(json.dumps(told, sort_keys=True, default=str).encode())
    with host_errors("cannot read the interpreter"):
        for place in sorted(items):
            item = items[place]
            content = "" if item.source is None else _digest(item.source)
            member = [place, item.executable, item.target, item.read is None, content]
            digest.update(json.dumps(member).encode())
    return digest.hexdigest()


def recall(cache: Cache, name: str, filename: str) -> tuple[Path, str] | None:
    """Return the archive that the interpreter with the fingerprint `name` gave, and its SHA-256.

    Raises:
        HostError: the cache cannot be read.
    """
    with host_errors("cannot read the cache"):
        data = read_kept(cache.directory / FOLDER / name, 64)
    text = (data or b"").decode("ascii", "replace")
    path = cache.lookup(text, filename) if SHA256.fullmatch(text) else None
    return None if path is None else (path, text)


def remember(cache: Cache, name: str, sha256: str) -> None:
    """Keep what the interpreter with the fingerprint `name` gave.

    Raises:
        HostError: the cache cannot be written.
    """
    with cache.temporary() as new, host_errors("cannot write the cache"):
        new.write_text(sha256, "ascii")
        place = cache.directory / FOLDER / name
        place.parent.mkdir(parents=True, exist_ok=True)
        new.replace(place)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _program() -> bytes:
    """Return the digest of the code that captures: it may pack the same files in another way."""
    digest = hashlib.sha256()
    for package in ("sources", "relocation"):
        folder = files("sealift_bundler").joinpath(package)
        for module in sorted(folder.iterdir(), key=lambda each: each.name):
            if module.name.endswith(".py"):
                digest.update(module.name.encode() + b"\0" + module.read_bytes())
    return digest.digest()
