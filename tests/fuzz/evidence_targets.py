"""What the fuzzer does with bytes that come out of an archive, for its SBOM and its licences."""

import json
from collections.abc import Iterator

from sealift_bundler.evidence.collect import Collector
from sealift_bundler.evidence.sbom_parts import archive_component, wheel_component
from sealift_schemas.lock import LockedArchive
from sealift_schemas.provenance import Provenance
from sealift_schemas.strictjson import encode
from sealift_schemas.vsa import Summary

LIMIT = 1 << 20
PYTHON = LockedArchive(
    name="cpython-3.13.3-linux-x86_64-gnu",
    kind="interpreter",
    source="python",
    request="cpython@3.13",
    version="3.13.3",
    platform="linux-x86_64-gnu",
    url="https://example.invalid/cpython.tar.gz",
    filename="cpython.tar.gz",
    format="tar.gz",
    sha256="0" * 64,
    size=1,
    digest_source="catalog",
    recipe="cpython",
)
NAMES = (
    "python/PYTHON.json",
    "python/lib/python3.13/LICENSE.txt",
    "python/lib/python3.13/site-packages/a-1.dist-info/METADATA",
    "python/lib/python3.13/site-packages/a-1.egg-info/PKG-INFO",
    "python/lib/python3.13/ensurepip/_bundled/a-1-py3-none-any.whl",
    "python/lib/python3.13/site-packages/pip/_vendor/vendor.txt",
    "python/package.json",
    "python/lib/libcrypto.so.3",
    "python/bin/python3.13",
)
FILES = (
    b'{"licenses": ["MIT"], "build_info": {"extensions": {"a": [{"links": [{"name": "z"}]}]}}}',
    b"MIT License\n",
    b"Metadata-Version: 2.4\nName: a\nVersion: 1\nLicense-Expression: MIT OR Apache-2.0\n",
    b"Metadata-Version: 1.0\nName: a\nVersion: 1\nLicense: BSD\nClassifier: License :: OSI\n",
    b"a==1\nb==2 # c\n",
    b'{"name": "@a/b", "version": "1", "license": {"type": "MIT"}, "author": {"name": "a"}}',
    b'\x7fELF OpenSSL 3.0.15 3 Sep 2024\0OPENSSLDIR: "/" deflate 1.3.1 Copyright',
)


def collect(data: bytes) -> None:
    """A file of an archive, whose name the first byte says: its component is JSON of one line."""
    kind, data = data[:1] or b"\0", data[1:]
    collector = Collector(PYTHON)
    collector.see(NAMES[kind[0] % len(NAMES)], data)
    halves = iter((data[: len(data) // 2], data[len(data) // 2 :]))
    collector.see_large(NAMES[-1], halves)
    found = collector.findings()
    for component in (
        archive_component(PYTHON, found),
        wheel_component("a-1-py3-none-any.whl", "0" * 64, None, found),
    ):
        line = encode(component)
        assert line.isascii()
        assert line.count(b"\n") == 1
        assert json.loads(line) == component


def files() -> Iterator[bytes]:
    """Yield each file under each name."""
    return (bytes([kind]) + data for kind in range(len(NAMES)) for data in FILES)


def read_provenance(data: bytes) -> Provenance:
    """Read a provenance."""
    return Provenance.read(data, limit=LIMIT)


def read_summary(data: bytes) -> Summary:
    """Read a verification summary."""
    return Summary.read(data, limit=LIMIT)


def provenances() -> Iterator[bytes]:
    """Yield a provenance with every field."""
    from documents import PROVENANCE

    yield encode(PROVENANCE)


def summaries() -> Iterator[bytes]:
    """Yield a verification summary with every field."""
    from documents import VSA

    yield encode(VSA)
