"""Which of a bundle's archives are to be installed on this host."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sealift_installer.errors import HostError, RefusedByPolicy, UsageError, printable
from sealift_installer.host import current_platform, fits
from sealift_installer.trust.site import Policies, why_not
from sealift_schemas.manifest import Archive, Manifest
from sealift_schemas.receipt import ArchiveIdentity

if TYPE_CHECKING:
    from sealift_installer.authenticate import Authenticated


def select(
    manifest: Manifest, names: tuple[str, ...], policies: Policies = ()
) -> tuple[tuple[Archive, ...], dict[str, str]]:
    """Return the archives to install, and those left out with the reason.

    What a policy does not allow is left out, unless it was asked for by name.

    Raises:
        RefusedByPolicy: a policy does not allow what was named, or anything of the bundle.
        UsageError: a name that is not in the bundle.
        HostError: there is nothing for this host.
    """
    known = {archive.name: archive for archive in manifest.archives}
    unknown = [printable(name) for name in names if name not in known]
    if unknown:
        carried = ", ".join(known) or "no archives"
        raise UsageError(f"not in the bundle: {', '.join(unknown)}", hint=f"it carries {carried}")
    if names:
        named = tuple(known[name] for name in dict.fromkeys(names))
        _check_allowed({each.name: why_not(policies, each) for each in named})
        return named, {}
    here = current_platform()
    fitting = tuple(each for each in manifest.archives if fits(each.platform, here))
    skipped = {
        each.name: f"it is for {each.platform}, this host is {here}"
        for each in manifest.archives
        if each not in fitting
    }
    if not fitting:
        platforms = ", ".join(sorted({each.platform for each in manifest.archives}))
        raise HostError(
            f"the bundle carries nothing for this host, {here}",
            hint=f"it is for {platforms}" if platforms else "it carries no archives",
        )
    reasons = {each.name: why_not(policies, each) for each in fitting}
    allowed = tuple(each for each in fitting if reasons[each.name] is None)
    if not allowed:
        _check_allowed(reasons)
    return allowed, {**skipped, **{name: why for name, why in reasons.items() if why is not None}}


def _check_allowed(reasons: Mapping[str, str | None]) -> None:
    for name, reason in reasons.items():
        if reason is not None:
            raise RefusedByPolicy(
                f"{name} is not to be installed here: {reason}",
                hint="name other archives of the bundle, or ask who wrote the policy",
            )


def select_again(
    authenticated: "Authenticated", names: tuple[str, ...], installed: Mapping[str, ArchiveIdentity]
) -> tuple[tuple[Archive, ...], dict[str, str]]:
    """Return those of `names` that the bundle has as they are installed, and why not the others.

    Raises:
        RefusedByPolicy: a policy does not allow one of them.
    """
    known = {archive.name: archive for archive in authenticated.manifest.archives}
    skipped = {}
    for name in names:
        archive, identity = known.get(name), installed.get(name)
        if archive is None:
            skipped[name] = "it is not in this bundle"
        elif identity is None:
            skipped[name] = "the receipts do not have it installed"
        elif archive.sha256 != identity.sha256 or identity.index not in {
            None,
            authenticated.files[archive.index].sha256,
        }:
            skipped[name] = "this bundle has another build of it"
    wanted = tuple(name for name in names if name not in skipped)
    if not wanted:
        return (), skipped
    return select(authenticated.manifest, wanted, authenticated.policies)[0], skipped
