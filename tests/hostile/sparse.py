"""Tar archives of files with holes: as they are, and with maps that lie."""

from collections.abc import Iterator, Sequence

from hostile.generator import (
    BLOCK,
    END,
    GNU,
    Case,
    header,
    member,
    padded,
    pax,
    refusal,
)

Region = tuple[int, int]
Record = tuple[bytes, bytes]

DATA = b"a" * 512 + b"b" * 300
REGIONS = ((1024, 512), (2048, 300), (4096, 0))
SIZE = 4096
WHOLE = bytes(1024) + b"a" * 512 + bytes(512) + b"b" * 300 + bytes(1748)
MANY = tuple((4096 * place, 512) for place in range(60))
_FIRST, _MORE = 4, 21  # regions in the header, and in each block behind it
_PETABYTE = 10**15


def number(value: int) -> bytes:
    """Return the field of a header, binary where the value is large."""
    return b"%011o\0" % value if value < 8**11 else b"\x80" + value.to_bytes(11, "big")


def old(
    name: bytes,
    regions: Sequence[Region] = REGIONS,
    real: int = SIZE,
    data: bytes = DATA,
    **more: bytes,
) -> bytes:
    """Return a member of the type S; `more` are a header's fields, `real_size`, `next` and `rest`.

    `next` is the mark that a block follows, `rest` stands behind the regions of the last one.
    """
    fields = [number(offset) + number(length) for offset, length in regions]
    rest = more.pop("rest", b"")
    blocks = [fields[:_FIRST]]
    blocks += [fields[at : at + _MORE] for at in range(_FIRST, len(fields), _MORE)]
    texts = [b"".join(block) for block in blocks]
    texts[-1] += rest
    marks = [b"\1"] * (len(texts) - 1) + [more.pop("next", b"\0")]
    real_size = more.pop("real_size", number(real))
    first = texts[0].ljust(_FIRST * 24, b"\0") + marks[0] + real_size
    # The prefix stands where GNU has times, and behind them the map.
    block = header(name, b"S", len(data), prefix=bytes(41) + first, **{"magic": GNU, **more})
    behind = (
        text.ljust(_MORE * 24, b"\0") + mark
        for text, mark in zip(texts[1:], marks[1:], strict=True)
    )
    return block + b"".join(text.ljust(BLOCK, b"\0") for text in behind) + padded(data)


def version_00(
    name: bytes, regions: Sequence[Region] = REGIONS, real: int = SIZE, data: bytes = DATA
) -> bytes:
    """Return a member of version 0.0: two records for each region."""
    records = [(b"size", real), (b"numblocks", len(regions))]
    for offset, length in regions:
        records += [(b"offset", offset), (b"numbytes", length)]
    return _said(*((key, b"%d" % value) for key, value in records)) + member(name, data)


def version_01(
    name: bytes,
    regions: Sequence[Region] = REGIONS,
    real: int = SIZE,
    data: bytes = DATA,
    **more: bytes,
) -> bytes:
    """Return a member of version 0.1: the map in one record; `more` are other values."""
    numbers = b",".join(b"%d,%d" % region for region in regions)
    values = {
        "size": b"%d" % real,
        "numblocks": b"%d" % len(regions),
        "name": name,
        "map": numbers,
        **more,
    }
    return _said(*((key.encode(), value) for key, value in values.items())) + member(
        b"./GNUSparseFile.7/x", data
    )


def version_10(
    name: bytes,
    regions: Sequence[Region] = REGIONS,
    real: int = SIZE,
    data: bytes = DATA,
    **more: bytes,
) -> bytes:
    """Return a member of version 1.0: the map before the data; `text` is another map."""
    text = b"%d\n" % len(regions) + b"".join(b"%d\n%d\n" % region for region in regions)
    text = more.pop("text", text)
    values = {"major": b"1", "minor": b"0", "name": name, "realsize": b"%d" % real, **more}
    return _said(*((key.encode(), value) for key, value in values.items())) + member(
        b"./GNUSparseFile.7/x", padded(text) + data
    )


def sparse_cases() -> list[Case]:
    """Return them."""
    return [
        *_good(),
        *(
            refusal("tar", f"sparse-{name}", data + END, match)
            for cases in (_bombs(), _lying_maps(), _lying_records())
            for name, data, match in cases
        ),
        *(
            refusal("tar", f"sparse-cut-{name}", data, match)
            for name, data, match in (
                ("in-blocks", old(b"a", MANY, data=b"")[: 2 * BLOCK], "truncated"),
                ("in-a-block", old(b"a", MANY, data=b"")[: 2 * BLOCK + 100], "truncated"),
                ("in-map", version_10(b"a", MANY)[: 2 * BLOCK + 100], "truncated"),
                ("in-data", version_10(b"a")[: -2 * BLOCK], "truncated"),
            )
        ),
    ]


