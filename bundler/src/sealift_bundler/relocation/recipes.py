"""Which file is rewritten how: the recipes of CPython and of archives of any other kind.

`/install`, the prefix of CPython archives, is an everyday word, so there only files that are known
to name it are rewritten, and every other one that has it is listed with a reason. The prefix of
another archive was given by a person, so there every text that names it as a path is rewritten.
"""

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from sealift_bundler.relocation.jsonfiles import rewrite_json, rewrite_variables
from sealift_bundler.relocation.makefile import rewrite_makefile
from sealift_bundler.relocation.pieces import Kept, Rewrite, decode
from sealift_bundler.relocation.pkgconfig import rewrite_pkgconfig
from sealift_bundler.relocation.scripts import rewrite_config_script
from sealift_bundler.relocation.sysconfig import rewrite_sysconfig
from sealift_bundler.relocation.text import rewrite_python, rewrite_script, rewrite_text
from sealift_bundler.relocation.words import names_path

_SYSCONFIG = re.compile(r"lib/python[0-9.]+t?/_sysconfigdata_[^/]*\.py")
_VARIABLES = re.compile(r"lib/python[0-9.]+t?/_sysconfig_vars_[^/]*\.json")
_DETAILS = re.compile(r"lib/python[0-9.]+t?/build-details\.json")
_MAKEFILE = re.compile(r"lib/python[0-9.]+t?/config(?:-[^/]*)?/Makefile")
_CONFIG = re.compile(r"bin/python[0-9.a-z]*-config")
_PKGCONFIG = re.compile(r"(?:lib|share)/pkgconfig/[^/]*\.pc")
_PACKAGES = re.compile(
    r"lib/python[0-9.]+t?/(?:site|dist)-packages/|lib/python[0-9.]+t?/ensurepip/"
)

NO_PATH = "no path: the prefix is part of longer words only"
PACKED = "a packed archive, with names or data in it that look like the prefix"
COMPUTED = "built in, and computed anew by the interpreter from the place where it stands"
COMPILED = "compiled from a source whose path it names for tracebacks alone"
PACKAGE = "text of an installed package, which is not built for a prefix"
BINARY = "unknown: a binary file that names the prefix, which is not rewritten"
TEXT = "unknown: text that names the prefix, in a file that no rule covers"
LARGE = "unknown: text that names the prefix, too large to be rewritten"


def always_rewritten(recipe: str, path: str) -> bool:
    """Tell whether `path` is rewritten even if it does not name the prefix."""
    return recipe == "cpython" and (
        _SYSCONFIG.fullmatch(path) is not None or _VARIABLES.fullmatch(path) is not None
    )


def relocate(recipe: str, path: str, data: bytes, prefix: str) -> Rewrite | Kept:
    """Return the rewritten text file `path`, or why it is kept as it is.

    Args:
        recipe: one of sealift_schemas.lock.RECIPES.
        path: where it is installed.
        data: its bytes, which hold those of `prefix` unless it is `always_rewritten`.
        prefix: what the archive was built for.
    """
    rewritten = (
        _cpython(path, data, prefix) if recipe == "cpython" else _any_text(path, data, prefix)
    )
    if rewritten is None:
        return Kept(_reason(recipe, path, data, prefix))
    if not rewritten.places and rewritten.template == data:
        return Kept(_reason(recipe, path, data, prefix))
    return rewritten


def binary_reason(recipe: str, path: str) -> str:
    """Return why the binary file `path`, which holds the bytes of the prefix, is kept."""
    name = PurePosixPath(path)
    if name.suffix in (".whl", ".zip", ".egg", ".jar"):
        return PACKED
    if name.suffix == ".pyc":
        return COMPILED
    own = fnmatchcase(name.name, "libpython*") or re.fullmatch(r"bin/python[0-9.a-z]*", path)
    return COMPUTED if recipe == "cpython" and own else BINARY


def _cpython(path: str, data: bytes, prefix: str) -> Rewrite | None:
    for pattern, rewrite_known in _KNOWN:
        if pattern.fullmatch(path):
            rewritten = rewrite_known(path, data, prefix)
            if rewritten is not None:
                return rewritten
    return rewrite_script(path, data, prefix)


_KNOWN: tuple[tuple[re.Pattern[str], Callable[[str, bytes, str], Rewrite | None]], ...] = (
    (_SYSCONFIG, lambda _, data, prefix: rewrite_sysconfig(data, prefix)),
    # One that is not in its usual form: its literals at least.
    (_SYSCONFIG, lambda _, data, prefix: rewrite_python(data, prefix)),
    (_VARIABLES, lambda _, data, prefix: rewrite_variables(data, prefix)),
    (_DETAILS, lambda _, data, prefix: rewrite_json(data, prefix)),
    (_MAKEFILE, lambda _, data, prefix: rewrite_makefile(data, prefix)),
    (_PKGCONFIG, rewrite_pkgconfig),
    (_CONFIG, lambda _, data, prefix: rewrite_config_script(data, prefix)),
)


def _any_text(path: str, data: bytes, prefix: str) -> Rewrite | None:
    return rewrite_text(path, data, prefix) if names_path(decode(data), prefix) else None


def _reason(recipe: str, path: str, data: bytes, prefix: str) -> str:
    if not names_path(decode(data), prefix):
        return NO_PATH
    return PACKAGE if recipe == "cpython" and _PACKAGES.match(path) else TEXT
