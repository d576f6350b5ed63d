"""A payload file of the bundle: its path, its size, and the hashes that it is authenticated by."""

from typing import Any

from sealift_schemas.lean import dataclass
from sealift_schemas.pattern import Pattern
from sealift_schemas.strictjson import SHA256, Fields

# A file is authenticated in steps of this many bytes before any of them is parsed.
CHUNK_SIZE = 4 * 1024 * 1024
# Portable names: FAT32, exFAT and Windows keep them as they are. 128 bytes hold the longest names of
# python-build-standalone with the digest before them (108) and the number of a part behind them.
COMPONENT = r"[A-Za-z0-9_](?:[A-Za-z0-9._+-]{0,126}[A-Za-z0-9_+-])?"
BUNDLE_PATH = Pattern(rf"{COMPONENT}(?:/{COMPONENT}){{0,7}}")


@dataclass(frozen=True, slots=True)
class BundleFile:
    """One payload file of the bundle: path, size in bytes, and its hashes."""

    path: str
    size: int
    sha256: str
    chunks: tuple[str, ...]

    @classmethod
    def from_json(cls, value: object, where: str) -> "BundleFile":
        """Read one entry of `files`.

        Raises:
            DocumentError: it is malformed, or has another number of chunks than its size asks for.
        """
        with Fields(value, where) as fields:
            file = cls(
                path=fields.text("path", BUNDLE_PATH, "a portable relative path"),
                size=fields.integer("size"),
                sha256=fields.sha256("sha256"),
                chunks=fields.texts("chunks", SHA256, "64 lower-case hexadecimal digits"),
            )
            count = -(-file.size // CHUNK_SIZE)
            if len(file.chunks) != count:
                fields.fail("chunks", f"{count} chunk hashes for {file.size} bytes", value)
            if count == 1 and file.chunks[0] != file.sha256:
                fields.fail("chunks", "the hash of the file, as it has one chunk", value)
        return file

    def to_json(self) -> dict[str, Any]:
        """Return the entry as JSON values."""
        return {
            "path": self.path,
            "size": self.size,
            "sha256": self.sha256,
            "chunks": list(self.chunks),
        }
