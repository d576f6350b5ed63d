"""What only a 7z archive can have."""

import lzma

from hostile.generator import END, Case, Tree, Zip, member, refusal
from hostile.seven import COPY, FILE, Seven, coder, encoded, number, part, wrap

_SOCKET, _PIPE, _DEVICE = (0x8000 | form << 16 for form in (0o140644, 0o010644, 0o020644))
_REPARSE = 0x400


def seven_cases() -> list[Case]:
    """Return the 7z archives."""
    tree: Tree = {"a": b"x"}
    return [
        *(refusal("7z", *case) for case in (*_members(), *_blocks(), *_headers())),
        Case("7z-good", "7z", _good().build(), tree=tree),
        Case("7z-good-header-packed", "7z", encoded(b"x", _good().header()), tree=tree, kind="odd"),
        Case("7z-good-nothing", "7z", wrap(b"", b""), tree={}, kind="odd"),
        Case("7z-good-padding", "7z", _more(b"\x19\x03\0\0\0"), tree=tree, kind="odd"),
        Case(
            "7z-good-no-attributes", "7z", Seven().add("a", b"x", None).build(), tree=tree,
            kind="odd",
        ),
        Case(
            "7z-good-empty", "7z",
            Seven().add("d", None, 0x10).add("e", None, FILE, empty_file=True).build(),
            tree={"d": None, "e": b""},
        ),
    ]  # fmt: skip


def _good() -> Seven:
    return Seven().add("a")


def _more(data: bytes) -> bytes:
    return Seven(more=data).add("a").build()


def _members() -> list[tuple[str, bytes, str]]:
    odd = "type that its place denies"
    twice = part(0x11, b"\0" + "b\0".encode("utf-16-le"))
    names = Seven(more=b"").add("a")
    plain = names.header()
    return [
        ("anti", Seven().add("a", None, None, anti=True).build(), "anti-items"),
        ("fifo", Seven().add("a", b"", _PIPE).build(), odd),
        ("character-device", Seven().add("a", b"", _DEVICE).build(), odd),
        ("socket-device", Seven().add("a", b"", _SOCKET).build(), odd),
        ("link-reparse", Seven().add("a", b"x", _REPARSE).build(), "reparse point of Windows"),
        ("link-nowhere", Seven().add("a", None, 0x8000 | 0o120777 << 16).build(), odd),
        ("directory-with-bytes", Seven().add("a", b"x", 0x10).build(), odd),
        ("file-without-mark", Seven().add("a", None, FILE).build(), odd),
        ("directory-marked-a-file", Seven().add("a", None, 0x10, empty_file=True).build(), odd),
        ("nul", Seven().add("a\0b").build(), "another number of names"),
        ("two-names", _more(twice), "says the same of its members twice"),
        ("no-names", _good().build(plain.replace(b"\x11\x05", b"\x19\x05")), "have no names"),
        ("names-elsewhere", _good().build(plain.replace(b"\x11\x05\0", b"\x11\x05\1")), "stands el"),
        ("unknown-property", _more(b"\x16\x00"), "something unknown of its members: 22"),
        ("property-too-long", _more(b"\x19\x7f"), "truncated"),
    ]  # fmt: skip


def _blocks() -> list[tuple[str, bytes, str]]:
    lzma2 = coder("21", b"\x10")
    bomb = lzma.compress(
        bytes(1 << 20), lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    )
    return [
        ("encrypted", _coded(coder("06f10701", b"\x13\0")), "it is encrypted"),
        ("method-arm64", _coded(lzma2, coder("0a")), "compressed by the ARM64 filter"),
        ("method-bcj2", _coded(coder("0303011b", b"", b"\x04\x01")), "compressed by BCJ2"),
        ("method-ppmd", _coded(coder("030401", b"\x06\0\0\0\1")), "compressed by PPMd"),
        ("method-unknown", _coded(coder("123456")), "unknown method 123456"),
        ("method-none", _coded(b"\x00"), "unknown method without a number"),
        ("filter-alone", _coded(coder("03030103")), "a filter where its compression belongs"),
        ("filter-order", _coded(coder("040202"), coder("03", b"\0")), "an order that is not read"),
        ("coders-none", _good_with(b"\0"), "0 coders"),
        ("coders-many", _good_with(number(1 << 40)), "coders, not 1 to 4"),
        ("coders-in-a-circle", _coded(lzma2, lzma2, bonds=b"\x00\x00"), "are no chain"),
        ("coder-shape", _good_with(b"\x01\x41\x00"), "unknown shape"),
        ("bomb-memory", _coded(coder("21", b"\x28")), "bytes of memory to be unpacked"),
        ("bomb-memory-lzma", _coded(coder("030101", b"\x5d" + b"\xff" * 4)), "bytes of memory"),
        ("lzma2-properties", _coded(coder("21", b"\x29")), "properties of LZMA2 are malformed"),
        ("lzma-properties", _coded(coder("030101", b"\xe1\0\0\0\1")), "of LZMA are malformed"),
        ("bomb", _said(1 << 30), "says that it unpacks to 1073741824"),
        ("bomb-beyond", _said(1 << 60), "unpacks to more than"),
        ("bomb-hidden", _packed(bomb), "more in it than its header says"),
        ("block-short", _packed(b""), "truncated"),
        ("block-broken", _packed(b"\xff" * 9), "cannot be decompressed"),
        ("garbage-in-block", _packed(lzma2_of(b"x") + b"zz"), "something behind the compressed"),
        ("crc", Seven(checksums=(9,)).add("a").build(), "member 'a' is damaged"),
        ("gap", _good().build(gap=b"hidden"), "do not end where its header begins"),
        ("hidden-block", wrap(b"hx", _shifted()), "do not end where its header begins"),
        ("members-without-block", wrap(b"", b"\x01" + _good().files() + b"\0"), "other members"),
    ]  # fmt: skip


