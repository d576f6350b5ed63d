"""What a source found: an archive whose bytes are known by digest, and may have yet to be fetched."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sealift_installer.errors import UsageError, mismatch
from sealift_schemas.lock import FILENAME, LockedArchive

# Endings by which an archive's format is told from its name; the longest that fits counts.
_ENDINGS = {
    ".tar": "tar",
    ".tar.gz": "tar.gz",
    ".tgz": "tar.gz",
    ".tar.bz2": "tar.bz2",
    ".tbz2": "tar.bz2",
    ".tar.xz": "tar.xz",
    ".txz": "tar.xz",
    ".tar.zst": "tar.zst",
    ".tzst": "tar.zst",
    ".zip": "zip",
    ".whl": "zip",
    ".7z": "7z",
}
ENDINGS = tuple(_ENDINGS)
_UNPORTABLE = re.compile(r"[^A-Za-z0-9._+-]+")
_LONGEST_FILENAME = 113


@dataclass(frozen=True, slots=True)
class Found:
    """An archive as `LockedArchive` describes it, before it was fetched.

    `size` is in bytes, or None where the source does not tell it.
    """

    name: str
    kind: str
    source: str
    request: str
    version: str
    platform: str
    url: str
    filename: str
    format: str
    sha256: str
    size: int | None
    digest_source: str
    recipe: str
    strip: int | None = None
    prefix: str | None = None
    build: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)

    def locked(self, size: int) -> LockedArchive:
        """Return the entry of the lock, now that the file is here and has `size` bytes."""
        return LockedArchive(
            name=self.name,
            kind=self.kind,
            source=self.source,
            request=self.request,
            version=self.version,
            platform=self.platform,
            url=self.url,
            filename=self.filename,
            format=self.format,
            sha256=self.sha256,
            size=size,
            digest_source=self.digest_source,
            recipe=self.recipe,
            strip=self.strip,
            prefix=self.prefix,
            build=self.build,
            links=self.links,
        )


def choose_digest(
    stated: str | None, accept_digest: str | None, *, source: str, clash: str, missing: UsageError
) -> tuple[str, str]:
    """Return the digest that an archive is held against, and who named it.

    Args:
        stated: what the publisher states, as hex.
        accept_digest: what a person has compared, as `sha256:HEX`.
        source: who is said to have named `stated`.
        clash: the message where the two differ.
        missing: the error where there is neither.

    Raises:
        UsageError: the two differ, or there is neither.
    """
    accepted = accept_digest.removeprefix("sha256:") if accept_digest else None
    if stated is not None:
        if accepted not in {None, stated}:
            raise UsageError(mismatch(clash, stated, accepted))
        return stated, source
    if accepted is None:
        raise missing
    return accepted, "accepted"


def archive_filename(url: str) -> str:
    """Return the name under which the archive at `url` is kept.

    It is the last segment of the path with each `%2B` as `-`, as uv names the files of
    UV_PYTHON_CACHE_DIR. A name that FAT32 or Windows would not keep is made portable; its ending
    stays.
    """
    name = urlsplit(url).path.rsplit("/", 1)[-1].replace("%2B", "-").replace("%2b", "-")
    if FILENAME.fullmatch(name):
        return name
    portable = _UNPORTABLE.sub("-", name)
    ending = next((ending for ending in _by_length() if portable.lower().endswith(ending)), "")
    cut = len(portable) - len(ending)
    stem = portable[:cut].lstrip(".+-").rstrip(".") or "archive"
    # The pattern asks for two characters.
    stem = stem if len(stem) > 1 else f"archive-{stem}"
    return stem[: _LONGEST_FILENAME - len(ending)].rstrip(".") + portable[cut:]


def archive_format(filename: str) -> str | None:
    """Return the format that a file's name tells, or None."""
    lower = filename.lower()
    return next((_ENDINGS[ending] for ending in _by_length() if lower.endswith(ending)), None)


def _by_length() -> list[str]:
    return sorted(_ENDINGS, key=len, reverse=True)
