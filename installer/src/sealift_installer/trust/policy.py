"""May this authentic bundle be installed here: withdrawal, epoch, sequence, expiry.

What a root says (withdrawn, epoch, least sequence) stands; what this target remembers or its clock
says can be overridden, with a reason that goes into the receipt.
"""

from collections.abc import Iterator, Mapping, Sequence

from sealift_installer.errors import RefusedByPolicy, UsageError, mismatch, printable
from sealift_installer.trust.site import Policies, is_forbidden, too_old
from sealift_installer.trust.state import TrustState
from sealift_schemas.lean import dataclass, field
from sealift_schemas.manifest import Manifest
from sealift_schemas.root import Root, StreamRule

_LONGEST_REASON = 2000
# Nobody installs a bundle so old without wondering: either it or the clock is wrong.
_YEARS_AHEAD = 10


@dataclass(frozen=True, slots=True)
class Terms:
    """The time and the overrides with which a bundle is judged.

    `now` is the system's time in UTC (`2026-01-31T09:00:00Z`); an override is the reason for it.
    """

    now: str
    allow_downgrade: str | None = None
    accept_expired: str | None = None

    @property
    def overrides(self) -> tuple[str, ...]:
        """The overrides that were given."""
        given = {"allow_downgrade": self.allow_downgrade, "accept_expired": self.accept_expired}
        return tuple(name for name, reason in given.items() if reason is not None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said and recorded about an accepted bundle."""

    warnings: tuple[str, ...] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)

    def __add__(self, other: "Verdict") -> "Verdict":
        """Return what both say, each thing once."""
        warnings = tuple(dict.fromkeys((*self.warnings, *other.warnings)))
        return Verdict(warnings, {**self.overrides, **other.overrides})


def check_terms(terms: Terms) -> None:
    """Check that each override has a reason.

    Raises:
        UsageError: a reason is empty, or longer than a receipt takes.
    """
    for option, reason in (
        ("--allow-downgrade", terms.allow_downgrade),
        ("--accept-expired", terms.accept_expired),
    ):
        if reason is not None:
            check_reason(option, reason)


def check_reason(option: str, reason: str) -> None:
    """Check that the reason for `option` can stand in a receipt.

    Raises:
        UsageError: it is empty, too long, or no text.
    """
    if not reason.strip():
        raise UsageError(f"{option} needs a reason, which is written to the receipt")
    if len(reason) > _LONGEST_REASON:
        raise UsageError(
            mismatch(
                f"the reason of {option} is too long for a receipt",
                f"at most {_LONGEST_REASON} characters",
                f"{len(reason)} characters",
            )
        )
    if not _encodable(reason):
        raise UsageError(f"the reason of {option} is not UTF-8")


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def check_place(
    manifest: Manifest,
    manifest_sha256: str,
    state: TrustState,
    terms: Terms,
    where: str = "here",
    policies: Policies = (),
) -> Verdict:
    """Check the bundle's place in its stream, with `state` that has the bundle's root already.

    `where` says for messages whose state it is, `policies` may forbid to offer the way past it.

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
            mismatch(
                f"{what} is not the one that was accepted {where}", seen.manifest, manifest_sha256
            ),
            hint="two bundles with one sequence were signed: ask the site which one is right",
        )
    if manifest.sequence >= seen.sequence:
        return Verdict()
    if terms.allow_downgrade is None:
        message = f"{what} is older than the newest that was accepted {where}"
        raise RefusedByPolicy(
            mismatch(message, f"at least {seen.sequence}", manifest.sequence),
            hint="get a newer bundle from the site"
            + _way_past(policies, "allow_downgrade", "--allow-downgrade"),
        )
    return Verdict(
        (f"{what} is older than {seen.sequence}, which was accepted {where} before",),
        {"allow_downgrade": terms.allow_downgrade},
    )


def _way_past(policies: Policies, name: str, option: str) -> str:
    """Return the end of a hint that offers an override, or nothing where a policy forbids it."""
    if is_forbidden(policies, name):
        return ""
    return f"; {option} REASON takes this one and records the reason"


def check_time(
    manifest: Manifest, states: Sequence[TrustState], terms: Terms, policies: Policies = ()
) -> Verdict:
    """Check what expires, at the later of the clock and the newest signed time that was accepted.

    Raises:
        RefusedByPolicy: the bundle or a root is expired, or a policy finds the bundle too old.
    """
    floor = max(state.floor for state in states)
    now = max(terms.now, floor)
    verdict = Verdict(_doubt_clock(terms.now, floor, manifest.created))
    for over in _expired(manifest, states, now, policies):
        if terms.accept_expired is None:
            raise RefusedByPolicy(
                over.refusal,
                hint=f"{over.remedy}, or set the clock if it is wrong"
                + _way_past(policies, "accept_expired", "unseal --accept-expired"),
            )
        verdict += Verdict((over.warning,), {"accept_expired": terms.accept_expired})
    return verdict


@dataclass(frozen=True, slots=True)
class _Over:
    """Something that is over: how it is refused, what mends it, and how it is warned of."""

    refusal: str
    remedy: str
    warning: str


def _expired(
    manifest: Manifest, states: Sequence[TrustState], now: str, policies: Policies
) -> Iterator[_Over]:
    """Yield each thing that is over at `now`."""
    what = f"bundle {manifest.sequence} of stream {manifest.stream}"
    newer = "get a newer bundle from the site"
    for root in {state.root.sha256: state.root.root for state in states}.values():
        if root.expires is not None and now > root.expires:
            over = f"root version {root.version} is expired"
            yield _Over(
                mismatch(over, f"a time until {root.expires}", now),
                "get a bundle with a newer root, which the site makes by sealift root rotate",
                f"root version {root.version} expired at {root.expires}",
            )
    if manifest.expires is not None and now > manifest.expires:
        over = mismatch(f"{what} is expired", f"a time until {manifest.expires}", now)
        yield _Over(over, newer, f"the bundle expired at {manifest.expires}")
    for file, days, age in too_old(policies, manifest, now):
        over = f"{what} is too old, by the policy {printable(file.path)}"
        yield _Over(
            mismatch(over, f"at most {days} days", f"{age} days"),
            newer,
            f"the bundle is {age} days old, and {printable(file.path)} allows {days}",
        )


def _doubt_clock(now: str, floor: str, created: str) -> tuple[str, ...]:
    """Return what is to be noted about a clock that is behind signed times, or far ahead of them."""
    clock = f"the clock of this host ({now}) is"
    if now < floor:
        return (f"{clock} behind a time that was signed and accepted ({floor})",)
    if now < created:
        return (f"{clock} behind the time of the bundle ({created})",)
    if int(now[:4]) > int(created[:4]) + _YEARS_AHEAD:
        return (f"{clock} far ahead of the time of the bundle ({created})",)
    return ()


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
