"""Signing: what a signer is, and the ways to have one: a key file, a token, a command."""

from sealift_bundler.sign.file import FileSigner
from sealift_bundler.sign.signer import (
    Signer,
    check_clock,
    make_signatures,
    sign_checked,
    sign_envelope,
)

__all__ = [
    "FileSigner",
    "Signer",
    "check_clock",
    "make_signatures",
    "sign_checked",
    "sign_envelope",
]
