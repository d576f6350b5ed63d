"""The table `[network]` of the spec: by which way archives are fetched.

It decides nothing about what a bundle contains. Secrets are never written in it: it names the
environment variables that hold them.
"""

from sealift_schemas.lean import dataclass
from sealift_schemas.pattern import Pattern
from sealift_schemas.strictjson import Fields

# No user, password, query or fragment: an address that anybody may read.
PROXY = Pattern(r"https?://[^\x00-\x20\x7f@/?#]+/?")
PREFIX = Pattern(r"https?://[^\x00-\x20\x7f@?#]+/")
MIRROR = Pattern(r"(?:https?://|file:///)[^\x00-\x20\x7f@?#]+")
HOST = Pattern(r"(?:[a-z0-9][a-z0-9.-]{0,252}|\[[0-9a-f:.]{2,45}\])(?::[1-9][0-9]{0,4})?")
VARIABLE = Pattern(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


@dataclass(frozen=True, slots=True)
class Host:
    """How a server knows who asks.

    `name` is a host, or host:port where the port is not that of the scheme. `token_env` names the
    variable with a bearer token; `client_cert` and `client_key` are files.
    """

    name: str
    token_env: str | None = None
    client_cert: str | None = None
    client_key: str | None = None

    @classmethod
    def from_json(cls, value: object, where: str) -> "Host":
        """Read one `[[network.host]]` table."""
        with Fields(value, where) as fields:
            return cls(
                name=fields.text("name", HOST, "a host in lower case, or host:port"),
                token_env=fields.optional_text("token_env", VARIABLE, "a variable's name"),
                client_cert=fields.optional_text("client_cert"),
                client_key=fields.optional_text("client_key"),
            )


@dataclass(frozen=True, slots=True)
class Mirror:
    """Other places of what is published below `prefix`, in the order in which they are asked.

    The address itself is asked last, or with `exclusive` not at all.
    """

    prefix: str
    urls: tuple[str, ...]
    exclusive: bool = False

    @classmethod
    def from_json(cls, value: object, where: str) -> "Mirror":
        """Read one `[[network.mirror]]` table."""
        with Fields(value, where) as fields:
            return cls(
                prefix=fields.text("prefix", PREFIX, "https://, a host, a path and a slash"),
                urls=fields.texts("urls", MIRROR, "an https, http or file:/// address"),
                exclusive=fields.has("exclusive") and fields.flag("exclusive"),
            )


@dataclass(frozen=True, slots=True)
class Network:
    """The whole table. `ca` is a file with the certificates of further authorities."""

    proxy: str | None = None
    ca: str | None = None
    hosts: tuple[Host, ...] = ()
    mirrors: tuple[Mirror, ...] = ()

    @classmethod
    def from_json(cls, value: object, where: str) -> "Network":
        """Read the table.

        Raises:
            DocumentError: it is not what the schema describes.
        """
        with Fields(value, where) as fields:
            return cls(
                proxy=fields.optional_text("proxy", PROXY, "http://HOST:PORT without a password"),
                ca=fields.optional_text("ca"),
                hosts=fields.items("host", Host.from_json) if fields.has("host") else (),
                mirrors=fields.items("mirror", Mirror.from_json) if fields.has("mirror") else (),
            )
