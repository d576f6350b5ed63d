"""What GitHub's API says of a release's files: their digests, and the attestations of a digest.

Since July 2026 the API names a `bundle_url` in place of the attestation itself: a signed address
at a host of its own, where it is kept packed with Snappy. No token goes there.
"""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

from sealift_bundler.addresses import find_flaw
from sealift_bundler.foreign_json import read_json
from sealift_bundler.upstream.reader import Request
from sealift_bundler.upstream.snappy import SnappyError, unpack
from sealift_schemas.lean import dataclass
from sealift_schemas.strictjson import LARGEST_INTEGER, SHA256

# Of one digest; python-build-standalone makes one or two.
MOST_ATTESTATIONS = 30
# Of one attestation, in bytes; they have 10 to 20 kB.
LARGEST_ATTESTATION = 4 * 1024 * 1024
# Of a text in what is kept of a release's file; the address has the most, some 200 characters.
LONGEST_FIELD = 1000
_DIGEST = "sha256:"
# The address names repository, tag and file. What counts or changes by itself is not kept.
_TEXTS = ("digest", "created_at", "updated_at", "browser_download_url")


class UnreadableAnswer(ValueError):
    """The API did not answer as it is documented."""


@dataclass(frozen=True, slots=True)
class Asset:
    """What the API says of a release's file; `sha256` is None for those from before June 2025.

    `record` is what of it is kept: the fields that do not change by themselves. `left_out` names
    those among them that are too long, or no text where there should be one.
    """

    sha256: str | None
    size: int | None
    record: dict[str, Any]
    left_out: tuple[str, ...] = ()


def load_json(data: bytes) -> Any:
    """Return the values of an answer.

    Raises:
        UnreadableAnswer: it is no JSON.
    """
    try:
        return read_json(data)
    except ValueError:
        raise UnreadableAnswer("the answer is no JSON") from None


def find_asset(data: bytes, url: str) -> Asset | None:
    """Return what the answer about a release says of the file at `url`, None if nothing.

    Raises:
        UnreadableAnswer: it is none about a release, or it names the file twice.
    """
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    named = _assets(data).get(name, ())
    if not named:
        return None
    if len(named) > 1:
        raise UnreadableAnswer("the answer names the file twice")
    return _asset(named[0])


@lru_cache(maxsize=1)  # the archives of a release mostly come one after the other
def _assets(data: bytes) -> dict[str, list[dict[str, Any]]]:
    """Return a release's files by name: its answer has megabytes, and speaks of many archives."""
    answer = load_json(data)
    assets = answer.get("assets") if isinstance(answer, dict) else None
    if not isinstance(assets, list):
        raise UnreadableAnswer("the answer describes no release")
    found: dict[str, list[dict[str, Any]]] = {}
    for asset in assets:
        if isinstance(asset, dict) and isinstance(asset.get("name"), str):
            found.setdefault(asset["name"], []).append(asset)
    return found


def forget_assets() -> None:
    """Let go of the release that was read last: its values take ten times its megabytes."""
    _assets.cache_clear()


def _asset(asset: dict[str, Any]) -> Asset:
    digest, size = asset.get("digest"), asset.get("size")
    sha256 = None
    if isinstance(digest, str) and digest.startswith(_DIGEST):
        sha256 = digest.removeprefix(_DIGEST).lower()
        if not SHA256.fullmatch(sha256):
            raise UnreadableAnswer("the answer has no digest where it should")
    whole = type(size) is int and 0 <= size <= LARGEST_INTEGER
    texts = {field: asset[field] for field in _TEXTS if asset.get(field) is not None}
    kept = {field: text for field, text in texts.items() if _is_short(text)}
    record = {"name": asset["name"], **({"size": size} if whole else {}), **kept}
    left_out = tuple(field for field in texts if field not in kept)
    return Asset(sha256, size if whole else None, record, left_out)


def _is_short(text: object) -> bool:
    return isinstance(text, str) and len(text) <= LONGEST_FIELD


def list_attestations(data: bytes) -> Iterator[dict[str, Any] | Request]:
    """Yield the attestations that the answer has, or how to ask for each.

    Raises:
        UnreadableAnswer: it is none about attestations, or it has too many.
    """
    answer = load_json(data)
    entries = answer.get("attestations") if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        raise UnreadableAnswer("the answer lists no attestations")
    if len(entries) > MOST_ATTESTATIONS:
        raise UnreadableAnswer(f"there are more than {MOST_ATTESTATIONS} attestations")
    for entry in entries:
        bundle = entry.get("bundle") if isinstance(entry, dict) else None
        address = entry.get("bundle_url") if isinstance(entry, dict) else None
        if isinstance(bundle, dict):
            yield bundle
        elif isinstance(address, str) and address.startswith(("https://", "http://")):
            if find_flaw(address) is not None:
                raise UnreadableAnswer("the answer leads to an address that cannot be read")
            # A signed address is of use for minutes; the attestation itself is what is kept.
            yield Request(address, (address,), LARGEST_ATTESTATION, keep=False)
        else:
            raise UnreadableAnswer("the answer has an attestation without content")


def unpack_attestation(data: bytes) -> dict[str, Any]:
    """Return the attestation that a bundle's address gave, packed or as it is.

    Raises:
        UnreadableAnswer: it is none.
    """
    if not data.lstrip().startswith(b"{"):
        try:
            data = unpack(data, LARGEST_ATTESTATION)
        except SnappyError as error:
            raise UnreadableAnswer(f"the attestation cannot be unpacked: {error}") from None
    values = load_json(data)
    if not isinstance(values, dict):
        raise UnreadableAnswer("the attestation is no JSON object")
    return values


def write_lines(bundles: list[dict[str, Any]]) -> bytes:
    """Return attestations one a line, in an order of their own, as `gh` reads them."""
    lines = sorted(
        json.dumps(bundle, separators=(",", ":"), sort_keys=True, ensure_ascii=True)
        for bundle in bundles
    )
    return "".join(f"{line}\n" for line in dict.fromkeys(lines)).encode()


def read_lines(data: bytes) -> list[dict[str, Any]]:
    """Return the attestations of a file: one a line, or one in all.

    Raises:
        UnreadableAnswer: it is no such file.
    """
    try:
        values = [read_json(data)]
    except ValueError:
        lines = [line for line in data.splitlines() if line.strip()]
        if len(lines) > MOST_ATTESTATIONS:
            raise UnreadableAnswer(
                f"there are more than {MOST_ATTESTATIONS} attestations"
            ) from None
        values = [load_json(line) for line in lines]
    if not values or not all(isinstance(value, dict) for value in values):
        raise UnreadableAnswer("it holds no attestation")
    return values
