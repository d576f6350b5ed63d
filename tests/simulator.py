"""A small, valid, signed bundle with real keys, for tests that change one thing and look.

    site = BundleSimulator(tmp_path / "bundle")
    site.add_archive(SimArchive("tool-1.0", members=(Member("bin/tool", b"#!/bin/sh\\n"),)))
    site.write()
    authenticate(site.bundle, site.state, site.terms)

`write` makes everything anew from `payload`, `archives`, `roots` and the few attributes; change
these and write again to get another valid bundle. To tamper, edit files afterwards, or write a
statement of your own with `write_manifest` and sign it or not.
"""

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from sealift_installer.authenticate import Authenticated, Terms, authenticate
from sealift_installer.bundle import Bundle, root_name, signature_name
from sealift_installer.trust.keys import compute_keyid
from sealift_installer.trust.roots import TrustedRoot, read_first_root
from sealift_installer.trust.state import TrustState
from sealift_schemas.envelope import Envelope, Signature, pre_authentication_encoding
from sealift_schemas.index import Entry, Place, Template, count_installed
from sealift_schemas.manifest import PAYLOAD_TYPE, Manifest, Requirements, Source
from sealift_schemas.manifest import Archive as ManifestArchive
from sealift_schemas.payload import CHUNK_SIZE, BundleFile
from sealift_schemas.root import PAYLOAD_TYPE as ROOT_PAYLOAD_TYPE
from sealift_schemas.root import SCHEMES, PublicKey, Role, Root, StreamRule
from sealift_schemas.strictjson import encode

CREATED = "2026-01-31T09:00:00Z"
NOW = "2026-02-01T09:00:00Z"
P256, P384, ED25519 = SCHEMES


class SimKey:
    """A key pair. `sign` gives the signature bytes of DSSE and of SHA256SUMS alike."""

    def __init__(self, scheme: str = P256) -> None:
        self.scheme = scheme
        self._private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
        if scheme == ED25519:
            self._private = ed25519.Ed25519PrivateKey.generate()
        else:
            curve = ec.SECP256R1() if scheme == P256 else ec.SECP384R1()
            self._private = ec.generate_private_key(curve)
        self.public = self._private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.keyid = compute_keyid(self.public)

    @property
    def public_key(self) -> PublicKey:
        return PublicKey(self.scheme, self.public)

    def sign(self, data: bytes) -> bytes:
        if isinstance(self._private, ed25519.Ed25519PrivateKey):
            return self._private.sign(data)
        algorithm = hashes.SHA256() if self.scheme == P256 else hashes.SHA384()
        return self._private.sign(data, ec.ECDSA(algorithm))


def seal(payload: bytes, payload_type: str, keys: Iterable[SimKey]) -> Envelope:
    """Return an envelope signed by `keys`, in their order."""
    signed = pre_authentication_encoding(payload_type, payload)
    signatures = tuple(Signature(key.keyid, key.sign(signed)) for key in keys)
    return Envelope(payload, payload_type, signatures)


def make_root(
    version: int = 1,
    *,
    root_keys: Sequence[SimKey],
    release_keys: Sequence[SimKey],
    thresholds: tuple[int, int] = (1, 1),
    **fields: Any,
) -> Root:
    """Return a root with these keys; `thresholds` are those of root and release."""
    keys = {key.keyid: key.public_key for key in (*root_keys, *release_keys)}
    release = tuple(key.keyid for key in release_keys)
    roles = {
        "root": Role(tuple(key.keyid for key in root_keys), thresholds[0]),
        "release": Role(release, thresholds[1]),
        "builder": Role(release, 1),
    }
    return Root(version=version, created=CREATED, keys=keys, roles=roles, **fields)


def seal_root(root: Root, keys: Iterable[SimKey]) -> bytes:
    """Return the file of a root, signed by `keys`."""
    return seal(root.encode(), ROOT_PAYLOAD_TYPE, keys).encode()


