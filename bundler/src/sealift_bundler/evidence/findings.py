"""What was found in an archive: licence texts, and the components that it has inside."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sealift_bundler.evidence.limits import EVIDENCE_LIMITS


@dataclass(frozen=True, slots=True)
class LicenceFile:
    """A licence text: where it stands in the archive, its SHA-256 and its size in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class LicencesLeftOut:
    """Files that are licences by their names and were not taken: where and why, and how many more.

    `named` are pairs of the path in the archive and the reason.
    """

    named: tuple[tuple[str, str], ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class Licensing:
    """What is said about a component's licence: an SPDX expression, else names as they stand there.

    `concluded` is set where nobody declared it and the text itself was recognised.
    """

    expression: str | None = None
    names: tuple[str, ...] = ()
    concluded: bool = False

    def __bool__(self) -> bool:
        return self.expression is not None or bool(self.names)


@dataclass(frozen=True, slots=True)
class Part:
    """A component inside of an archive, as something in the archive names it.

    Attributes:
        name: its name.
        version: its version, where something says it.
        purl: its package URL.
        sha256: of the file that is the component, if it is one.
        licensing: what is said about its licence.
        author: who wrote it, as its metadata says.
        links: addresses by type, in CycloneDX's words.
        places: where it was found, as names of members.
        found: what named it, for people.
        parts: components inside of it.
    """

    name: str
    found: str
    places: tuple[str, ...]
    version: str | None = None
    purl: str | None = None
    sha256: str | None = None
    licensing: Licensing = field(default_factory=Licensing)
    author: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    parts: tuple["Part", ...] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """All that was found in one archive.

    `own` is what the archive says about itself, `texts` the bytes of the licences by SHA-256,
    `left_out` what was not taken, each with the reason; `licences_left_out` are those among it that
    may be licences.
    """

    licences: tuple[LicenceFile, ...] = ()
    texts: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    own: Part | None = None
    parts: tuple[Part, ...] = ()
    left_out: tuple[str, ...] = ()
    licences_left_out: LicencesLeftOut = LicencesLeftOut()


def word(text: object) -> str | None:
    """Return untrusted text as one line of limited length, None if nothing is left of it."""
    if not isinstance(text, str):
        return None
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:10_000]).split())
    return line[: EVIDENCE_LIMITS.word] or None
