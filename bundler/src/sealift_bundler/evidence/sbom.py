"""The SBOM of a bundle: CycloneDX 1.6, written as plain values.

Number and time follow from the lock, so the same lock gives the same bytes. What is inside of the
archives is what could be told from names and metadata, and `compositions` says that it is not all.
"""

import uuid
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from sealift_bundler import __version__
from sealift_bundler.evidence.findings import Findings
from sealift_bundler.evidence.sbom_parts import archive_component, wheel_component
from sealift_bundler.evidence.statements import Building
from sealift_bundler.evidence.subjects import bundle_uri
from sealift_bundler.lazily import Lazily
from sealift_schemas.lock import LockedArchive
from sealift_schemas.strictjson import encode

PATH = "evidence/sbom.cdx.json"
# A bare stream: no header and no sum, for it leaves this process in no other way.
_WBITS = -15


class Sbom:
    """An SBOM that grows archive by archive; what it holds of each is its line, compressed.

    Args:
        building: the build.
    """

    def __init__(self, building: Building) -> None:
        self._building = building
        self._urls = {wheel.filename: wheel.url for wheel in building.lock.wheels}
        # By reference, so that the order of adding leaves no trace.
        self._archives: dict[str, bytes] = {}
        self._wheels: dict[str, bytes] = {}
        # They look alike, so each is kept as what the first of all does not say.
        self._first = b""

    def add_archive(self, archive: LockedArchive, found: Findings) -> None:
        """Add an archive with everything that was found in it."""
        component = archive_component(archive, found)
        self._archives[component["bom-ref"]] = self._pack(component)

    def add_wheel(self, filename: str, sha256: str, found: Findings) -> None:
        """Add a wheel of unseal."""
        component = wheel_component(filename, sha256, self._urls.get(filename), found)
        self._wheels[component["bom-ref"]] = self._pack(component)

    def lines(self) -> Sequence[bytes]:
        """Return each component of the bundle, as JSON: archives, then wheels."""
        lines = [self._archives[reference] for reference in sorted(self._archives)]
        lines += [self._wheels[reference] for reference in sorted(self._wheels)]
        return Lazily(self._unpack, lines)

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes of the file, which has one line for each component of the bundle."""
        references = [*sorted(self._archives), *sorted(self._wheels)]
        name = bundle_uri(self._building.lock, self._building.epoch)
        # The values of a JSON object, but for its long lists, which would take much memory.
        yield encode(_head(self._building, name)).rstrip()[:-1] + b',\n"components":['
        before = b"\n"
        for line in self.lines():
            yield before
            yield line
            before = b",\n"
        # A list of nothing has a line of its own as well.
        yield (b"\n" if before == b"\n" else b"") + b"\n],\n"
        whole = {"ref": name, "dependsOn": references}
        yield b'"dependencies":[' + encode(whole).rstrip()
        yield from (b"," + encode({"ref": reference}).rstrip() for reference in references)
        yield b'],"compositions":' + encode(_compositions(name, references)).rstrip() + b"}\n"

    def _pack(self, component: dict[str, Any]) -> bytes:
        line = encode(component).rstrip()
        self._first = self._first or line
        packing = zlib.compressobj(wbits=_WBITS, zdict=self._first)
        return packing.compress(line) + packing.flush()

    def _unpack(self, line: bytes) -> bytes:
        unpacking = zlib.decompressobj(wbits=_WBITS, zdict=self._first)
        return unpacking.decompress(line) + unpacking.flush()


def _head(building: Building, name: str) -> dict[str, Any]:
    """Return what stands before the components of the bundle `name`."""
    number = uuid.uuid5(uuid.NAMESPACE_URL, _identity(building, name))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
        "metadata": _metadata(building, name),
    }


def _identity(building: Building, name: str) -> str:
    """Return what makes this SBOM another one: the bundle, its time, and who wrote it."""
    return f"{name}#{building.lock.created}#{building.lock.spec}#{__version__}"


def _metadata(building: Building, name: str) -> dict[str, Any]:
    lock = building.lock
    return {
        "timestamp": lock.created,
        "lifecycles": [{"phase": "post-build"}],
        "tools": {
            "components": [{"type": "application", "name": "sealift", "version": __version__}]
        },
        "component": {
            "type": "file",
            "bom-ref": name,
            "name": lock.stream,
            "version": f"{building.epoch}.{lock.sequence}",
            "description": f"The bundle {lock.sequence} of the stream {lock.stream}",
        },
        # Nobody but the site knows a better name of the site.
        "supplier": {"name": lock.stream},
    }


def _compositions(name: str, references: Sequence[str]) -> list[dict[str, Any]]:
    """Return what is known to be all: the archives and wheels that are carried, not their insides."""
    complete = {"aggregate": "complete", "assemblies": [name]}
    if not references:
        return [complete]
    return [complete, {"aggregate": "incomplete", "assemblies": list(references)}]
