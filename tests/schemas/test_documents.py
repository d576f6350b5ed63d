"""What is read is what was written; the rules that join two places; the one encoding."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from documents import (
    ENTRIES,
    ENVELOPE,
    GOOD,
    LIMIT,
    LOCK,
    MANIFEST,
    READERS,
    RECEIPT,
    ROOT,
    SPEC,
    removed,
    replaced,
)
from sealift_schemas.envelope import Envelope, Signature, pre_authentication_encoding
from sealift_schemas.index import Entry, count_installed, read_lines
from sealift_schemas.lock import Lock
from sealift_schemas.manifest import Manifest
from sealift_schemas.receipt import Receipt
from sealift_schemas.root import Root
from sealift_schemas.spec import DEFAULT_PYTHONS, Spec
from sealift_schemas.strictjson import DocumentError, encode

# A spec is written by people, and of an envelope the bytes count: it has tests of its own.
WRITTEN = [name for name, (kind, _) in GOOD.items() if kind not in {"spec", "envelope", "draft"}]


@pytest.mark.parametrize("name", WRITTEN)
def test_a_document_is_written_as_it_was_read(name: str) -> None:
    schema, document = GOOD[name]
    read: Any = READERS[schema](document)
    assert read.to_json() == document
    assert json.loads(read.encode()) == document
    assert READERS[schema](json.loads(read.encode())) == read


MANIFEST_RULES: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "a subject less": (
        lambda: removed(MANIFEST, ("subject", 0)),
        "manifest.subject: expected the paths and digests of predicate.files",
    ),
    "another digest in the subject": (
        lambda: replaced(MANIFEST, ("subject", 0, "digest", "sha256"), "0" * 64),
        "manifest.subject: expected the paths and digests",
    ),
    "a chunk less": (
        lambda: removed(MANIFEST, ("predicate", "files", 2, "chunks", 0)),
        r"files\[2\].chunks: expected 3 chunk hashes for 8388609 bytes",
    ),
    "another hash of the only chunk": (
        lambda: replaced(MANIFEST, ("predicate", "files", 1, "chunks", 0), "0" * 64),
        r"files\[1\].chunks: expected the hash of the file, as it has one chunk",
    ),
    "an archive twice": (
        lambda: replaced(
            MANIFEST,
            ("predicate", "archives", 1, "name"),
            MANIFEST["predicate"]["archives"][0]["name"],
        ),
        r"archives\[1\].name: expected each name once",
    ),
    "an index that is no file": (
        lambda: replaced(MANIFEST, ("predicate", "archives", 0, "index"), "index/none.jsonl"),
        r'archives\[0\]: expected references to payload files, found "index/none.jsonl"',
    ),
    "a size that is not the sum": (
        lambda: replaced(MANIFEST, ("predicate", "archives", 1, "size"), 1),
        r"archives\[1\].size: expected the sum of the parts, found 1",
    ),
    "paths that differ by case": (
        lambda: replaced(
            MANIFEST,
            ("predicate", "files", 1, "path"),
            MANIFEST["predicate"]["files"][0]["path"].replace("node", "NODE"),
        ),
        "files: expected sorted paths that differ by more than case",
    ),
    "another format": (
        lambda: replaced(MANIFEST, ("predicate", "format"), 2),
        "manifest.predicate.format: expected 1, found 2",
    ),
    "another kind of statement": (
        lambda: replaced(MANIFEST, ("predicateType",), "https://slsa.dev/provenance/v1"),
        "manifest.predicateType: expected",
    ),
}


@pytest.mark.parametrize("name", MANIFEST_RULES)
def test_the_rules_between_the_parts_of_a_manifest(name: str) -> None:
    make, message = MANIFEST_RULES[name]
    with pytest.raises(DocumentError, match=message):
        Manifest.read(encode(make()), limit=LIMIT)


@pytest.mark.parametrize("field", ["name", "sha256"])
def test_a_lock_names_each_archive_once(field: str) -> None:
    twins = replaced(LOCK, ("archives", 1, field), LOCK["archives"][0][field])
    with pytest.raises(DocumentError, match=f"sealift.lock.archives: expected each {field} once"):
        Lock.read(encode(twins))


def test_two_tools_share_bytes_that_are_read_alike() -> None:
    tool = {**LOCK["archives"][0], "kind": "tool"}
    twins = [tool, {**tool, "name": "another", "platform": "linux-x86_64-musl"}]
    lock = Lock.read(encode(replaced(LOCK, ("archives",), twins)))
    assert [archive.name for archive in lock.archives] == [tool["name"], "another"]
    for part, value in (("kind", "interpreter"), ("strip", 7), ("filename", "b.zip"), ("size", 9)):
        other = [tool, {**twins[1], part: value}]
        with pytest.raises(DocumentError, match="for tools that differ in name and platform"):
            Lock.read(encode(replaced(LOCK, ("archives",), other)))


def test_a_threshold_is_within_reach() -> None:
    with pytest.raises(DocumentError, match=r"root.roles.root.threshold: expected an integer"):
        Root.read(
            encode(replaced(ROOT, ("roles", "root", "threshold"), 3)), what="root", limit=LIMIT
        )
    key = ROOT["roles"]["root"]["keys"][0]
    with pytest.raises(DocumentError, match=r"root.roles.root.keys: expected each key once"):
        Root.read(
            encode(replaced(ROOT, ("roles", "root", "keys"), [key, key])), what="root", limit=LIMIT
        )


def test_a_role_has_keys_of_its_root() -> None:
    with pytest.raises(DocumentError, match=r"root.roles.release: expected keys of this root"):
        Root.read(
            encode(replaced(ROOT, ("roles", "release", "keys", 0), "0" * 64)),
            what="root",
            limit=LIMIT,
        )


def test_the_places_of_a_template_ascend() -> None:
    entry = ENTRIES["relocated file"]
    for offsets in ([9, 8], [291], [-1]):
        places = [[offset, "raw"] for offset in offsets]
        with pytest.raises(DocumentError, match=r"line.template.places"):
            Entry.from_json(replaced(entry, ("template", "places"), places), "line")


def lines(*entries: dict[str, Any]) -> bytes:
    return b"".join(encode(entry) for entry in entries)


def test_an_index_is_read_line_by_line() -> None:
    data = lines(*ENTRIES.values())
    entries = tuple(read_lines(data, what="index", limit=len(data)))
    assert [entry.to_json() for entry in entries] == list(ENTRIES.values())
    assert b"".join(entry.encode() for entry in entries) == data
    # The template's 290 bytes, the kept file of none, 8 bytes of BUILD; dropped lines do not count.
    assert count_installed(entries) == (7, 298)
    assert tuple(read_lines(b"", what="index", limit=0)) == ()


def test_a_broken_index_is_refused() -> None:
    data = lines(ENTRIES["directory"], ENTRIES["link"])
    for broken, message in [
        (data[:-1], "index: expected a newline at the end"),
        (data + b"\n", "index line 3: expected JSON"),
        (data + b"[]\n", "index line 3: expected an object"),
        (data.replace(b"\n", b"\r\n\n", 1), "index line 2: expected JSON"),
        (data + b'"' + b"a" * 1024 * 1024 + b'"\n', "index line 3: expected at most 1048576 bytes"),
    ]:
        with pytest.raises(DocumentError, match=message):
            list(read_lines(broken, what="index", limit=10**7))
    with pytest.raises(DocumentError, match="index: expected at most 3 bytes"):
        list(read_lines(data, what="index", limit=3))


def test_the_link_target_is_what_is_installed() -> None:
    link = Entry.from_json(ENTRIES["link"], "line")
    added = Entry.from_json(ENTRIES["added link"], "line")
    assert (link.link_target, added.link_target) == ("python3.13", "python3.13")


def test_an_envelope_has_one_encoding() -> None:
    envelope = Envelope(b'{"a": 1}\n', "text/plain", (Signature("0" * 64, b"\x01"),))
    data = envelope.encode()
    assert data.count(b"\n") == 1
    assert Envelope.read(data, what="envelope", limit=LIMIT) == envelope
    spaced = data.replace(b":", b": ", 1)
    spare_bits = data.replace(base64.b64encode(b"\x01"), b"AR==")
    reordered = encode(dict(reversed(json.loads(data).items())))
    for other in (spaced, spare_bits, reordered, data[:-1], data + b"\n"):
        assert json.loads(other)
        with pytest.raises(DocumentError, match="the canonical encoding of the envelope"):
            Envelope.read(other, what="envelope", limit=LIMIT)


def test_an_envelope_without_a_signature_is_none() -> None:
    with pytest.raises(DocumentError, match=r"envelope.signatures: expected at least 1 items"):
        Envelope.read(encode(replaced(ENVELOPE, ("signatures",), [])), what="envelope", limit=LIMIT)


def test_the_signature_covers_type_and_payload() -> None:
    # The example of the DSSE protocol's own text.
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pre_authentication_encoding("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


def test_the_spec_has_defaults() -> None:
    spec = Spec.from_json({"format": 1, "stream": "site"})
    assert (spec.roots, spec.keys, spec.pythons) == ("root", (), DEFAULT_PYTHONS)
    full = Spec.from_json(SPEC)
    assert full.url[0].links == {"node": "bin/node"}
    assert full.python[0].platforms == ("linux-x86_64-gnu",)


def test_a_receipt_is_one_line() -> None:
    line = Receipt.read(encode(RECEIPT), what="receipt").encode()
    assert line.count(b"\n") == 1
    assert Receipt.read(line[:-1], what="receipt") == Receipt.read(line, what="receipt")
