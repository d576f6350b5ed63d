"""Where an archive may be fetched from: its own address, and the mirrors of it.

uv's variables mean here what they mean to uv: the mirror stands in place of the beginning of the
address, it may be a file:// address, and nothing else is asked.
"""

import os
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from sealift_bundler.web_faults import shown
from sealift_installer.errors import UsageError
from sealift_schemas.network import Mirror

PBS = "https://github.com/astral-sh/python-build-standalone/releases/download/"
# By implementation: uv's variable, and what the mirror stands for.
_VARIABLES = {
    "cpython": ("UV_PYTHON_INSTALL_MIRROR", PBS),
    "pypy": ("UV_PYPY_INSTALL_MIRROR", "https://downloads.python.org/pypy/"),
    "graalpy": (
        "UV_GRAALPY_INSTALL_MIRROR",
        "https://github.com/oracle/graalpython/releases/download/",
    ),
    "pyodide": (
        "UV_PYODIDE_INSTALL_MIRROR",
        "https://github.com/pyodide/pyodide/releases/download/",
    ),
}


def find_addresses(
    url: str,
    implementation: str = "",
    mirrors: Sequence[Mirror] = (),
    environment: Mapping[str, str] = os.environ,
) -> tuple[str, ...]:
    """Return the addresses of the archive at `url`, in the order in which they are to be asked.

    Args:
        url: the canonical address, as in the lock.
        implementation: of a managed Python, such as cpython; empty for all else.
        mirrors: those of the spec.
        environment: the variables.

    Raises:
        UsageError: uv's variable names a mirror for this implementation that is no address, or
            `url` is not one that it could stand for.
    """
    variable, prefix = _VARIABLES.get(implementation, ("", ""))
    mirror = environment.get(variable) if variable else None
    if mirror:
        _check_mirror(variable, mirror)
        if not url.startswith(prefix):
            raise UsageError(
                f"{variable} names a mirror, and {shown(url)} is none of the addresses that it is"
                " for",
                hint=f"they start with {prefix}",
            )
        return (_moved(url, prefix, mirror),)
    found: list[str] = []
    exclusive = False
    for each in mirrors:
        if url.startswith(each.prefix):
            found += [_moved(url, each.prefix, place) for place in each.urls]
            exclusive = exclusive or each.exclusive
    return tuple(dict.fromkeys(found if exclusive else [*found, url]))


def _check_mirror(variable: str, mirror: str) -> None:
    """Refuse what is no address, without showing it: there may be a password in it."""
    try:
        scheme = urlsplit(mirror).scheme
    except ValueError:
        scheme = ""
    if scheme not in {"https", "http", "file"}:
        raise UsageError(
            f"{variable} names no address that can be fetched from",
            hint="as https://HOST/FOLDER, or file:///FOLDER",
        )


def _moved(url: str, prefix: str, place: str) -> str:
    return f"{place.rstrip('/')}/{url.removeprefix(prefix)}"
