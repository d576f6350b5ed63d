"""How much of an archive is looked at for its SBOM and its licences. Sizes are in bytes."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class EvidenceLimits:
    """What is larger or more is left out, and the SBOM says so.

    Texts are held in memory until their archive has been looked into; everything else is reduced to
    a few words as soon as it was read.
    """

    # One licence text, all those of an archive together, and how many there may be.
    licence: int = 4 * MIB
    licences: int = 32 * MIB
    licence_files: int = 4096
    # METADATA of a Python distribution, package.json, vendor.txt.
    metadata: int = 1 * MIB
    # PYTHON.json of python-build-standalone names every object file.
    standalone: int = 16 * MIB
    # Components that an archive may name, and the characters of each word about one.
    parts: int = 5000
    word: int = 300
    # Places that are named for one component.
    places: int = 50


EVIDENCE_LIMITS = EvidenceLimits()
