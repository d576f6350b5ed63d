"""Relocation, the bundler's half: takes the prefix out of files, so that the target puts its own in.

The target's half is sealift_installer.relocation.
"""

from sealift_bundler.relocation.pieces import Kept, Rewrite
from sealift_bundler.relocation.recipes import always_rewritten, binary_reason, relocate

__all__ = ["Kept", "Rewrite", "always_rewritten", "binary_reason", "relocate"]
