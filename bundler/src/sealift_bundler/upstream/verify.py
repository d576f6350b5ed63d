"""Verifies upstream's signatures with sigstore and pypi-attestations, against keys on this machine.

Nothing is fetched: the trusted root (Sigstore's own keys) comes from the spec or from the sigstore
package, and travels along. What these keys do not tell is whether one was withdrawn since.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sealift_bundler.upstream.signers import ExpectedSigner, read_names
from sealift_installer.errors import Untrusted, UsageError, host_errors, printable

if TYPE_CHECKING:
    from sigstore.models import Bundle
    from sigstore.verify import Verifier
    from sigstore.verify.policy import VerificationPolicy

T = TypeVar("T")
# Both packages of the extra `upstream`.
_PACKAGES = ("sigstore", "pypi_attestations")
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_RELEASE = "https://in-toto.io/attestation/release/"
LARGEST_ROOT = 1024 * 1024


class Failed(ValueError):
    """A signature, or what it is said to be about, is not as it must be."""


def can_verify() -> bool:
    """Tell whether the extra `upstream` is installed."""
    return all(find_spec(name) is not None for name in _PACKAGES)


def find_root(path: Path | None) -> bytes | None:
    """Return the trusted root, one JSON object a line: that at `path`, else that of sigstore.

    None if there is neither.

    Raises:
        UsageError: the file is not one.
        HostError: it cannot be read.
    """
    if path is None:
        if find_spec("sigstore") is None:
            return None
        name = "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev"
        packaged = files("sigstore").joinpath("_store", name, "trusted_root.json")
        # Where it stands is not promised by the package.
        return _root_lines(packaged) if packaged.is_file() else None
    with host_errors("cannot read the trusted root"):
        if not path.is_file():
            raise UsageError(f"[upstream] names a trusted root that is not there: {path}")
        if path.stat().st_size > LARGEST_ROOT:
            raise UsageError(f"a trusted root has less than {LARGEST_ROOT} bytes: {path}")
        return _root_lines(path)


def _root_lines(path: Any) -> bytes:
    text = path.read_bytes()
    roots: list[Any] = []
    known = False
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        try:
            roots = [json.loads(text)]
        except ValueError:
            roots = [json.loads(line) for line in text.splitlines() if line.strip()]
        known = bool(roots) and all("trustedroot" in root["mediaType"] for root in roots)
    if not known:
        raise UsageError(
            f"not a trusted root of Sigstore: {printable(str(path))}",
            hint="`gh attestation trusted-root` prints one",
        )
    return "".join(f"{json.dumps(root, separators=(',', ':'))}\n" for root in roots).encode()


class Verification:
    """Verifies with one trusted root.

    Args:
        root: its bytes, as `find_root` returns them.
    """

    def __init__(self, root: bytes) -> None:
        self._root = root

    @cached_property
    def _verifiers(self) -> "list[Verifier]":
        from sigstore.models import TrustedRoot
        from sigstore.verify import Verifier

        verifiers = []
        for line in self._root.splitlines():
            with tempfile.NamedTemporaryFile(suffix=".json") as file:
                file.write(line)
                file.flush()
                try:
                    verifiers.append(Verifier(trusted_root=TrustedRoot.from_file(file.name)))
                # Whatever a file of foreign origin makes a foreign parser raise.
                except Exception as error:  # noqa: BLE001
                    raise UsageError(f"the trusted root cannot be used: {_reason(error)}") from None
        return verifiers

    def verify_attestations(
        self, attestations: Sequence[dict[str, Any]], sha256: str, signer: ExpectedSigner
    ) -> list[str]:
        """Return the names in the certificates of those who signed; empty if none could be judged.

        Args:
            attestations: Sigstore bundles. Those that GitHub itself makes of a release are left
                out, as they are not made by who built it.
            sha256: what they must be about.
            signer: who must have signed.

        Raises:
            Untrusted: one is not signed as it must be, or is about something else.
        """
        from sigstore.models import Bundle

        names: list[str] = []
        for values in attestations:
            if _predicate_type(values).startswith(_RELEASE):
                continue
            with _refused():
                bundle = Bundle.from_json(json.dumps(values))
                self._verify(bundle, sha256, signer)
                names += read_names(bundle.signing_certificate)[:1]
        return list(dict.fromkeys(names))

    def verify_provenance(
        self, data: bytes, filename: str, sha256: str, signer: ExpectedSigner | None
    ) -> list[str]:
        """Return the names in the certificates of those who signed a package's provenance (PEP 740).

        Args:
            data: the provenance object.
            filename: the package's file.
            sha256: its digest.
            signer: who must have signed; else the publisher that the index names.

        Raises:
            Untrusted: as verify_attestations.
        """
        from pypi_attestations import Distribution, Provenance

        names: list[str] = []
        with _refused():
            provenance = Provenance.model_validate_json(data)
            distribution = Distribution(name=filename, digest=sha256)
            for group in provenance.attestation_bundles:
                policy = signer or group.publisher._as_policy()  # noqa: SLF001 - there is no other
                for attestation in group.attestations:
                    bundle = attestation.to_bundle()
                    statement = self._statement(bundle, policy)
                    _check_distribution(statement, distribution)
                    names += read_names(bundle.signing_certificate)[:1]
            if not names:
                raise Failed("it has no attestation")
        return list(dict.fromkeys(names))

    def _verify(self, bundle: "Bundle", sha256: str, signer: ExpectedSigner) -> None:
        # A bundle signs a statement about files, or a file itself.
        if bundle._dsse_envelope is not None:  # noqa: SLF001 - sigstore tells it in no other way
            digests = [digest for _, digest in _subjects(self._statement(bundle, signer))]
            if sha256 not in digests:
                raise Failed(f"it is about {', '.join(digests)[:200]}, not about {sha256}")
            return
        from sigstore.hashes import Hashed
        from sigstore_models.common.v1 import HashAlgorithm

        hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=bytes.fromhex(sha256))
        self._first(lambda verifier: verifier.verify_artifact(hashed, bundle, signer))

    def _statement(self, bundle: "Bundle", policy: "VerificationPolicy") -> dict[str, Any]:
        """Return what a bundle's signed statement says."""
        kind, payload = self._first(lambda verifier: verifier.verify_dsse(bundle, policy))
        statement = json.loads(payload)
        if kind != _PAYLOAD_TYPE or not isinstance(statement, dict):
            raise Failed("it is no in-toto statement")
        return statement

    def _first(self, verify: "Callable[[Verifier], T]") -> T:
        """Return what the first root says that knows the signer's authority."""
        from sigstore.errors import CertValidationError

        failures: list[Exception] = []
        for verifier in self._verifiers:
            try:
                return verify(verifier)
            # Whatever foreign bytes make a foreign parser raise.
            except Exception as error:  # noqa: BLE001
                failures.append(error)
        known = [error for error in failures if not isinstance(error, CertValidationError)]
        raise (known or failures)[0]


