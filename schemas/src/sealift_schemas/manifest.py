"""The manifest: the signed statement of everything in a bundle and of what is to be done with it.

It is an in-toto Statement v1 (https://github.com/in-toto/attestation, spec/v1/statement.md) whose
subjects are all payload files, in a DSSE envelope. Times come from the lock, so that the same lock
gives the same bytes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sealift_schemas.keys import PLATFORM, TOOL_NAME
from sealift_schemas.lean import dataclass, field
from sealift_schemas.pattern import Pattern
from sealift_schemas.payload import BUNDLE_PATH, CHUNK_SIZE, BundleFile
from sealift_schemas.strictjson import (
    DocumentError,
    Fields,
    check_text,
    parse,
    shorten,
)

FORMAT = 1
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
# Names under .invalid belong to nobody (RFC 2606), so no one else's page can claim to define them.
PREDICATE_TYPE = "https://sealift.invalid/manifest/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"

# From so many bytes on it pays to read one in a way of its own, with expressions to be compiled.
_LARGE = 128 * 1024

KINDS = ("interpreter", "tool")
FORMATS = ("tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "zip", "7z")
SOURCE_KINDS = ("python", "url", "package", "captured")
# Where the expected digest of an archive came from.
DIGEST_SOURCES = ("catalog", "spec", "index", "accepted", "captured")

STREAM = Pattern(r"[a-z0-9][a-z0-9._-]{0,62}")
VERSION = Pattern(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,63}")
INSTALLED_PATH = Pattern(r"[^/\x00-\x1f\x7f]+(?:/[^/\x00-\x1f\x7f]+)*")
LINK_NAME = Pattern(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")
LIBRARY = Pattern(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")
GLIBC = Pattern(r"[0-9]{1,2}\.[0-9]{1,3}")
PREFIX = Pattern(r"/[^\x00-\x1f\x7f]*[^/\x00-\x1f\x7f]")
PLATFORM_OR_ANY = Pattern(rf"any|{PLATFORM.pattern}")
INSTALLER_VERSION = Pattern(r"[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Requirements:
    """What an archive needs of the host: its libraries by soname, and the least glibc."""

    glibc: str | None = None
    libraries: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: object, where: str) -> "Requirements":
        """Read `requires`."""
        with Fields(value, where) as fields:
            return cls(
                glibc=fields.optional_text("glibc", GLIBC, "a version such as 2.17"),
                libraries=fields.texts("libraries", LIBRARY, "a soname"),
            )

    def to_json(self) -> dict[str, Any]:
        """Return the requirements as JSON values."""
        glibc = {} if self.glibc is None else {"glibc": self.glibc}
        return {**glibc, "libraries": list(self.libraries)}


@dataclass(frozen=True, slots=True)
class Source:
    """Where an archive came from: what was asked for, and what was found."""

    kind: str
    request: str
    url: str
    digest_source: str

    @classmethod
    def from_json(cls, value: object, where: str) -> "Source":
        """Read `source`."""
        with Fields(value, where) as fields:
            return cls(
                kind=fields.choice("kind", SOURCE_KINDS),
                request=fields.text("request"),
                url=fields.text("url"),
                digest_source=fields.choice("digest_source", DIGEST_SOURCES),
            )

    def to_json(self) -> dict[str, Any]:
        """Return the source as JSON values."""
        return {
            "kind": self.kind,
            "request": self.request,
            "url": self.url,
            "digest_source": self.digest_source,
        }


@dataclass(frozen=True, slots=True)
class Archive:
    """One carried archive and what the target does with it.

    `parts` are the bundle files whose bytes, one after the other, are the archive; `members`
    and `unpacked` (bytes) count what is installed; `prefix` is what the archive was built for,
    `interpreter` the program that must start after the install, `links` the names offered for the
    directory of links, each with a path in the installed tree.
    """

    name: str
    kind: str
    version: str
    platform: str
    format: str
    size: int
    sha256: str
    parts: tuple[str, ...]
    index: str
    members: int
    unpacked: int
    source: Source
    prefix: str | None = None
    interpreter: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    requires: Requirements = field(default_factory=Requirements)

    @classmethod
    def from_json(cls, value: object, where: str) -> "Archive":
        """Read one entry of `archives`."""
        with Fields(value, where) as fields:
            return cls(
                name=fields.text("name", TOOL_NAME, "an install key or a tool's directory name"),
                kind=fields.choice("kind", KINDS),
                version=fields.text("version", VERSION, "a version"),
                platform=fields.text("platform", PLATFORM_OR_ANY, "a platform or any"),
                format=fields.choice("format", FORMATS),
                size=fields.integer("size", minimum=1),
                sha256=fields.sha256("sha256"),
                parts=fields.items("parts", _bundle_path, minimum=1),
                index=fields.text("index", BUNDLE_PATH, "a portable relative path"),
                members=fields.integer("members"),
                unpacked=fields.integer("unpacked"),
                source=Source.from_json(fields.take("source"), fields.place("source")),
                prefix=fields.optional_text("prefix", PREFIX, "an absolute path"),
                interpreter=fields.optional_text(
                    "interpreter", INSTALLED_PATH, "a path in the installed tree"
                ),
                links=read_links(fields, "links"),
                requires=Requirements.from_json(fields.take("requires"), fields.place("requires")),
            )

    def to_json(self) -> dict[str, Any]:
        """Return the archive as JSON values."""
        optional = {"prefix": self.prefix, "interpreter": self.interpreter}
        return {
            "name": self.name,
            "kind": self.kind,
            "version": self.version,
            "platform": self.platform,
            "format": self.format,
            "size": self.size,
            "sha256": self.sha256,
            "parts": list(self.parts),
            "index": self.index,
            "members": self.members,
            "unpacked": self.unpacked,
            "source": self.source.to_json(),
            **{name: value for name, value in optional.items() if value is not None},
            "links": dict(self.links),
            "requires": self.requires.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything in the bundle: payload files and archives, and the bundle's place in its stream."""

    stream: str
    epoch: int
    sequence: int
    created: str
    generator: str
    installer: str
    files: Sequence[BundleFile]
    archives: Sequence[Archive]
    expires: str | None = None

    @classmethod
    def read(cls, data: bytes | bytearray, *, limit: int, start: int = 0) -> "Manifest":
        """Read the payload's bytes, from `start` on. Nothing here says that they are authentic.

        Raises:
            DocumentError: they are no manifest of this format.
        """
        where = "manifest"
        if _LARGE < len(data) - start <= limit:
            from sealift_schemas.manifest_text import read_written

            written = read_written(data, start)
            if written is not None:
                return written
        payload = bytes(memoryview(data)[start:])
        with Fields(parse(payload, what=where, limit=limit), where) as fields:
            fields.constant("_type", STATEMENT_TYPE)
            fields.constant("predicateType", PREDICATE_TYPE)
            subjects = fields.items("subject", _subject)
            manifest = cls._predicate(fields.take("predicate"), fields.place("predicate"))
        if subjects != tuple((file.path, file.sha256) for file in manifest.files):
            raise DocumentError(
                f"{where}.subject", "the paths and digests of predicate.files", "others"
            )
        return manifest

    @classmethod
    def _predicate(cls, value: object, where: str) -> "Manifest":
        with Fields(value, where) as fields:
            fields.constant("format", FORMAT)
            fields.constant("chunk_size", CHUNK_SIZE)
            manifest = cls(
                stream=fields.text("stream", STREAM, "a stream's name"),
                epoch=fields.integer("epoch", minimum=1),
                sequence=fields.integer("sequence", minimum=1),
                created=fields.time("created"),
                expires=fields.time("expires") if fields.has("expires") else None,
                generator=fields.text("generator"),
                installer=fields.text("installer", INSTALLER_VERSION, "a version such as 1.0.0"),
                files=fields.items("files", BundleFile.from_json),
                archives=fields.items("archives", Archive.from_json),
            )
        check_consistent(manifest, where)
        return manifest

    def to_json(self, collect: Callable[[Iterator[Any]], Any] = list) -> dict[str, Any]:
        """Return the whole statement as JSON values; `collect` makes its long lists."""
        expires = {} if self.expires is None else {"expires": self.expires}
        return {
            "_type": STATEMENT_TYPE,
            "subject": collect(
                {"name": file.path, "digest": {"sha256": file.sha256}} for file in self.files
            ),
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "format": FORMAT,
                "chunk_size": CHUNK_SIZE,
                "stream": self.stream,
                "epoch": self.epoch,
                "sequence": self.sequence,
                "created": self.created,
                **expires,
                "generator": self.generator,
                "installer": self.installer,
                "archives": collect(archive.to_json() for archive in self.archives),
                "files": collect(file.to_json() for file in self.files),
            },
        }

    def encode(self) -> bytes:
        """Return the bytes that are signed: indented, so that people can read them."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """Yield what `encode` returns, file by file and archive by archive."""
        from sealift_schemas.pieces import write_pieces

        return write_pieces(self.to_json(iter), indent=2)


def read_links(fields: Fields, name: str) -> dict[str, str]:
    """Take a mapping from link names to paths in the installed tree."""
    links = {}
    for link, path, place in fields.mapping(name):
        check_text(link, place, LINK_NAME, "a plain file name")
        links[link] = check_text(path, place, INSTALLED_PATH, "a path in the installed tree")
    return links


def _bundle_path(value: object, where: str) -> str:
    return check_text(value, where, BUNDLE_PATH, "a portable relative path")


def _subject(value: object, where: str) -> tuple[str, str]:
    with Fields(value, where) as fields:
        name = fields.text("name", BUNDLE_PATH, "a portable relative path")
        with Fields(fields.take("digest"), fields.place("digest")) as digest:
            return name, digest.sha256("sha256")


def check_consistent(manifest: Manifest, where: str) -> None:
    """Check what a schema cannot say: order, uniqueness, and references between the parts.

    Raises:
        DocumentError: they do not hold.
    """
    paths = [file.path for file in manifest.files]
    lower = {path if path.islower() else path.lower() for path in paths}
    if paths != sorted(paths) or len(lower) != len(paths):
        raise DocumentError(
            f"{where}.files", "sorted paths that differ by more than case", "another order or twins"
        )
    sizes = {file.path: file.size for file in manifest.files}
    names: set[str] = set()
    for number, archive in enumerate(manifest.archives):
        place = f"{where}.archives[{number}]"
        if archive.name in names:
            raise DocumentError(f"{place}.name", "each name once", shorten(archive.name))
        names.add(archive.name)
        for path in (*archive.parts, archive.index):
            if path not in sizes:
                raise DocumentError(place, "references to payload files", shorten(path))
        if sum(sizes[path] for path in archive.parts) != archive.size:
            raise DocumentError(f"{place}.size", "the sum of the parts", str(archive.size))
