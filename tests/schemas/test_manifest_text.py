"""The quick reader of large manifests: what the bundler writes, and nothing that means otherwise."""

import copy
import json
import random

import pytest

from documents import MANIFEST, at, places, removed, replaced
from sealift_schemas import manifest, manifest_text
from sealift_schemas.manifest import Manifest
from sealift_schemas.manifest_text import read_written
from sealift_schemas.strictjson import DocumentError, encode

LIMIT = 1 << 24


def written(document) -> bytes:
    return encode(document, indent=2)


def strictly(data: bytes) -> Manifest | None:
    assert len(data) < manifest._LARGE
    try:
        return Manifest.read(data, limit=LIMIT)
    except DocumentError:
        return None


def large(count: int):
    """A manifest of so many archives, each with all that an archive can have, or with the least."""
    document = copy.deepcopy(MANIFEST)
    predicate = document["predicate"]
    archives, files = predicate["archives"], predicate["files"]
    full = copy.deepcopy(archives[0])
    for number in range(count):
        sha256 = f"{number:064x}"
        archive = copy.deepcopy(full) | {"name": f"tool{number}-1.0", "kind": "tool"}
        archive |= {"sha256": sha256, "size": 5, "parts": [f"archives/a{number}"]}
        archive |= {"index": f"index/{sha256}.jsonl", "version": "1.0", "platform": "any"}
        archive.pop("interpreter", None)
        if number % 2:
            archive.pop("prefix", None)
            archive |= {"links": {}, "requires": {"libraries": []}}
        archives.append(archive)
        for path in (archive["parts"][0], archive["index"]):
            file = {"path": path, "size": 5, "sha256": sha256, "chunks": [sha256]}
            files.append(file)
    files.sort(key=lambda file: file["path"])
    document["subject"] = [
        {"name": file["path"], "digest": {"sha256": file["sha256"]}} for file in files
    ]
    return document


def test_what_the_bundler_writes_is_read_quickly():
    for count in (0, 1, 40):
        data = written(large(count))
        assert read_written(data) == strictly(data) is not None
        assert read_written(data).encode() == data


@pytest.mark.parametrize("step", [1, 100, 5000])
def test_it_is_looked_at_in_steps_of_any_size(step, monkeypatch):
    monkeypatch.setattr(manifest_text, "_STEP", step)
    data = written(large(12))
    assert read_written(b"before" + data, len(b"before")) == strictly(data) is not None
    for cut in (b"}", b"]", b'"'):
        assert read_written(data[: data.rindex(cut)]) is None
    assert read_written(data.replace(b'"size": 5', b'"size": 05', 1)) is None


def test_a_text_that_comes_again_is_in_memory_once():
    found = read_written(written(large(3)))
    assert found is not None
    files = {file.path: file for file in found.files}
    one, other = found.archives[-2:]
    assert one.version is other.version
    assert one.sha256 is files[one.parts[0]].sha256
    assert one.index is files[one.index].path


def test_a_large_one_is_read_so(monkeypatch):
    data = written(large(500))
    assert len(data) > manifest._LARGE
    quick = Manifest.read(data, limit=LIMIT)
    monkeypatch.setattr(manifest, "_LARGE", LIMIT)
    assert quick == Manifest.read(data, limit=LIMIT)
    with pytest.raises(DocumentError, match="at most 1000 bytes"):
        Manifest.read(data, limit=1000)


WRONG = [
    None,
    True,
    0,
    -1,
    1.5,
    2**60,
    "",
    "x y",
    "a/../b",
    "é",
    "\u202e",
    '"',
    "\\",
    [],
    {},
    ["x"],
]


def test_whatever_is_changed_both_readers_agree():
    document = large(2)
    changed = 0
    for place in places(document):
        variants = [replaced(document, place, value) for value in WRONG]
        if place:
            variants.append(removed(document, place))
        value = at(document, place)
        if isinstance(value, dict):
            variants.append(replaced(document, place, {**value, "more": 1}))
            variants.append(replaced(document, place, dict(reversed(value.items()))))
        elif isinstance(value, list) and value:
            variants.append(replaced(document, place, [*value, value[0]]))
            variants.append(replaced(document, place, value[::-1]))
        for variant in variants:
            data = written(variant)
            quick = read_written(data)
            assert quick is None or quick == strictly(data), place
            changed += 1
    assert changed > 1000


def test_whatever_bytes_are_changed_both_readers_agree(monkeypatch):
    data = written(large(3))
    choose = random.Random(7)
    taken = 0
    for number in range(3000):
        monkeypatch.setattr(manifest_text, "_STEP", (50, 64 * 1024)[number % 2])
        changed = bytearray(data)
        place = choose.randrange(len(data))
        changed[place : place + choose.choice([0, 1, 1, 1])] = choose.choice(
            [b"", b"a", b"0", b'"', b",", b"\n", b" ", b"}", b"]", b"\\", bytes([choose.randrange(256)])]
        )  # fmt: skip
        quick = read_written(bytes(changed))
        taken += quick is not None
        assert quick is None or quick == strictly(bytes(changed))
    assert taken > 0


def test_two_links_of_one_name():
    data = written(large(1))
    link = json.dumps(next(iter(MANIFEST["predicate"]["archives"][0]["links"])))
    twice = data.replace(b'"links": {\n', b'"links": {\n          %s: "x",\n' % link.encode(), 1)
    assert twice != data
    assert read_written(twice) is None
    assert strictly(twice) is None
