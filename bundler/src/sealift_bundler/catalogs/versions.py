"""The version part of a request: `3`, `3.13`, `313`, `3.13.3`, `3.14rc2`, `>=3.12,<3.14`, `3.13t`.

The grammar and what matches are those of uv; a test asks both the same questions.
"""

import re
from contextlib import suppress
from dataclasses import dataclass, field

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from sealift_bundler.catalogs.metadata import LARGEST_NUMBER, CatalogEntry

_VARIANTS = {
    "t": "freethreaded",
    "freethreaded": "freethreaded",
    "d": "debug",
    "debug": "debug",
    "td": "freethreaded+debug",
    "freethreaded+debug": "freethreaded+debug",
    "gil": "gil",
    "gil+debug": "gil+debug",
}
# Characters. Python reads no number of more than 4300 digits.
_LONGEST = 1000
# A version and what follows its last digit.
_WITH_VARIANT = re.compile(r"(.*[0-9])\+?([^0-9+].*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class VersionRequest:
    """Which versions are wanted, and which variant of them (None: the default build).

    Either `specifiers` is given, or `release` with one to three numbers and, where one certain
    prerelease is wanted, `prerelease`.
    """

    release: tuple[int, ...] = ()
    prerelease: str = ""
    specifiers: SpecifierSet | None = None
    variant: str | None = None
    # A catalogue has each version on many platforms, and specifiers are slow.
    _known: dict[str, bool] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> "VersionRequest":
        """Read the version part of a request.

        Raises:
            ValueError: it is none.
        """
        if len(text) > _LONGEST:
            raise ValueError("not a version")
        match = _WITH_VARIANT.fullmatch(text)
        variant = _VARIANTS.get(match[2]) if match else None
        version = match[1] if match and variant else text
        release = _parse_release(version)
        if release is not None:
            return cls(*release, variant=variant)
        specifiers, exact = _parse_specifiers(version)
        if exact is not None:
            return cls(*exact, variant=variant)
        return cls(specifiers=specifiers, variant=variant)

    @property
    def allows_prereleases(self) -> bool:
        """Whether a prerelease is asked for."""
        if self.specifiers is None:
            return bool(self.prerelease)
        # packaging's own `prereleases` leaves out `<`, `!=` and `>`; uv counts each operator.
        return any(_names_prerelease(specifier.version) for specifier in self.specifiers)

    def matches(self, entry: CatalogEntry) -> bool:
        """Tell whether the entry has one of these versions, in this variant."""
        return entry.key.variant == self.variant and self.allows(entry)

    def allows(self, entry: CatalogEntry) -> bool:
        """Tell whether the entry has one of these versions, in whichever variant."""
        if self.specifiers is not None:
            version = entry.key.version
            if version not in self._known:
                self._known[version] = self.specifiers.contains(version, prereleases=True)
            return self._known[version]
        if self.prerelease:
            release = (*self.release, 0)[:3]
            return (release, self.prerelease) == (entry.release, entry.prerelease)
        if len(self.release) == 3:  # noqa: PLR2004 - major, minor, patch: a final release
            return self.release == entry.release and not entry.prerelease
        return self.release == entry.release[: len(self.release)]

    def __str__(self) -> str:
        numbers = ".".join(str(number) for number in self.release) + self.prerelease
        text = numbers if self.specifiers is None else str(self.specifiers)
        return f"{text}+{self.variant}" if self.variant else text


def _parse_specifiers(text: str) -> tuple[SpecifierSet, tuple[tuple[int, ...], str] | None]:
    """Return specifiers, and the one version that they name, as `==3.13` does.

    Raises:
        ValueError: they are none.
    """
    try:
        given = SpecifierSet(text)
        # To packaging `===` compares texts, to uv versions.
        exactly = {str(one): f"=={Version(one.version)}" for one in given if one.operator == "==="}
        specifiers = SpecifierSet(",".join(exactly.get(str(one), str(one)) for one in given))
    except (InvalidSpecifier, InvalidVersion) as error:
        raise ValueError(str(error)) from None
    if not specifiers:
        raise ValueError("not a version")
    single = next(iter(given))
    if len(given) == 1 and single.operator == "==" and not single.version.endswith(".*"):
        with suppress(ValueError):
            return specifiers, _parse_release(single.version)
    return specifiers, None


def _parse_release(text: str) -> tuple[tuple[int, ...], str] | None:
    """Return release and prerelease of a plain version, None where it is not one."""
    try:
        version = Version(text)
    except InvalidVersion:
        return None
    release = version.release
    if len(release) == 1 and release[0] > 9:  # noqa: PLR2004 - `313` is 3.13, as in a wheel's tag
        digits = str(release[0])
        release = (int(digits[0]), int(digits[1:]))
    too_much = version.is_postrelease or version.is_devrelease or version.local or version.epoch
    too_long = len(release) > 3 or max(release) > LARGEST_NUMBER  # noqa: PLR2004 - as above
    if too_much or too_long or (version.pre and len(release) == 1):
        raise ValueError("not the version of a Python")
    return release, "".join(map(str, version.pre or ()))


def _names_prerelease(text: str) -> bool:
    try:
        return Version(text.removesuffix(".*")).is_prerelease
    except InvalidVersion:
        return False
