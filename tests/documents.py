"""One good document of each kind, each with every field that the kind has, and its strict reader.

The tests start from these and change one thing. Two archives, of which one stands in two parts,
so that every rule that joins two places of a manifest has something to hold on to.
"""

import base64
import copy
import hashlib
from collections.abc import Callable
from typing import Any

from sealift_schemas.draft import read_draft
from sealift_schemas.envelope import Envelope
from sealift_schemas.head import Head
from sealift_schemas.index import Entry
from sealift_schemas.lock import Lock
from sealift_schemas.manifest import PREDICATE_TYPE, STATEMENT_TYPE, Manifest
from sealift_schemas.payload import CHUNK_SIZE
from sealift_schemas.policy import Policy
from sealift_schemas.provenance import Provenance
from sealift_schemas.receipt import FIRST, Receipt
from sealift_schemas.root import PAYLOAD_TYPE as ROOT_PAYLOAD_TYPE
from sealift_schemas.root import Root
from sealift_schemas.spec import Spec
from sealift_schemas.strictjson import encode
from sealift_schemas.vsa import Summary

LIMIT = 1024 * 1024
KEY = "cpython-3.13.3+freethreaded-linux-x86_64-gnu"
CREATED = "2026-01-31T09:00:00Z"
EXPIRES = "2027-01-31T09:00:00Z"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _file(path: str, size: int) -> dict[str, Any]:
    count = -(-size // CHUNK_SIZE)
    if count == 1:
        return {"path": path, "size": size, "sha256": sha256(path), "chunks": [sha256(path)]}
    chunks = [sha256(f"{path} {number}") for number in range(count)]
    return {"path": path, "size": size, "sha256": sha256(path), "chunks": chunks}


FILES = [
    _file("archives/0badc0ffe-node.zip.001", CHUNK_SIZE),
    _file("archives/0badc0ffe-node.zip.002", 7),
    _file("archives/abcdef012-cpython-3.13.3.tar.gz", CHUNK_SIZE * 2 + 1),
    _file("index/" + sha256("node") + ".jsonl", 0),
    _file("index/" + sha256("cpython") + ".jsonl", 12),
]

MANIFEST: dict[str, Any] = {
    "_type": STATEMENT_TYPE,
    "subject": [{"name": file["path"], "digest": {"sha256": file["sha256"]}} for file in FILES],
    "predicateType": PREDICATE_TYPE,
    "predicate": {
        "format": 1,
        "chunk_size": CHUNK_SIZE,
        "stream": "site",
        "epoch": 1,
        "sequence": 7,
        "created": CREATED,
        "expires": EXPIRES,
        "generator": "sealift 0.1.0",
        "installer": "0.1.0",
        "archives": [
            {
                "name": KEY,
                "kind": "interpreter",
                "version": "3.13.3",
                "platform": "linux-x86_64-gnu",
                "format": "tar.gz",
                "size": CHUNK_SIZE * 2 + 1,
                "sha256": sha256("cpython"),
                "parts": [FILES[2]["path"]],
                "index": FILES[4]["path"],
                "members": 3,
                "unpacked": 1000,
                "source": {
                    "kind": "python",
                    "request": "cpython@3.13t",
                    "url": "https://example.invalid/cpython-3.13.3.tar.gz",
                    "digest_source": "catalog",
                },
                "prefix": "/install",
                "interpreter": "bin/python3.13t",
                "links": {"python3.13t": "bin/python3.13t"},
                "requires": {"glibc": "2.17", "libraries": ["libc.so.6"]},
            },
            {
                "name": "node-24.1.0-any",
                "kind": "tool",
                "version": "24.1.0",
                "platform": "any",
                "format": "zip",
                "size": CHUNK_SIZE + 7,
                "sha256": sha256("node"),
                "parts": [FILES[0]["path"], FILES[1]["path"]],
                "index": FILES[3]["path"],
                "members": 0,
                "unpacked": 0,
                "source": {
                    "kind": "url",
                    "request": "node",
                    "url": "https://example.invalid/node.zip",
                    "digest_source": "spec",
                },
                "links": {},
                "requires": {"libraries": []},
            },
        ],
        "files": FILES,
    },
}

SPEC: dict[str, Any] = {
    "format": 1,
    "stream": "site",
    "signing": {
        "keys": ["keys/release.key.pem"],
        "builders": ["pkcs11:token=a;object=b"],
        "roots": "root",
    },
    "catalogs": ["catalog.json"],
    "expires_days": 90,
    "installer": {"pythons": ["3.11", "3.13"]},
    "network": {
        "proxy": "http://proxy.invalid:3128",
        "ca": "ca.pem",
        "host": [
            {
                "name": "example.invalid:8443",
                "token_env": "EXAMPLE_TOKEN",
                "client_cert": "client.pem",
                "client_key": "client.key",
            }
        ],
        "mirror": [
            {
                "prefix": "https://example.invalid/",
                "urls": ["https://mirror.invalid/a/", "file:///srv/mirror"],
                "exclusive": True,
            }
        ],
    },
    "python": [
        {
            "request": "cpython@3.13",
            "platforms": ["linux-x86_64-gnu"],
            "accept_digest": "sha256:" + sha256("cpython"),
            "each": "minor",
            "all_platforms": False,
        }
    ],
    "url": [
        {
            "url": "https://example.invalid/node.zip",
            "name": "node",
            "version": "24.1.0",
            "sha256": sha256("node"),
            "accept_digest": "sha256:" + sha256("node"),
            "platform": "linux-x86_64-gnu",
            "strip": 1,
            "links": {"node": "bin/node"},
            "prefix": "/opt/node",
            "checksums": "https://example.invalid/SHASUMS256.txt",
            "attestation": "https://example.invalid/node.zip.sigstore.json",
        }
    ],
    "package": [
        {"request": "ruff==0.15.1", "platforms": ["linux-x86_64-gnu"], "links": {"r": "bin/ruff"}}
    ],
    "installed": [{"path": "/usr/bin/python3"}],
    "upstream": {
        "check": "require",
        "trusted_root": "trusted_root.jsonl",
        "publisher": [
            {
                "prefix": "https://example.invalid/",
                "repository": "https://github.com/example/project",
                "workflow": ".github/workflows/release.yml",
                "issuer": "https://token.example.invalid",
            },
            {"package": "ruff", "identity": "release@example.invalid"},
        ],
    },
}

LOCK: dict[str, Any] = {
    "format": 1,
    "stream": "site",
    "sequence": 7,
    "created": CREATED,
    "expires": EXPIRES,
    "spec": sha256("spec"),
    "catalogs": [{"url": "https://example.invalid/catalog.json", "sha256": sha256("catalog")}],
    "archives": [
        {
            "name": KEY,
            "kind": "interpreter",
            "source": "python",
            "request": "cpython@3.13t",
            "version": "3.13.3",
            "platform": "linux-x86_64-gnu",
            "url": "https://example.invalid/cpython-3.13.3.tar.gz",
            "filename": "cpython-3.13.3.tar.gz",
            "format": "tar.gz",
            "sha256": sha256("cpython"),
            "size": 1000,
            "digest_source": "catalog",
            "recipe": "cpython",
            "strip": 1,
            "prefix": "/install",
            "build": "20260131",
            "links": {"python3.13t": "bin/python3.13t"},
            "upstream": [
                {
                    "kind": "checksum-file",
                    "result": "agrees",
                    "source": "https://example.invalid/SHA256SUMS",
                    "name": "SHA256SUMS",
                    "sha256": sha256("sums"),
                    "size": 90,
                },
                {
                    "kind": "release-digest",
                    "result": "unreachable",
                    "source": "https://api.example.invalid/releases/1",
                    "detail": "the server answered 403",
                },
                {
                    "kind": "attestation",
                    "result": "verified",
                    "source": "https://api.example.invalid/attestations",
                    "name": "attestations.sigstore.jsonl",
                    "sha256": sha256("attestation"),
                    "size": 9000,
                    "detail": "https://github.com/example/project",
                },
            ],
        },
        {
            "name": "node-24.1.0",
            "kind": "tool",
            "source": "url",
            "request": "node",
            "version": "24.1.0",
            "platform": "any",
            "url": "https://example.invalid/node.zip",
            "filename": "node.zip",
            "format": "zip",
            "sha256": sha256("node"),
            "size": 1,
            "digest_source": "spec",
            "recipe": "generic",
            "links": {},
        },
    ],
    "wheels": [
        {
            "filename": "cryptography-46.0.0-cp311-abi3-manylinux_2_28_x86_64.whl",
            "url": "https://example.invalid/cryptography.whl",
            "sha256": sha256("wheel"),
            "size": 1000,
        }
    ],
    "missing_wheels": [
        {
            "name": "backports-zstd",
            "version": "1.2.0",
            "platform": "linux-riscv64gc-gnu",
            "pythons": ["3.11", "3.12"],
        }
    ],
    "expansions": [
        {
            "request": "cpython@>=3.11",
            "platforms": ["linux-x86_64-gnu"],
            "each": "minor",
            "all_platforms": False,
            "names": [KEY],
        }
    ],
    "trusted_root": {"sha256": sha256("trusted root"), "size": 7000},
    "root": 2,
}

_UPSTREAM = LOCK["archives"][0]["upstream"][2:]
_SUBJECTS = [
    {
        "name": "archives/abcdef012-cpython-3.13.3.tar.gz",
        "digest": {"sha256": sha256("cpython")},
    },
    {"name": "archives/0badc0ffe-node.zip", "digest": {"sha256": sha256("node")}},
]
_BUILDER = "https://site.invalid/sealift/builder/v1"

PROVENANCE: dict[str, Any] = {
    "_type": STATEMENT_TYPE,
    "subject": _SUBJECTS,
    "predicateType": "https://slsa.dev/provenance/v1",
    "predicate": {
        "buildDefinition": {
            "buildType": "https://sealift.invalid/build-type/v1",
            "externalParameters": {
                "stream": "site",
                "sequence": 7,
                "created": CREATED,
                "expires": EXPIRES,
                "spec": sha256("spec"),
                "lock": sha256("lock"),
                "pythons": ["3.13"],
                "catalogs": ["https://example.invalid/catalog.json"],
                "archives": [
                    {
                        "name": KEY,
                        "request": "cpython@3.13t",
                        "version": "3.13.3",
                        "platform": "linux-x86_64-gnu",
                        "strip": 1,
                        "prefix": "/install",
                        "links": {"python3.13t": "bin/python3.13t"},
                    }
                ],
            },
            "internalParameters": {"epoch": 1},
            "resolvedDependencies": [
                {
                    "name": KEY,
                    "uri": "pkg:generic/cpython@3.13.3",
                    "digest": {"sha256": sha256("cpython")},
                    "downloadLocation": "https://example.invalid/cpython-3.13.3.tar.gz",
                    "annotations": {
                        "kind": "archive",
                        "size": 1000,
                        "digestSource": "catalog",
                        "upstream": _UPSTREAM,
                    },
                },
                {
                    "name": "a-1.0-py3-none-any.whl",
                    "uri": "pkg:pypi/a@1.0",
                    "digest": {"sha256": sha256("wheel")},
                    "annotations": {"kind": "wheel", "size": 1},
                },
                {
                    "name": "evidence/upstream/trusted_root.jsonl",
                    "uri": "pkg:generic/sigstore-trusted-root",
                    "digest": {"sha256": sha256("trusted root")},
                    "annotations": {"kind": "trusted-root", "size": 1},
                },
                {
                    "name": "catalog.json",
                    "uri": "https://example.invalid/catalog.json",
                    "digest": {"sha256": sha256("catalog")},
                    "annotations": {"kind": "catalog"},
                },
            ],
        },
        "runDetails": {
            "builder": {
                "id": _BUILDER,
                "version": {"sealift": "0.1.0"},
                "builderDependencies": [
                    {
                        "name": "sealift-0.1.0-py3-none-any.whl",
                        "uri": "pkg:pypi/sealift@0.1.0",
                        "digest": {"sha256": sha256("sealift")},
                    }
                ],
            },
            "metadata": {
                "invocationId": "https://site.invalid/sealift/site/1/7",
                "startedOn": CREATED,
            },
            "byproducts": [
                {"name": "evidence/sbom.cdx.json", "digest": {"sha256": sha256("sbom")}}
            ],
        },
    },
}

VSA: dict[str, Any] = {
    "_type": STATEMENT_TYPE,
    "subject": _SUBJECTS[:1],
    "predicateType": "https://slsa.dev/verification_summary/v1",
    "predicate": {
        "verifier": {"id": _BUILDER, "version": {"sealift": "0.1.0"}},
        "timeVerified": CREATED,
        "resourceUri": "https://site.invalid/sealift/site/1/7",
        "policy": {
            "name": "evidence/policy.txt",
            "uri": "https://sealift.invalid/policy/v1",
            "digest": {"sha256": sha256("policy")},
        },
        "inputAttestations": [
            {
                "name": f"evidence/upstream/{sha256('cpython')}/{one['name']}",
                "uri": one["source"],
                "digest": {"sha256": one["sha256"]},
            }
            for one in sorted(_UPSTREAM, key=lambda one: one.get("name", ""))
            if "name" in one
        ],
        "verificationResult": "PASSED",
        "verifiedLevels": [
            "SLSA_BUILD_LEVEL_UNEVALUATED",
            "SEALIFT_DIGEST_MATCHED",
            "SEALIFT_UPSTREAM_AGREES",
            "SEALIFT_UPSTREAM_SIGNED",
        ],
        "slsaVersion": "1.1",
        "https://sealift.invalid/checks/v1": [
            {
                "name": _SUBJECTS[0]["name"],
                "digest": {"sha256": sha256("cpython")},
                "digestSource": "catalog",
                "upstream": _UPSTREAM,
            }
        ],
    },
}

ROOT: dict[str, Any] = {
    "format": 1,
    "version": 2,
    "created": CREATED,
    "expires": EXPIRES,
    "schemes": ["ecdsa-sha2-nistp256", "ed25519"],
    "keys": {
        sha256("a"): {
            "scheme": "ecdsa-sha2-nistp256",
            "public": base64.b64encode(b"a" * 91).decode(),
        },
        sha256("b"): {"scheme": "ed25519", "public": base64.b64encode(b"b" * 44).decode()},
    },
    "roles": {
        "root": {"keys": [sha256("a"), sha256("b")], "threshold": 2},
        "release": {"keys": [sha256("a")], "threshold": 1},
        "builder": {"keys": [sha256("b")], "threshold": 1},
    },
    "streams": {"site": {"epoch": 1, "min_sequence": 3}},
    "withdrawn": [sha256("withdrawn")],
}

POLICY: dict[str, Any] = {
    "format": 1,
    "thresholds": {"root": 2, "release": 2, "builder": 1},
    "minimum_keys": {"root": 3, "release": 3, "builder": 1},
    "schemes": ["ecdsa-sha2-nistp384"],
    "forbidden_overrides": ["allow_downgrade", "accept_expired"],
    "streams": ["site"],
    "platforms": ["linux-x86_64-gnu", "any"],
    "archives": ["cpython-3.13.*"],
    "evidence": ["provenance", "vsa", "sbom"],
    "require_expiry": True,
    "maximum_age_days": 90,
}

ENTRIES: dict[str, dict[str, Any]] = {
    "relocated file": {
        "type": "file",
        "path": "lib/pkgconfig/python-3.13.pc",
        "member": "python/lib/pkgconfig/python-3.13.pc",
        "mode": "644",
        "size": 300,
        "sha256": sha256("pc"),
        "template": {
            "sha256": sha256("template"),
            "size": 290,
            "places": [[7, "pc"], [7, "raw"], [290, "shell-single+python"]],
        },
    },
    "kept file": {
        "type": "file",
        "path": "bin/python3.13",
        "member": "python/bin/python3.13",
        "mode": "755",
        "size": 0,
        "sha256": sha256(""),
        "kept": "computed anew when it starts",
    },
    "dropped file": {
        "type": "file",
        "path": None,
        "member": "python/stale.pyc",
        "mode": "644",
        "size": 1,
        "sha256": sha256("pyc"),
        "dropped": "compiled from a source that is rewritten",
    },
    "added file": {
        "type": "file",
        "path": "BUILD",
        "member": None,
        "mode": "644",
        "template": {"sha256": sha256("20260131"), "size": 8, "places": []},
    },
    "link": {
        "type": "link",
        "path": "bin/python3",
        "member": "python/bin/python3",
        "target": "/install/bin/python3.13",
        "installed_target": "python3.13",
    },
    "added link": {"type": "link", "path": "bin/python", "member": None, "target": "python3.13"},
    "hardlink": {
        "type": "hardlink",
        "path": "bin/python3.13t",
        "member": "python/bin/python3.13t",
        "target": "python/bin/python3.13",
        "installed_target": "bin/python3.13",
    },
    "directory": {"type": "directory", "path": "lib", "member": "python/lib"},
    "dropped directory": {
        "type": "directory",
        "path": None,
        "member": "python/build",
        "dropped": "outside of install/",
    },
}

RECEIPT: dict[str, Any] = {
    "format": 1,
    "number": 1,
    "previous": FIRST,
    "clock": CREATED,
    "floor": CREATED,
    "tool": "unseal 0.1.0",
    "host": "target",
    "user": "admin",
    "action": "install",
    "detail": "installed",
    "bundle": {
        "manifest": sha256("manifest"),
        "stream": "site",
        "epoch": 1,
        "sequence": 7,
        "root_version": 2,
        "signers": [sha256("a")],
    },
    "archive": {
        "name": KEY,
        "sha256": sha256("cpython"),
        "path": "/opt/sealift/installs/" + KEY,
        "index": sha256("index"),
        "members": 4000,
        "unpacked": 1_000_000,
    },
    "root_version": 2,
    "state": sha256("state"),
    "overrides": {"accept-expired": "the ship is at sea"},
}

HEAD: dict[str, Any] = {
    "format": 1,
    "host": "target",
    "prefix": "/opt/sealift",
    "receipts": 12,
    "first": sha256("first"),
    "head": sha256("last"),
    "clock": CREATED,
    "floor": CREATED,
    "tool": "unseal 0.1.0",
}

ENVELOPE: dict[str, Any] = {
    "payload": base64.b64encode(b"{}\n").decode(),
    "payloadType": "application/vnd.in-toto+json",
    "signatures": [{"keyid": sha256("a"), "sig": base64.b64encode(b"signature").decode()}],
}

# (schema, document) by a name for the test.
GOOD: dict[str, tuple[str, dict[str, Any]]] = {
    "manifest": ("manifest", MANIFEST),
    "spec": ("spec", SPEC),
    "lock": ("lock", LOCK),
    "root": ("root", ROOT),
    "draft": ("draft", {**ENVELOPE, "payloadType": ROOT_PAYLOAD_TYPE, "signatures": []}),
    "signed draft": ("draft", {**ENVELOPE, "payloadType": ROOT_PAYLOAD_TYPE}),
    "receipt": ("receipt", RECEIPT),
    "head": ("head", HEAD),
    "envelope": ("envelope", ENVELOPE),
    "provenance": ("provenance", PROVENANCE),
    "vsa": ("vsa", VSA),
    "policy": ("policy", POLICY),
    **{f"index: {name}": ("index", entry) for name, entry in ENTRIES.items()},
}

READERS: dict[str, Callable[[Any], object]] = {
    "manifest": lambda value: Manifest.read(encode(value), limit=LIMIT),
    "spec": Spec.from_json,
    "lock": lambda value: Lock.read(encode(value)),
    "root": lambda value: Root.read(encode(value), what="root", limit=LIMIT),
    "draft": lambda value: read_draft(encode(value), what="draft", limit=LIMIT),
    "index": lambda value: Entry.from_json(value, "line"),
    "receipt": lambda value: Receipt.read(encode(value), what="receipt"),
    "head": lambda value: Head.read(encode(value), what="head"),
    "envelope": lambda value: Envelope.read(encode(value), what="envelope", limit=LIMIT),
    "provenance": lambda value: Provenance.read(encode(value), limit=LIMIT),
    "vsa": lambda value: Summary.read(encode(value), limit=LIMIT),
    "policy": lambda value: Policy.read(encode(value), what="policy"),
}


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the path of every value in a document, the document itself first."""
    children: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


def at(document: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


def replaced(document: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """Return a copy of `document` with `value` at `path`."""
    if not path:
        return value
    document = copy.deepcopy(document)
    at(document, path[:-1])[path[-1]] = value
    return document


def removed(document: Any, path: tuple[str | int, ...]) -> Any:
    """Return a copy of `document` without what stands at `path`."""
    document = copy.deepcopy(document)
    del at(document, path[:-1])[path[-1]]
    return document
