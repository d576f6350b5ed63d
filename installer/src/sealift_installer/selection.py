"""Which of a bundle's archives are to be installed on this host."""

from sealift_installer.errors import HostError, UsageError, printable
from sealift_installer.host import current_platform, fits
from sealift_schemas.manifest import Archive, Manifest


def select(
    manifest: Manifest, names: tuple[str, ...]
) -> tuple[tuple[Archive, ...], dict[str, str]]:
    """Return the archives to install, and those left out with the reason.

    Raises:
        UsageError: a name that is not in the bundle.
        HostError: there is nothing for this host.
    """
    known = {archive.name: archive for archive in manifest.archives}
    unknown = [printable(name) for name in names if name not in known]
    if unknown:
        carried = ", ".join(known) or "no archives"
        raise UsageError(f"not in the bundle: {', '.join(unknown)}", hint=f"it carries {carried}")
    if names:
        return tuple(known[name] for name in dict.fromkeys(names)), {}
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
    return fitting, skipped
