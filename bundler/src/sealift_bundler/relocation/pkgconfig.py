"""Files of pkg-config: they can name their own place, so they need no prefix at all.

uv rewrites lines that are exactly `name=/install`; this also rewrites `libdir=/install/lib` and
flags such as `-I/install/include`.
"""

from pathlib import PurePosixPath

from sealift_bundler.relocation.pieces import Hole, Rewrite, decode, rewrite
from sealift_bundler.relocation.words import cut


def rewrite_pkgconfig(path: str, data: bytes, prefix: str) -> Rewrite:
    """Rewrite the .pc file that is installed as `path` and was made for `prefix`."""
    depth = len(PurePosixPath(path).parent.parts)
    own_prefix = "/".join(["${pcfiledir}", *[".."] * depth])
    pieces = cut(decode(data), prefix, lambda _: "raw")
    return rewrite(own_prefix if isinstance(piece, Hole) else piece for piece in pieces)
