"""sealift.lock: read, compared with the spec, written; its sequence is raised by changes alone."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from sealift_bundler import __version__
from sealift_bundler.addresses import check_address
from sealift_bundler.gaps import find_gap
from sealift_bundler.site import clock_time, format_time, read_time
from sealift_bundler.turns import write_synced
from sealift_bundler.upstream.show import describe
from sealift_installer.errors import UsageError, host_errors, printable
from sealift_schemas.lock import LIMIT, Lock, LockedArchive
from sealift_schemas.spec import Spec
from sealift_schemas.strictjson import LARGEST_INTEGER, DocumentError

DAY = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class Locked:
    """A lock that was made or kept, and one line for each thing that changed.

    `misfit` says why the old one did not serve, if there was one and that was the reason.
    """

    lock: Lock
    changes: tuple[str, ...]
    misfit: str | None = None


def read_lock(path: Path) -> Lock | None:
    """Return the lock at `path`, None if there is none.

    Raises:
        UsageError: it is malformed.
        HostError: it cannot be read.
    """
    with host_errors("cannot read the lock"):
        try:
            with path.open("rb") as file:
                data = file.read(LIMIT + 1)
        except FileNotFoundError:
            return None
    try:
        lock = Lock.read(data, what=path.name)
    except DocumentError as error:
        raise UsageError(
            f"{path} is malformed at {printable(error.where)}\n"
            f"  Expected: {error.expected}\n  Found: {printable(error.found)}",
            hint="restore it from where it is kept: its sequence must not go down",
        ) from None
    for name, moment in (("created", lock.created), ("expires", lock.expires)):
        _check_moment(moment, f"{path}: {name}")
    for archive in lock.archives:
        check_address(archive.url, f"{archive.name} in {path.name}")
    for wheel in lock.wheels:
        check_address(wheel.url, f"{wheel.filename} in {path.name}")
    return lock


def _check_moment(text: str | None, where: str) -> None:
    """Refuse a time on no day of the calendar, of which the schema knows the form alone."""
    try:
        if text is not None:
            read_time(text)
    except ValueError:
        raise UsageError(
            f"{where} is no time\n  Expected: a day of the calendar\n  Found: {text}"
        ) from None


def write_lock(path: Path, lock: Lock) -> None:
    """Put the lock in place by a rename.

    Raises:
        HostError: it cannot be written.
    """
    new = path.with_name(f".{path.name}.new")
    with host_errors("cannot write the lock"):
        try:
            write_synced(new, lock.pieces())
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)


def spec_digest(spec: Spec) -> str:
    """Return the SHA-256 of what decides the contents of a bundle.

    That is the spec but for who signs and by which way archives come, and what this program adds:
    its version, and the pins of the installer that travels.
    """
    pins = files("sealift_bundler").joinpath("pins", "installer.txt").read_bytes()
    computed = hashlib.sha256()
    for piece in _meaning(spec, hashlib.sha256(pins).hexdigest()):
        computed.update(piece.encode())
    return computed.hexdigest()


def _meaning(spec: Spec, pins: str) -> Iterator[str]:
    """Yield what `spec_digest` covers as JSON with sorted keys, one wish at a time."""
    yield f'{{"pins": {json.dumps(pins)}, "sealift": {json.dumps(__version__)}, "spec": {{'
    decided = {name: getattr(spec, name) for name in Spec.__match_args__}
    decided |= {"keys": (), "roots": ""}
    del decided["network"], decided["builders"]
    before = ""
    for name in sorted(decided):
        yield f"{before}{json.dumps(name)}: "
        before = ", "
        if isinstance(decided[name], Sequence) and not isinstance(decided[name], str):
            yield "["
            for number, item in enumerate(decided[name]):
                yield (", " if number else "") + _sorted(item)
            yield "]"
        else:
            yield _sorted(decided[name])
    yield "}}"


def _sorted(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=_fields)


def _fields(value: object) -> dict[str, object]:
    """Return what a wish says. `asdict` would leave a tuple for each of the first thousands."""
    names: tuple[str, ...] = type(value).__match_args__  # type: ignore[attr-defined]
    return {name: getattr(value, name) for name in names}


def fits(lock: Lock, spec: Spec) -> bool:
    """Tell whether a bundle can be made from `lock` for `spec` now, without locking anew."""
    return find_misfit(lock, spec) is None


def find_misfit(lock: Lock, spec: Spec) -> str | None:
    """Return why no bundle can be made from `lock` for `spec` now, or None."""
    if lock.stream != spec.stream:
        return f"it is of the stream {lock.stream}, and the spec of {spec.stream}"
    if lock.spec != spec_digest(spec):
        return "the spec has changed since, or sealift"
    if lock.expires is not None and lock.expires <= clock_time():
        return f"it expired at {lock.expires}"
    return find_gap(lock, spec)


def settle(new: Lock, old: Lock | None, spec: Spec, now: str) -> Locked:
    """Return `old` if `new` says the same, else `new` with the next sequence and the time `now`.

    A catalogue that was published anew is no change by itself: no bundle carries it. Nor is what
    the index does not have, which is kept so that nobody asks for it again.
    """
    changes = describe_changes(old, new)
    if old is not None and old.stream == new.stream:
        noted = replace(old, missing_wheels=new.missing_wheels)
        same = replace(
            new,
            sequence=old.sequence,
            created=old.created,
            expires=old.expires,
            catalogs=old.catalogs,
        )
        if same == noted and not changes:
            return Locked(noted, ())
        new = replace(new, sequence=_next(old))
    dated = replace(new, created=now, expires=_expiry(spec, now))
    return Locked(dated, changes or ("nothing is wanted yet",))


def follow_root(old: Lock, version: int, spec: Spec, now: str) -> Locked:
    """Return `old` for a bundle that carries the root `version`, with the next sequence.

    Its evidence and its page differ from those of the bundle before. Targets refuse another bundle
    with a sequence that they know.
    """
    new = replace(old, root=version, sequence=_next(old), created=now, expires=_expiry(spec, now))
    return Locked(new, describe_changes(old, new))


def _next(old: Lock) -> int:
    """Return the sequence of the lock after `old`.

    Raises:
        UsageError: there is none.
    """
    if old.sequence >= LARGEST_INTEGER:
        raise UsageError(
            f"the lock's sequence cannot be raised any more: {old.sequence}",
            hint="restore the lock from where it is kept; for targets that took such a bundle only"
            " a root with a new epoch helps",
        )
    return old.sequence + 1


def _expiry(spec: Spec, now: str) -> str | None:
    if spec.expires_days is None:
        return None
    return format_time(read_time(now) + spec.expires_days * DAY)


def describe_changes(old: Lock | None, new: Lock) -> tuple[str, ...]:
    """Return what `new` has that `old` has not, and the other way round, one line each."""
    before = {} if old is None else {archive.name: archive for archive in old.archives}
    after = {archive.name: archive for archive in new.archives}
    lines = _differences(
        {name: archive.sha256 for name, archive in before.items()},
        {name: archive.sha256 for name, archive in after.items()},
    )
    lines += [
        f"~ {name}: {what}"
        for name in sorted(before.keys() & after.keys())
        if (what := _what_else(before[name], after[name]))
    ]
    lines += _evidence_lines(before, after)
    if old is not None and old.trusted_root != new.trusted_root and new.trusted_root is not None:
        lines.append(f"~ the trusted root: sha256 {new.trusted_root.sha256[:12]}...")
    if old is not None and old.root != new.root:
        lines.append(f"~ the root: version {old.root} to {new.root}")
    if new.wheels != (() if old is None else old.wheels):
        lines.append(f"~ the wheels of unseal: {len(new.wheels)} files")
    if old is not None and old.expires is not None and old.expires <= clock_time():
        lines.append(f"~ expiry: {old.expires} has passed")
    if old is not None and old.stream != new.stream:
        lines.append(f"~ the stream: {old.stream} to {new.stream}; its sequence starts at 1")
    if old is not None and not lines and old.spec != new.spec:
        lines.append("~ the spec, or the version of sealift")
    return tuple(lines)


def _what_else(before: LockedArchive, after: LockedArchive) -> str:
    """Return what is said differently of the same bytes, but for their evidence."""
    same = replace(after, upstream=before.upstream)
    if before.sha256 != after.sha256 or before == same:
        return ""
    if before == replace(same, request=before.request):
        return f"now for the wish {printable(after.request)}"
    return "source, links or relocation"


def _evidence_lines(
    before: Mapping[str, LockedArchive], after: Mapping[str, LockedArchive]
) -> list[str]:
    """Return what publishers say of archives, where that is new, and that nobody was asked."""
    lines = [
        f"* {name}: {describe(archive.upstream)}"
        for name, archive in sorted(after.items())
        if archive.upstream and (name not in before or before[name].upstream != archive.upstream)
    ]
    left_out = [
        name
        for name in before.keys() & after.keys()
        if before[name].upstream and not after[name].upstream
    ]
    if left_out:
        lines.append(f"~ upstream evidence: nobody was asked about {len(left_out)} archives")
    return lines


def _differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    lines = [f"- {name}" for name in sorted(before.keys() - after.keys())]
    lines += [f"+ {name}" for name in sorted(after.keys() - before.keys())]
    lines += [
        f"~ {name}: sha256 {before[name][:12]}... to {after[name][:12]}..."
        for name in sorted(before.keys() & after.keys())
        if before[name] != after[name]
    ]
    return lines
