"""Signers by reference: the path of a key file, `pkcs11:...` or `exec:...`.

This is the one place that turns what sealift.toml or a command line says into something that
signs.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from sealift_bundler.keys import AskSecret, keyid
from sealift_bundler.roots import newest_root
from sealift_bundler.sign.command import SCHEME as EXEC
from sealift_bundler.sign.command import CommandSigner, parse_command
from sealift_bundler.sign.file import FileSigner
from sealift_bundler.sign.pkcs11_uri import SCHEME as PKCS11
from sealift_bundler.sign.pkcs11_uri import parse_uri
from sealift_bundler.sign.signer import Signer
from sealift_bundler.site import Site, clock_time, find_key
from sealift_installer.errors import RefusedByPolicy, Untrusted, mismatch

SigningRole = Literal["release", "builder"]


def open_signers(site: Site, role: SigningRole, ask: AskSecret | None) -> tuple[Signer, ...]:
    """Return the signers of the site for `role`, ready to sign; none where the spec names none.

    `release` are those of `[signing] keys`. `builder` are those of `[signing] builders`, and
    where it is not given those of `keys` that stand in the role `builder` of the newest root.

    Args:
        site: whose spec names them; paths in it are relative to its directory.
        role: what is to be signed: the bundle, or the evidence in it.
        ask: asked for passphrases and PINs; None where nobody can be asked.

    Raises:
        UsageError: a reference is malformed, leads to no key or to more than one, a passphrase is
            wrong, or there is no root to tell the builders from the others.
        HostError: a key cannot be read, a token cannot be used, or it needs a passphrase or PIN
            and nobody can be asked.
        Damaged: the root is malformed.
    """
    if role == "builder" and not site.spec.builders and site.spec.keys:
        allowed = newest_root(site.roots).root.roles["builder"].keys
        every = _open(site.spec.keys, site.directory, ask)
        return tuple(signer for signer in every if keyid(signer.public) in allowed)
    references = site.spec.keys if role == "release" else site.spec.builders
    return _open(references, site.directory, ask)


def check_quorum(site: Site, signers: Iterable[Signer]) -> None:
    """Check that what `signers` sign could be sealed under the newest root.

    That it could not shall not be found after hours of fetching.

    Raises:
        Untrusted: they do not reach its release threshold.
        RefusedByPolicy: it has expired.
        UsageError, Damaged, HostError: there is no root, or it cannot be read.
    """
    root = newest_root(site.roots).root
    role = root.roles["release"]
    having = {keyid(signer.public) for signer in signers} & set(role.keys)
    if len(having) < role.threshold:
        raise Untrusted(
            mismatch(
                f"too few signers in {site.spec_path} for root version {root.version}",
                f"{role.threshold} distinct release keys",
                len(having),
            ),
            hint="build --unsigned, then `sealift sign` on the machines of the others, "
            "then `sealift seal`",
        )
    if root.expires is not None and root.expires < clock_time():
        raise RefusedByPolicy(
            mismatch(
                f"root version {root.version} is expired",
                f"a time until {root.expires}",
                clock_time(),
            ),
            hint="sealift root rotate --expires-days DAYS makes the next version",
        )


def open_signer(reference: str, directory: Path, ask: AskSecret | None) -> Signer:
    """Return the signer that a command line names; a key file also by its plain name in `keys/`.

    Args:
        reference: the name or path of a key, `pkcs11:...` or `exec:...`.
        directory: the site, or where there is none the present directory.
        ask: asked for passphrases and PINs; None where nobody can be asked.

    Raises:
        UsageError, HostError: as `open_signers`.
    """
    if is_remote(reference):
        return _open_remote(reference, directory, ask)
    return FileSigner.load(find_key(reference, directory).private, ask)


def is_remote(reference: str) -> bool:
    """Tell whether `reference` names a key that is not a file."""
    return reference.startswith((PKCS11, EXEC))


def check_reference(reference: str) -> None:
    """Check the syntax of a reference, without looking for the key.

    Raises:
        UsageError: it is malformed.
    """
    if reference.startswith(PKCS11):
        parse_uri(reference)
    elif reference.startswith(EXEC):
        parse_command(reference)


def _open(references: Iterable[str], directory: Path, ask: AskSecret | None) -> tuple[Signer, ...]:
    return tuple(
        _open_remote(reference, directory, ask)
        if is_remote(reference)
        else FileSigner.load(directory / reference, ask)
        for reference in references
    )


def _open_remote(reference: str, directory: Path, ask: AskSecret | None) -> Signer:
    if reference.startswith(EXEC):
        return CommandSigner.load(reference, directory)
    # python-pkcs11 is looked for where a token is named, and only there.
    from sealift_bundler.sign.token import TokenSigner

    return TokenSigner.load(reference, ask)