@dataclass(frozen=True)
class Member:
    """One member of a simulated archive, and how its index line describes it.

    `name` stands in the archive (below `top`) and, unless `path` says otherwise, in the tree.
    `template` replaces the bytes: the content and the places of the prefix in it.
    """

    name: str
    data: bytes = b""
    type: str = "file"
    target: str = ""
    executable: bool = False
    path: str | None = None
    installed_target: str | None = None
    template: tuple[bytes, tuple[Place, ...]] | None = None
    kept: str | None = None
    dropped: str | None = None


@dataclass(frozen=True)
class SimArchive:
    """An archive to be carried. `added` are files that no member makes: path to template."""

    name: str
    members: tuple[Member, ...]
    kind: str = "tool"
    version: str = "1.0"
    platform: str = "any"
    format: str = "tar.gz"
    top: str = "top"
    prefix: str | None = None
    interpreter: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    requires: Requirements = field(default_factory=Requirements)
    added: Mapping[str, tuple[bytes, tuple[Place, ...]]] = field(default_factory=dict)
    part_size: int | None = None
    data: bytes | None = None


def pack(archive: SimArchive) -> bytes:
    """Return the archive's bytes, unless the test gave its own."""
    if archive.data is not None:
        return archive.data
    buffer = io.BytesIO()
    if archive.format == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
            for member in archive.members:
                packed.writestr(*_zip_member(archive, member))
        return buffer.getvalue()
    compression = archive.format.removeprefix("tar").removeprefix(".")
    if compression not in {"", "gz", "bz2", "xz"}:
        raise NotImplementedError(archive.format)
    mode: Any = f"w:{compression}"
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.PAX_FORMAT) as tar:
        for member in archive.members:
            info = tarfile.TarInfo(_inside(archive, member.name))
            info.mode = 0o755 if member.executable or member.type == "directory" else 0o644
            info.type = _TAR_TYPES[member.type]
            if member.type == "file":
                info.size = len(member.data)
            elif member.type == "hardlink":
                info.linkname = _inside(archive, member.target)
            else:
                info.linkname = member.target
            tar.addfile(info, io.BytesIO(member.data))
    return buffer.getvalue()


_TAR_TYPES = {
    "file": tarfile.REGTYPE,
    "link": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "directory": tarfile.DIRTYPE,
}


def _inside(archive: SimArchive, name: str) -> str:
    return f"{archive.top}/{name}" if archive.top else name


def _zip_member(archive: SimArchive, member: Member) -> tuple[zipfile.ZipInfo, bytes]:
    name = _inside(archive, member.name)
    info = zipfile.ZipInfo(name + ("/" if member.type == "directory" else ""))
    mode = {
        "file": 0o100755 if member.executable else 0o100644,
        "link": 0o120777,
        "directory": 0o040755,
    }[member.type]
    info.external_attr = mode << 16
    info.create_system = 3
    info.compress_type = zipfile.ZIP_DEFLATED
    return info, member.target.encode() if member.type == "link" else member.data


