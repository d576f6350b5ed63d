"""The head of a target's receipts: how many there are, and the hash of the last one.

Who keeps a head elsewhere can tell later whether the record was cut off or written anew. It is the
last line of an export, by itself or as the payload of an envelope that the host's key signed.
"""

from typing import Any

from sealift_schemas.lean import dataclass
from sealift_schemas.strictjson import Fields, encode, parse

FORMAT = 1
PAYLOAD_TYPE = "application/vnd.sealift.receipts-head.v1+json"
LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Head:
    """Where a record ends: `receipts` lines, whose first and last have these SHA-256 values.

    `host` and `prefix` say whose record it is, `clock` is the host's time of the export, `floor`
    the newest signed time that was accepted there, `tool` the program and its version.
    """

    host: str
    prefix: str
    receipts: int
    first: str
    head: str
    clock: str
    floor: str
    tool: str

    @classmethod
    def read(cls, data: bytes, *, what: str) -> "Head":
        """Read a head, newline included or not.

        Raises:
            DocumentError: it is none of this format.
        """
        with Fields(parse(data, what=what, limit=LIMIT), what) as fields:
            fields.constant("format", FORMAT)
            return cls(
                host=fields.text("host"),
                prefix=fields.text("prefix"),
                receipts=fields.integer("receipts", minimum=1),
                first=fields.sha256("first"),
                head=fields.sha256("head"),
                clock=fields.time("clock"),
                floor=fields.time("floor"),
                tool=fields.text("tool"),
            )

    def to_json(self) -> dict[str, Any]:
        """Return the head as JSON values."""
        return {
            "format": FORMAT,
            "host": self.host,
            "prefix": self.prefix,
            "receipts": self.receipts,
            "first": self.first,
            "head": self.head,
            "clock": self.clock,
            "floor": self.floor,
            "tool": self.tool,
        }

    def encode(self) -> bytes:
        """Return the line, newline included."""
        return encode(self.to_json())
