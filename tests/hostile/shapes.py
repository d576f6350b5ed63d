"""What an archive of any format may hold: each shape is written as tar, as zip and as 7z.

Whatever the format, the same tree must come of it, or the same words of refusal.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from hostile.generator import END, LINK_MODE, Case, Kind, Tree, Zip, header, member, pax
from hostile.seven import FILE, FOLDER, LINK, Seven

# A member: its type, its name, and its bytes or its link's target.
Part = tuple[str, str, str]
_PACKED_BY_TAR = 100


@dataclass(frozen=True)
class Shape:
    """Members in their order; `refused` or `tree` as a case has them."""

    name: str
    kind: Kind
    parts: tuple[Part, ...]
    refused: str | None = None
    tree: Tree = field(default_factory=dict)


def file(name: str, data: str = "x") -> Part:
    """Return a file."""
    return ("file", name, data)


def link(name: str, target: str) -> Part:
    """Return a symbolic link."""
    return ("link", name, target)


def folder(name: str) -> Part:
    """Return a directory."""
    return ("directory", name, "")


LEAVES, ABSOLUTE, DOT = "leaves the tree", "is absolute", "an empty component or a dot for one"
BACKSLASH, CONTROL, INVISIBLE = "has a backslash", "control character", "invisible or bidirectional"
BELOW_LINK = "is a link and has members below"
IN_A_CIRCLE = "more than 40 links, or in a circle"
MALICIOUS_NAMES = {
    "up": ("../evil", LEAVES),
    "up-alone": ("..", LEAVES),
    "up-inside": ("a/../../evil", LEAVES),
    "up-and-back": ("a/../b", LEAVES),
    "up-at-the-end": ("a/..", LEAVES),
    "up-behind-a-dot": ("./../evil", LEAVES),
    "up-far": ("../" * 20 + "tmp/evil", LEAVES),
    "up-behind-two-slashes": ("a//../../evil", LEAVES),
    "absolute": ("/nonexistent-sealift/evil", ABSOLUTE),
    "two-slashes": ("//server/share/evil", ABSOLUTE),
    "drive": ("C:/evil", ABSOLUTE),
    "drive-relative": ("c:evil", ABSOLUTE),
    "backslash-up": ("..\\evil", BACKSLASH),
    "backslash-drive": ("C:\\evil", BACKSLASH),
    "backslash-server": ("\\\\server\\share\\evil", BACKSLASH),
    "backslash-device": ("\\\\?\\C:\\evil", BACKSLASH),
    "newline": ("a\nb", CONTROL),
    "return": ("a\rb", CONTROL),
    "escape": ("a\x1b[2Jb", CONTROL),
    "delete": ("a\x7fb", CONTROL),
    "next-line": ("a\x85b", CONTROL),
    "bidi": ("a\u202etxt.exe", INVISIBLE),
    "bidi-isolate": ("a\u2066b", INVISIBLE),
    "zero-width": ("pyth\u200bon", INVISIBLE),
    "byte-order-mark": ("\ufeffa", INVISIBLE),
    "line-separator": ("a\u2028b", INVISIBLE),
    "tag": ("a\U000e0041b", INVISIBLE),
    "deep": ("a/" * 1000 + "b", "more than 64 components"),
    "long-path": (("a" * 200 + "/") * 6 + "b", "longer than 1024 bytes"),
}
REJECTED_NAMES = {
    "empty": ("", "is empty"),
    "dot": (".", DOT),
    "dot-inside": ("a/./b", DOT),
    "two-slashes-inside": ("a//b", DOT),
    "backslash": ("a\\b", BACKSLASH),
    "not-utf8": ("caf\udce9", "not UTF-8"),
    "long-component": ("a" * 256, "longer than 255 bytes"),
    "long-component-in-bytes": ("é" * 128, "longer than 255 bytes"),
}
ODD_NAMES = {
    "reserved": "CON",
    "reserved-with-ending": "aux.txt",
    "stream": "file:stream",
    "trailing-dot": "a.",
    "trailing-space": "a ",
    "leading-space": " a",
    "leading-dash": "-rf",
    "home": "~",
    "variable": "$HOME",
    "star": "*",
    "quote": "a'b\"c",
    "percent": "..%2fevil",
    "full-width": "\uff0e\uff0e\uff0fevil",
    "three-dots": "...",
    "dot-at-the-start": "..a",
    "longest-component": "a" * 255,
    "longest-depth": "a/" * 63 + "b",
}


def shapes() -> Iterator[Shape]:
    """Yield all shapes."""
    for name, (path, refused) in MALICIOUS_NAMES.items():
        yield Shape(f"name-{name}", "malicious", (file(path),), refused)
    for name, (path, refused) in REJECTED_NAMES.items():
        yield Shape(f"name-{name}", "rejected", (file(path),), refused)
    for name, path in ODD_NAMES.items():
        tree: Tree = {path: b"x"}
        place = path
        while "/" in place:
            place = place.rpartition("/")[0]
            tree[place] = None
        yield Shape(f"name-{name}", "odd", (file(path),), tree=tree)
    yield from _refused_trees()
    yield from _accepted_trees()


def _refused_trees() -> Iterator[Shape]:
    malicious = {
        "link-up": ((link("a", "../evil"),), LEAVES),
        "link-up-inside": ((link("d/l", "a/../../../evil"),), LEAVES),
        "link-to-what-is-above": ((link("l", ".."),), LEAVES),
        "link-absolute": ((link("a", "/etc/passwd"),), ABSOLUTE),
        "link-drive": ((link("a", "C:/Windows"),), ABSOLUTE),
        "link-backslash": ((link("a", "..\\evil"),), BACKSLASH),
        "link-newline": ((link("a", "b\nc"),), CONTROL),
        "link-bidi": ((link("a", "b\u202ec"),), INVISIBLE),
        "link-long": ((link("a", "b" * 2000),), "too long|longer than 1024"),
        "link-in-place-of-a-parent": ((link("d", "e"), file("d/evil")), BELOW_LINK),
        "link-below-a-link": ((link("d", "e"), link("d/l", "f")), BELOW_LINK),
        "written-through-before": ((file("d/evil"), link("d", "e")), "two members are installed"),
        "written-through-itself": ((link("a", "b"), file("a")), "two members are installed"),
        "through-another": (
            (link("a/b/c", "../.."), link("d", "a/b/c/..")),
            "through another link",
        ),
        "through-two-others": (
            (link("x/y/u", ".."), link("x/v", "y/u/.."), link("w", "x/v/../evil")),
            "through another link",
        ),
    }
    for name, (parts, refused) in malicious.items():
        yield Shape(name, "malicious", parts, refused)
    rejected = {
        "link-empty": ((link("a", ""),), "is empty"),
        "link-not-utf8": ((link("a", "caf\udce9"),), "not UTF-8"),
        "twice": ((file("a"), file("a")), "two members are installed"),
        "twice-other-bytes": ((file("a"), file("a", "y")), "two members are installed"),
        "twice-by-a-dot": ((file("a"), file("./a")), "two members are installed"),
        "file-over-directory": ((folder("a"), file("a")), "two members are installed"),
        "file-over-parent": ((file("a/b"), file("a")), "two members are installed"),
        "directory-over-file": ((file("a"), folder("a")), "a is a file|'a' is a file"),
        "below-file": ((file("a"), file("a/b")), "is a file and has members below"),
        "link-loop": ((link("a", "b"), link("b", "a")), IN_A_CIRCLE),
        "link-to-itself": ((link("a", "a"),), IN_A_CIRCLE),
        "link-through-itself": ((link("l", "l/../a"),), IN_A_CIRCLE),
        "link-to-below-itself": ((link("c", "c/c"),), IN_A_CIRCLE),
        "link-chain-too-long": (_chain(41), "through more than 40 links"),
        "link-chain-of-thousands": (_chain(5000), "through more than 40 links"),
        "directory-over-link": ((link("a", "b"), folder("a")), "'a' is a link"),
    }
    for name, (parts, refused) in rejected.items():
        yield Shape(name, "rejected", parts, refused)


def _chain(length: int) -> tuple[Part, ...]:
    """Return so many links, each to the next one, the last one to nothing."""
    return tuple(link(f"l{number}", f"l{number + 1}") for number in range(length))


def _accepted_trees() -> Iterator[Shape]:
    odd: dict[str, tuple[tuple[Part, ...], Tree]] = {
        "case-twins": ((file("a"), file("A", "y")), {"a": b"x", "A": b"y"}),
        "normal-forms": (
            (file("caf\u00e9"), file("cafe\u0301", "y")),
            {"caf\u00e9": b"x", "cafe\u0301": b"y"},
        ),
        "link-dangles": ((link("a", "b/c"),), {"a": "-> b/c"}),
        "link-to-the-top": ((link("d/l", ".."),), {"d": None, "d/l": "-> .."}),
        "link-to-here": ((link("l", "."),), {"l": "-> ."}),
        "directory-twice": ((folder("a"), folder("a")), {"a": None}),
        "directory-behind-its-file": ((file("a/b"), folder("a")), {"a": None, "a/b": b"x"}),
        "nothing": ((), {}),
    }
    for name, (parts, tree) in odd.items():
        yield Shape(name, "odd", parts, tree=tree)
    chain = _chain(40)
    yield Shape("link-chain", "odd", chain, tree={name: f"-> {to}" for _, name, to in chain})
    plain = (folder("d"), file("d/a"), file("e", ""), link("d/l", "../e"), file("é/日"))
    tree: Tree = {"d": None, "d/a": b"x", "e": b"", "d/l": "-> ../e", "é": None, "é/日": b"x"}
    yield Shape("plain", "accept", plain, tree=tree)


def shape_cases() -> list[Case]:
    """Return each shape in each format that can hold it."""
    writers = {"tar": _tar, "zip": _zip, "7z": _seven}
    return [
        Case(
            f"{ending}-shape-{shape.name}",
            ending,
            write(shape.parts),
            shape.refused,
            shape.tree,
            shape.kind,
        )
        for shape in shapes()
        for ending, write in writers.items()
    ]


def _tar(parts: tuple[Part, ...]) -> bytes:
    data = b""
    for kind, name, text in parts:
        raw, value = (part.encode("utf-8", "surrogateescape") for part in (name, text))
        target = value if kind == "link" else b""
        records = []
        if len(raw) > _PACKED_BY_TAR:
            records.append((b"path", raw))
            raw = raw[:90].rstrip(b"/")
        if len(target) > _PACKED_BY_TAR:
            records.append((b"linkpath", target))
            target = b"long"
        data += pax(*records) if records else b""
        if kind == "file":
            data += member(raw, value)
        else:
            data += header(raw, b"2" if kind == "link" else b"5", link=target)
    return data + END


def _zip(parts: tuple[Part, ...]) -> bytes:
    archive = Zip()
    for kind, name, text in parts:
        raw = name.encode("utf-8", "surrogateescape") + b"/" * (kind == "directory")
        flags: dict[str, int | bytes] = {} if raw.isascii() else {"flags": 0x800}
        mode = LINK_MODE if kind == "link" else 0
        data = text.encode("utf-8", "surrogateescape")
        archive.add(raw, data, mode=mode, local=flags, central=flags)
    return archive.build()


def _seven(parts: tuple[Part, ...]) -> bytes:
    archive = Seven()
    for kind, name, text in parts:
        if kind == "directory":
            archive.add(name, None, FOLDER)
        else:
            data = text.encode("utf-8", "surrogateescape")
            archive.add(name, data, LINK if kind == "link" else FILE)
    return archive.build()