class _refused:  # noqa: N801 - used as a function is
    """Turns whatever a foreign parser raises about foreign bytes into Untrusted."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, UsageError):
            raise Untrusted(_reason(error)) from None


def _subjects(statement: dict[str, Any]) -> list[tuple[str, str]]:
    """Return name and SHA-256 of each subject that has one."""
    subjects = statement.get("subject")
    if not isinstance(subjects, list):
        raise Failed("the statement has no subjects")
    found = [
        (subject.get("name"), subject["digest"].get("sha256"))
        for subject in subjects
        if isinstance(subject, dict) and isinstance(subject.get("digest"), dict)
    ]
    return [(str(name), sha256) for name, sha256 in found if isinstance(sha256, str)]


def _check_distribution(statement: dict[str, Any], distribution: Any) -> None:
    from packaging.utils import parse_wheel_filename

    subjects = _subjects(statement)
    if len(subjects) != 1:
        raise Failed("it is about several files")
    name, sha256 = subjects[0]
    if sha256 != distribution.digest:
        raise Failed(f"it is about {sha256}, not about {distribution.digest}")
    if parse_wheel_filename(name) != parse_wheel_filename(distribution.name):
        raise Failed(f"it is about {name}, not about {distribution.name}")


def _predicate_type(values: dict[str, Any]) -> str:
    """Return what kind of statement a bundle claims to hold; nothing is verified yet."""
    import base64

    try:
        statement = json.loads(base64.b64decode(values["dsseEnvelope"]["payload"]))
        return str(statement["predicateType"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return printable(lines[0])[:400]
