"""Text of any kind that names the prefix: shell, Python, Makefile, JSON, pkg-config, or plain."""

import io
import tokenize
from bisect import bisect_right
from itertools import accumulate
from pathlib import PurePosixPath

from sealift_bundler.relocation.jsonfiles import rewrite_json
from sealift_bundler.relocation.makefile import rewrite_makefile
from sealift_bundler.relocation.pieces import Pieces, Rewrite, decode, rewrite
from sealift_bundler.relocation.pkgconfig import rewrite_pkgconfig
from sealift_bundler.relocation.scripts import cut_shebang, is_shell_script, rewrite_shell_script
from sealift_bundler.relocation.words import cut


def rewrite_text(path: str, data: bytes, prefix: str) -> Rewrite:
    """Rewrite the text file that is installed as `path` and was made for `prefix`."""
    name = PurePosixPath(path)
    text = decode(data)
    if name.suffix == ".json":
        rewritten = rewrite_json(data, prefix)
        if rewritten is not None:
            return rewritten
    if name.suffix == ".pc":
        return rewrite_pkgconfig(path, data, prefix)
    if name.name in ("Makefile", "makefile", "GNUmakefile") or name.suffix == ".mk":
        return rewrite_makefile(data, prefix)
    if is_shell_script(text):
        return rewrite_shell_script(data, prefix)
    if name.suffix == ".py":
        return rewrite(_cut_python(text, prefix))
    return rewrite_script(path, data, prefix) or rewrite(cut(text, prefix, lambda _: "raw"))


def rewrite_script(path: str, data: bytes, prefix: str) -> Rewrite | None:
    """Rewrite a script whose first line names a program below `prefix`; None if it does not."""
    script = cut_shebang(path, decode(data), prefix)
    return None if script is None else rewrite((*script[0], *_cut_python(script[1], prefix)))


def rewrite_python(data: bytes, prefix: str) -> Rewrite:
    """Rewrite the literals of a Python source."""
    return rewrite(_cut_python(decode(data), prefix))


def _cut_python(text: str, prefix: str) -> Pieces:
    literals = _literals(text)

    def escaping(offset: int) -> str:
        found = bisect_right(literals, (offset, len(text)))
        return "python" if found and offset < literals[found - 1][1] else "raw"

    return cut(text, prefix, escaping)


def _literals(text: str) -> list[tuple[int, int]]:
    """Return where string literals with escapes in them start and end; none if it is no Python."""
    lines = [0, *accumulate(len(line) for line in io.StringIO(text, newline=""))]
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text, newline="").readline):
            raw = "r" in token.string.split("'")[0].split('"')[0].lower()
            if token.type == tokenize.STRING and not raw:
                (row, column), (last_row, last_column) = token.start, token.end
                found.append((lines[row - 1] + column, lines[last_row - 1] + last_column))
    except (tokenize.TokenError, SyntaxError, IndexError):
        return []
    return found
