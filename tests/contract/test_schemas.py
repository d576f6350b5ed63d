"""JSON Schema and strict reader say the same about every document, but for the rules listed here.

One thing at a time is changed in documents that are good, at every place; then hypothesis changes
several. What the reader accepts, the schema must accept. What the reader refuses, the schema must
refuse, unless the reader named a rule that a schema cannot say.
"""

import copy
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry

from documents import GOOD, READERS, at, places, removed, replaced
from sealift_schemas import (
    envelope,
    index,
    keys,
    lock,
    manifest,
    missing,
    network,
    payload,
    policy,
    publishers,
    root,
    spec,
    statement,
    strictjson,
    upstream,
)
from sealift_schemas.resources import SCHEMAS, read_schema
from sealift_schemas.strictjson import LARGEST_INTEGER, DocumentError

Rule = tuple[str, str, str]

# What a schema cannot say: (schema, expected, found) as patterns of the reader's error, and why.
READER_ONLY: dict[Rule, str] = {
    ("manifest", "the paths and digests of predicate.files", ""): "compares two arrays",
    ("manifest", r"\d+ chunk hashes for \d+ bytes", ""): "a quotient of two other fields",
    ("manifest", "the hash of the file, as it has one chunk", ""): "compares two fields",
    ("manifest", "sorted paths that differ by more than case", ""): "an order, and letter case",
    ("manifest", "each name once", ""): "uniqueness by one field",
    ("manifest", "references to payload files", ""): "a reference to another array",
    ("manifest", "the sum of the parts", ""): "a sum",
    ("lock", "each (name|sha256) once", ""): "uniqueness by one field",
    ("lock|provenance|vsa", "names that differ by more than case", ""): "as above, and letter case",
    ("provenance|vsa", "each name once", ""): "uniqueness by one field",
    ("provenance", "the time of externalParameters.created", ""): "compares two fields",
    ("vsa", "the (archives|attestations) of the checks", ""): "compares two arrays",
    ("vsa", "SLSA_BUILD_LEVEL_UNEVALUATED.*", ""): "what follows from other fields",
    ("root", "keys of this root", ""): "a reference to another object",
    ("root", "a scheme that this root allows", ""): "a reference to another array",
    ("root", r"an integer from 1 to [12]", r"\d{1,16}"): "a threshold within the count of keys",
    ("root|envelope|draft", "base64", ""): "padding, which the pattern counts only roughly",
    ("index", "ascending offsets inside of the template", ""): "an order, and another field",
    ("envelope|draft", "the canonical encoding of the envelope", ""): "the bytes of the document",
    (".*", "integers only", r"-?\d+\.0"): "JSON Schema takes 1.0 for an integer",
    ("spec|index", "an integer from .*|1", r"-?\d+\.0"): "as above, where TOML was read",
    (".*", "Unicode text", "a lone surrogate"): "a schema sees characters, not encodings",
}

# Each is put at every place. Chosen to stand at both sides of every rule of the contract.
VALUES: list[Any] = [
    *(None, True, False, 0, 1, 2, -1, 16, 17, 36500, 36501, 1.0, 0.5),
    *(LARGEST_INTEGER, LARGEST_INTEGER + 1),
    *([], [[]], [0], ["a"], [0, "raw"], ["raw", 0], [0, "raw", 0], {}, {"a": "b"}, {"a": 1}),
    *("", "a", "A", "a b", "a\n", "a/b", "/a", "/a/", "a//b", "../a", "a\x00", "\ud800", "é", "."),
    *("a" * 63, "a" * 64, "0" * 64, "A" * 64, "0" * 65, "0" * 64 + "\n", "a" * 101, "1.2", "1.2.3"),
    *("2026-02-31T09:00:00Z", "2026-13-01T09:00:00Z", "2026-01-31T09:00:00+00:00", "3.13", "13"),
    *("any", "linux-x86_64-gnu", "darwin-x86_64-none", "linux-x86_64-gnu\n", "644", "0644"),
    *("AAAA", "AA==", "AB==", "A===", "AAAA=", "A" * 40, "A" * 40 + "=", "A" * 42 + "==", "-_AA"),
    *("raw", "raw+json", "raw+raw+raw+raw", "sha256:" + "0" * 64, "a.whl", "tool", "tar.gz"),
]


@cache
def validator(name: str) -> Draft202012Validator:
    # An empty registry: jsonschema would otherwise fetch what it cannot resolve.
    return Draft202012Validator(json.loads(read_schema(name)), registry=Registry())


