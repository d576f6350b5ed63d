"""The site's roots: the folder that holds every version of the list of trusted keys.

`root/N.root.dsse.json`, numbered from 1 without gaps. A published version never changes.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sealift_bundler.keys import keyid, write_new
from sealift_bundler.sign import Signer, check_clock, sign_envelope
from sealift_installer.errors import UsageError, documents_damaged, host_errors
from sealift_installer.limits import LIMITS
from sealift_installer.trust.roots import read_first_root
from sealift_schemas.envelope import Envelope
from sealift_schemas.root import PAYLOAD_TYPE, ROLES, PublicKey, Role, Root, StreamRule

FILE = re.compile(r"([1-9][0-9]{0,3})\.root\.dsse\.json")


@dataclass(frozen=True, slots=True)
class RootPlan:
    """What a first root says: keys and threshold for each role, and the stream it is for."""

    stream: str
    created: str
    roles: Mapping[str, tuple[Sequence[PublicKey], int]]


@dataclass(frozen=True, slots=True)
class RootFile:
    """One version as it is published: its number, its bytes, and their meaning."""

    version: int
    data: bytes
    root: Root

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file, which goes on paper."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.version}.root.dsse.json"


def create_first_root(directory: Path, plan: RootPlan, signers: Sequence[Signer]) -> RootFile:
    """Make version 1 in `directory`, signed by `signers`.

    Raises:
        UsageError: there is a root, or a threshold is larger than the number of keys.
        Untrusted: the signers do not reach the root's own threshold; nothing is written then.
        RefusedByPolicy: its time is more than a day ahead of the clock.
        HostError: it cannot be written.
    """
    if any(_files(directory)):
        raise UsageError(
            f"there is a root already: {directory}",
            hint="a published version never changes; targets trust its SHA-256",
        )
    check_clock(plan.created, "the root")
    root = _first_root(plan)
    data = sign_envelope(root.encode(), PAYLOAD_TYPE, signers).encode()
    file = RootFile(1, data, root)
    # The same reading as on the target: its hash is only worth printing when the threshold stands.
    read_first_root(data, file.sha256)
    with host_errors("cannot write the root"):
        directory.mkdir(parents=True, exist_ok=True)
        write_new(directory / file.name, data, 0o666)
    return file


def read_roots(directory: Path) -> tuple[RootFile, ...]:
    """Return all versions in `directory`, from 1; nothing here says that they are authentic.

    Raises:
        UsageError: there is none, or one is missing in between.
        Damaged: one is malformed, or its number is not that of its name.
        HostError: they cannot be read.
    """
    with host_errors("cannot read the roots"):
        found = dict(sorted(_files(directory)))
        if not found:
            raise UsageError(
                f"there is no root: {directory}", hint="make one: sealift root init --key NAME"
            )
        files = tuple(read_root(path) for path in found.values())
    expected = tuple(range(1, len(found) + 1))
    if tuple(found) != expected or tuple(file.version for file in files) != expected:
        raise UsageError(f"the root versions are not numbered from 1 without a gap: {directory}")
    return files


def newest_root(directory: Path) -> RootFile:
    """Return the newest version in `directory`; nothing here says that it is authentic.

    Raises:
        UsageError, Damaged, HostError: as `read_roots`.
    """
    return read_roots(directory)[-1]


def read_root(path: Path) -> RootFile:
    """Return the root at `path`; nothing here says that it is authentic.

    Raises:
        Damaged: it is malformed.
        HostError: it cannot be read.
    """
    with host_errors("cannot read the root"), path.open("rb") as file:
        data = file.read(LIMITS.root + 1)
    with documents_damaged(str(path)):
        envelope = Envelope.read(data, what=path.name, limit=LIMITS.root)
        root = Root.read(envelope.payload, what="root", limit=LIMITS.root)
    return RootFile(root.version, data, root)


def _files(directory: Path) -> list[tuple[int, Path]]:
    if not directory.is_dir():
        return []
    matches = [(FILE.fullmatch(path.name), path) for path in directory.iterdir()]
    return [(int(match[1]), path) for match, path in matches if match is not None]


def _first_root(plan: RootPlan) -> Root:
    roles = {}
    keys = {}
    for name in ROLES:
        members, threshold = plan.roles[name]
        named = {keyid(key): key for key in members}
        if not 1 <= threshold <= len(named):
            raise UsageError(
                f"a threshold of {threshold} for the role {name}, which has {len(named)} keys"
            )
        keys.update(named)
        roles[name] = Role(tuple(sorted(named)), threshold)
    return Root(
        version=1,
        created=plan.created,
        keys=dict(sorted(keys.items())),
        roles=roles,
        streams={plan.stream: StreamRule(epoch=1, min_sequence=0)},
    )
