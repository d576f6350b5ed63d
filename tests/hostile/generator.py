"""Hostile archives, byte by byte, each with what must come of it. Deterministic.

The writers of the standard library refuse to lie, so headers are put together here.
"""

import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import Literal

BLOCK = 512
END = bytes(2 * BLOCK)
POSIX = b"ustar\x0000"
GNU = b"ustar  \x00"
LINK_MODE = 0o120777


Tree = dict[str, bytes | str | None]
Kind = Literal["accept", "odd", "rejected", "malicious"]

# What is made to leave the tree, to deceive the eye or another reader, to exhaust the host, or to
# make something that is more than a file. The others are broken, or of a dialect that is not read.
_MALICIOUS = re.compile(
    r"traversal|absolute|drive|backslash|newline|bidi|nul|deep|link-(?!empty)|hardlink-[ua]"
    r"|written|.*device|fifo|size-(huge|beyond|minus)|pax-huge|global-path|overlap|hidden"
    r"|two-|before|gap|local-|bomb|nul-in-pax|garbage|deflate-garbage|descriptor-lies|offset"
    # Of sparse files: what is none, or of a kind that is not read, or has no meaning at all.
    r"|sparse-(?!cut|1\.0|old-(?!and)|version|star|solaris|directory|link|unknown|numblocks|odd|hex"
    r"|bad|empty|keyword|split|for-all)"
)


@dataclass(frozen=True)
class Case:
    """One archive: `refused` is what the message must match, or `tree` what must stand there.

    In `tree` a file is its bytes, a link `-> target`, a directory None. Of the kinds, `accept` and
    `odd` are read, `rejected` and `malicious` refused.
    """

    name: str
    format: str
    data: bytes
    refused: str | None = None
    tree: Tree = field(default_factory=dict)
    kind: Kind = "accept"


def refusal(archive_format: str, name: str, data: bytes, match: str) -> Case:
    """Return a case that is refused; its kind follows from its name."""
    kind: Kind = "malicious" if _MALICIOUS.match(name) else "rejected"
    return Case(f"{archive_format}-{name}", archive_format, data, match, kind=kind)


def header(
    name: bytes, kind: bytes = b"0", size: int = 0, link: bytes = b"", **fields: bytes
) -> bytes:
    """Return a tar header; `fields` (mode, size_field, magic, prefix, checksum) override bytes."""
    block = bytearray(BLOCK)
    parts = (
        (0, name),
        (100, fields.get("mode", b"0000644\0")),
        (124, fields.get("size_field", b"%011o\0" % size)),
        (148, b" " * 8),
        (156, kind),
        (157, link),
        (257, fields.get("magic", POSIX)),
        (345, fields.get("prefix", b"")),
    )
    for offset, value in parts:
        block[offset : offset + len(value)] = value
    block[148:156] = fields.get("checksum", b"%06o\0 " % sum(block))
    return bytes(block)


def member(name: bytes, data: bytes = b"x", kind: bytes = b"0", **fields: bytes) -> bytes:
    """Return a header with a payload, padded."""
    return header(name, kind, len(data), **fields) + padded(data)


def padded(data: bytes) -> bytes:
    """Fill up to whole blocks."""
    return data + bytes(-len(data) % BLOCK)


def pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    """Return an extended header of `records`."""
    return member(b"PaxHeader", b"".join(record(*pair) for pair in records), kind)


