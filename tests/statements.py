"""Evidence for simulated bundles: statements that fit what is carried, to be changed and signed.

evidence = SimEvidence(site)          # after the archives were added
evidence.write()                      # and all of the bundle with it
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sealift_installer.evidence import subject_name
from sealift_schemas.manifest import PAYLOAD_TYPE
from sealift_schemas.provenance import PATH as PROVENANCE
from sealift_schemas.provenance import Dependency, Parameters, Provenance, Wanted
from sealift_schemas.root import Role, Root
from sealift_schemas.statement import Named, Subject
from sealift_schemas.strictjson import encode
from sealift_schemas.upstream import UpstreamEvidence
from sealift_schemas.vsa import PATH as VSA
from sealift_schemas.vsa import POLICY_PATH, Check, Summary
from simulator import BundleSimulator, SimKey, seal, seal_root

SBOM = "evidence/sbom.cdx.json"
BUILDER = "https://site.invalid/sealift/builder/v1"
BUNDLE = "https://site.invalid/sealift/bundle/site/1/1"
Change = Callable[[dict[str, Any]], object]


@dataclass
class SimEvidence:
    """Makes the evidence of `site`. `keys` sign it; a root with them as builders comes with it."""

    site: BundleSimulator
    keys: list[SimKey] = field(default_factory=lambda: [SimKey()])
    threshold: int = 1
    signing: list[SimKey] | None = None
    payload_type: str = PAYLOAD_TYPE
    upstream: tuple[UpstreamEvidence, ...] = ()

    def __post_init__(self) -> None:
        root = self.site.next_root()
        builder = Role(tuple(sorted(key.keyid for key in self.keys)), self.threshold)
        keys = {**root.keys, **{key.keyid: key.public_key for key in self.keys}}
        first = replace_root(root, version=1, keys=keys, roles={**root.roles, "builder": builder})
        self.site.roots = {1: seal_root(first, self.site.root_keys)}
        self.site.payload[SBOM] = b'{"bomFormat": "CycloneDX", "specVersion": "1.6"}\n'
        self.site.payload[POLICY_PATH] = b"The policy.\n"

    def subjects(self) -> tuple[Subject, ...]:
        found = {subject_name(one): one.sha256 for one in self.site.archives}
        return tuple(Subject(name, found[name]) for name in sorted(found))

    def provenance(self) -> Provenance:
        site = self.site
        return Provenance(
            subjects=self.subjects(),
            parameters=Parameters(
                stream=site.stream,
                sequence=site.sequence,
                created=site.created,
                expires=site.expires,
                spec="0" * 64,
                lock="1" * 64,
                archives=tuple(Wanted(one.name, one.name, "1.0", "any") for one in site.archives),
            ),
            epoch=site.epoch,
            dependencies=tuple(
                Dependency(
                    kind="archive",
                    name=one.name,
                    uri=f"pkg:generic/{one.name}",
                    sha256=one.sha256,
                    size=one.size,
                    digest_source="spec",
                )
                for one in site.archives
            ),
            builder=BUILDER,
            version="0.1.0",
            code=(),
            invocation=BUNDLE,
            byproducts=(self.named(SBOM),),
        )

    def summary(self) -> Summary:
        return Summary(
            verifier=BUILDER,
            version="0.1.0",
            time=self.site.created,
            resource=BUNDLE,
            policy=self.named(POLICY_PATH).sha256,
            checks=tuple(
                Check(one.name, one.sha256, "spec", self.upstream) for one in self.subjects()
            ),
        )

    def named(self, path: str) -> Named:
        return Named(path, hashlib.sha256(self.site.payload[path]).hexdigest())

    def put(self, path: str, payload: bytes) -> None:
        """Put a statement into the payload of the bundle, signed."""
        keys: Sequence[SimKey] = self.keys if self.signing is None else self.signing
        self.site.payload[path] = seal(payload, self.payload_type, keys).encode()

    def write(
        self,
        *,
        provenance: Provenance | None = None,
        summary: Summary | None = None,
        change: Change | None = None,
        path: str = PROVENANCE,
    ) -> BundleSimulator:
        """Write the bundle with its evidence; `change` edits the statement at `path`."""
        statements = {
            PROVENANCE: (provenance or self.provenance()).to_json(),
            VSA: (summary or self.summary()).to_json(),
        }
        if change is not None:
            change(statements[path])
        for name, value in statements.items():
            self.put(name, encode(value, indent=2))
        return self.site.write()


def replace_root(root: Root, **fields: Any) -> Root:
    """Return a root with other fields."""
    return replace(root, **fields)