def listed(name: str, error: DocumentError) -> Rule | None:
    for rule in READER_ONLY:
        schema, expected, found = rule
        if (
            re.fullmatch(schema, name)
            and re.fullmatch(expected, error.expected)
            and (not found or re.fullmatch(found, error.found))
        ):
            return rule
    return None


def compare(name: str, document: Any) -> tuple[str | None, Rule | None]:
    """Return what only one of the two says, or the listed rule that parts them."""
    accepted = validator(name).is_valid(document)
    try:
        READERS[name](document)
    except DocumentError as error:
        if not accepted:
            return None, None
        rule = listed(name, error)
        return (None, rule) if rule else (f"only the reader refuses: {error}", None)
    return (None if accepted else f"only the schema refuses: {document}"), None


@cache
def sweep(name: str) -> tuple[list[str], set[Rule], int]:
    """Change one thing at every place: disagreements, the listed rules that were met, how many."""
    schema, document = GOOD[name]
    # A manifest holds many alike parts: one of them is changed.
    results = [compare(schema, mutant) for mutant in mutants(lean(document), good_fields(schema))]
    results += [compare(schema, mutant) for mutant in joined(schema, document)]
    disagreements = [said for said, _ in results if said]
    return disagreements, {rule for _, rule in results if rule}, len(results)


def good_fields(schema: str) -> dict[str, Any]:
    """Return a good value for each field of a kind of document, wherever it may stand."""
    return {
        path[-1]: at(document, path)
        for other, document in GOOD.values()
        if other == schema
        for path in places(document)
        if path and isinstance(path[-1], str) and at(document, path) is not None
    }


def mutants(document: Any, fields: dict[str, Any]) -> Iterator[Any]:
    for path in places(document):
        for value in VALUES:
            yield replaced(document, path, value)
        if path:
            yield removed(document, path)
        value = at(document, path)
        if isinstance(value, dict):
            yield replaced(document, (*path, "unknown"), 1)
            for name in fields.keys() - value.keys():
                yield replaced(document, (*path, name), fields[name])
        elif isinstance(value, list):
            yield replaced(document, path, value * 2)
            yield replaced(document, path, value[::-1])


@pytest.mark.parametrize("name", GOOD)
def test_both_accept_good_documents(name: str) -> None:
    schema, document = GOOD[name]
    validator(schema).validate(document)
    READERS[schema](document)


@pytest.mark.parametrize("name", GOOD)
def test_both_agree_when_one_thing_is_changed(name: str) -> None:
    disagreements, _, count = sweep(name)
    assert disagreements == []
    assert count > len(VALUES)