def record(key: bytes, value: bytes) -> bytes:
    """Return one pax record; its length counts itself."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length += 1
    return str(length).encode() + rest


def tar_cases() -> list[Case]:
    """Return the tar archives."""
    refused = [
        ("traversal", member(b"../evil"), "leaves the tree"),
        ("traversal-inside", member(b"a/../../evil"), "leaves the tree"),
        ("traversal-prefix", member(b"evil", prefix=b"a/.."), "leaves the tree"),
        ("traversal-pax", pax((b"path", b"../evil")) + member(b"good"), "leaves the tree"),
        ("traversal-gnu", member(b"LongLink", b"../evil\0", b"L") + member(b"good"), "leaves the"),
        ("absolute", member(b"/nonexistent-sealift/evil"), "is absolute"),
        ("drive", member(b"C:/evil"), "is absolute"),
        ("backslash", member(rb"..\evil"), "has a backslash"),
        ("empty-name", member(b""), "is empty"),
        ("dot", member(b"."), "a dot for one"),
        ("dot-inside", member(b"a/./b"), "a dot for one"),
        ("double-slash", member(b"a//b"), "empty component"),
        ("slash-on-file", member(b"a/"), "empty component"),
        ("newline", member(b"a\nb"), "control character"),
        ("bidi", member("a\u202etxt.exe".encode()), "invisible or bidirectional"),
        ("not-utf8", member(b"caf\xe9"), "not UTF-8"),
        ("nul-in-pax", pax((b"path", b"a\0b")) + member(b"good"), "control character"),
        ("deep", pax((b"path", b"a/" * 64 + b"b")) + member(b"good"), "more than 64 components"),
        ("long-component", pax((b"path", b"a" * 256)) + member(b"good"), "longer than 255"),
        ("link-absolute", header(b"a", b"2", link=b"/etc/passwd"), "is absolute"),
        ("link-up", header(b"a/b", b"2", link=b"../../evil"), "leaves the tree"),
        ("link-empty", header(b"a", b"2"), "is empty"),
        (
            "link-through-link",
            header(b"a/b/c", b"2", link=b"../..") + header(b"d", b"2", link=b"a/b/c/.."),
            "through another link",
        ),
        ("hardlink-up", header(b"a", b"1", link=b"../evil"), "leaves the tree"),
        ("hardlink-absolute", header(b"a", b"1", link=b"/etc/passwd"), "is absolute"),
        ("hardlink-missing", header(b"a", b"1", link=b"b"), "which is nothing in this tree"),
        (
            "hardlink-to-link",
            header(b"l", b"2", link=b"f") + header(b"a", b"1", link=b"l"),
            "which is a link in this tree",
        ),
        (
            "written-through-link",
            header(b"a", b"2", link=b"b") + member(b"a/evil"),
            "is a link and has members below",
        ),
        ("below-file", member(b"a") + member(b"a/b"), "is a file and has members below"),
        ("link-over-directory", member(b"a/b") + header(b"a", b"2", link=b"c"), "two members are"),
        ("duplicate", member(b"a") + member(b"a", b"y"), "two members are installed"),
        ("character-device", header(b"a", b"3"), "a character device"),
        ("block-device", header(b"a", b"4"), "a block device"),
        ("fifo", header(b"a", b"6"), "a FIFO"),
        ("unknown-type", member(b"a", kind=b"Z"), "unknown type 'Z'"),
        ("checksum", member(b"a", checksum=b"000000\0 "), "checksum is wrong"),
        ("magic", member(b"a") + member(b"b", magic=b"USTAR\x0000"), "none of the known magics"),
        ("size-negative", member(b"a", size_field=b"-0000000001\0"), "size is no number"),
        ("size-underscore", member(b"a", size_field=b"0000000_001\0"), "size is no number"),
        ("size-nine", member(b"a", size_field=b"00000000009\0"), "size is no number"),
        ("size-minus-binary", member(b"a", size_field=b"\xff" * 12), "size is no number"),
        ("size-huge", member(b"a", size_field=b"\x80" + b"\x7f" * 11), "unpacks to more than"),
        ("size-beyond", header(b"a", size=4096), "truncated"),
        ("size-of-link", header(b"a", b"2", 512, b"b") + bytes(BLOCK), "link and has a size"),
        ("pax-length", member(b"p", b"99 path=a\n", b"x") + member(b"a"), "malformed record"),
        ("pax-zero-length", member(b"p", b"0 path=a\n", b"x") + member(b"a"), "without a length"),
        ("pax-no-newline", member(b"p", b"8 path=a", b"x") + member(b"a"), "malformed record"),
        ("pax-empty-path", pax((b"path", b"")) + member(b"a"), "path twice or empty"),
        ("pax-two-paths", pax((b"path", b"b"), (b"path", b"c")) + member(b"a"), "twice or empty"),
        ("pax-size", pax((b"size", b"1e3")) + member(b"a"), "size that is no number"),
        ("pax-twice", pax((b"path", b"b")) + pax((b"path", b"c")) + member(b"a"), "say the same"),
        ("pax-alone", pax((b"path", b"b")), "without the member"),
        ("pax-huge", header(b"p", b"x", 2 << 20), "extended header is too long"),
        ("global-path", pax((b"path", b"b"), kind=b"g") + member(b"a"), "names a path"),
        (
            "global-between",
            pax((b"path", b"b")) + pax((b"comment", b"c"), kind=b"g") + member(b"a"),
            "stands between",
        ),
    ]
    whole = [
        ("no-end", member(b"a"), "end marker is missing"),
        ("half-end", member(b"a") + bytes(BLOCK), "where the end marker has two"),
        ("lone-zeros", member(b"a") + bytes(BLOCK) + member(b"b") + END, "end marker has two"),
        ("garbage-behind", member(b"a") + END + member(b"b"), "something behind its end"),
        ("cut-in-header", member(b"a")[:300], "truncated"),
        ("cut-in-data", member(b"a")[:520], "truncated"),
        ("html", b"<!DOCTYPE html><html>404</html>".ljust(BLOCK), "Computed: an HTML page"),
        ("empty", b"", "end marker is missing"),
        ("short", b"Not Found", "Computed: unknown data that begins with 4e 6f 74"),
    ]
    return [
        *(refusal("tar", name, data + END, match) for name, data, match in refused),
        *(refusal("tar", name, data, match) for name, data, match in whole),
        *_good_tars(),
    ]


def _good_tars() -> list[Case]:
    old = header(b"old/", b"\0", magic=bytes(8))
    plain = (
        header(b"./", b"5")
        + header(b"./a/", b"5")
        + member(b"./a/b", b"1", mode=b"0004755\0")
        + header(b"a/c", b"1", link=b"./a/b")
        + header(b"d", b"2", link=b"a/b")
        + old
    )
    gnu = member(b"L", b"n" * 120 + b"\0", b"L", magic=GNU) + member(b"n", b"2", magic=GNU)
    # Where ustar has a prefix, GNU has times.
    gnu += member(b"g", b"3", magic=GNU, prefix=b"14000000000\0")
    posix = (
        pax((b"comment", b"c"), kind=b"g")
        + pax((b"path", "é".encode()), (b"size", b"3"), (b"mtime", b"1.5"))
        + header(b"e", size=0)
        + padded(b"123")
    )
    tree: dict[str, bytes | str | None] = {
        "a": None,
        "a/b": b"1",
        "a/c": b"1",
        "d": "-> a/b",
        "old": None,
        "n" * 120: b"2",
        "g": b"3",
        "é": b"123",
    }
    everything = plain + gnu + posix + END
    inner = header(b"a/b/up", b"2", link=b"../..") + member(b"f")
    return [
        Case("tar-good", "tar", everything, tree=tree),
        Case("tar-good-padded", "tar", everything + bytes(20 * BLOCK), tree=tree, kind="odd"),
        Case(
            "tar-good-link-to-the-top",
            "tar",
            inner + END,
            tree={"a": None, "a/b": None, "a/b/up": "-> ../..", "f": b"x"},
            kind="odd",
        ),
        Case("tar-good-empty", "tar", END, tree={}, kind="odd"),
    ]


class Zip:
    """Puts a zip archive together; what each place says can be overridden."""

    def __init__(self) -> None:
        self.members = b""
        self.records = b""
        self.count = 0

    def add(
        self,
        name: bytes,
        data: bytes = b"x",
        *,
        mode: int = 0,
        local: dict[str, int | bytes] | None = None,
        central: dict[str, int | bytes] | None = None,
    ) -> "Zip":
        """Add a stored member; `local` and `central` say otherwise in one of the two headers.

        Keys: name, flags, method, crc, compressed, size, offset, extra; `data`, `descriptor`.
        """
        truth: dict[str, int | bytes] = {
            "name": name,
            "flags": 0,
            "method": 0,
            "crc": zlib.crc32(data),
            "compressed": len(data),
            "size": len(data),
            "offset": len(self.members),
            "extra": b"",
            "descriptor": b"",
        }
        here = truth | (local or {})
        there = truth | (central or {})
        self.members += (
            struct.pack(
                "<4s5H3L2H",
                b"PK\x03\x04",
                20,
                here["flags"],
                here["method"],
                0,
                33,
                here["crc"],
                here["compressed"],
                here["size"],
                len(bytes(here["name"])),
                len(bytes(here["extra"])),
            )
            + bytes(here["name"])
            + bytes(here["extra"])
            + data
            + bytes(here["descriptor"])
        )
        self.records += (
            struct.pack(
                "<4s6H3L5H2L",
                b"PK\x01\x02",
                (3 << 8) | 20,
                20,
                there["flags"],
                there["method"],
                0,
                33,
                there["crc"],
                there["compressed"],
                there["size"],
                len(bytes(there["name"])),
                len(bytes(there["extra"])),
                0,
                0,
                0,
                mode << 16,
                there["offset"],
            )
            + bytes(there["name"])
            + bytes(there["extra"])
        )
        self.count += 1
        return self

    def build(
        self, *, before: bytes = b"", gap: bytes = b"", comment: bytes = b"", **end: int
    ) -> bytes:
        """Return the archive; `end` overrides disk, count, size, offset and comment length."""
        start = len(before) + len(self.members) + len(gap)
        return (
            before
            + self.members
            + gap
            + self.records
            + struct.pack(
                "<4s4H2LH",
                b"PK\x05\x06",
                end.get("disk", 0),
                end.get("disk", 0),
                end.get("count", self.count),
                end.get("count", self.count),
                end.get("size", len(self.records)),
                end.get("offset", start),
                end.get("comment_length", len(comment)),
            )
            + comment
        )


def zip_cases() -> list[Case]:
    """Return the zip archives."""
    good = Zip().add(b"a")
    bomb = zlib.compressobj(wbits=-15)
    packed = bomb.compress(bytes(100_000)) + bomb.flush()
    other_end = good.build(comment=Zip().add(b"evil").build()[-22:])
    refused = [
        ("traversal", Zip().add(b"../evil").build(), "leaves the tree"),
        ("absolute", Zip().add(b"/nonexistent-sealift/evil").build(), "is absolute"),
        ("backslash", Zip().add(rb"a\b").build(), "has a backslash"),
        ("nul", Zip().add(b"a\0b").build(), "control character"),
        ("not-marked-utf8", Zip().add("é".encode()).build(), "unknown encoding"),
        ("duplicate", Zip().add(b"a").add(b"a", b"y").build(), "two members are installed"),
        ("link-up", Zip().add(b"a", b"../evil", mode=LINK_MODE).build(), "leaves the tree"),
        ("link-absolute", Zip().add(b"a", b"/etc", mode=LINK_MODE).build(), "is absolute"),
        ("link-long", Zip().add(b"a", b"b" * 2000, mode=LINK_MODE).build(), "too long"),
        (
            "written-through-link",
            Zip().add(b"a", b"b", mode=LINK_MODE).add(b"a/evil").build(),
            "is a link and has members below",
        ),
        ("fifo", Zip().add(b"a", mode=0o010644).build(), "type that its name denies"),
        ("directory-without-slash", Zip().add(b"a", b"", mode=0o040755).build(), "its name denies"),
        ("directory-with-data", Zip().add(b"a/").build(), "directory and has a size"),
        ("encrypted", _both(flags=1), "encrypted"),
        ("method", _both(method=9), "compressed by method 9, Deflate64, which is not read"),
        ("local-name", Zip().add(b"a", local={"name": b"b"}).build(), "another one in its own"),
        ("local-method", Zip().add(b"a", local={"method": 8}).build(), "another one in its own"),
        ("local-size", Zip().add(b"a", local={"size": 9}).build(), "other sizes"),
        ("local-crc", Zip().add(b"a", local={"crc": 9}).build(), "another checksum"),
        ("stored-two-sizes", _both(size=2), "stored, and has two sizes"),
        ("crc", _both(crc=9), "is damaged"),
        ("overlap", Zip().add(b"a").add(b"b", central={"offset": 0}).build(), "overlaps"),
        ("gap", good.build(gap=b"hidden"), "something behind the data of member 'a'"),
        ("before", Zip().add(b"a").build(before=Zip().add(b"b").members, offset=32), "not where"),
        (
            "before-first",
            Zip().add(b"hidden").add(b"a").build(count=1),
            "another length than its end says",
        ),
        ("hidden-first", _hidden(), "something before its first member"),
        ("two-names", _extra(b"\x75\x70\x06\x00\x01....b"), "has two names"),
        ("extra-twice", _extra(b"\x99\x99\x00\x00" * 2), "malformed extra field"),
        ("extra-too-long", _extra(b"\x99\x99\xff\x00"), "malformed extra field"),
        ("extra-rest", _extra(b"\x99"), "malformed extra field"),
        ("behind", good.build() + b"\n", "something behind its end"),
        ("truncated", good.build()[:-1], "truncated"),
        ("cut-off", good.build()[:20], "truncated"),
        ("two-ends", other_end, "two ends"),
        ("count", good.build(count=2), "list of members is truncated"),
        ("offset", good.build(offset=1), "not where its end says"),
        ("volumes", good.build(disk=1), "several volumes"),
        ("descriptor-lies", _described(zlib.crc32(b"y")), "contradicts the list"),
        ("zip64-short", Zip().add(b"a", central={"size": 0xFFFFFFFF}).build(), "zip64 field"),
        ("bomb", _deflated(packed, size=1000), "is damaged"),
        ("deflate-garbage-behind", _deflated(packed + b"zz", size=100_000), "something behind"),
        ("deflate-truncated", _deflated(packed[:-3], size=100_000), "truncated"),
        ("is-tar", member(b"a") + END, "Computed: a tar archive"),
        ("is-html", b"<html>\n" + good.build(), "Computed: an HTML page"),
        ("empty-file", b"", "Computed: nothing"),
    ]
    tree: dict[str, bytes | str | None] = {"a": b"x"}
    return [
        *(refusal("zip", name, data, match) for name, data, match in refused),
        Case("zip-good", "zip", good.build(), tree=tree),
        Case("zip-good-comment", "zip", good.build(comment=b"hello"), tree=tree, kind="odd"),
        Case("zip-good-descriptor", "zip", _described(zlib.crc32(b"x")), tree=tree),
        Case("zip-good-empty", "zip", Zip().build(), tree={}, kind="odd"),
        Case(
            "zip-good-link",
            "zip",
            Zip().add(b"d/", b"").add(b"d/l", b"../a", mode=LINK_MODE).add(b"a").build(),
            tree={"d": None, "d/l": "-> ../a", "a": b"x"},
        ),
    ]


def _hidden() -> bytes:
    archive = Zip().add(b"hidden")
    archive.records, archive.count = b"", 0
    return archive.add(b"a").build()


def _extra(extra: bytes) -> bytes:
    return Zip().add(b"a", central={"extra": extra}).build()


def _both(**fields: int) -> bytes:
    same: dict[str, int | bytes] = dict(fields)
    return Zip().add(b"a", local=same, central=same).build()


def _described(crc: int) -> bytes:
    later = struct.pack("<4s3L", b"PK\x07\x08", crc, 1, 1)
    zeros: dict[str, int | bytes] = {"flags": 8, "crc": 0, "compressed": 0, "size": 0}
    return Zip().add(b"a", local=zeros | {"descriptor": later}, central={"flags": 8}).build()


def _deflated(packed: bytes, size: int) -> bytes:
    same: dict[str, int | bytes] = {"method": 8, "crc": zlib.crc32(bytes(size)), "size": size}
    return Zip().add(b"a", packed, local=same, central=same).build()
