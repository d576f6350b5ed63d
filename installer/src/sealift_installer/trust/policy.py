"""May this authentic bundle be installed here: withdrawal, epoch, sequence, expiry.

What a root says (withdrawn, epoch, least sequence) stands; what this target remembers or its clock
says can be overridden, with a reason that goes into the receipt.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sealift_installer.errors import RefusedByPolicy, UsageError, mismatch
from sealift_installer.trust.state import TrustState
from sealift_schemas.manifest import Manifest
from sealift_schemas.root import Root, StreamRule

_LONGEST_REASON = 2000


@dataclass(frozen=True, slots=True)
class Terms:
    """The time and the overrides with which a bundle is judged.

    `now` is the system's time in UTC (`2026-01-31T09:00:00Z`); an override is the reason for it.
    """

    now: str
    allow_downgrade: str | None = None
    accept_expired: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said and recorded about an accepted bundle."""

    warnings: tuple[str, ...] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)


def check_terms(terms: Terms) -> None:
    """Check that each override has a reason.

    Raises:
        UsageError: a reason is empty, or longer than a receipt takes.
    """
    for option, reason in (
        ("--allow-downgrade", terms.allow_downgrade),
        ("--accept-expired", terms.accept_expired),
    ):
        if reason is not None and not reason.strip():
            raise UsageError(f"{option} needs a reason, which is written to the receipt")
        if reason is not None and len(reason) > _LONGEST_REASON:
            raise UsageError(
                mismatch(
                    f"the reason of {option} is too long for a receipt",
                    f"at most {_LONGEST_REASON} characters",
                    f"{len(reason)} characters",
                )
            )
        if reason is not None and not _encodable(reason):
            raise UsageError(f"the reason of {option} is not UTF-8")


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def check_place(
    manifest: Manifest, manifest_sha256: str, state: TrustState, terms: Terms
) -> Verdict:
    """Check the bundle's place in its stream, with `state` that has the bundle's root already.

    Raises:
        RefusedByPolicy: the bundle is withdrawn, of another epoch than the root says, below the
            least sequence or below the newest one seen, or another one of an equal sequence.
    """
    _check_root_rules(manifest, manifest_sha256, state.root.root)
    seen = state.streams.get(manifest.stream)
    if seen is None or seen.epoch < manifest.epoch:
        return Verdict()
    what = f"bundle {manifest.sequence} of stream {manifest.stream}"
    if seen.epoch > manifest.epoch:
        raise RefusedByPolicy(
            mismatch(f"{what} is of an older epoch", f"at least {seen.epoch}", manifest.epoch)
        )
    if manifest.sequence == seen.sequence and manifest_sha256 != seen.manifest:
        raise RefusedByPolicy(
            mismatch(f"{what} is not the one that was accepted", seen.manifest, manifest_sha256),
            hint="two bundles with one sequence were signed: ask the site which one is right",
        )
    if manifest.sequence >= seen.sequence:
        return Verdict()
    if terms.allow_downgrade is None:
        message = f"{what} is older than the newest that was accepted here"
        raise RefusedByPolicy(
            mismatch(message, f"at least {seen.sequence}", manifest.sequence),
            hint="--allow-downgrade REASON installs it and records the reason",
        )
    return Verdict(
        (f"{what} is older than {seen.sequence}, which was accepted here before",),
        {"allow_downgrade": terms.allow_downgrade},
    )


def check_time(manifest: Manifest, state: TrustState, terms: Terms) -> Verdict:
    """Check expiry, at the later of the clock and the newest signed time that was accepted.

    Raises:
        RefusedByPolicy: the bundle is expired.
    """
    warnings = []
    overrides = {}
    if terms.now < state.floor:
        warnings.append(
            f"the clock of this host ({terms.now}) is behind a time that was signed and accepted "
            f"({state.floor})"
        )
    elif terms.now < manifest.created:
        warnings.append(
            f"the clock of this host ({terms.now}) is behind the time of the bundle "
            f"({manifest.created})"
        )
    now = max(terms.now, state.floor)
    root = state.root.root
    if root.expires is not None and now > root.expires:
        warnings.append(f"root version {root.version} expired at {root.expires}: ask for a newer")
    if manifest.expires is not None and now > manifest.expires:
        if terms.accept_expired is None:
            what = f"bundle {manifest.sequence} of stream {manifest.stream} is expired"
            raise RefusedByPolicy(
                mismatch(what, f"a time until {manifest.expires}", now),
                hint="--accept-expired REASON installs it and records the reason",
            )
        warnings.append(f"the bundle expired at {manifest.expires}")
        overrides["accept_expired"] = terms.accept_expired
    return Verdict(tuple(warnings), overrides)


def _check_root_rules(manifest: Manifest, manifest_sha256: str, root: Root) -> None:
    what = f"bundle {manifest.sequence} of stream {manifest.stream}"
    if manifest_sha256 in root.withdrawn:
        raise RefusedByPolicy(
            f"{what} was withdrawn by root version {root.version}: {manifest_sha256}",
            hint="get a newer bundle from the site",
        )
    rule = root.streams.get(manifest.stream, StreamRule(epoch=1, min_sequence=0))
    if manifest.epoch != rule.epoch:
        raise RefusedByPolicy(
            mismatch(
                f"{what} is of another epoch than root version {root.version} says",
                rule.epoch,
                manifest.epoch,
            ),
            hint="get a bundle that was made after the epoch was raised"
            if manifest.epoch < rule.epoch
            else "only a newer root raises an epoch",
        )
    if manifest.sequence < rule.min_sequence:
        raise RefusedByPolicy(
            mismatch(
                f"{what} was withdrawn by root version {root.version}",
                f"at least {rule.min_sequence}",
                manifest.sequence,
            ),
            hint="get a newer bundle from the site",
        )
