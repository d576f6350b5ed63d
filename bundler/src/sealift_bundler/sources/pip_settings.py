"""Which package index pip is configured for, read where pip reads it.

Order and places are those of https://pip.pypa.io/en/stable/topics/configuration/: files for the
machine, the user, the environment, the one that PIP_CONFIG_FILE names, then PIP_ variables; the
last one counts. Further indexes (extra-index-url) are not asked: a name must have one origin.
"""

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sealift_bundler.access import Access, Login, server_of
from sealift_bundler.addresses import find_flaw
from sealift_installer.errors import UsageError, printable

_MACHINE = Path("/etc/pip.conf")
_NAMES = ("index-url", "cert", "client-cert", "proxy")
# Sections of which the later counts; ours is the command that pip would be asked with.
_SECTIONS = ("global", "download")


def _public_index() -> str:
    """Return the index that pip asks where nobody says otherwise."""
    # Takes 0.2 s to import, for its reader of web pages.
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    return PYPI_SIMPLE_ENDPOINT


@dataclass(frozen=True, slots=True)
class PipSettings:
    """The index's address and how it is reached; `cert` and `client_cert` are files."""

    index_url: str = field(default_factory=_public_index)
    cert: str | None = None
    client_cert: str | None = None
    proxy: str | None = None


def read_pip_settings(environment: Mapping[str, str] | None = None) -> PipSettings:
    """Return what pip is configured for.

    Args:
        environment: the variables; else those of this process.

    Raises:
        UsageError: a configuration file is malformed.
    """
    variables = os.environ if environment is None else environment
    values: dict[str, str] = {}
    for path in _files(variables):
        values.update(_read(path))
    for name in _NAMES:
        value = variables.get(f"PIP_{name.upper().replace('-', '_')}")
        if value:
            values[name] = value
    index_url = values.get("index-url") or _public_index()
    if find_flaw(index_url) not in {None, "user or password"}:
        raise UsageError(
            "the package index that pip is configured for has no address to fetch from",
            hint="see it with: pip config list",
        )
    return PipSettings(
        index_url=index_url,
        cert=values.get("cert"),
        client_cert=values.get("client-cert"),
        proxy=values.get("proxy"),
    )


def through_pip(access: Access, settings: PipSettings | None = None) -> Access:
    """Return the way to the files of the package index: pip's own, and for the rest `access`.

    As with pip, what the index's address says of user and password goes to its server alone.

    Raises:
        UsageError: pip's configuration is malformed.
    """
    settings = read_pip_settings() if settings is None else settings
    parts = urlsplit(settings.index_url)
    login = Login(
        server=server_of(settings.index_url),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        client_cert=settings.client_cert,
    )
    ca, proxy = settings.cert or access.ca, settings.proxy or access.proxy
    return replace(access, ca=ca, proxy=proxy, login=login)


def _files(variables: Mapping[str, str]) -> Iterator[Path]:
    named = variables.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    home = Path(variables.get("HOME") or Path.home())
    for folder in reversed((variables.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")):
        yield Path(folder) / "pip/pip.conf"
    if sys.platform == "darwin":
        yield Path("/Library/Application Support/pip/pip.conf")
    yield _MACHINE
    # pip leaves the user's file out where PIP_CONFIG_FILE names one that exists.
    if not (named and Path(named).exists()):
        yield home / ".pip/pip.conf"
        if sys.platform == "darwin":
            yield home / "Library/Application Support/pip/pip.conf"
        yield Path(variables.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"
    yield Path(sys.prefix) / "pip.conf"
    if named:
        yield Path(named)


def _read(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read pip's configuration {printable(str(path))}") from error
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        # The parser's own message quotes the lines, which may hold a password.
        raise UsageError(f"pip's configuration is malformed: {printable(str(path))}") from error
    found: dict[str, str] = {}
    for section in _SECTIONS:
        if parser.has_section(section):
            options = {name.replace("_", "-"): value for name, value in parser.items(section)}
            found |= {name: value for name, value in options.items() if name in _NAMES and value}
    return found
