"""May a bundle be installed here by the policies of this host and prefix (docs/reference/policy.md).

Each policy is obeyed by itself, so a second one can only forbid more.
"""

import re
from collections.abc import Iterable, Iterator

from sealift_installer.errors import RefusedByPolicy, mismatch, printable
from sealift_installer.trust.dsse import Signers
from sealift_installer.trust.host import PolicyFile
from sealift_installer.trust.roots import TrustedRoot
from sealift_schemas.envelope import Envelope
from sealift_schemas.manifest import Archive, Manifest
from sealift_schemas.root import SCHEMES, Root

Policies = tuple[PolicyFile, ...]

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T")


def allowed_schemes(policies: Policies) -> tuple[str, ...]:
    """Return the signature schemes that every policy lets count."""
    allowed: tuple[str, ...] = SCHEMES
    for file in policies:
        if file.policy.schemes is not None:
            allowed = tuple(each for each in allowed if each in file.policy.schemes)
    return allowed


def check_overrides(policies: Policies, given: Iterable[str]) -> None:
    """Check that no policy forbids an override that was given.

    Raises:
        RefusedByPolicy: one does.
    """
    for name in given:
        for file in policies:
            if name in file.policy.forbidden_overrides:
                option = "--" + name.replace("_", "-")
                raise RefusedByPolicy(
                    f"{option} is forbidden by {printable(file.path)}",
                    hint="get a bundle that needs no override, or ask who wrote the policy",
                )


def is_forbidden(policies: Policies, name: str) -> bool:
    """Tell whether a policy forbids an override, so that it is not to be offered."""
    return any(name in file.policy.forbidden_overrides for file in policies)


def check_root(policies: Policies, root: Root) -> None:
    """Check that a root is strict enough: keys, schemes, and the threshold for the next root.

    What a role asks of a bundle's signers is checked with the signers: more of them may sign than
    the root asks for.

    Raises:
        RefusedByPolicy: it is not.
    """
    schemes = allowed_schemes(policies)
    for file in policies:
        for role, least in file.policy.minimum_keys.items():
            found = len(root.roles[role].keys)
            if found < least:
                what = f"root version {root.version} has too few keys for {role}"
                raise _refused(file, what, f"at least {least}", found, _NEWER_ROOT)
        least = file.policy.thresholds.get("root", 1)
        if root.roles["root"].threshold < least:
            what = f"root version {root.version} can be replaced by too few signers"
            found = root.roles["root"].threshold
            raise _refused(file, what, f"a threshold of at least {least}", found, _NEWER_ROOT)
    for file in policies:
        for role, rule in root.roles.items():
            usable = sum(root.keys[keyid].scheme in schemes for keyid in rule.keys)
            if usable < rule.threshold:
                what = f"root version {root.version} has too few keys for {role} that count here"
                wanted = f"{rule.threshold} of {', '.join(schemes) or 'no scheme at all'}"
                raise _refused(file, what, wanted, usable, _NEWER_ROOT)


def check_succession(policies: Policies, before: Root, after: TrustedRoot) -> None:
    """Check that a new root is signed by enough keys of the one before it, and of its own.

    Every signature by a key of either was verified when the chain was walked.

    Raises:
        RefusedByPolicy: more keys are asked for, or other schemes.
    """
    if not policies:
        return
    envelope = Envelope.read(after.envelope, what="root", limit=len(after.envelope))
    keyids = {signature.keyid for signature in envelope.signatures}
    what = f"root version {after.root.version}"
    for root in (before, after.root):
        signed = keyids & set(root.roles["root"].keys)
        check_signers(policies, root, Signers(tuple(sorted(signed)), ()), "root", what)


def check_signers(policies: Policies, root: Root, signers: Signers, role: str, what: str) -> None:
    """Check that enough distinct keys signed for `role`, with schemes that count here.

    Raises:
        RefusedByPolicy: more are asked for, or other schemes, than the root does.
    """
    schemes = allowed_schemes(policies)
    counted = [keyid for keyid in signers.valid if root.keys[keyid].scheme in schemes]
    for file in policies:
        least = max(file.policy.thresholds.get(role, 1), root.roles[role].threshold)
        if len(counted) < least:
            raise _refused(
                file,
                f"too few signatures of {what} for {role}",
                f"{least} distinct keys of {', '.join(schemes) or 'no scheme at all'}",
                len(counted),
                "have it signed by more keys of the site"
                + (": sealift sign, then sealift seal" if role == "release" else ""),
            )


def check_bundle(policies: Policies, manifest: Manifest) -> None:
    """Check what does not depend on the time: the stream, and that there is an expiry.

    Raises:
        RefusedByPolicy: a policy does not accept it.
    """
    what = f"bundle {manifest.sequence} of stream {manifest.stream}"
    for file in policies:
        streams = file.policy.streams
        if streams is not None and manifest.stream not in streams:
            raise _refused(
                file,
                f"{what} is of a stream that is not accepted here",
                "one of " + ", ".join(streams),
                manifest.stream,
                "this bundle is for other hosts",
            )
        if file.policy.require_expiry and manifest.expires is None:
            raise _refused(
                file,
                f"{what} never expires",
                "a time at which it expires",
                "none",
                "set expires_days in sealift.toml and build it anew",
            )


def too_old(
    policies: Policies, manifest: Manifest, now: str
) -> Iterator[tuple[PolicyFile, int, int]]:
    """Yield each policy that finds the bundle too old at `now`, the days it allows, and the age."""
    for file in policies:
        days = file.policy.maximum_age_days
        if days is not None and (age := _day(now) - _day(manifest.created)) > days:
            yield file, days, age


def why_not(policies: Policies, archive: Archive) -> str | None:
    """Return why an archive is not to be installed here, or None."""
    for file in policies:
        platforms = file.policy.platforms
        if platforms is not None and archive.platform not in platforms:
            return f"{printable(file.path)} does not allow the platform {archive.platform}"
        if not file.policy.names_archive(archive.name):
            return f"{printable(file.path)} does not allow it"
    return None


def wanted_evidence(policies: Policies) -> dict[str, PolicyFile]:
    """Return the evidence that a bundle must carry, each with the policy that asks for it."""
    return {kind: file for file in reversed(policies) for kind in file.policy.evidence}


_NEWER_ROOT = "ask the site for a root that fits the policy, or for another policy"


def _refused(
    file: PolicyFile, what: str, expected: str, computed: object, hint: str
) -> RefusedByPolicy:
    message = f"{what}, by the policy {printable(file.path)}"
    return RefusedByPolicy(mismatch(message, expected, computed), hint=hint)


def _day(time: str) -> int:
    """Return the number of the day of a time (Hinnant, "chrono-Compatible Low-Level Algorithms")."""
    match = _TIME.match(time)
    year, month, day = (int(number) for number in match.groups()) if match else (1970, 1, 1)
    year -= month <= 2  # noqa: PLR2004 - years begin in March, so that leap days end them
    shifted = (month + 9) % 12
    return year * 365 + year // 4 - year // 100 + year // 400 + (153 * shifted + 2) // 5 + day
