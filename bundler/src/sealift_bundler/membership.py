"""Keys as a command line names them: a member of a role, by reference or by key id."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sealift_bundler.keys import AskSecret, keyid, load_public
from sealift_bundler.sign.file import FileSigner
from sealift_bundler.sign.references import is_remote, open_signer
from sealift_bundler.sign.signer import Signer
from sealift_bundler.site import find_key
from sealift_installer.errors import UsageError, printable
from sealift_schemas.root import ROLES, SCHEMES, PublicKey, Root

_KEYID = re.compile(r"[0-9a-f]{16,64}", re.ASCII)
SHORT_SCHEMES = {"p256": SCHEMES[0], "p384": SCHEMES[1], "ed25519": SCHEMES[2]}


@dataclass(frozen=True, slots=True)
class Member:
    """A key that stands in roles: its reference, its public half, and what signs with it here.

    `signer` opens it, or is None where its private half is not on this machine.
    """

    reference: str
    public: PublicKey
    private: Path | None
    signer: Signer | None

    def open(self, ask: AskSecret | None) -> Signer | None:
        """Return what signs with it, or None where that is not on this machine."""
        if self.signer is not None or self.private is None:
            return self.signer
        return FileSigner.load(self.private, ask)


def find_member(reference: str, directory: Path, ask: AskSecret | None) -> Member:
    """Return the key that `reference` names; of a key file the public half is enough.

    Raises:
        UsageError: there is none, or the reference is malformed.
        HostError: it cannot be read, or a token cannot be used.
    """
    if is_remote(reference):
        signer = open_signer(reference, directory, ask)
        return Member(reference, signer.public, None, signer)
    files = find_key(reference, directory)
    if files.private == files.public:
        # One .pem file: it holds either half.
        if b"PRIVATE KEY" not in _content(files.private):
            return Member(reference, load_public(files.public), None, None)
        opened = FileSigner.load(files.private, ask)
        return Member(reference, opened.public, files.private, opened)
    private = files.private if files.private.exists() else None
    if not files.public.exists() and private is not None:
        opened = FileSigner.load(private, ask)
        return Member(reference, opened.public, private, opened)
    return Member(reference, load_public(files.public), private, None)


def split_role(text: str) -> tuple[str | None, str]:
    """Take `ROLE=` off `text`; None where it does not begin with one."""
    role, equals, rest = text.partition("=")
    return (role, rest) if equals and role in ROLES else (None, text)


def members_by_role(
    texts: Sequence[str], directory: Path, ask: AskSecret | None
) -> dict[str, list[Member]]:
    """Return the keys of each role from `[ROLE=]KEY`.

    A key without a role stands in each role that has none of its own.

    Raises:
        UsageError: a role is left without a key; or as `find_member`.
        HostError: as `find_member`.
    """
    found: dict[str, Member] = {}
    pairs = [split_role(text) for text in texts]
    for _, reference in pairs:
        if reference not in found:
            found[reference] = find_member(reference, directory, ask)
    common = [found[reference] for role, reference in pairs if role is None]
    members = {}
    for name in ROLES:
        own = [found[reference] for role, reference in pairs if role == name]
        if not (own or common):
            raise UsageError(f"the role {name} has no key", hint=f"--key KEY, or --key {name}=KEY")
        members[name] = own or common
    return members


def read_thresholds(texts: Sequence[str]) -> dict[str, int]:
    """Return the threshold of each role that `[ROLE=]N` names.

    `N` alone is for `root` and `release`. Evidence is signed while a bundle is built, on one
    machine: more than one builder has to be asked for by name.

    Raises:
        UsageError: one is malformed.
    """
    common, own = {}, {}
    for text in texts:
        role, number = split_role(text)
        if not re.fullmatch("[1-9][0-9]{0,2}", number, re.ASCII):
            raise UsageError(
                f"not a threshold: {printable(text)}",
                hint="N, or ROLE=N with one of the roles " + ", ".join(ROLES),
            )
        if role is None:
            common.update(dict.fromkeys(("root", "release"), int(number)))
        else:
            own[role] = int(number)
    return {**common, **own}


def read_schemes(texts: Sequence[str]) -> tuple[str, ...] | None:
    """Return the schemes that `texts` name, in long or short form; None where there is none.

    Raises:
        UsageError: one is unknown.
    """
    for text in texts:
        if text not in SHORT_SCHEMES and text not in SCHEMES:
            raise UsageError(
                f"unknown scheme: {printable(text)}", hint="one of " + ", ".join(SHORT_SCHEMES)
            )
    return tuple(SHORT_SCHEMES.get(text, text) for text in texts) or None


def find_keyid(text: str, root: Root, directory: Path, names: Mapping[str, str]) -> str:
    """Return the id of the key of `root` that `text` names, whose public half may be lost.

    It is a key id, at least its first 16 digits, or a name or a path as everywhere.

    Raises:
        UsageError: it names no key of the root.
    """
    if _KEYID.fullmatch(text):
        found = [key for key in root.keys if key.startswith(text)]
    elif is_remote(text):
        raise UsageError(
            f"name the key by its id: {printable(text)}", hint="`sealift root show` lists them"
        )
    else:
        by_name = [key for key, name in names.items() if name == text and key in root.keys]
        found = by_name or [keyid(load_public(find_key(text, directory).public))]
    if len(found) != 1 or found[0] not in root.keys:
        raise UsageError(
            f"no key of root version {root.version}: {printable(text)}",
            hint="`sealift root show` lists them",
        )
    return found[0]


def _content(path: Path) -> bytes:
    return path.read_bytes()[:65536] if path.is_file() else b""
