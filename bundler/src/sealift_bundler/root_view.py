"""Roots and drafts as people read them: names for keys, what is missing, hashes for the phone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealift_bundler.keys import PUBLIC_SUFFIX, keyid, load_public
from sealift_bundler.root_draft_file import Draft, Wanted
from sealift_bundler.root_plan import describe_changes
from sealift_bundler.roots import RootFile
from sealift_installer.errors import SealiftError, host_errors
from sealift_schemas.root import ROLES, Root

_GROUP = 4
_GROUPS_A_LINE = 8
# Of a key id, where the whole one would only fill the line: as in the names of signatures.
SHORT = 16


@dataclass(frozen=True, slots=True)
class KeyNames:
    """What the keys are called here: by key id, the names of the files in `keys/`."""

    names: Mapping[str, str]

    @classmethod
    def read(cls, directory: Path) -> "KeyNames":
        """Read the public keys in the folder `directory`; what is none has no name.

        Raises:
            HostError: the folder cannot be looked at.
        """
        names: dict[str, str] = {}
        with host_errors("cannot read the keys"):
            paths = sorted(directory.glob(f"*{PUBLIC_SUFFIX}"))
        for path in paths:
            try:
                name = keyid(load_public(path))
            except SealiftError:
                continue
            names.setdefault(name, path.name.removesuffix(PUBLIC_SUFFIX))
        return cls(names)

    def show(self, key: str) -> str:
        """Return the key id shortened, with the name that it has here."""
        name = self.names.get(key)
        return key[:SHORT] if name is None else f"{key[:SHORT]} ({name})"


def group_digits(digest: str) -> list[str]:
    """Return a SHA-256 in groups of four digits, two lines of eight, to be read out and compared.

    `unseal trust import --sha256` takes it so as well: it passes over spaces.
    """
    groups = [digest[start : start + _GROUP] for start in range(0, len(digest), _GROUP)]
    return [
        " ".join(groups[start : start + _GROUPS_A_LINE])
        for start in range(0, len(groups), _GROUPS_A_LINE)
    ]


def describe_version(file: RootFile, signers: Sequence[str], names: KeyNames) -> dict[str, Any]:
    """Return a published version as JSON values; its hash is for versions whose threshold stands."""
    return {
        "version": file.version,
        "state": "published",
        "sha256": file.sha256,
        **_content(file.root, names),
        "signers": list(signers),
    }


def describe_draft(draft: Draft, names: KeyNames) -> dict[str, Any]:
    """Return a draft as JSON values: no hash, but what it changes and whose signatures it lacks."""
    changes = [] if draft.previous is None else describe_changes(draft.previous, draft.root)
    return {
        "version": draft.root.version,
        "state": "draft",
        "path": str(draft.path),
        **_content(draft.root, names),
        "signers": [signature.keyid for signature in draft.envelope.signatures],
        "changes": changes,
        "complete": draft.complete,
        "wanted": [
            {
                "version": wanted.version,
                "threshold": wanted.threshold,
                "signed": list(wanted.signed),
                "unsigned": list(wanted.unsigned),
                "missing": wanted.missing,
            }
            for wanted in draft.wanted
        ],
    }


def version_lines(file: RootFile, signers: Sequence[str], names: KeyNames) -> list[str]:
    """Return a published version for people."""
    first, *rest = group_digits(file.sha256)
    return [
        f"version {_heading(file.root)}",
        f"  sha256 {file.sha256}",
        f"  aloud  {first}",
        *(f"         {line}" for line in rest),
        *_content_lines(file.root, names),
        *(f"  signed by {names.show(key)}" for key in signers),
    ]


def draft_lines(draft: Draft, names: KeyNames) -> list[str]:
    """Return a draft for people."""
    return [
        f"draft of version {_heading(draft.root)}: {draft.path}",
        *_said_lines(draft, names),
        *missing_lines(draft, names),
    ]


def signing_lines(draft: Draft, names: KeyNames) -> list[str]:
    """Return what somebody signs who signs a draft, for people: what it changes, and all it says."""
    before = draft.root.version - 1
    unknown = bool(before) and draft.previous is None
    return [
        f"signing root version {_heading(draft.root)}: {draft.path}",
        *(
            [f"  what it changes is not known here, without {before}.root.dsse.json beside it"]
            * unknown
        ),
        *_said_lines(draft, names),
    ]


def _said_lines(draft: Draft, names: KeyNames) -> list[str]:
    changes = [f"  changes {line}" for line in change_lines(draft, names)]
    return [*changes, *_content_lines(draft.root, names)]


def change_lines(draft: Draft, names: KeyNames) -> list[str]:
    """Return what a draft changes, for people; nothing where the version before is not at hand."""
    if draft.previous is None:
        return []
    lines = describe_changes(draft.previous, draft.root)
    known = {*draft.previous.keys, *draft.root.keys}
    return [
        " ".join(names.show(word) if word in known else word for word in line.split(" "))
        for line in lines
    ]


def missing_lines(draft: Draft, names: KeyNames) -> list[str]:
    """Return who has signed a draft and whose signatures are missing."""
    lines = []
    if draft.previous is None and draft.root.version > 1:
        before = draft.root.version - 1
        lines.append(f"  version {before} is not at hand here; its root keys must sign as well")
    for wanted in draft.wanted:
        lines += _wanted_lines(wanted, names)
    return lines


def _wanted_lines(wanted: Wanted, names: KeyNames) -> list[str]:
    what = f"{wanted.threshold} of the root keys of version {wanted.version}"
    done = "stands" if not wanted.missing else f"{wanted.missing} missing"
    lines = [f"  needs {what}: {done}"]
    lines += [f"    signed   {names.show(key)}" for key in wanted.signed]
    if wanted.missing:
        lines += [f"    unsigned {names.show(key)}" for key in wanted.unsigned]
    return lines


def _heading(root: Root) -> str:
    return f"{root.version}, made {root.created}, expires {root.expires or 'never'}"


def _content(root: Root, names: KeyNames) -> dict[str, Any]:
    return {
        "created": root.created,
        "expires": root.expires,
        "schemes": list(root.schemes),
        "keys": {
            name: {"scheme": key.scheme, "name": names.names.get(name)}
            for name, key in root.keys.items()
        },
        "roles": {
            name: {"keys": list(role.keys), "threshold": role.threshold}
            for name, role in root.roles.items()
        },
        "streams": {
            name: {"epoch": rule.epoch, "min_sequence": rule.min_sequence}
            for name, rule in root.streams.items()
        },
        "withdrawn": list(root.withdrawn),
    }


def _content_lines(root: Root, names: KeyNames) -> list[str]:
    lines = []
    for name in ROLES:
        role = root.roles[name]
        lines.append(f"  {name}: {role.threshold} of {len(role.keys)}")
        lines += [f"    {names.show(key)}  {root.keys[key].scheme}" for key in role.keys]
    lines.append(f"  schemes: {', '.join(root.schemes)}")
    for stream, rule in root.streams.items():
        lines.append(
            f"  stream {stream}: epoch {rule.epoch}, bundles from sequence {rule.min_sequence} on"
        )
    lines += [f"  withdrawn: manifest {digest}" for digest in root.withdrawn]
    return lines
