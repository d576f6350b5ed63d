"""Says what some bytes look like, for the message about an archive that is something else."""

import re

# Enough for the magic of a tar header.
SNIFFED = 512

_SIGNATURES = (
    (b"\x1f\x8b", "gzip data"),
    (b"BZh", "bzip2 data"),
    (b"\xfd7zXZ\x00", "xz data"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x7fELF", "an ELF program or library"),
    (b"MZ", "a Windows program"),
    (b"!<arch>\n", "an ar archive or a Debian package"),
    (b"\xed\xab\xee\xdb", "an RPM package"),
    (b"%PDF", "a PDF document"),
    (b"version https://git-lfs", "a Git LFS pointer"),
)
# A frame that readers skip (RFC 8878, 3.1.2); a zstd file may begin with one.
_SKIPPABLE = rb"[\x50-\x5f]\x2a\x4d\x18"
_MARKUP = rb"(?i)(?:\xef\xbb\xbf)?\s*<(?P<what>!doctype html|html|head|body|\?xml)"


def describe(first: bytes) -> str:
    """Return what data looks like that begins with `first`, for a message."""
    for signature, what in _SIGNATURES:
        if first.startswith(signature):
            return what
    if re.match(_SKIPPABLE, first):
        return "zstd data"
    if first[257:262] == b"ustar":
        return "a tar archive"
    markup = re.match(_MARKUP, first)
    if markup is not None:
        return "an XML document" if markup["what"] == b"?xml" else "an HTML page"
    if first.strip(b"\x00"):
        return f"unknown data that begins with {first[:8].hex(' ')}"
    return "zeros" if first else "nothing"
