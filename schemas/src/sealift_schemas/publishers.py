"""The table `[upstream]` of the spec: what publishers are asked beside the bytes, and who they are.

A signature says something only if it is known whose it must be.
"""

from sealift_schemas.lean import dataclass
from sealift_schemas.network import PREFIX
from sealift_schemas.pattern import Pattern
from sealift_schemas.strictjson import DocumentError, Fields, shorten

# Whether anybody is asked, and whether an archive is carried for which nobody vouches.
CHECKS = ("off", "record", "require")
PACKAGE = Pattern(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
REPOSITORY = Pattern(r"https://[a-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._-]+){1,8}")
WORKFLOW = Pattern(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+){0,8}")
ISSUER = Pattern(r"https://[A-Za-z0-9._/:-]+")
IDENTITY = Pattern(r"[!-~]{1,300}")


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who must have signed what is said about some archives.

    Attributes:
        prefix: what the addresses of these archives start with; or else
        package: their name in the package index.
        repository: the address of the repository whose workflow signs; or else
        identity: the name in the certificate, such as a person's mail address.
        workflow: the file in the repository; any, where none is given.
        issuer: who vouched for that name; of repositories at GitHub and GitLab it is known.
    """

    prefix: str | None = None
    package: str | None = None
    repository: str | None = None
    identity: str | None = None
    workflow: str | None = None
    issuer: str | None = None

    @classmethod
    def from_json(cls, value: object, where: str) -> "Publisher":
        """Read one `[[upstream.publisher]]` table."""
        with Fields(value, where) as fields:
            one = cls(
                prefix=fields.optional_text("prefix", PREFIX, "an address up to a slash"),
                package=fields.optional_text("package", PACKAGE, "a package's name"),
                repository=fields.optional_text("repository", REPOSITORY, "https://HOST/PATH"),
                identity=fields.optional_text("identity", IDENTITY, "a name without spaces"),
                workflow=fields.optional_text("workflow", WORKFLOW, "a path in the repository"),
                issuer=fields.optional_text("issuer", ISSUER, "an https address"),
            )
        if (one.prefix is None) is (one.package is None):
            raise DocumentError(where, "either prefix or package", shorten(value))
        if (one.repository is None) is (one.identity is None):
            raise DocumentError(where, "either repository or identity", shorten(value))
        return one


@dataclass(frozen=True, slots=True)
class Upstream:
    """The whole table; `trusted_root` is a file with Sigstore's keys, relative to the spec."""

    check: str = "record"
    trusted_root: str | None = None
    publishers: tuple[Publisher, ...] = ()

    @classmethod
    def from_json(cls, value: object, where: str) -> "Upstream":
        """Read the table.

        Raises:
            DocumentError: it is not what the schema describes.
        """
        with Fields(value, where) as fields:
            return cls(
                check=fields.choice("check", CHECKS) if fields.has("check") else "record",
                trusted_root=fields.optional_text("trusted_root"),
                publishers=fields.items("publisher", Publisher.from_json)
                if fields.has("publisher")
                else (),
            )
