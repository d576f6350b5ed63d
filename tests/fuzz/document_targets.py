"""What the fuzzer does with bytes that claim to be a document, a prefix or an ELF file.

A document is refused with `DocumentError`, or it means one thing: to the strict reader, to the
standard library's JSON, and to itself after it was written anew.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sealift_bundler.relocation import Kept, Rewrite, relocate
from sealift_bundler.relocation.elf import Unpatchable, read_elf, rewrite_run_paths
from sealift_installer.errors import SealiftError
from sealift_installer.relocation import check_prefix, recover, render
from sealift_schemas import index
from sealift_schemas.envelope import Envelope
from sealift_schemas.index import ESCAPINGS, Place, read_lines
from sealift_schemas.manifest import Manifest
from sealift_schemas.manifest_text import read_written
from sealift_schemas.policy import Policy
from sealift_schemas.receipt import Receipt
from sealift_schemas.root import Root
from sealift_schemas.strictjson import DocumentError, parse

LIMIT = 1 << 20


def read_json(data: bytes) -> None:
    """Strict JSON: what it takes, the standard library reads alike."""
    try:
        value = parse(data, what="document", limit=LIMIT)
    except DocumentError:
        return
    assert json.loads(data) == value


def read_index(data: bytes) -> None:
    """The lines of an index: the quick reader and the parser agree, and so does what is written."""
    for line in data.split(b"\n")[:100]:
        try:
            quick = next(read_lines(line + b"\n", what="line", limit=LIMIT))
        except DocumentError:
            quick = None
        try:
            slow = index._any_line(line, "line")
        except DocumentError:
            slow = None
        assert quick == slow, line
    try:
        entries = tuple(read_lines(data, what="index", limit=LIMIT))
    except DocumentError:
        return
    written = b"".join(entry.encode() for entry in entries)
    assert tuple(read_lines(written, what="index", limit=8 * LIMIT)) == entries


def read_envelope(data: bytes) -> None:
    """A DSSE envelope: there is one way to write it."""
    try:
        envelope = Envelope.read(data, what="envelope", limit=LIMIT)
    except DocumentError:
        return
    assert json.loads(envelope.encode()) == json.loads(data)


def read_document(read: Callable[[bytes], Any]) -> Callable[[bytes], None]:
    """A document that is read into a dataclass: written anew, it is the same."""

    def target(data: bytes) -> None:
        try:
            document = read(data)
        except DocumentError:
            return
        assert read(document.encode()) == document

    return target


def read_manifest_text(data: bytes) -> None:
    """The quick reader of manifests takes what the strict one reads alike."""
    quick = read_written(data)
    if quick is not None:
        assert Manifest.read(data, limit=LIMIT) == quick


@dataclass
class _Choices:
    """Takes numbers off the input's front, and zeros when it is used up."""

    data: bytes

    def take(self, size: int) -> bytes:
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def number(self, below: int) -> int:
        return int.from_bytes(self.take(2), "little") % below if below > 1 else 0


def put_prefix(data: bytes) -> None:
    """A template with places: what the prefix is put into, it is taken out of again."""
    choices = _Choices(data)
    prefix = "/" + choices.take(choices.number(40)).decode("utf-8", "replace")
    names = [
        "+".join(ESCAPINGS[choices.number(len(ESCAPINGS))] for _ in range(1 + choices.number(2)))
        for _ in range(choices.number(6))
    ]
    offsets = [choices.number(64) for _ in names]
    template = choices.data
    places = [
        Place(offset, name)
        for offset, name in zip(sorted(offsets), names, strict=True)
        if offset <= len(template)
    ]
    try:
        check_prefix(prefix)
    except SealiftError:
        return
    rendered = render(template, places, prefix)
    assert recover(rendered, places, prefix) == template
    recover(template, places, prefix)


_PATHS = [
    "lib/python3.13/_sysconfigdata__linux_x86_64-linux-gnu.py",
    "lib/python3.13/_sysconfig_vars__linux_x86_64-linux-gnu.json",
    "lib/python3.13/build-details.json",
    "lib/python3.13/config-3.13-x86_64-linux-gnu/Makefile",
    "lib/pkgconfig/python-3.13.pc",
    "bin/python3.13-config",
    "bin/pip3",
    "share/text",
]


def plan_relocation(data: bytes) -> None:
    """A file that names its prefix: the places of its template are inside of it, in order."""
    if not data:
        return
    recipe = "cpython" if data[0] & 1 else "generic"
    path = _PATHS[(data[0] >> 1) % len(_PATHS)]
    outcome = relocate(recipe, path, data[1:] + b"/install/lib", "/install")
    if isinstance(outcome, Kept):
        return
    assert isinstance(outcome, Rewrite)
    offsets = [place.offset for place in outcome.places]
    assert offsets == sorted(offsets)
    assert not offsets or offsets[-1] <= len(outcome.template)
    rendered = render(outcome.template, outcome.places, "/opt/x y")
    assert recover(rendered, outcome.places, "/opt/x y") == outcome.template


def read_elf_file(data: bytes) -> None:
    """An ELF file: its facts, and its run paths rewritten in place."""
    read_elf(data)
    try:
        rewritten = rewrite_run_paths(data, lambda entry: entry[:1])
    except Unpatchable:
        return
    assert len(rewritten) == len(data)


def read_manifest(data: bytes) -> Manifest:
    """Read a manifest."""
    return Manifest.read(data, limit=LIMIT)


def read_root(data: bytes) -> Root:
    """Read a root."""
    return Root.read(data, what="root", limit=LIMIT)


def read_policy(data: bytes) -> Policy:
    """Read a policy."""
    return Policy.read(data, what="policy")


def read_receipt(data: bytes) -> Receipt:
    """Read a receipt."""
    return Receipt.read(data, what="receipt")
