"""The spec, sealift.toml: what is wanted in a bundle.

Four tables name archives: `[[python]]` by uv's request grammar, `[[url]]` by address,
`[[package]]` from the package index, `[[installed]]` an interpreter that stands on this machine.
"""

from collections.abc import Mapping, Sequence
from sys import intern

from sealift_schemas.keys import PLATFORM, TOOL_NAME
from sealift_schemas.lean import dataclass, field
from sealift_schemas.manifest import (
    PLATFORM_OR_ANY,
    PREFIX,
    STREAM,
    VERSION,
    read_links,
)
from sealift_schemas.network import Network
from sealift_schemas.pattern import Pattern
from sealift_schemas.publishers import Upstream
from sealift_schemas.strictjson import Fields

FORMAT = 1
ACCEPTED_DIGEST = Pattern(r"sha256:[0-9a-f]{64}")
MINOR_VERSION = Pattern(r"3\.[0-9]{1,2}")
# How many versions a request selects: the newest of each minor version, or every patch.
EACH = ("minor", "patch")
# The Pythons that unseal is carried for, unless the spec says otherwise.
DEFAULT_PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@dataclass(frozen=True, slots=True)
class PythonWanted:
    """Managed Pythons by request, for each of `platforms` (none: this machine's).

    The newest version that fits is meant, or with `each` the newest of each minor version, or
    every patch; with `all_platforms` all platforms that the catalogues have.
    """

    request: str
    platforms: tuple[str, ...] = ()
    accept_digest: str | None = None
    each: str | None = None
    all_platforms: bool = False

    @classmethod
    def from_json(cls, value: object, where: str) -> "PythonWanted":
        """Read one `[[python]]` table."""
        with Fields(value, where) as fields:
            return cls(
                request=fields.text("request"),
                platforms=_platforms(fields),
                accept_digest=_accepted(fields),
                each=fields.choice("each", EACH) if fields.has("each") else None,
                all_platforms=fields.flag("all_platforms")
                if fields.has("all_platforms")
                else False,
            )


@dataclass(frozen=True, slots=True)
class UrlWanted:
    """An archive by address.

    `strip` is the number of leading folders to take off (none given: one, where all members
    share one); `links` maps command names to paths in the installed tree; `prefix` is what the
    archive was built for, where it is to be relocated; `checksums` and `attestation` are addresses
    of a list of digests and of a Sigstore bundle by its publisher.
    """

    url: str
    name: str
    version: str
    sha256: str | None = None
    accept_digest: str | None = None
    platform: str = "any"
    strip: int | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    prefix: str | None = None
    checksums: str | None = None
    attestation: str | None = None

    @classmethod
    def from_json(cls, value: object, where: str) -> "UrlWanted":
        """Read one `[[url]]` table."""
        with Fields(value, where) as fields:
            return cls(
                url=fields.text("url"),
                name=fields.text("name", TOOL_NAME, "a lower-case name"),
                version=intern(fields.text("version", VERSION, "a version")),
                sha256=fields.sha256("sha256") if fields.has("sha256") else None,
                accept_digest=_accepted(fields),
                platform=intern(fields.text("platform", PLATFORM_OR_ANY, "a platform or any"))
                if fields.has("platform")
                else "any",
                strip=fields.integer("strip", maximum=16) if fields.has("strip") else None,
                links=read_links(fields, "links") if fields.has("links") else {},
                prefix=fields.optional_text("prefix", PREFIX, "an absolute path"),
                checksums=fields.optional_text("checksums"),
                attestation=fields.optional_text("attestation"),
            )


@dataclass(frozen=True, slots=True)
class PackageWanted:
    """A wheel from the package index, `NAME==VERSION`, for each of `platforms`.

    `links` maps command names to paths in the installed tree, beside the wheel's own scripts.
    """

    request: str
    platforms: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: object, where: str) -> "PackageWanted":
        """Read one `[[package]]` table."""
        with Fields(value, where) as fields:
            return cls(
                request=fields.text("request"),
                platforms=_platforms(fields),
                links=read_links(fields, "links") if fields.has("links") else {},
            )


