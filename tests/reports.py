"""Reports whose free texts are all one text, for the tests of pages."""

from sealift_installer.evidence import Evidence
from sealift_installer.page.document import bundle_page, target_page
from sealift_installer.page.model import (
    ArchiveReport,
    BundleReport,
    Installed,
    RootReport,
    Seal,
    TargetReport,
)
from sealift_installer.records import Record
from sealift_installer.sbom import Component
from sealift_schemas.head import Head
from sealift_schemas.manifest import Archive, Manifest, Source
from sealift_schemas.receipt import ArchiveIdentity, BundleIdentity, Receipt
from sealift_schemas.root import PublicKey, Role, Root
from sealift_schemas.upstream import UpstreamEvidence

TIME = "2026-01-31T09:00:00Z"
DIGEST = "ab" * 32
KEY = "cd" * 32
GENERATOR = "sealift 0.0.0"


def hostile(address: str) -> str:
    """Return a text that is an element, ends an attribute, and would fetch and run something."""
    return (
        f"\"'><script>document.title='taken'</script><img src={address}/seen onerror=alert(1)>"
        "</title></style></svg>\u202e&amp;"
    )


def report(name: str) -> BundleReport:
    """Return a report whose free texts are all `name`."""
    archive = Archive(
        name="tool-1.0",
        kind="tool",
        version="1.0",
        platform="linux-x86_64-gnu",
        format="tar.gz",
        size=1000,
        sha256=DIGEST,
        parts=("archives/tool.tar.gz",),
        index="index/tool.jsonl",
        members=3,
        unpacked=3000,
        source=Source("url", name, name, "spec"),
        prefix=f"/{name}",
    )
    upstream = UpstreamEvidence("checksum-file", "agrees", name, detail=name)
    role = Role((KEY,), 1)
    first = Root(
        version=1,
        created=TIME,
        keys={KEY: PublicKey("ed25519", b"")},
        roles={"root": role, "release": role, "builder": role},
    )
    part = Component("b", "library", name, name, name, name, (name,), (), (name,), ())
    whole = Component("a", "application", name, name, name, name, (name,), (), (name,), (part,))
    return BundleReport(
        manifest=Manifest("site", 1, 1, TIME, name, "0.1.0", (), (archive,)),
        archives=(ArchiveReport(archive, 1, 2, 3, 4, ((name, 1),), ((name, 2),), (upstream,)),),
        roots=(RootReport(first, DIGEST, (KEY,)),),
        components=(whole,),
        seal=Seal(DIGEST, (KEY,), Evidence(None, None, (), sbom=True, licences=0), None, (name,)),
    )


def target(name: str) -> TargetReport:
    """Return what a target reports, whose free texts are all `name`."""
    record = Record(
        name="tool-1.0",
        kind="tool",
        version="1.0",
        platform="any",
        path=name,
        archive=DIGEST,
        index=DIGEST,
        manifest=DIGEST,
        installed=TIME,
        members=3,
        unpacked=3000,
        interpreter=None,
        links={},
    )
    receipt = Receipt(
        number=1,
        previous=DIGEST,
        clock="2025-01-31T09:00:00Z",
        floor=TIME,
        tool=name,
        host=name,
        user=name,
        action="install",
        detail=f"{name}\n{name}",
        bundle=BundleIdentity(DIGEST, "site", 1, 1, 1, (KEY,)),
        archive=ArchiveIdentity("tool-1.0", DIGEST, name),
        overrides={"allow_downgrade": name},
    )
    head = Head(name, name, 1, DIGEST, DIGEST, TIME, TIME, name)
    return TargetReport(head, (receipt,), (Installed(record, there=False),))


def pages(name: str) -> list[bytes]:
    return [
        bundle_page(report(name), GENERATOR),
        target_page(target(name), report(name), GENERATOR),
    ]
