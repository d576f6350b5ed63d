"""Every document of a whole bundle is what its schema describes."""

import json
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry

from sealift_schemas.envelope import Envelope
from sealift_schemas.resources import read_schema
from simulator import BundleSimulator, small_bundle

LIMIT = 1024 * 1024


@cache
def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(read_schema(name)), registry=Registry())


@pytest.fixture
def site(tmp_path: Path) -> BundleSimulator:
    return small_bundle(tmp_path / "bundle")


def test_the_manifest_and_its_copy(site: BundleSimulator) -> None:
    envelope = (site.path / "manifest.dsse.json").read_bytes()
    validator("envelope").validate(json.loads(envelope))
    payload = Envelope.read(envelope, what="envelope", limit=LIMIT).payload
    assert payload == (site.path / "manifest.json").read_bytes()
    validator("manifest").validate(json.loads(payload))


def test_the_roots(site: BundleSimulator) -> None:
    roots = sorted((site.path / "trust/root").iterdir())
    assert roots
    for path in roots:
        validator("envelope").validate(json.loads(path.read_bytes()))
        payload = Envelope.read(path.read_bytes(), what="root", limit=LIMIT).payload
        validator("root").validate(json.loads(payload))


def test_the_indexes(site: BundleSimulator) -> None:
    lines = [
        line for path in (site.path / "index").iterdir() for line in path.read_bytes().splitlines()
    ]
    assert lines
    for line in lines:
        validator("index").validate(json.loads(line))
