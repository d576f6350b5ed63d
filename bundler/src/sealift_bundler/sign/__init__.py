"""Signing: what a signer is, and the ways to have one. Files of keys today."""

from sealift_bundler.sign.file import FileSigner
from sealift_bundler.sign.signer import Signer, check_clock, sign_envelope

__all__ = ["FileSigner", "Signer", "check_clock", "sign_envelope"]
