"""The policy of a site on its targets: what is asked for beyond what the root asks for.

A policy can only forbid. Each field that is there narrows what is accepted; one that is left out
says nothing. So several policies are obeyed by obeying each.
"""

import re
from collections.abc import Mapping
from typing import Any

from sealift_schemas.lean import dataclass, field
from sealift_schemas.manifest import PLATFORM_OR_ANY, STREAM
from sealift_schemas.pattern import Pattern
from sealift_schemas.root import ROLES, SCHEMES
from sealift_schemas.strictjson import DocumentError, Fields, check_text, encode, parse, shorten

FORMAT = 1
LIMIT = 256 * 1024
FIELDS = (
    "format",
    "thresholds",
    "minimum_keys",
    "schemes",
    "forbidden_overrides",
    "streams",
    "platforms",
    "archives",
    "evidence",
    "require_expiry",
    "maximum_age_days",
)
OVERRIDES = ("allow_downgrade", "accept_expired")
EVIDENCE = ("provenance", "vsa", "sbom")
# As sealift_schemas.keys.TOOL_NAME, with `*` for any number of characters.
ARCHIVE_PATTERN = Pattern(r"[a-z0-9*][a-z0-9._+*-]{0,99}")
# A site has people to sign, not machines; a century is longer than any host stands.
MOST_SIGNERS = 1000
MOST_DAYS = 36500


@dataclass(frozen=True, slots=True)
class Policy:
    """What a bundle must be to be installed here; None and empty say nothing.

    `thresholds` maps a role to the least number of distinct signers, `minimum_keys` to the least
    number of keys that the root lists for it; `schemes` are those whose signatures count;
    `archives` are patterns of names; `evidence` must be carried; `maximum_age_days` counts from
    the signed time of the bundle.
    """

    thresholds: Mapping[str, int] = field(default_factory=dict)
    minimum_keys: Mapping[str, int] = field(default_factory=dict)
    schemes: tuple[str, ...] | None = None
    forbidden_overrides: tuple[str, ...] = ()
    streams: tuple[str, ...] | None = None
    platforms: tuple[str, ...] | None = None
    archives: tuple[str, ...] | None = None
    evidence: tuple[str, ...] = ()
    require_expiry: bool = False
    maximum_age_days: int | None = None

    @classmethod
    def read(cls, data: bytes, *, what: str) -> "Policy":
        """Read a policy file strictly.

        Raises:
            DocumentError: it is no policy of this format.
        """
        with Fields(parse(data, what=what, limit=LIMIT), what) as fields:
            fields.constant("format", FORMAT)
            return cls(
                thresholds=_numbers(fields, "thresholds"),
                minimum_keys=_numbers(fields, "minimum_keys"),
                schemes=_choices(fields, "schemes", SCHEMES),
                forbidden_overrides=_choices(fields, "forbidden_overrides", OVERRIDES) or (),
                streams=_texts(fields, "streams", STREAM, "a stream's name"),
                platforms=_texts(fields, "platforms", PLATFORM_OR_ANY, "a platform or any"),
                archives=_texts(fields, "archives", ARCHIVE_PATTERN, "a name, or one with *"),
                evidence=_choices(fields, "evidence", EVIDENCE) or (),
                require_expiry=fields.flag("require_expiry")
                if fields.has("require_expiry")
                else False,
                maximum_age_days=fields.integer("maximum_age_days", 1, MOST_DAYS)
                if fields.has("maximum_age_days")
                else None,
            )

    def to_json(self) -> dict[str, Any]:
        """Return the policy as JSON values; what says nothing is left out."""
        optional = {
            "thresholds": dict(self.thresholds) or None,
            "minimum_keys": dict(self.minimum_keys) or None,
            "schemes": None if self.schemes is None else list(self.schemes),
            "forbidden_overrides": list(self.forbidden_overrides) or None,
            "streams": None if self.streams is None else list(self.streams),
            "platforms": None if self.platforms is None else list(self.platforms),
            "archives": None if self.archives is None else list(self.archives),
            "evidence": list(self.evidence) or None,
            "require_expiry": self.require_expiry or None,
            "maximum_age_days": self.maximum_age_days,
        }
        rules = {name: value for name, value in optional.items() if value is not None}
        return {"format": FORMAT, **rules}

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        return encode(self.to_json(), indent=2)

    def names_archive(self, name: str) -> bool:
        """Tell whether an archive of this name is allowed."""
        return self.archives is None or any(_matches(each, name) for each in self.archives)


def _matches(pattern: str, name: str) -> bool:
    parts = (re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(".*".join(parts), name, re.DOTALL) is not None


def _numbers(fields: Fields, name: str) -> dict[str, int]:
    """Take an object with a number for some of the roles."""
    if not fields.has(name):
        return {}
    with Fields(fields.take(name), fields.place(name)) as roles:
        return {role: roles.integer(role, 1, MOST_SIGNERS) for role in ROLES if roles.has(role)}


def _choices(fields: Fields, name: str, choices: tuple[str, ...]) -> tuple[str, ...] | None:
    """Take an array of words; an empty one would allow nothing, or say nothing: it is refused."""

    def read(value: object, where: str) -> str:
        if not isinstance(value, str) or value not in choices:
            raise DocumentError(where, "one of " + ", ".join(choices), shorten(value))
        return value

    return fields.items(name, read, minimum=1) if fields.has(name) else None


def _texts(fields: Fields, name: str, pattern: Pattern, expected: str) -> tuple[str, ...] | None:
    """Take an array of texts, at least one."""

    def read(value: object, where: str) -> str:
        return check_text(value, where, pattern, expected)

    return fields.items(name, read, minimum=1) if fields.has(name) else None
