"""What a lock says of wheels that the package index did not have."""

from typing import Any

from sealift_schemas.keys import PLATFORM
from sealift_schemas.lean import dataclass
from sealift_schemas.manifest import VERSION
from sealift_schemas.pattern import Pattern
from sealift_schemas.spec import MINOR_VERSION
from sealift_schemas.strictjson import Fields

# https://packaging.python.org/specifications/name-normalization/
PROJECT = Pattern(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class MissingWheel:
    """A package that unseal needs and that had no wheel for a platform, with these Pythons.

    It is kept so that the index need not be asked again for what it does not have.
    """

    name: str
    version: str
    platform: str
    pythons: tuple[str, ...]

    @classmethod
    def from_json(cls, value: object, where: str) -> "MissingWheel":
        """Read one entry of `missing_wheels`."""
        with Fields(value, where) as fields:
            return cls(
                name=fields.text("name", PROJECT, "a package's name"),
                version=fields.text("version", VERSION, "a version"),
                platform=fields.text("platform", PLATFORM, "a platform"),
                pythons=fields.texts("pythons", MINOR_VERSION, "a version such as 3.13"),
            )

    def to_json(self) -> dict[str, Any]:
        """Return the package as JSON values."""
        return {
            "name": self.name,
            "version": self.version,
            "platform": self.platform,
            "pythons": list(self.pythons),
        }
