"""What `sealift root rotate` is asked for, as changes to the newest root."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sealift_installer.errors import UsageError, host_errors, printable
from sealift_schemas.root import ROLES
from sealift_schemas.strictjson import LARGEST_INTEGER, SHA256

if TYPE_CHECKING:
    from sealift_bundler.keys import AskSecret
    from sealift_bundler.root_plan import RootChanges
    from sealift_bundler.site import Site
    from sealift_schemas.root import PublicKey, Root

_DAY = 24 * 60 * 60
NeverExpires = Annotated[bool, typer.Option("--never-expires", help="Take the expiry away.")]


@dataclass(frozen=True, slots=True)
class Rotation:
    """The options of the command, as they were typed."""

    add: Sequence[str] = ()
    remove: Sequence[str] = ()
    replace: Sequence[str] = ()
    threshold: Sequence[str] = ()
    epoch: Sequence[str] = ()
    min_sequence: Sequence[str] = ()
    withdraw: Sequence[str] = ()
    restore: Sequence[str] = ()
    scheme: Sequence[str] = ()
    expires_days: int | None = None
    never_expires: bool = False


def changes_of(
    wishes: Rotation, here: "Site", newest: "Root", ask: "AskSecret | None"
) -> "RootChanges":
    """Return what `wishes` change in `newest`, the root of the site `here`.

    Raises:
        UsageError: one makes no sense, or names a key that is not there.
        HostError: a key or a bundle cannot be read.
    """
    from sealift_bundler.membership import read_schemes, read_thresholds
    from sealift_bundler.root_plan import RootChanges
    from sealift_bundler.site import present_time

    if wishes.never_expires and wishes.expires_days is not None:
        raise UsageError("--expires-days and --never-expires exclude each other")
    created = present_time()
    stream = here.spec.stream
    return RootChanges(
        created=created,
        added=_added(wishes.add, here, ask),
        removed=_removed(wishes.remove, here, newest),
        replaced=_replaced(wishes.replace, here, newest, ask),
        thresholds=read_thresholds(wishes.threshold),
        epochs=dict(_numbered(text, stream, "epoch", word="next") for text in wishes.epoch),
        min_sequences=_sequences(wishes.min_sequence, here),
        withdrawn=[_manifest(text) for text in wishes.withdraw],
        restored=[_digest(text) for text in wishes.restore],
        schemes=read_schemes(wishes.scheme),
        expires=None if wishes.expires_days is None else days_from(created, wishes.expires_days),
        never_expires=wishes.never_expires,
    )


def days_from(created: str, days: int) -> str:
    """Return the time that is `days` after `created`."""
    from sealift_bundler.site import format_time, read_time

    start = read_time(created)
    return format_time(start + days * _DAY)


def _added(
    texts: Sequence[str], here: "Site", ask: "AskSecret | None"
) -> "list[tuple[str, PublicKey]]":
    from sealift_bundler.membership import find_member, split_role

    pairs = []
    for text in texts:
        role, reference = split_role(text)
        public = find_member(reference, here.directory, ask).public
        pairs += [(name, public) for name in (ROLES if role is None else (role,))]
    return pairs


def _removed(texts: Sequence[str], here: "Site", newest: "Root") -> list[tuple[str, str]]:
    from sealift_bundler.membership import split_role

    pairs = []
    for text in texts:
        role, reference = split_role(text)
        key = _known(reference, here, newest)
        places = [name for name in ROLES if key in newest.roles[name].keys]
        pairs += [(name, key) for name in (places if role is None else (role,))]
    return pairs


def _replaced(
    texts: Sequence[str], here: "Site", newest: "Root", ask: "AskSecret | None"
) -> "list[tuple[str, PublicKey]]":
    from sealift_bundler.membership import find_member

    pairs = []
    for text in texts:
        old, equals, new = text.partition("=")
        if not (old and equals and new):
            raise UsageError(f"not OLD=NEW: {printable(text)}", hint="--replace OLD=NEW")
        key = _known(old, here, newest)
        pairs.append((key, find_member(new, here.directory, ask).public))
    return pairs


def _known(text: str, here: "Site", newest: "Root") -> str:
    from sealift_bundler.membership import find_keyid
    from sealift_bundler.root_view import KeyNames
    from sealift_bundler.site import KEYS_NAME

    names = KeyNames.read(here.directory / KEYS_NAME).names
    return find_keyid(text, newest, here.directory, names)


def _numbered(text: str, stream: str, what: str, word: str = "") -> tuple[str, int | None]:
    """Read `[STREAM=]N`; None stands for `word` in the place of N."""
    from sealift_schemas.manifest import STREAM

    name, equals, number = text.rpartition("=")
    name = name if equals else stream
    if not STREAM.fullmatch(name):
        raise UsageError(f"not a stream's name: {printable(name)}")
    if word and number == word:
        return name, None
    if not re.fullmatch("[0-9]{1,16}", number, re.ASCII) or int(number) > LARGEST_INTEGER:
        also = f" or `{word}`" if word else ""
        raise UsageError(f"not the {what} of a stream: {printable(text)}", hint=f"a number{also}")
    return name, int(number)


def _sequences(texts: Sequence[str], here: "Site") -> dict[str, int]:
    """Read `[STREAM=]N`, and refuse what would take back the site's own bundles to come."""
    from sealift_bundler.lock import read_lock

    found = {}
    for text in texts:
        name, number = _numbered(text, here.spec.stream, "least sequence")
        assert number is not None, "no word stands for it"
        found[name] = number
    lock = read_lock(here.lock_path)
    following = 1 if lock is None else lock.sequence + 1
    if found.get(here.spec.stream, 0) > following:
        raise UsageError(
            f"the least sequence is beyond the site's next bundle\n"
            f"  Expected: at most {following}\n  Found: {found[here.spec.stream]}",
            hint="no bundle of this site could be installed until its counter gets there",
        )
    return found


def _manifest(text: str) -> str:
    """Return a manifest's SHA-256, given as such or by the directory of its bundle."""
    import hashlib

    from sealift_installer.bundle import MANIFEST
    from sealift_installer.limits import LIMITS

    path = Path(text)
    if not path.is_dir():
        return _digest(text)
    with host_errors("cannot read the manifest"), (path / MANIFEST).open("rb") as file:
        return hashlib.sha256(file.read(LIMITS.envelope + 1)).hexdigest()


def _digest(text: str) -> str:
    if not SHA256.fullmatch(text):
        raise UsageError(
            f"neither a bundle nor the SHA-256 of a manifest: {printable(text)}",
            hint="`sealift verify BUNDLE --json` names it",
        )
    return text
