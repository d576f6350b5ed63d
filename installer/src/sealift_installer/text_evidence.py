"""A bundle's evidence in one line, for both programs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sealift_installer.evidence import Evidence

_KEYID = 16  # digits, as elsewhere for people
# The levels of ours in words, of which the last one that holds says the most.
_LEVELS = {
    "SEALIFT_DIGEST_MATCHED": "every digest named by a catalogue, an index or the spec",
    "SEALIFT_UPSTREAM_AGREES": "every digest confirmed by its publisher",
    "SEALIFT_UPSTREAM_SIGNED": "every archive signed by its publisher",
}


def evidence_line(evidence: "Evidence") -> str:
    """Return what evidence there is and who signed it."""
    statements = [
        name
        for name, statement in (("provenance", evidence.provenance), ("VSA", evidence.summary))
        if statement is not None
    ]
    parts = []
    if statements:
        builders = ", ".join(keyid[:_KEYID] for keyid in evidence.builders) or "keys that differ"
        parts.append(f"{' and '.join(statements)} by {builders}")
    if evidence.summary is not None:
        levels = [text for name, text in _LEVELS.items() if name in evidence.summary.levels]
        parts += levels[-1:]
    if evidence.sbom:
        parts.append("SBOM")
    if evidence.licences:
        parts.append(f"{evidence.licences} licence text{'' if evidence.licences == 1 else 's'}")
    return f"evidence: {'; '.join(parts) or 'none'}"