def _said(*records: Record) -> bytes:
    return pax(
        *((key if key == b"path" else b"GNU.sparse." + key, value) for key, value in records)
    )


def _good() -> Iterator[Case]:
    data = b"".join(b"%02d" % place * 256 for place in range(60))
    spread = b"".join(b"%02d" % place * 256 + bytes(3584) for place in range(60))
    writers = {"old": old, "0.0": version_00, "0.1": version_01, "1.0": version_10}
    for name, write in writers.items():
        holes = write(b"hole", ((9000, 0),), 9000, b"")
        dense = write(b"dense", ((0, 512), (512, 300)), 812)
        archive = write(b"d/a") + write(b"many", MANY, 60 * 4096, data) + holes + dense
        tree: dict[str, bytes | str | None] = {
            "d": None,
            "d/a": WHOLE,
            "many": spread,
            "hole": bytes(9000),
            "dense": DATA,
            "behind": b"x",
        }
        yield Case(f"tar-good-sparse-{name}", "tar", archive + member(b"behind") + END, tree=tree)
    # What GNU tar writes for a name that is not ASCII, and bsdtar for the same.
    for writer, path in (("gnu", "a/GNUSparseFile.7/é"), ("bsd", "a/é")):
        named = version_10("a/é".encode(), path=path.encode())
        tree = {"a": None, "a/é": WHOLE}
        yield Case(f"tar-good-sparse-name-by-{writer}", "tar", named + END, tree=tree)
    empty = version_10(b"a", ((0, 0), (0, 0)), 0, b"")
    yield Case("tar-good-sparse-empty", "tar", empty + END, tree={"a": b""}, kind="odd")


def _bombs() -> Iterator[tuple[str, bytes, str]]:
    too_much = "it unpacks to more than"
    end = ((_PETABYTE, 0),)
    yield "petabyte-old", old(b"a", end, _PETABYTE, b""), too_much
    yield "petabyte-0.0", version_00(b"a", end, _PETABYTE, b""), too_much
    yield "petabyte-0.1", version_01(b"a", end, _PETABYTE, b""), too_much
    yield "petabyte-1.0", version_10(b"a", end, _PETABYTE, b""), too_much
    yield "largest-old", old(b"a", real_size=b"\x80" + b"\x7f" * 11), too_much
    size = 10 * 2**30
    yield "10-gib", version_10(b"a", ((size, 0),), size, b""), "512 bytes say that they unpack to"
    long = "it has more than 65536 regions"
    yield "regions-said", version_10(b"a", text=b"999999999999\n"), long
    yield "regions-old", old(b"a", ((0, 0),) * 65_557, 0, b""), long
    yield "regions-0.1", version_01(b"a", ((0, 0),) * 65_537, 0, b""), long
    yield "map-long", version_10(b"a", text=b"1" * 600), "map does not end"
    yield "map-endless", version_10(b"a", text=b"3\n0\n0\n", data=b""), "map does not end"
    yield "map-of-zeros", version_10(b"a", text=bytes(BLOCK)), "map does not end"


def _lying_maps() -> Iterator[tuple[str, bytes, str]]:
    order = "regions overlap, or are out of order"
    maps: dict[str, tuple[tuple[Region, ...], str]] = {
        "overlap": (((1024, 512), (1500, 300)), order),
        "backward": (((2048, 512), (0, 300)), order),
        "twice": (((0, 512), (0, 300)), order),
        "zero-inside": (((1024, 512), (1030, 0), (2048, 300)), order),
        "behind-its-end": (((1024, 512), (4000, 300)), "data behind its end"),
        "end-behind-its-end": (((0, 512), (512, 300), (5000, 0)), "data behind its end"),
        "too-little-data": (((0, 512), (512, 301)), "more or less data than its map says"),
        "too-much-data": (((0, 512), (512, 299)), "more or less data than its map says"),
        "nothing-said": (((4096, 0),), "more or less data than its map says"),
        "no-regions": ((), "more or less data than its map says|another length"),
        "half-a-block": (((0, 300), (1024, 512)), "does not end with a block"),
    }
    for name, (regions, refused) in maps.items():
        yield f"{name}-old", old(b"a", regions), refused
        yield f"{name}-0.0", version_00(b"a", regions), refused
        yield f"{name}-0.1", version_01(b"a", regions), refused
        yield f"{name}-1.0", version_10(b"a", regions), refused
    malformed = "map is malformed"
    yield "old-mark", old(b"a", next=b"\2"), malformed
    yield "old-gap", old(b"a", REGIONS[:2], rest=bytes(24) + number(4096) + number(0)), malformed
    yield "old-half-a-field", old(b"a", rest=bytes(12) + number(4096)), "offset is no number"
    yield "old-more-and-none", old(b"a", next=b"\1"), malformed
    yield "old-size", old(b"a", real_size=b"-0000004096\0"), "real size is no number"
    yield "old-offset", old(b"a", ((0, 0),), rest=b"-0000000001\0" + number(0)), "offset is no"
    yield "1.0-sign", version_10(b"a", text=b"1\n+0\n812\n"), "a number is none"
    yield "1.0-space", version_10(b"a", text=b"1\n 0\n812\n"), "a number is none"
    yield "1.0-zeros", version_10(b"a", text=b"01\n0\n812\n"), "a number is none"
    yield "1.0-minus", version_10(b"a", text=b"1\n-1\n812\n"), "a number is none"
    yield "1.0-return", version_10(b"a", text=b"1\r\n0\r\n812\r\n"), "a number is none"
    yield (
        "1.0-behind",
        version_10(b"a", text=b"1\n0\n812\n7\n"),
        "something behind its map",
    )
    yield "1.0-short", version_10(b"a", text=b"", data=b"1\n0\n812\n"), "map does not end"


