"""The lock, sealift.lock: what was found for the spec, exactly. A bundle carries just this.

The sequence is raised whenever something changed, and all times in a bundle come from `created`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from sys import intern
from typing import Any

from sealift_schemas.keys import PLATFORM, TOOL_NAME
from sealift_schemas.lean import dataclass, field
from sealift_schemas.manifest import (
    DIGEST_SOURCES,
    FORMATS,
    KINDS,
    PLATFORM_OR_ANY,
    PREFIX,
    SOURCE_KINDS,
    STREAM,
    VERSION,
    read_links,
)
from sealift_schemas.missing import MissingWheel
from sealift_schemas.pattern import Pattern
from sealift_schemas.pieces import Lists, parse_large, write_pieces
from sealift_schemas.spec import EACH
from sealift_schemas.strictjson import DocumentError, Fields, shorten
from sealift_schemas.upstream import TrustedRootFile, UpstreamEvidence, read_evidence

FORMAT = 1
LIMIT = 64 * 1024 * 1024
# Which rules relocate the archive: see sealift_bundler.relocation.
RECIPES = ("cpython", "pypy", "graalpy", "pyodide", "wheel", "generic")
# Ten bytes of digest come before it and four of a part's number behind it: see COMPONENT.
FILENAME = Pattern(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,111}[A-Za-z0-9_+-]")
WHEEL = Pattern(r"[A-Za-z0-9._+!-]+\.whl")


@dataclass(frozen=True, slots=True)
class LockedArchive:
    """One archive, found: where its bytes are, what they must be, how they are installed.

    `filename` is the last segment of its name in `archives/`; `size` is in bytes; `strip` is as in
    the spec; `build` is the text of uv's BUILD file; `upstream` is what its publisher says beside
    it (empty: nobody asked).
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
    size: int
    digest_source: str
    recipe: str
    strip: int | None = None
    prefix: str | None = None
    build: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    upstream: tuple[UpstreamEvidence, ...] = ()

    @classmethod
    def from_json(cls, value: object, where: str) -> "LockedArchive":
        """Read one entry of `archives`."""
        with Fields(value, where) as fields:
            request, url = fields.text("request"), fields.text("url")
            return cls(
                name=fields.text("name", TOOL_NAME, "an install key or a tool's directory name"),
                kind=fields.choice("kind", KINDS),
                source=fields.choice("source", SOURCE_KINDS),
                request=request,
                version=intern(fields.text("version", VERSION, "a version")),
                platform=intern(fields.text("platform", PLATFORM_OR_ANY, "a platform or any")),
                url=request if url == request else url,
                filename=fields.text("filename", FILENAME, "a portable file name"),
                format=fields.choice("format", FORMATS),
                sha256=fields.sha256("sha256"),
                size=fields.integer("size", minimum=1),
                digest_source=fields.choice("digest_source", DIGEST_SOURCES),
                recipe=fields.choice("recipe", RECIPES),
                strip=fields.integer("strip", maximum=16) if fields.has("strip") else None,
                prefix=fields.optional_text("prefix", PREFIX, "an absolute path"),
                build=fields.optional_text("build"),
                links=read_links(fields, "links"),
                upstream=read_evidence(fields, "upstream") if fields.has("upstream") else (),
            )

    def shares_bytes(self, other: "LockedArchive") -> bool:
        """Tell whether the two can be one file of a bundle with one index.

        A wheel may serve two platforms, and is then two tools. An interpreter's name is in what is
        added to its tree, so it has its bytes for itself.
        """
        if self.name == other.name:
            return True
        parts = ("filename", "format", "size", "recipe", "strip", "prefix", "links", "upstream")
        same = all(getattr(self, part) == getattr(other, part) for part in parts)
        return same and self.kind == other.kind == "tool"

    def to_json(self) -> dict[str, Any]:
        """Return the archive as JSON values."""
        optional = {"strip": self.strip, "prefix": self.prefix, "build": self.build}
        return {
            "name": self.name,
            "kind": self.kind,
            "source": self.source,
            "request": self.request,
            "version": self.version,
            "platform": self.platform,
            "url": self.url,
            "filename": self.filename,
            "format": self.format,
            "sha256": self.sha256,
            "size": self.size,
            "digest_source": self.digest_source,
            "recipe": self.recipe,
            **{name: value for name, value in optional.items() if value is not None},
            "links": dict(self.links),
            **({"upstream": [one.to_json() for one in self.upstream]} if self.upstream else {}),
        }


@dataclass(frozen=True, slots=True)
class LockedWheel:
    """A wheel that unseal needs on the target; `size` is in bytes."""

    filename: str
    url: str
    sha256: str
    size: int

    @classmethod
    def from_json(cls, value: object, where: str) -> "LockedWheel":
        """Read one entry of `wheels`."""
        with Fields(value, where) as fields:
            return cls(
                filename=fields.text("filename", WHEEL, "a wheel's file name"),
                url=fields.text("url"),
                sha256=fields.sha256("sha256"),
                size=fields.integer("size", minimum=1),
            )

    def to_json(self) -> dict[str, Any]:
        """Return the wheel as JSON values."""
        return {
            "filename": self.filename,
            "url": self.url,
            "sha256": self.sha256,
            "size": self.size,
        }


