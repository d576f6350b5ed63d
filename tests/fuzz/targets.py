"""Every target of the fuzzer: what is done with the input, and what it starts from.

Seeds are made when they are asked for, of the hostile archives and of a small signed bundle.
"""

import gzip
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from elf_builder import build_elf
from fuzz import archive_targets as archives
from fuzz import document_targets as documents
from fuzz import evidence_targets as evidence
from hostile.cases import CASES
from hostile.seven import wrap
from hostile.streams import PACKERS

# Seeds, and what the fuzzer makes of them, are no longer than this many bytes.
LONGEST = 32 * 1024


@dataclass(frozen=True)
class Target:
    """One reader: `run` takes any bytes and raises only where something is wrong with us."""

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]


def _cases(archive_format: str) -> Callable[[], Iterator[bytes]]:
    return lambda: (case.data for case in CASES if case.format == archive_format)


def _sevens() -> Iterator[bytes]:
    for case in CASES:
        if case.format == "7z" and case.data[:2] == b"7z":
            yield case.data
            header, packed = _header(case.data), case.data[32 : 32 + _offset(case.data)]
            yield len(packed).to_bytes(2, "little") + packed + header


def _headers() -> Iterator[bytes]:
    return (_header(case.data) for case in CASES if case.format == "7z" and len(case.data) > len(wrap(b"", b"")))  # fmt: skip


def _offset(seven: bytes) -> int:
    return min(int.from_bytes(seven[12:20], "little"), len(seven))


def _header(seven: bytes) -> bytes:
    return seven[32 + _offset(seven) :]


def _blocks() -> Iterator[bytes]:
    for method in range(17):
        for more in range(17):
            yield bytes([1, method, 5, 93, 0, 0, 1, 0, more, 1, 3, 9, 0]) + b"nine byte"
            yield bytes([0, method, 1, 20, more, 0]) + b"packed in some way"


def _streams(archive_format: str) -> Callable[[], Iterator[bytes]]:
    def seeds() -> Iterator[bytes]:
        yield from _cases(archive_format)()
        pack, _ = PACKERS[archive_format]
        yield pack(bytes(100_000))
        yield pack(random.Random(1).randbytes(2_000)) + pack(b"")

    return seeds


def _bundle_files(*patterns: str) -> Callable[[], Iterator[bytes]]:
    def seeds() -> Iterator[bytes]:
        from simulator import small_bundle

        with tempfile.TemporaryDirectory() as folder:
            bundle = small_bundle(Path(folder) / "bundle").path
            for pattern in patterns:
                for path in sorted(bundle.glob(pattern)):
                    yield path.read_bytes()

    return seeds


def _roots() -> Iterator[bytes]:
    import base64
    import json

    for envelope in _bundle_files("trust/root/*.json")():
        yield base64.b64decode(json.loads(envelope)["payload"])


def _receipts() -> Iterator[bytes]:
    from documents import RECEIPT
    from sealift_schemas.strictjson import encode

    yield encode(RECEIPT)


def _policies() -> Iterator[bytes]:
    from documents import POLICY
    from sealift_schemas.strictjson import encode

    yield encode(POLICY)


def _steps() -> Iterator[bytes]:
    choose = random.Random(2)
    return (choose.randbytes(30) for _ in range(50))


def _prefixes() -> Iterator[bytes]:
    choose = random.Random(3)
    for size in (0, 5, 30):
        head = size.to_bytes(2, "little") + b'opt/it\'s "$x" \\#'[:size].ljust(size, b"y")
        yield from (head + choose.randbytes(20) + b"prefix=\n" * 5 for _ in range(10))


_TEXTS = (
    b"build_time_vars = {'prefix': '/install', 'CC': 'clang -I/install/include'}\n",
    b'{"prefix": "/install", "paths": ["/install/lib", 1, null]}',
    b"prefix=/install\nCC= clang -I$(prefix)/include \\\n  -L/install/lib\n",
    b"prefix=/install\nlibdir=${prefix}/lib\nLibs: -L${libdir} -lpython\n",
    b'#!/bin/sh\nprefix="/install"\necho \'/install/x\' "$prefix"\n',
    b"#!/install/bin/python3\nimport sys\n",
)


def _texts() -> Iterator[bytes]:
    return (bytes([kind]) + text for kind in range(16) for text in _TEXTS)


def _elves() -> Iterator[bytes]:
    yield build_elf(b"\0libc.so.6\0/install/lib\0", [("NEEDED", 1), ("RUNPATH", 11)])
    yield build_elf(b"\0a\0/install/lib:$ORIGIN\0", [("SONAME", 1), ("RPATH", 3)], [1], {1: 1}, 2)


def _gzip_headers() -> Iterator[bytes]:
    yield from _streams("tar.gz")()
    yield gzip.compress(b"x" * 10)


TARGETS: dict[str, Target] = {
    "tar": Target(archives.read_tar, _cases("tar")),
    "tar-to-disk": Target(archives.unpack_tar, _cases("tar")),
    "tree": Target(archives.write_tree, _steps),
    "gzip": Target(archives.read_stream("tar.gz"), _gzip_headers),
    "bzip2": Target(archives.read_stream("tar.bz2"), _streams("tar.bz2")),
    "xz": Target(archives.read_stream("tar.xz"), _streams("tar.xz")),
    "zstd": Target(archives.read_stream("tar.zst"), _streams("tar.zst")),
    "zip": Target(archives.read_zip, _cases("zip")),
    "7z": Target(archives.read_seven, _sevens),
    "7z-header": Target(archives.read_seven_header, _headers),
    "7z-methods": Target(archives.read_seven_methods, _blocks),
    "json": Target(documents.read_json, _bundle_files("*.json", "index/*")),
    "index": Target(documents.read_index, _bundle_files("index/*")),
    "envelope": Target(documents.read_envelope, _bundle_files("*.dsse.json", "trust/root/*")),
    "manifest": Target(
        documents.read_document(documents.read_manifest), _bundle_files("manifest.json")
    ),
    "manifest-text": Target(documents.read_manifest_text, _bundle_files("manifest.json")),
    "root": Target(documents.read_document(documents.read_root), _roots),
    "receipt": Target(documents.read_document(documents.read_receipt), _receipts),
    "policy": Target(documents.read_document(documents.read_policy), _policies),
    "provenance": Target(documents.read_document(evidence.read_provenance), evidence.provenances),
    "vsa": Target(documents.read_document(evidence.read_summary), evidence.summaries),
    "components": Target(evidence.collect, evidence.files),
    "prefix": Target(documents.put_prefix, _prefixes),
    "relocation": Target(documents.plan_relocation, _texts),
    "elf": Target(documents.read_elf_file, _elves),
}