class BundleSimulator:
    """Makes a bundle in `path`.

    Args:
        path: the directory of the bundle; made by `write`.
        keys: how many release keys; all of them sign.
        threshold: how many of them must.
        scheme: of the release keys.
    """

    def __init__(
        self, path: Path, *, keys: int = 1, threshold: int = 1, scheme: str = P256
    ) -> None:
        self.path = path
        self.root_keys = [SimKey()]
        self.release_keys = [SimKey(scheme) for _ in range(keys)]
        self.signing_keys = list(self.release_keys)
        root = make_root(
            root_keys=self.root_keys,
            release_keys=self.release_keys,
            thresholds=(1, threshold),
        )
        self.roots: dict[int, bytes] = {1: seal_root(root, self.root_keys)}
        self.stream = "site"
        self.epoch = 1
        self.sequence = 1
        self.created = CREATED
        self.expires: str | None = None
        self.installer = "0.1.0"
        self.payload: dict[str, bytes] = {"README.txt": b"What this is.\n"}
        self.archives: list[ManifestArchive] = []
        self.entries: dict[str, tuple[Entry, ...]] = {}

    @property
    def bundle(self) -> Bundle:
        return Bundle(self.path)

    @property
    def first_root(self) -> TrustedRoot:
        data = self.roots[1]
        return read_first_root(data, hashlib.sha256(data).hexdigest())

    @property
    def state(self) -> TrustState:
        """What a target trusts that just got the first root."""
        return TrustState(self.first_root)

    @property
    def terms(self) -> Terms:
        return Terms(now=NOW)

    def authenticate(self, **terms: Any) -> Authenticated:
        """Authenticate as a fresh target does."""
        return authenticate(self.bundle, self.state, replace(self.terms, **terms))

    def add_root(self, root: Root, keys: Iterable[SimKey]) -> None:
        """Carry one more root version, signed by `keys`."""
        self.roots[root.version] = seal_root(root, keys)

    def next_root(self, **fields: Any) -> Root:
        """Return a root like the newest one, one version up, with `fields` changed."""
        newest = self.roots[max(self.roots)]
        envelope = Envelope.read(newest, what="root", limit=1 << 20)
        root = Root.read(envelope.payload, what="root", limit=1 << 20)
        return replace(root, version=root.version + 1, **fields)

    def withdraw(self, *manifests: str, **rule: int) -> None:
        """Carry a new root that withdraws manifests, or sets `epoch` or `min_sequence`."""
        streams = {self.stream: StreamRule(rule.get("epoch", 1), rule.get("min_sequence", 0))}
        self.add_root(self.next_root(withdrawn=manifests, streams=streams), self.root_keys)

    def add_archive(self, archive: SimArchive) -> ManifestArchive:
        """Carry an archive with its index and templates."""
        data = pack(archive)
        sha256 = hashlib.sha256(data).hexdigest()
        parts = self._add_parts(
            f"archives/{sha256[:9]}-{archive.name}.{archive.format}", data, archive
        )
        entries = tuple(self._entries(archive))
        index = f"index/{sha256}.jsonl"
        self.payload[index] = b"".join(entry.encode() for entry in entries)
        self.entries[archive.name] = entries
        members, unpacked = count_installed(entries)
        made = ManifestArchive(
            name=archive.name,
            kind=archive.kind,
            version=archive.version,
            platform=archive.platform,
            format=archive.format,
            size=len(data),
            sha256=sha256,
            parts=parts,
            index=index,
            members=members,
            unpacked=unpacked,
            source=Source("url", archive.name, f"https://{archive.name}.invalid/", "spec"),
            prefix=archive.prefix,
            interpreter=archive.interpreter,
            links=archive.links,
            requires=archive.requires,
        )
        self.archives.append(made)
        return made

    def manifest(self) -> Manifest:
        """Return the manifest of what is carried now."""
        return Manifest(
            stream=self.stream,
            epoch=self.epoch,
            sequence=self.sequence,
            created=self.created,
            expires=self.expires,
            generator="simulator",
            installer=self.installer,
            files=tuple(describe(path, self.payload[path]) for path in sorted(self.payload)),
            archives=tuple(self.archives),
        )

    def write(self, change: Callable[[dict[str, Any]], object] | None = None) -> "BundleSimulator":
        """Write the whole bundle; `change` edits the statement's JSON before it is signed."""
        for path, data in self.payload.items():
            self.write_file(path, data)
        for version, data in self.roots.items():
            self.write_file(root_name(version), data)
        statement = self.manifest().to_json()
        if change is not None:
            change(statement)
        self.write_manifest(encode(statement, indent=2))
        return self

    def write_manifest(self, payload: bytes, payload_type: str = PAYLOAD_TYPE) -> None:
        """Write and sign the payload, its copy, and the checksums of what is carried."""
        self.write_file("manifest.json", payload)
        envelope = seal(payload, payload_type, self.signing_keys)
        self.write_file("manifest.dsse.json", envelope.encode())
        self.write_checksums(payload)

    def write_checksums(self, payload: bytes) -> None:
        """Write SHA256SUMS and the signatures over it."""
        contents = {**self.payload, "manifest.json": payload}
        lines = [f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n" for name in contents]
        sums = "".join(sorted(lines, key=lambda line: line[66:])).encode()
        self.write_file("SHA256SUMS", sums)
        for key in self.signing_keys:
            self.write_file(signature_name(key.keyid), key.sign(sums))

    def write_file(self, name: str, data: bytes) -> Path:
        """Write one file of the bundle, and nothing that follows from it."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def flip_bit(self, name: str, position: int = 0, bit: int = 0) -> None:
        """Flip one bit of a file of the bundle."""
        path = self.path / name
        data = bytearray(path.read_bytes())
        data[position] ^= 1 << bit
        path.write_bytes(data)

    def files(self) -> list[str]:
        """Return all files that stand in the bundle."""
        return sorted(
            path.relative_to(self.path).as_posix()
            for path in self.path.rglob("*")
            if path.is_file()
        )

    def _add_parts(self, path: str, data: bytes, archive: SimArchive) -> tuple[str, ...]:
        size = archive.part_size
        if size is None:
            self.payload[path] = data
            return (path,)
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        names = [f"{path}.{number:03}" for number in range(1, len(pieces) + 1)]
        self.payload.update(zip(names, pieces, strict=True))
        return tuple(names)

    def _entries(self, archive: SimArchive) -> Iterable[Entry]:
        for member in archive.members:
            path = None if member.dropped else member.path or member.name
            entry = Entry(
                member.type,
                path,
                _inside(archive, member.name),
                dropped=member.dropped,
                kept=member.kept,
            )
            if member.type == "file":
                entry = replace(
                    entry,
                    mode="755" if member.executable else "644",
                    size=len(member.data),
                    sha256=hashlib.sha256(member.data).hexdigest(),
                    template=self._template(member.template),
                )
            elif member.type != "directory":
                hard = member.type == "hardlink"
                entry = replace(
                    entry,
                    target=_inside(archive, member.target) if hard else member.target,
                    installed_target=member.target if hard else member.installed_target,
                )
            yield entry
        for path, template in archive.added.items():
            yield Entry("file", path, None, mode="644", template=self._template(template))

    def _template(self, template: tuple[bytes, tuple[Place, ...]] | None) -> Template | None:
        if template is None:
            return None
        data, places = template
        sha256 = hashlib.sha256(data).hexdigest()
        self.payload[f"templates/{sha256}"] = data
        return Template(sha256, len(data), places)


def describe(path: str, data: bytes) -> BundleFile:
    """Return what the manifest says about a payload file."""
    chunks = [data[start : start + CHUNK_SIZE] for start in range(0, len(data), CHUNK_SIZE)]
    return BundleFile(
        path=path,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        chunks=tuple(hashlib.sha256(chunk).hexdigest() for chunk in chunks),
    )


def reencode(envelope: Envelope, **fields: Any) -> bytes:
    """Return the envelope's bytes with some fields changed, signatures as they are."""
    return replace(envelope, **fields).encode()


def small_bundle(path: Path, **options: Any) -> BundleSimulator:
    """Write a bundle with one archive that has a file, a program, a link and a template."""
    site = BundleSimulator(path, **options)
    site.add_archive(
        SimArchive(
            name="tool-1.0",
            members=(
                Member("bin", type="directory"),
                Member("bin/tool", b"#!/bin/sh\necho tool\n", executable=True),
                Member("bin/again", type="link", target="tool"),
                Member("lib/data", bytes(range(256)) * 40),
                Member(
                    "lib/where",
                    b"prefix=/install\n",
                    template=(b"prefix=\n", (Place(7, "raw"),)),
                ),
            ),
            prefix="/install",
            links={"tool": "bin/tool"},
            added={"BUILD": (b"20260131", ())},
        )
    )
    return site.write()