def _headers() -> list[tuple[str, bytes, str]]:
    good = _good().build()
    plain = _good().header()
    inside = lzma2_of(bytes(1 << 20))
    lzma2 = b"\x01" + coder("21", b"\x10")
    empty = Seven().add("a", None)
    return [
        ("behind", good + b"\n", "something behind its end"),
        ("before", b"\0" + good, "Computed: unknown data"),
        ("program-before", b"MZ" + bytes(600) + good, "Computed: a Windows program"),
        ("cut", good[:-1], "truncated"),
        ("cut-in-start", good[:20], "truncated"),
        ("start-checksum", good[:12] + b"\xff" + good[13:], "first bytes are damaged"),
        ("version", wrap(b"x", plain, major=1), "version that is unknown"),
        ("header-checksum", wrap(b"x", plain, crc=9), "its header is damaged"),
        ("header-offset", wrap(b"x", plain, offset=1 << 40), "truncated, or there is something"),
        ("header-size", wrap(b"x", plain, size=1 << 62), "truncated, or there is something"),
        ("header-unknown", wrap(b"", b"\x02"), "part 0x02 where 0x01 belongs"),
        ("header-behind", _good().build(plain + b"\0"), "something behind its end"),
        ("header-cut", _good().build(plain[:-2]), "truncated"),
        ("bomb-header", encoded(b"", inside, 1 << 40, lzma2), "its header is too long"),
        ("header-lies", encoded(b"", inside, 1 << 10, lzma2), "more in it than its header says"),
        ("header-twice", _twice(), "part 0x17 where 0x01 belongs"),
        ("header-encrypted", encoded(b"", b"x" * 16, 9, b"\x01" + coder("06f10701", b"\0")),
         "it is encrypted"),
        ("bomb-members", empty.build(b"\x01" + empty.files(1 << 40) + b"\0"), "more than 2000000"),
        ("bomb-members-fewer", empty.build(b"\x01" + empty.files(1 << 20) + b"\0"), "too short for"),
        ("bomb-blocks", wrap(b"", b"\x01\x04\x06\0" + number(1 << 40)), "counts more than it has"),
        ("bomb-streams", wrap(b"x", _streams(1 << 40)), "more than 2000000 members"),
        ("bomb-streams-fewer", wrap(b"x", _streams(1 << 20)), "has room for"),
        ("streams-none", wrap(b"x", _streams(0)), "a block that no member uses"),
        ("is-zip", Zip().add(b"a").build(), "Computed: a zip archive"),
        ("is-tar", member(b"a") + END, "Computed: a tar archive"),
        ("is-html", b"<html>Not Found</html>", "Computed: an HTML page"),
        ("is-empty", b"", "Computed: nothing"),
    ]  # fmt: skip


def lzma2_of(data: bytes) -> bytes:
    """Return data as a block has it."""
    chain = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    return lzma.compress(data, lzma.FORMAT_RAW, filters=chain)


def _coded(*coders: bytes, bonds: bytes | None = None) -> bytes:
    chain = b"".join(bytes([place + 1, place]) for place in range(len(coders) - 1))
    archive = Seven(
        coders=bytes([len(coders)]) + b"".join(coders), bonds=chain if bonds is None else bonds
    )
    archive.sizes = (1,) * len(coders)
    return archive.add("a").build()


def _good_with(coders: bytes) -> bytes:
    return Seven(coders=coders).add("a").build()


def _said(size: int) -> bytes:
    archive = Seven()
    archive.sizes = (size,)
    return archive.add("a").build()


def _packed(packed: bytes) -> bytes:
    return Seven(coders=b"\x01" + coder("21", b"\x10"), packed=packed).add("a").build()


def _shifted() -> bytes:
    return _good().header().replace(b"\x04\x06\x00\x01", b"\x04\x06\x02\x01")


def _streams(count: int) -> bytes:
    """Return a header whose one block says that it has `count` members."""
    start = b"\x01\x04\x06\0\x01\x09\x01\0\x07\x0b\x01\0\x01" + COPY + b"\x0c\x01\0\x08\x0d"
    return start + number(count) + b"\0\0"


def _twice() -> bytes:
    inner = _good().header()
    return encoded(b"x", encoded(b"", inner)[32 + len(inner) :])
