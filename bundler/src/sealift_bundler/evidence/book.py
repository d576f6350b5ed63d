"""Everything in evidence/ that this program says: licences, SBOM, provenance and summary.

It speaks of the archives and is made before the manifest, which lists its files.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from sealift_bundler.draft import Draft
from sealift_bundler.evidence.collect import Collector
from sealift_bundler.evidence.findings import Findings
from sealift_bundler.evidence.limits import EVIDENCE_LIMITS, MIB
from sealift_bundler.evidence.nested import read_wheel
from sealift_bundler.evidence.sbom import PATH as SBOM_PATH
from sealift_bundler.evidence.sbom import Sbom
from sealift_bundler.evidence.statements import (
    Building,
    make_provenance,
    make_summary,
    policy_text,
)
from sealift_bundler.sign import Signer, make_signatures
from sealift_installer.errors import printable
from sealift_schemas import provenance, vsa
from sealift_schemas.envelope import LongEnvelope
from sealift_schemas.lock import LockedArchive
from sealift_schemas.manifest import PAYLOAD_TYPE
from sealift_schemas.provenance import Provenance
from sealift_schemas.vsa import Summary

LICENCES = "evidence/licenses"
INDEX = f"{LICENCES}/INDEX.txt"
_INDEX_HEAD = """\
The licence texts that stand in the archives and wheels of this bundle, as they are
there. Each line: the file in this folder without .txt, which is the SHA-256 of the
text; the archive or wheel; where it stands in it. The texts are their authors'.

"""
_LEFT_OUT_HEAD = f"""
Not in this folder are these files, which are licences by their names. Taken are at most
{EVIDENCE_LIMITS.licence // MIB} MiB of one text, {EVIDENCE_LIMITS.licences // MIB} MiB and \
{EVIDENCE_LIMITS.licence_files} files of one archive. Each line: why it was left out;
the archive or wheel; where it stands in it.

"""


class EvidenceBook:
    """Takes what was found in each archive and writes the evidence of a bundle.

    Args:
        draft: the bundle that is being written.
        building: the build.
    """

    def __init__(self, draft: Draft, building: Building) -> None:
        self._draft = draft
        self._building = building
        self._sbom = Sbom(building)
        self._texts: set[str] = set()
        # Archive or wheel, place in it, digest: sorted so, a person finds an archive's texts together.
        self._index: list[tuple[str, str, str]] = []
        # Archive or wheel, place in it, reason.
        self._left_out: list[tuple[str, str, str]] = []

    def add_archive(self, archive: LockedArchive, found: Findings) -> None:
        """Take an archive's findings; its licence texts are written at once.

        Raises:
            HostError: they cannot be written.
        """
        self._sbom.add_archive(archive, found)
        self._add_licences(archive.name, found)

    def add_wheels(self, wheels: Mapping[str, bytes]) -> None:
        """Look into the wheels of unseal, by file name.

        Raises:
            HostError: a licence text cannot be written.
        """
        for filename in sorted(wheels):
            data = wheels[filename]
            collector = Collector(None)
            reason = read_wheel(filename, data, collector.see, collector.see_large)
            found = collector.findings(*([reason] if reason else []))
            self._sbom.add_wheel(filename, hashlib.sha256(data).hexdigest(), found)
            self._add_licences(filename, found)

    def components(self) -> Sequence[bytes]:
        """Return the components of the SBOM so far, each as JSON."""
        return self._sbom.lines()

    def finish(self, builders: Sequence[Signer]) -> None:
        """Write the SBOM and the index of licences, and the statements if somebody signs them.

        Raises:
            HostError: they cannot be written, or a signer's device does not work.
        """
        digests = {SBOM_PATH: self._draft.add_pieces(SBOM_PATH, self._sbom.pieces())}
        if self._index or self._left_out:
            pieces = (line.encode("utf-8") for line in self._index_lines())
            digests[INDEX] = self._draft.add_pieces(INDEX, pieces)
        # A statement is about something.
        if not builders or not self._building.lock.archives:
            return
        self._draft.add_bytes(vsa.POLICY_PATH, policy_text())
        self._sign(provenance.PATH, make_provenance(self._building, digests), builders)
        self._sign(vsa.PATH, make_summary(self._building), builders)

    def _index_lines(self) -> Iterator[str]:
        yield _INDEX_HEAD
        for name, path, sha256 in sorted(self._index):
            yield f"{sha256}  {name}  {path}\n"
        if self._left_out:
            yield _LEFT_OUT_HEAD
        for name, path, reason in sorted(self._left_out):
            yield f"{reason}  {name}  {path}\n"

    def _sign(self, path: str, statement: Provenance | Summary, builders: Sequence[Signer]) -> None:
        # What is signed begins with the size; to write it twice takes less than to hold it twice.
        size = sum(len(piece) for piece in statement.pieces())
        envelope = LongEnvelope.around(PAYLOAD_TYPE, size, statement.pieces())
        del statement
        signatures = make_signatures(envelope.signed_bytes, builders)
        self._draft.add_pieces(path, envelope.signed_by(signatures).pieces())

    def _add_licences(self, name: str, found: Findings) -> None:
        for sha256, text in found.texts.items():
            if sha256 not in self._texts:
                self._texts.add(sha256)
                self._draft.add_bytes(f"{LICENCES}/{sha256}.txt", text)
        self._index += [
            (name, printable(licence.path), licence.sha256) for licence in found.licences
        ]
        left_out = found.licences_left_out
        self._left_out += [(name, printable(path), reason) for path, reason in left_out.named]
        if left_out.more:
            self._left_out.append((name, "not named here", f"{left_out.more} more"))