def lean(document: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest with one archive, a provenance with one download, or the document as it is."""
    predicate = document.get("predicate", {})
    if "buildDefinition" in predicate:
        place = ("predicate", "buildDefinition", "resolvedDependencies")
        return replaced(document, place, at(document, place)[:1])
    if "archives" not in predicate:
        return document
    document = copy.deepcopy(document)
    document["predicate"]["archives"] = document["predicate"]["archives"][:1]
    document["predicate"]["files"] = [document["predicate"]["files"][number] for number in (2, 4)]
    document["subject"] = [document["subject"][number] for number in (2, 4)]
    return document


def test_every_listed_rule_is_one_that_the_schema_does_not_say() -> None:
    met = set().union(*(sweep(name)[1] for name in GOOD))
    assert set(READER_ONLY) - met == set()


def joined(schema: str, document: dict[str, Any]) -> Iterator[Any]:
    """Yield documents that break a rule between two places, out of reach of a single change."""
    if schema == "manifest":
        files = document["predicate"]["files"][::-1]
        subject = document["subject"][::-1]
        twisted = replaced(document, ("predicate", "files"), files)
        yield replaced(twisted, ("subject",), subject)
        name = document["predicate"]["archives"][0]["name"]
        yield replaced(document, ("predicate", "archives", 1, "name"), name)
    elif schema == "lock":
        yield replaced(document, ("archives", 1, "name"), document["archives"][0]["name"])
    elif schema == "root":
        yield replaced(document, ("schemes",), document["schemes"][:1])
    elif schema in {"envelope", "draft"}:
        yield dict(reversed(document.items()))


@pytest.mark.parametrize("name", GOOD)
def test_no_field_may_be_forgotten(name: str) -> None:
    """The good documents show every field: else the sweep above would pass over it."""
    schema, _ = GOOD[name]
    shown = {
        key for other, document in GOOD.values() if other == schema for key in all_keys(document)
    }
    assert properties(json.loads(read_schema(schema))) <= shown


def all_keys(document: Any) -> set[str]:
    return {path[-1] for path in places(document) if path and isinstance(path[-1], str)}


def properties(schema: Any) -> set[str]:
    found: set[str] = set()
    for path in places(schema):
        if (
            path
            and path[-1] == "properties"
            and path.count("properties") == len([part for part in path if part == "properties"])
        ):
            found |= set(at(schema, path))
    return found


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_both_agree_when_several_things_are_changed(data: st.DataObject) -> None:
    schema, document = GOOD[data.draw(st.sampled_from(sorted(GOOD)))]
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from(places(document)))
        if path and data.draw(st.booleans()):
            document = removed(document, path)
        else:
            document = replaced(document, path, data.draw(st.sampled_from(VALUES) | st.text()))
    assert compare(schema, document)[0] is None


PATTERNS = {
    "proxy": network.PROXY,
    "host": network.HOST,
    "variable": network.VARIABLE,
    "mirroredPrefix": network.PREFIX,
    "project": missing.PROJECT,
    "mirrorUrl": network.MIRROR,
    "sha256": strictjson.SHA256,
    "time": strictjson.TIME,
    "stream": manifest.STREAM,
    "bundlePath": payload.BUNDLE_PATH,
    "uri": statement.URI,
    "version": manifest.VERSION,
    "installedPath": manifest.INSTALLED_PATH,
    "library": manifest.LIBRARY,
    "glibc": manifest.GLIBC,
    "prefix": manifest.PREFIX,
    "platform": keys.PLATFORM,
    "platformOrAny": manifest.PLATFORM_OR_ANY,
    "installerVersion": manifest.INSTALLER_VERSION,
    "toolName": keys.TOOL_NAME,
    "filename": lock.FILENAME,
    "wheel": lock.WHEEL,
    "acceptedDigest": spec.ACCEPTED_DIGEST,
    "minorVersion": spec.MINOR_VERSION,
    "base64": envelope.BASE64,
    "publicKey": root.PUBLIC,
    "escaping": index.ESCAPING,
    "package": publishers.PACKAGE,
    "repository": publishers.REPOSITORY,
    "identity": publishers.IDENTITY,
    "workflow": publishers.WORKFLOW,
    "issuer": publishers.ISSUER,
    "upstreamDetail": upstream.DETAIL,
    "upstreamName": upstream.FILE_NAME,
    "upstreamSource": upstream.SOURCE,
    "linkName": manifest.LINK_NAME,
    "archivePattern": policy.ARCHIVE_PATTERN,
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_patterns_are_the_readers_patterns(name: str) -> None:
    schema = json.loads(read_schema(name))
    patterns = [at(schema, path) for path in places(schema) if path and path[-1] == "pattern"]
    assert patterns
    # $ alone would let a newline follow in some dialects, and in others not.
    assert set(patterns) <= {f"^(?:{each.pattern})$(?!\\n)" for each in PATTERNS.values()}
    for definition, value in schema["$defs"].items():
        if "pattern" in value:
            assert value["pattern"] == f"^(?:{PATTERNS[definition].pattern})$(?!\\n)"


@settings(max_examples=30, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("name", PATTERNS)
def test_the_patterns_mean_the_same(name: str, data: st.DataObject) -> None:
    pattern = PATTERNS[name]
    good = st.from_regex(re.compile(pattern.pattern), fullmatch=True)
    text = data.draw(good | good.map(lambda text: text + "\n") | st.text())
    anchored = {"type": "string", "pattern": f"^(?:{pattern.pattern})$(?!\\n)"}
    said = Draft202012Validator(anchored, registry=Registry()).is_valid(text)
    assert said == (pattern.fullmatch(text) is not None)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schemas_are_schemas_and_closed(name: str) -> None:
    schema = json.loads(read_schema(name))
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"https://sealift.invalid/schemas/{name}/v1"
    references = {at(schema, path) for path in places(schema) if path and path[-1] == "$ref"}
    assert all(reference.startswith("#/$defs/") for reference in references)
    for path in places(schema):
        value = at(schema, path)
        if isinstance(value, dict) and value.get("type") == "object":
            assert "additionalProperties" in value, path


def test_a_definition_says_the_same_in_every_schema() -> None:
    """Each schema is whole, so what several of them need stands in each."""
    said: dict[str, Any] = {}
    for name in SCHEMAS:
        for definition, value in json.loads(read_schema(name)).get("$defs", {}).items():
            assert said.setdefault(definition, value) == value, (name, definition)


def test_an_unknown_schema_is_an_error() -> None:
    with pytest.raises(KeyError, match="passwd"):
        read_schema("../../passwd")
