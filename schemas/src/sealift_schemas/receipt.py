"""The receipt: one line of the target's append-only, hash-chained record of what was done.

Each line names the SHA-256 of the line before it, newline included, so that a line that was
edited, removed or put elsewhere is found. The first line names 64 zeros.
"""

from collections.abc import Mapping
from typing import Any

from sealift_schemas.keys import TOOL_NAME
from sealift_schemas.lean import dataclass, field
from sealift_schemas.manifest import STREAM
from sealift_schemas.strictjson import SHA256, Fields, encode, parse

FORMAT = 1
FIRST = "0" * 64
ACTIONS = (
    *("trust", "install", "refuse"),
    *("activate", "rollback", "uninstall", "repair", "relocate"),
)
LINE_LIMIT = 256 * 1024


@dataclass(frozen=True, slots=True)
class BundleIdentity:
    """Which bundle: the SHA-256 of its manifest, its place in its stream, who sealed it."""

    manifest: str
    stream: str
    epoch: int
    sequence: int
    root_version: int
    signers: tuple[str, ...]

    @classmethod
    def from_json(cls, value: object, where: str) -> "BundleIdentity":
        """Read `bundle`."""
        with Fields(value, where) as fields:
            return cls(
                manifest=fields.sha256("manifest"),
                stream=fields.text("stream", STREAM, "a stream's name"),
                epoch=fields.integer("epoch", minimum=1),
                sequence=fields.integer("sequence", minimum=1),
                root_version=fields.integer("root_version", minimum=1),
                signers=fields.texts("signers", SHA256, "64 lower-case hexadecimal digits"),
            )

    def to_json(self) -> dict[str, Any]:
        """Return the identity as JSON values."""
        return {
            "manifest": self.manifest,
            "stream": self.stream,
            "epoch": self.epoch,
            "sequence": self.sequence,
            "root_version": self.root_version,
            "signers": list(self.signers),
        }


@dataclass(frozen=True, slots=True)
class ArchiveIdentity:
    """Which archive it is about, where it stands, and what was written there.

    `index` is the SHA-256 of the index that says what belongs there, `members` and `unpacked`
    count what it installs: members of any type, and bytes.
    """

    name: str
    sha256: str
    path: str
    index: str | None = None
    members: int | None = None
    unpacked: int | None = None

    @classmethod
    def from_json(cls, value: object, where: str) -> "ArchiveIdentity":
        """Read `archive`."""
        with Fields(value, where) as fields:
            return cls(
                name=fields.text("name", TOOL_NAME, "an install key or a tool's directory name"),
                sha256=fields.sha256("sha256"),
                path=fields.text("path"),
                index=fields.sha256("index") if fields.has("index") else None,
                members=fields.integer("members") if fields.has("members") else None,
                unpacked=fields.integer("unpacked") if fields.has("unpacked") else None,
            )

    def to_json(self) -> dict[str, Any]:
        """Return the identity as JSON values."""
        written = {"index": self.index, "members": self.members, "unpacked": self.unpacked}
        return {
            "name": self.name,
            "sha256": self.sha256,
            "path": self.path,
            **{name: value for name, value in written.items() if value is not None},
        }


@dataclass(frozen=True, slots=True)
class Receipt:
    """One line: who did what, when, with which bundle, and what came of it.

    `clock` is the system's time; `floor` the newest signed time accepted so far, which a clock
    that is behind it contradicts. `overrides` maps an override to the reason that was given.
    `state` is the SHA-256 of what the target trusts from this line on (roots and counters), so
    that an edit of the state is found by the record.
    """

    number: int
    previous: str
    clock: str
    floor: str | None
    tool: str
    host: str
    user: str
    action: str
    detail: str
    bundle: BundleIdentity | None = None
    archive: ArchiveIdentity | None = None
    root_version: int | None = None
    state: str | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, line: bytes, *, what: str) -> "Receipt":
        """Read one line, newline included or not.

        Raises:
            DocumentError: it is no receipt of this format.
        """
        with Fields(parse(line, what=what, limit=LINE_LIMIT), what) as fields:
            fields.constant("format", FORMAT)
            return cls(
                number=fields.integer("number", minimum=1),
                previous=fields.sha256("previous"),
                clock=fields.time("clock"),
                floor=fields.time("floor") if fields.has("floor") else None,
                tool=fields.text("tool"),
                host=fields.text("host"),
                user=fields.text("user"),
                action=fields.choice("action", ACTIONS),
                detail=fields.text("detail"),
                bundle=BundleIdentity.from_json(fields.take("bundle"), fields.place("bundle"))
                if fields.has("bundle")
                else None,
                archive=ArchiveIdentity.from_json(fields.take("archive"), fields.place("archive"))
                if fields.has("archive")
                else None,
                root_version=fields.integer("root_version", minimum=1)
                if fields.has("root_version")
                else None,
                state=fields.sha256("state") if fields.has("state") else None,
                overrides=_overrides(fields),
            )

    def to_json(self) -> dict[str, Any]:
        """Return the receipt as JSON values."""
        optional = {
            "floor": self.floor,
            "bundle": None if self.bundle is None else self.bundle.to_json(),
            "archive": None if self.archive is None else self.archive.to_json(),
            "root_version": self.root_version,
            "state": self.state,
        }
        return {
            "format": FORMAT,
            "number": self.number,
            "previous": self.previous,
            "clock": self.clock,
            "tool": self.tool,
            "host": self.host,
            "user": self.user,
            "action": self.action,
            "detail": self.detail,
            **{name: value for name, value in optional.items() if value is not None},
            "overrides": dict(self.overrides),
        }

    def encode(self) -> bytes:
        """Return the line, newline included."""
        return encode(self.to_json())


def _overrides(fields: Fields) -> dict[str, str]:
    overrides = {}
    for name, reason, place in fields.mapping("overrides"):
        if not isinstance(reason, str):
            fields.fail("overrides", "a reason for each override", place)
        overrides[name] = reason
    return overrides
