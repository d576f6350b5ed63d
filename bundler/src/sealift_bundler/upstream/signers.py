"""Whose signature upstream evidence must bear: the spec's word, else the place of publication."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from packaging.utils import canonicalize_name

from sealift_schemas.lean import dataclass
from sealift_schemas.publishers import Publisher

# Who vouches for the names of workflows, by the host of their repository.
_ISSUERS = {
    "github.com": "https://token.actions.githubusercontent.com",
    "gitlab.com": "https://gitlab.com",
}
_ISSUER_OID = "1.3.6.1.4.1.57264.1.8"
_OLD_ISSUER_OID = "1.3.6.1.4.1.57264.1.1"
_REPOSITORY_OID = "1.3.6.1.4.1.57264.1.12"
_WORKFLOW_OID = "1.3.6.1.4.1.57264.1.18"
_UTF8_STRING = 0x0C
_SHORT_FORM = 0x80


class WrongSigner(ValueError):
    """A certificate is good, and not the one of who should have signed."""


@dataclass(frozen=True, slots=True)
class ExpectedSigner:
    """What a certificate of Sigstore's authority must say: a repository's workflow, or a name.

    It is a verification policy as sigstore takes one.
    """

    repository: str | None = None
    identity: str | None = None
    workflow: str | None = None
    issuer: str | None = None

    def verify(self, cert: Any) -> None:
        """Check a certificate, as sigstore's policies do.

        Raises:
            WrongSigner: it is not that of the signer.
        """
        claims = read_claims(cert)
        if self.issuer is not None:
            issuer = claims.get(_ISSUER_OID, claims.get(_OLD_ISSUER_OID, "none"))
            _insist("issuer", self.issuer, issuer)
        if self.repository is not None:
            # GitHub's names of owners and repositories have no letter case.
            found = claims.get(_REPOSITORY_OID, "none")
            if found.lower() != self.repository.lower():
                _insist("repository", self.repository, found)
        if self.workflow is not None:
            expected = f"{self.repository}/{self.workflow}"
            if (found := _workflow(claims)).lower() != expected.lower():
                _insist("workflow", expected, found)
        if self.identity is not None and self.identity not in read_names(cert):
            _insist("identity", self.identity, ", ".join(read_names(cert)) or "none")


def find_signer(
    publishers: Iterable[Publisher],
    *,
    url: str,
    package: str | None = None,
    repository: str | None = None,
) -> ExpectedSigner | None:
    """Return who must have signed, None if nothing tells.

    Args:
        publishers: those of the spec; of several that fit the longest prefix counts.
        url: the archive's address.
        package: its name in the package index.
        repository: where it was published.
    """
    fitting = [
        one
        for one in publishers
        if (one.prefix is not None and url.startswith(one.prefix))
        or (package is not None and one.package and _same_package(one.package, package))
    ]
    if fitting:
        chosen = max(fitting, key=lambda one: len(one.prefix or ""))
        issuer = chosen.issuer or _issuer(chosen.repository)
        return ExpectedSigner(chosen.repository, chosen.identity, chosen.workflow, issuer)
    if repository is None:
        return None
    return ExpectedSigner(repository=repository, issuer=_issuer(repository))


def read_names(cert: Any) -> list[str]:
    """Return the names in a certificate: a workflow's address, or a mail address."""
    from cryptography import x509

    try:
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    found = names.get_values_for_type(x509.UniformResourceIdentifier)
    return [*found, *names.get_values_for_type(x509.RFC822Name)]


def read_claims(cert: Any) -> dict[str, str]:
    """Return what Sigstore's authority wrote into a certificate, by object identifier.

    https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
    """
    claims: dict[str, str] = {}
    for extension in cert.extensions:
        name = extension.oid.dotted_string
        if name.startswith("1.3.6.1.4.1.57264.1."):
            data: bytes = extension.value.public_bytes()
            # The first six are plain text, the later ones a UTF8String in DER.
            claims[name] = (_utf8_string(data) or data).decode("utf-8", "replace")
    return claims


def _utf8_string(data: bytes) -> bytes | None:
    if len(data) < 2 or data[0] != _UTF8_STRING:  # noqa: PLR2004 - a tag and a length
        return None
    if data[1] < _SHORT_FORM:
        return data[2:] if len(data) == 2 + data[1] else None
    width = data[1] - _SHORT_FORM
    size = int.from_bytes(data[2 : 2 + width], "big")
    return data[2 + width :] if len(data) == 2 + width + size else None


def _workflow(claims: dict[str, str]) -> str:
    """Return the repository and path of the workflow, without the commit that it was read from."""
    scheme, _, path = claims.get(_WORKFLOW_OID, "none@").rpartition("@")[0].partition("://")
    # GitLab has two slashes between the repository and the path.
    return f"{scheme}://{path.replace('//', '/')}"


def _issuer(repository: str | None) -> str | None:
    return None if repository is None else _ISSUERS.get(urlsplit(repository).hostname or "")


def _same_package(one: str, other: str) -> bool:
    return canonicalize_name(one) == canonicalize_name(other)


def _insist(what: str, expected: str, found: str) -> None:
    if found != expected:
        raise WrongSigner(f"the {what} is {found}, expected {expected}")