@dataclass(frozen=True, slots=True)
class LockedCatalog:
    """A catalogue that was read, by address and digest."""

    url: str
    sha256: str

    @classmethod
    def from_json(cls, value: object, where: str) -> "LockedCatalog":
        """Read one entry of `catalogs`."""
        with Fields(value, where) as fields:
            return cls(url=fields.text("url"), sha256=fields.sha256("sha256"))

    def to_json(self) -> dict[str, Any]:
        """Return the catalogue as JSON values."""
        return {"url": self.url, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Expansion:
    """A wish of the spec that stands for many archives, and `names`, those that it stood for.

    It is what the old lock still says when the spec has changed elsewhere: the other fields are
    those of the wish, and one that is not the same is looked up anew.
    """

    request: str
    names: tuple[str, ...]
    platforms: tuple[str, ...] = ()
    each: str | None = None
    all_platforms: bool = False

    @classmethod
    def from_json(cls, value: object, where: str) -> "Expansion":
        """Read one entry of `expansions`."""
        with Fields(value, where) as fields:
            return cls(
                request=fields.text("request"),
                names=fields.texts("names", TOOL_NAME, "the name of an archive"),
                platforms=fields.texts("platforms", PLATFORM, "a platform"),
                each=fields.choice("each", EACH) if fields.has("each") else None,
                all_platforms=fields.flag("all_platforms"),
            )

    def to_json(self) -> dict[str, Any]:
        """Return the expansion as JSON values."""
        return {
            "request": self.request,
            "platforms": list(self.platforms),
            **({} if self.each is None else {"each": self.each}),
            "all_platforms": self.all_platforms,
            "names": list(self.names),
        }


@dataclass(frozen=True, slots=True)
class Lock:
    """The whole of sealift.lock. `spec` is the SHA-256 of the spec's meaning, not of its bytes.

    `trusted_root` is there where attestations are carried, and keys to verify them with. `root` is
    the newest root version that a bundle of this lock carries. `missing_wheels` are those that
    `wheels` lacks because there are none.
    """

    stream: str
    sequence: int
    created: str
    spec: str
    archives: Sequence[LockedArchive]
    wheels: tuple[LockedWheel, ...] = ()
    catalogs: tuple[LockedCatalog, ...] = ()
    expires: str | None = None
    expansions: tuple[Expansion, ...] = ()
    trusted_root: TrustedRootFile | None = None
    root: int = 1
    missing_wheels: tuple[MissingWheel, ...] = ()

    @classmethod
    def read(cls, data: bytes, *, what: str = "sealift.lock") -> "Lock":
        """Read the lock's bytes.

        Raises:
            DocumentError: they are no lock of this format.
        """
        lists: Lists = {("archives",): LockedArchive.from_json}
        value = parse_large(data, what=what, limit=LIMIT, lists=lists)
        with Fields(value, what) as fields:
            fields.constant("format", FORMAT)
            lock = cls(
                stream=fields.text("stream", STREAM, "a stream's name"),
                sequence=fields.integer("sequence", minimum=1),
                created=fields.time("created"),
                expires=fields.time("expires") if fields.has("expires") else None,
                spec=fields.sha256("spec"),
                catalogs=fields.items("catalogs", LockedCatalog.from_json),
                archives=fields.items("archives", LockedArchive.from_json),
                wheels=fields.items("wheels", LockedWheel.from_json),
                expansions=fields.items("expansions", Expansion.from_json)
                if fields.has("expansions")
                else (),
                trusted_root=TrustedRootFile.from_json(
                    fields.take("trusted_root"), fields.place("trusted_root")
                )
                if fields.has("trusted_root")
                else None,
                root=fields.integer("root", minimum=1) if fields.has("root") else 1,
                missing_wheels=fields.items("missing_wheels", MissingWheel.from_json)
                if fields.has("missing_wheels")
                else (),
            )
        _check_distinct(lock.archives, what)
        return lock

    def to_json(self, collect: Callable[[Iterator[Any]], Any] = list) -> dict[str, Any]:
        """Return the lock as JSON values; `collect` makes its long list."""
        expires = {} if self.expires is None else {"expires": self.expires}
        expansions = [expansion.to_json() for expansion in self.expansions]
        trusted = self.trusted_root
        missing = [wheel.to_json() for wheel in self.missing_wheels]
        return {
            "format": FORMAT,
            "stream": self.stream,
            "sequence": self.sequence,
            "created": self.created,
            **expires,
            "spec": self.spec,
            "catalogs": [catalog.to_json() for catalog in self.catalogs],
            "archives": collect(archive.to_json() for archive in self.archives),
            "wheels": [wheel.to_json() for wheel in self.wheels],
            **({"missing_wheels": missing} if missing else {}),
            **({"expansions": expansions} if expansions else {}),
            **({} if trusted is None else {"trusted_root": trusted.to_json()}),
            **({} if self.root == 1 else {"root": self.root}),
        }

    def encode(self) -> bytes:
        """Return the bytes of the file: indented, so that a diff can be read."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """Yield what `encode` returns, archive by archive."""
        return write_pieces(self.to_json(iter), indent=2)


def _check_distinct(archives: Iterable[LockedArchive], what: str) -> None:
    """Check what a schema cannot say: unique names, and bytes that are read in one way alone."""
    names: set[str] = set()
    shared: dict[str, LockedArchive] = {}
    for archive in archives:
        if archive.name in names:
            raise DocumentError(f"{what}.archives", "each name once", shorten(archive.name))
        names.add(archive.name)
        if not archive.shares_bytes(shared.setdefault(archive.sha256, archive)):
            raise DocumentError(
                f"{what}.archives",
                "each sha256 once, or for tools that differ in name and platform alone",
                shorten(archive.sha256),
            )
