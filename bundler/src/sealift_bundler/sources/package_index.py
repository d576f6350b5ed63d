"""Tools that travel as wheels, from the package index that pip is configured for."""

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from sealift_bundler.access import Access
from sealift_bundler.sources.found import Found, archive_filename
from sealift_bundler.sources.pip_settings import PipSettings
from sealift_bundler.sources.wheels import Wheel, choose_tool, read_wheels
from sealift_installer.errors import UsageError, printable
from sealift_schemas.keys import Platform
from sealift_schemas.spec import PackageWanted

# Characters. Python reads no number of more than 4300 digits.
_LONGEST = 1000
_SCHEME = "pypi:"
_SHOWN = 8


def find_package(
    wanted: PackageWanted,
    default_platform: str,
    settings: PipSettings | None = None,
    access: Access | None = None,
) -> list[Found]:
    """Return the wheel of a package for each platform that is wanted; one for any is found once.

    Args:
        wanted: `NAME==VERSION`; other version specifiers take the newest that fits.
        default_platform: where `wanted` names none.
        settings: the index; else the one that pip is configured for.
        access: the way to servers, where pip's configuration says nothing.

    Raises:
        UsageError: the request is malformed, the index has no such version, no wheel for a
            platform, or tells no digest.
        NetworkError: the index cannot be reached.
        Damaged: it leads to no server.
    """
    from sealift_bundler.sources.index_client import IndexClient

    requirement = read_requirement(wanted.request)
    with IndexClient(settings, access) as index:
        wheels = read_wheels(index.wheels(requirement.name))
        shown = index.shown
    version = _newest(wheels, requirement, shown)
    of_version = [wheel for wheel in wheels if wheel.version == version]
    found: dict[str, Found] = {}
    for platform in wanted.platforms or (default_platform,):
        wheel = choose_tool(of_version, Platform.parse(platform))
        if wheel is None:
            raise _no_wheel(requirement.name, of_version, platform)
        is_any = all(tag.platform == "any" for tag in wheel.tags)
        one = _found(wanted, requirement.name, wheel, "any" if is_any else platform)
        found.setdefault(one.name, one)
    return list(found.values())


def read_requirement(request: str) -> Requirement:
    """Read `NAME==VERSION`, or other version specifiers.

    Raises:
        UsageError: it is something else.
    """
    hint = "a package is asked for as NAME==VERSION"
    # What follows may be an address with a password.
    shown = printable(request.partition("@")[0])
    if len(request) > _LONGEST:
        raise UsageError(f"not a package: {shown}", hint=hint)
    try:
        requirement = Requirement(request.removeprefix(_SCHEME))
    except InvalidRequirement as error:
        raise UsageError(f"not a package: {shown}", hint=hint) from error
    if requirement.marker or requirement.extras or requirement.url:
        raise UsageError(
            f"a package is carried alone, without extras, markers and addresses: {shown}",
            hint=hint,
        )
    return requirement


def _newest(wheels: list[Wheel], requirement: Requirement, shown: str) -> Version:
    exact = _is_exact(requirement.specifier)
    # What was withdrawn (PEP 592) is had by its exact version alone.
    usable = {wheel.version for wheel in wheels if exact or not wheel.package.is_yanked}
    fitting = list(requirement.specifier.filter(usable, prereleases=True if exact else None))
    if fitting:
        return max(fitting)
    near = ", ".join(str(version) for version in sorted(usable, reverse=True)[:_SHOWN])
    raise UsageError(
        f"the package index has no wheel of {printable(str(requirement))}: {shown}",
        hint=f"it has wheels of {near}" if near else "it has no wheels of this package at all",
    )


def _is_exact(specifier: SpecifierSet) -> bool:
    return any(
        part.operator == "===" or (part.operator == "==" and not part.version.endswith(".*"))
        for part in specifier
    )


def _no_wheel(name: str, wheels: list[Wheel], platform: str) -> UsageError:
    tags = sorted({tag.platform for wheel in wheels for tag in wheel.tags})
    more = f" and {len(tags) - _SHOWN} more" if len(tags) > _SHOWN else ""
    return UsageError(
        f"{printable(name)} {wheels[0].version} has no wheel for {platform}",
        hint=f"there are wheels for {printable(', '.join(tags[:_SHOWN]))}{more}",
    )


def _found(wanted: PackageWanted, name: str, wheel: Wheel, platform: str) -> Found:
    from sealift_bundler.sources.index_client import address, digest

    version = str(wheel.version)
    url = address(wheel.package)
    # An epoch's exclamation mark is no part of a directory's name.
    directory = f"{canonicalize_name(name)}-{version.replace('!', '_')}-{platform}"
    return Found(
        name=directory,
        kind="tool",
        source="package",
        request=wanted.request,
        version=version,
        platform=platform,
        url=url,
        filename=archive_filename(url),
        format="zip",
        sha256=digest(wheel.package),
        size=wheel.package.size,
        digest_source="index",
        recipe="wheel",
        links=dict(wanted.links),
    )
