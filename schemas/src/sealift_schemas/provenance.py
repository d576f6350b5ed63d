"""SLSA provenance v1 of a bundle's archives, for the one build type that there is here.

https://slsa.dev/spec/v1.0/provenance; what the parameters mean is in docs/reference/build-type.md.
It is the payload of evidence/provenance.dsse.json, signed by the role `builder`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from sys import intern
from typing import Any

from sealift_schemas.keys import TOOL_NAME
from sealift_schemas.lean import dataclass, field, replace
from sealift_schemas.manifest import (
    DIGEST_SOURCES,
    PLATFORM_OR_ANY,
    PREFIX,
    STREAM,
    VERSION,
    read_links,
)
from sealift_schemas.pattern import Pattern
from sealift_schemas.pieces import Lists, write_pieces
from sealift_schemas.statement import (
    URI,
    Named,
    Subject,
    read_digest,
    read_statement,
    write_statement,
)
from sealift_schemas.strictjson import Fields
from sealift_schemas.upstream import SOURCE, UpstreamEvidence, read_evidence

PATH = "evidence/provenance.dsse.json"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://sealift.invalid/build-type/v1"
# What a download is: an archive that is carried, a wheel of unseal, a catalogue that was read, or
# the keys by which publishers' attestations can be verified.
DEPENDENCIES = ("archive", "wheel", "catalog", "trusted-root")
# As in the spec, whose reader is not needed here.
PYTHON = Pattern(r"3\.[0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """An archive as it was asked for: the part of the external parameters that concerns it."""

    name: str
    request: str
    version: str
    platform: str
    strip: int | None = None
    prefix: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: object, where: str) -> "Wanted":
        """Read one entry of `archives`."""
        with Fields(value, where) as fields:
            return cls(
                name=fields.text("name", TOOL_NAME, "an install key or a tool's directory name"),
                request=fields.text("request"),
                version=intern(fields.text("version", VERSION, "a version")),
                platform=intern(fields.text("platform", PLATFORM_OR_ANY, "a platform or any")),
                strip=fields.integer("strip", maximum=16) if fields.has("strip") else None,
                prefix=fields.optional_text("prefix", PREFIX, "an absolute path"),
                links=read_links(fields, "links"),
            )

    def to_json(self) -> dict[str, Any]:
        """Return the wish as JSON values."""
        optional = {"strip": self.strip, "prefix": self.prefix}
        return {
            "name": self.name,
            "request": self.request,
            "version": self.version,
            "platform": self.platform,
            **{name: value for name, value in optional.items() if value is not None},
            "links": dict(self.links),
        }


@dataclass(frozen=True, slots=True)
class Parameters:
    """The external parameters: all that the site decides. `spec` and `lock` are SHA-256."""

    stream: str
    sequence: int
    created: str
    spec: str
    lock: str
    archives: Sequence[Wanted]
    pythons: tuple[str, ...] = ()
    catalogs: tuple[str, ...] = ()
    expires: str | None = None

    @classmethod
    def from_json(cls, value: object, where: str) -> "Parameters":
        """Read `externalParameters`."""
        with Fields(value, where) as fields:
            return cls(
                stream=fields.text("stream", STREAM, "a stream's name"),
                sequence=fields.integer("sequence", minimum=1),
                created=fields.time("created"),
                expires=fields.time("expires") if fields.has("expires") else None,
                spec=fields.sha256("spec"),
                lock=fields.sha256("lock"),
                pythons=fields.texts("pythons", PYTHON, "a version such as 3.13"),
                catalogs=fields.texts("catalogs", URI, "an absolute URI"),
                archives=fields.items("archives", Wanted.from_json),
            )

    def to_json(self, collect: Callable[[Iterator[Any]], Any] = list) -> dict[str, Any]:
        """Return the parameters as JSON values; `collect` makes the long list."""
        return {
            "stream": self.stream,
            "sequence": self.sequence,
            "created": self.created,
            **({} if self.expires is None else {"expires": self.expires}),
            "spec": self.spec,
            "lock": self.lock,
            "pythons": list(self.pythons),
            "catalogs": list(self.catalogs),
            "archives": collect(archive.to_json() for archive in self.archives),
        }


@dataclass(frozen=True, slots=True)
class Dependency:
    """One download, by its digest. `size` is in bytes; a catalogue has neither size nor source.

    Attributes:
        kind: one of `DEPENDENCIES`.
        name: an archive's name, or a file name.
        uri: the purl, or where it was found.
        location: where anybody can fetch it, if anybody can.
        digest_source: who named the digest that the download was held against.
        upstream: what the publisher says about it beside its bytes.
    """

    kind: str
    name: str
    uri: str
    sha256: str
    location: str | None = None
    size: int | None = None
    digest_source: str | None = None
    upstream: tuple[UpstreamEvidence, ...] = ()

    @classmethod
    def from_json(cls, value: object, where: str) -> "Dependency":
        """Read one entry of `resolvedDependencies`."""
        with Fields(value, where) as fields:
            place = fields.place("annotations")
            with Fields(fields.take("annotations"), place) as notes:
                kind = notes.choice("kind", DEPENDENCIES)
                size = notes.integer("size", minimum=1) if kind != "catalog" else None
                source = notes.choice("digestSource", DIGEST_SOURCES) if kind == "archive" else None
                upstream = read_evidence(notes, "upstream") if kind == "archive" else ()
            return cls(
                kind=kind,
                name=fields.text("name"),
                uri=fields.text("uri", URI, "an absolute URI"),
                sha256=read_digest(fields),
                location=fields.optional_text(
                    "downloadLocation", SOURCE, "an address without credentials and query"
                ),
                size=size,
                digest_source=source,
                upstream=upstream,
            )

    def to_json(self) -> dict[str, Any]:
        """Return the resource descriptor as JSON values."""
        notes: dict[str, Any] = {"kind": self.kind}
        if self.size is not None:
            notes["size"] = self.size
        if self.digest_source is not None:
            notes["digestSource"] = self.digest_source
            notes["upstream"] = [one.to_json() for one in self.upstream]
        location = {} if self.location is None else {"downloadLocation": self.location}
        return {
            "name": self.name,
            "uri": self.uri,
            "digest": {"sha256": self.sha256},
            **location,
            "annotations": notes,
        }


@dataclass(frozen=True, slots=True)
class Provenance:
    """The whole statement: how the archives came to be in this bundle, and who says so.

    `epoch` is that of the root, `builder` the URI of who built, `version` that of sealift,
    `code` the code that built, `byproducts` the files that were written about the archives.
    """

    subjects: Sequence[Subject]
    parameters: Parameters
    epoch: int
    dependencies: Sequence[Dependency]
    builder: str
    version: str
    code: tuple[Named, ...]
    invocation: str
    byproducts: tuple[Named, ...] = ()

    @classmethod
    def read(
        cls, data: bytes | memoryview, *, limit: int, what: str = "provenance"
    ) -> "Provenance":
        """Read the payload's bytes. Nothing here says that they are authentic.

        Raises:
            DocumentError: they are no provenance of this build type.
        """
        subjects, parts = read_statement(
            data, PREDICATE_TYPE, _parts, lists=_readers(), what=what, limit=limit
        )
        return cls(subjects=subjects, **parts)

    def to_json(self, collect: Callable[[Iterator[Any]], Any] = list) -> dict[str, Any]:
        """Return the statement as JSON values; `collect` makes its long lists."""
        definition = {
            "buildType": BUILD_TYPE,
            "externalParameters": self.parameters.to_json(collect),
            "internalParameters": {"epoch": self.epoch},
            "resolvedDependencies": collect(one.to_json() for one in self.dependencies),
        }
        run = {
            "builder": {
                "id": self.builder,
                "version": {"sealift": self.version},
                "builderDependencies": [one.to_json() for one in self.code],
            },
            "metadata": {
                "invocationId": self.invocation,
                "startedOn": self.parameters.created,
            },
            "byproducts": [one.to_json() for one in self.byproducts],
        }
        predicate = {"buildDefinition": definition, "runDetails": run}
        return write_statement(self.subjects, PREDICATE_TYPE, predicate, collect)

    def encode(self) -> bytes:
        """Return the bytes that are signed: indented, so that people can read them."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """Yield what `encode` returns, archive by archive."""
        return write_pieces(self.to_json(iter), indent=2)


_DEFINITION = ("predicate", "buildDefinition")


def _readers() -> Lists:
    """Return the readers of the long lists. A text that comes again is in memory once."""
    known: dict[str, str] = {}

    def subject(value: object, where: str) -> Subject:
        one = Subject.from_json(value, where)
        return Subject(one.name, known.setdefault(one.sha256, one.sha256))

    def wanted(value: object, where: str) -> Wanted:
        one = Wanted.from_json(value, where)
        known[one.name] = one.name
        known[one.request] = one.request
        return one

    def dependency(value: object, where: str) -> Dependency:
        one = Dependency.from_json(value, where)
        location = None if one.location is None else known.get(one.location, one.location)
        name, sha256 = known.get(one.name, one.name), known.get(one.sha256, one.sha256)
        return replace(one, name=name, sha256=sha256, location=location)

    return {
        ("subject",): subject,
        (*_DEFINITION, "externalParameters", "archives"): wanted,
        (*_DEFINITION, "resolvedDependencies"): dependency,
    }


def _parts(value: object, where: str) -> dict[str, Any]:
    with Fields(value, where) as fields:
        place = fields.place("buildDefinition")
        with Fields(fields.take("buildDefinition"), place) as definition:
            definition.constant("buildType", BUILD_TYPE)
            place = definition.place("externalParameters")
            parameters = Parameters.from_json(definition.take("externalParameters"), place)
            place = definition.place("internalParameters")
            with Fields(definition.take("internalParameters"), place) as internal:
                epoch = internal.integer("epoch", minimum=1)
            dependencies = definition.items("resolvedDependencies", Dependency.from_json)
        run = _run(fields.take("runDetails"), fields.place("runDetails"), parameters.created)
    return {"parameters": parameters, "epoch": epoch, "dependencies": dependencies, **run}


def _run(value: object, where: str, created: str) -> dict[str, Any]:
    with Fields(value, where) as fields:
        with Fields(fields.take("builder"), fields.place("builder")) as builder:
            name = builder.text("id", URI, "an absolute URI")
            with Fields(builder.take("version"), builder.place("version")) as versions:
                version = versions.text("sealift", VERSION, "a version")
            code = builder.items("builderDependencies", Named.from_json)
        with Fields(fields.take("metadata"), fields.place("metadata")) as metadata:
            invocation = metadata.text("invocationId", URI, "an absolute URI")
            started = metadata.time("startedOn")
            if started != created:
                metadata.fail("startedOn", "the time of externalParameters.created", started)
        byproducts = fields.items("byproducts", Named.from_json)
    return {
        "builder": name,
        "version": version,
        "code": code,
        "invocation": invocation,
        "byproducts": byproducts,
    }