@dataclass(frozen=True, slots=True)
class InstalledWanted:
    """An interpreter that stands on this machine, by the path of its executable."""

    path: str

    @classmethod
    def from_json(cls, value: object, where: str) -> "InstalledWanted":
        """Read one `[[installed]]` table."""
        with Fields(value, where) as fields:
            return cls(path=fields.text("path"))


@dataclass(frozen=True, slots=True)
class Spec:
    """The whole of sealift.toml.

    `keys` are the signers of bundles and `builders` those of the evidence in them, each a path, a
    `pkcs11:` URI or an `exec:` command; `roots` is the folder of the root versions; paths are
    relative to the file. `catalogs` are files or URLs in uv's download-metadata format, in order;
    `expires_days` is how long a bundle is valid (none: without an end); `pythons` are the Python
    versions for which unseal is carried; `network` is the way to the servers; `upstream` is what
    publishers are asked beside the bytes.
    """

    stream: str
    keys: tuple[str, ...] = ()
    builders: tuple[str, ...] = ()
    roots: str = "root"
    catalogs: tuple[str, ...] = ()
    expires_days: int | None = None
    pythons: tuple[str, ...] = DEFAULT_PYTHONS
    python: tuple[PythonWanted, ...] = ()
    url: Sequence[UrlWanted] = ()
    package: tuple[PackageWanted, ...] = ()
    installed: tuple[InstalledWanted, ...] = ()
    network: Network = field(default_factory=Network)
    upstream: Upstream = field(default_factory=Upstream)

    @classmethod
    def from_json(cls, value: object, where: str = "sealift.toml") -> "Spec":
        """Read the spec from the values of its TOML.

        Raises:
            DocumentError: it is not what the schema describes.
        """
        with Fields(value, where) as fields:
            fields.constant("format", FORMAT)
            with _table(fields, "signing") as signing:
                keys, builders = _texts(signing, "keys"), _texts(signing, "builders")
                roots = signing.text("roots") if signing.has("roots") else "root"
            installer = _table(fields, "installer")
            with installer:
                pythons = (
                    installer.texts("pythons", MINOR_VERSION, "a version such as 3.13")
                    if installer.has("pythons")
                    else DEFAULT_PYTHONS
                )
            return cls(
                stream=fields.text("stream", STREAM, "a stream's name"),
                keys=keys,
                builders=builders,
                roots=roots,
                catalogs=_texts(fields, "catalogs"),
                expires_days=fields.integer("expires_days", minimum=1, maximum=36500)
                if fields.has("expires_days")
                else None,
                pythons=pythons,
                python=fields.items("python", PythonWanted.from_json)
                if fields.has("python")
                else (),
                url=fields.items("url", UrlWanted.from_json) if fields.has("url") else (),
                package=fields.items("package", PackageWanted.from_json)
                if fields.has("package")
                else (),
                installed=fields.items("installed", InstalledWanted.from_json)
                if fields.has("installed")
                else (),
                network=Network.from_json(fields.take("network"), fields.place("network"))
                if fields.has("network")
                else Network(),
                upstream=_upstream(fields),
            )


def _table(fields: Fields, name: str) -> Fields:
    return Fields(fields.take(name) if fields.has(name) else {}, fields.place(name))


def _upstream(fields: Fields) -> Upstream:
    if not fields.has("upstream"):
        return Upstream()
    return Upstream.from_json(fields.take("upstream"), fields.place("upstream"))


def _texts(fields: Fields, name: str) -> tuple[str, ...]:
    return fields.texts(name) if fields.has(name) else ()


def _platforms(fields: Fields) -> tuple[str, ...]:
    if not fields.has("platforms"):
        return ()
    return fields.texts("platforms", PLATFORM, "a platform such as linux-x86_64-gnu")


def _accepted(fields: Fields) -> str | None:
    return fields.optional_text("accept_digest", ACCEPTED_DIGEST, "sha256: and 64 digits")
