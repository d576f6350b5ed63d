"""What a root says: the first version from a plan, each later one from changes to the one before.

Nothing here signs or writes; see sealift_bundler.root_drafts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sealift_bundler.keys import keyid
from sealift_installer.errors import HostError, UsageError, mismatch
from sealift_schemas.root import ROLES, SCHEMES, PublicKey, Role, Root, StreamRule

_FIRST_RULE = StreamRule(epoch=1, min_sequence=0)


@dataclass(frozen=True, slots=True)
class RootPlan:
    """What a first root says: keys and threshold for each role, and the stream it is for.

    `schemes` are those whose signatures count; `expires` is a time in UTC or None.
    """

    stream: str
    created: str
    roles: Mapping[str, tuple[Sequence[PublicKey], int]]
    schemes: tuple[str, ...] = SCHEMES
    expires: str | None = None


@dataclass(frozen=True, slots=True)
class RootChanges:
    """What the next version says otherwise; what is not named stays.

    `added` and `removed` are pairs of a role and a key (or key id); `replaced` pairs of a key id
    and the key that takes its place wherever it stands. `epochs` and `min_sequences` are by
    stream, an epoch of None is the next one. `never_expires` takes an expiry away.
    """

    created: str
    added: Sequence[tuple[str, PublicKey]] = ()
    removed: Sequence[tuple[str, str]] = ()
    replaced: Sequence[tuple[str, PublicKey]] = ()
    thresholds: Mapping[str, int] = field(default_factory=dict)
    epochs: Mapping[str, int | None] = field(default_factory=dict)
    min_sequences: Mapping[str, int] = field(default_factory=dict)
    withdrawn: Sequence[str] = ()
    restored: Sequence[str] = ()
    schemes: tuple[str, ...] | None = None
    expires: str | None = None
    never_expires: bool = False


def first_root(plan: RootPlan) -> Root:
    """Return version 1.

    Raises:
        UsageError: a threshold is larger than the number of keys, or a key's scheme is not among
            those that count.
    """
    keys = {}
    roles = {}
    for name in ROLES:
        members, threshold = plan.roles[name]
        named = {keyid(key): key for key in members}
        keys.update(named)
        roles[name] = Role(tuple(sorted(named)), threshold)
    root = Root(
        version=1,
        created=plan.created,
        keys=dict(sorted(keys.items())),
        roles=roles,
        schemes=_ordered(plan.schemes),
        streams={plan.stream: _FIRST_RULE},
        expires=plan.expires,
    )
    _check(root)
    return root


def next_root(root: Root, changes: RootChanges) -> Root:
    """Return the version after `root`.

    Raises:
        UsageError: nothing changes, a key is not where it is to be removed, a threshold is larger
            than the number of keys, a key's scheme is not among those that count, or a stream
            would go back.
        HostError: it would be older than `root`.
    """
    if changes.created < root.created:
        raise HostError(
            mismatch(
                f"the clock of this machine is behind the time of root version {root.version}",
                f"at least {root.created}",
                changes.created,
            ),
            hint="set the clock; the times of roots do not go back",
        )
    keys, members = _members(root, changes)
    roles = {
        name: Role(
            tuple(sorted(members[name])),
            changes.thresholds.get(name, root.roles[name].threshold),
        )
        for name in ROLES
    }
    used = {key for role in roles.values() for key in role.keys}
    following = Root(
        version=root.version + 1,
        created=changes.created,
        keys={name: key for name, key in sorted(keys.items()) if name in used},
        roles=roles,
        schemes=root.schemes if changes.schemes is None else _ordered(changes.schemes),
        streams=_streams(root, changes),
        withdrawn=_withdrawn(root, changes),
        expires=_expires(root, changes),
    )
    _check(following)
    if replace(following, version=root.version, created=root.created) == root:
        raise UsageError(
            f"nothing in it differs from root version {root.version}",
            hint="say what is to change: sealift root rotate --help",
        )
    return following


def describe_changes(old: Root, new: Root) -> list[str]:
    """Return what `new` says otherwise than `old`, in lines for people. Keys go by their ids."""
    lines = []
    for name in ROLES:
        before, after = old.roles[name], new.roles[name]
        lines += [f"{name}: - {key}" for key in before.keys if key not in after.keys]
        lines += [f"{name}: + {key}" for key in after.keys if key not in before.keys]
        if (before.threshold, len(before.keys)) != (after.threshold, len(after.keys)):
            lines.append(
                f"{name}: {before.threshold} of {len(before.keys)} keys -> "
                f"{after.threshold} of {len(after.keys)}"
            )
    for stream in sorted({*old.streams, *new.streams}):
        was, now = old.streams.get(stream, _FIRST_RULE), new.streams.get(stream, _FIRST_RULE)
        if was.epoch != now.epoch:
            lines.append(f"stream {stream}: epoch {was.epoch} -> {now.epoch}")
        if was.min_sequence != now.min_sequence:
            text = f"least sequence {was.min_sequence} -> {now.min_sequence}"
            lines.append(f"stream {stream}: {text}")
    lines += [f"withdrawn: + {one}" for one in new.withdrawn if one not in old.withdrawn]
    lines += [f"withdrawn: - {one}" for one in old.withdrawn if one not in new.withdrawn]
    if old.schemes != new.schemes:
        lines.append(f"schemes: {', '.join(old.schemes)} -> {', '.join(new.schemes)}")
    if old.expires != new.expires:
        lines.append(f"expires: {old.expires or 'never'} -> {new.expires or 'never'}")
    return lines


def _members(
    root: Root, changes: RootChanges
) -> tuple[dict[str, PublicKey], dict[str, dict[str, None]]]:
    """Return all keys by id, and the ids of the members of each role."""
    keys = dict(root.keys)
    members = {name: dict.fromkeys(role.keys) for name, role in root.roles.items()}
    for old, new in changes.replaced:
        places = [name for name in ROLES if old in members[name]]
        if not places:
            raise _unknown(root, old, "any role")
        keys[keyid(new)] = new
        for name in places:
            del members[name][old]
            members[name][keyid(new)] = None
    for name, gone in changes.removed:
        if gone not in members[name]:
            raise _unknown(root, gone, f"the role {name}")
        del members[name][gone]
    for name, added in changes.added:
        keys[keyid(added)] = added
        members[name][keyid(added)] = None
    return keys, members


def _unknown(root: Root, key: str, place: str) -> UsageError:
    return UsageError(
        f"the key does not stand in {place} of root version {root.version}: {key}",
        hint="`sealift root show` lists the keys of each role",
    )


def _streams(root: Root, changes: RootChanges) -> dict[str, StreamRule]:
    streams = dict(root.streams)
    for stream in sorted({*changes.epochs, *changes.min_sequences}):
        old = streams.get(stream, _FIRST_RULE)
        epoch = changes.epochs.get(stream, old.epoch)
        epoch = old.epoch + 1 if epoch is None else epoch
        if stream in changes.epochs and epoch <= old.epoch:
            raise UsageError(
                mismatch(f"an epoch only rises: {stream}", f"more than {old.epoch}", epoch)
            )
        least = changes.min_sequences.get(stream, old.min_sequence)
        if least < old.min_sequence and epoch == old.epoch:
            raise UsageError(
                mismatch(
                    f"the least sequence only rises within an epoch: {stream}",
                    f"at least {old.min_sequence}",
                    least,
                )
            )
        streams[stream] = StreamRule(epoch, least)
    return dict(sorted(streams.items()))


def _withdrawn(root: Root, changes: RootChanges) -> tuple[str, ...]:
    for one in changes.restored:
        if one not in root.withdrawn:
            raise UsageError(f"root version {root.version} does not withdraw the manifest {one}")
    return tuple(sorted({*root.withdrawn, *changes.withdrawn} - set(changes.restored)))


def _expires(root: Root, changes: RootChanges) -> str | None:
    if changes.never_expires:
        return None
    return changes.expires or root.expires


def _ordered(schemes: Iterable[str]) -> tuple[str, ...]:
    chosen = set(schemes)
    return tuple(scheme for scheme in SCHEMES if scheme in chosen)


def _check(root: Root) -> None:
    for name, role in root.roles.items():
        if not 1 <= role.threshold <= len(role.keys):
            count = f"{len(role.keys)} key{'s' if len(role.keys) != 1 else ''}"
            raise UsageError(
                f"a threshold of {role.threshold} for the role {name}, which has {count}",
                hint=f"--threshold {name}=N sets it",
            )
    for name, key in root.keys.items():
        if key.scheme not in root.schemes:
            raise UsageError(
                mismatch(
                    f"a key is of a scheme that this root does not allow: {name}",
                    f"one of {', '.join(root.schemes)}",
                    key.scheme,
                )
            )
    if root.expires is not None and root.expires <= root.created:
        raise UsageError(f"the root would be expired when it is made: {root.expires}")