def _lying_records() -> Iterator[tuple[str, bytes, str]]:
    version = "it is of a version that is not read, or of two"
    yield "version-2", version_10(b"a", major=b"2"), version
    yield "version-1.1", version_10(b"a", minor=b"1"), version
    yield "two-versions", version_10(b"a", size=b"4096", numblocks=b"3"), version
    yield "two-sizes", version_10(b"a", size=b"4096"), version
    yield "map-and-pairs", _pairs_and_map(), version
    yield (
        "pairs-out-of-order",
        _said((b"numbytes", b"0"), (b"offset", b"0")) + member(b"a"),
        "order",
    )
    yield (
        "unknown-record",
        version_10(b"a", other=b"1"),
        "the record GNU.sparse.other is unknown",
    )
    yield "size-twice", _said((b"size", b"1"), (b"size", b"2")) + member(b"a"), "unknown or out of"
    yield "numblocks", version_01(b"a", numblocks=b"2"), "another length than its records say"
    yield "odd-map", version_01(b"a", map=b"0,512,512"), "another length than its records say"
    yield "hex-map", version_01(b"a", map=b"0x0,812", numblocks=b"1"), "a number is none"
    yield "bad-size", version_01(b"a", size=b"4e3"), "a number is none"
    split = _said((b"major", b"1")) + _said((b"minor", b"0"), (b"realsize", b"1")) + member(b"a")
    yield "split", split, "two extended headers say the same"
    everywhere = pax((b"GNU.sparse.major", b"1"), kind=b"g") + member(b"a")
    yield "for-all", everywhere, "a global header names a path or a size"
    about = pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"))
    yield "directory", about + header(b"a", b"5"), "which is not supported"
    yield "link", about + header(b"a", b"2", link=b"b"), "which is not supported"
    yield "star", pax((b"SCHILY.realsize", b"9")) + member(b"a"), "SCHILY.realsize"
    yield "solaris", pax((b"SUN.holesdata", b" 0 1 9")) + member(b"a"), "SUN.holesdata"
    yield "keyword", pax((b"GNU.sparse", b"9"), (b"GNU.sparse.x", b"9")) + member(b"a"), "unknown"
    yield "old-magic", old(b"a", magic=b"ustar\x0000"), "not of GNU's format"
    yield "old-and-records", about + old(b"a"), "not of GNU's format"
    yield "old-and-size", pax((b"size", b"812")) + old(b"a"), "not of GNU's format"
    yield "traversal-old", old(b"../evil"), "leaves the tree"
    yield "traversal-name", version_10(b"../evil"), "leaves the tree"
    yield "absolute-name", version_01(b"/nonexistent-sealift/evil"), "is absolute"
    yield "empty-name", version_10(b""), "is empty"
    yield "newline-name", version_10(b"a\nb"), "control character"
    yield "two-paths", version_10(b"a", path=b"b"), "it is also called 'a'"
    yield "two-members", version_10(b"a") + member(b"a"), "two members are installed"


def _pairs_and_map() -> bytes:
    values = ((b"size", b"4096"), (b"numblocks", b"1"), (b"map", b"0,812"))
    pairs = ((b"offset", b"0"), (b"numbytes", b"812"))
    return _said(*values, *pairs) + member(b"a", DATA)
