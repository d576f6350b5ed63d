"""A site: the directory with sealift.toml, sealift.lock, keys and roots."""

import os
import re
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sealift_bundler import specfile
from sealift_bundler.keys import PRIVATE_SUFFIX, PUBLIC_SUFFIX, KeyFiles, write_new
from sealift_bundler.packed import Packed
from sealift_installer.errors import UsageError, host_errors, printable
from sealift_installer.presence import exists
from sealift_schemas.keys import TOOL_NAME
from sealift_schemas.lean import replace
from sealift_schemas.manifest import STREAM
from sealift_schemas.spec import Spec

LOCK_NAME = "sealift.lock"
KEYS_NAME = "keys"
BUNDLES_NAME = "bundles"
_SPEC = """\
# What is wanted in the bundles of this site. `sealift add` appends to it; `sealift build` bundles it.
format = 1
# The line of bundles that targets follow. It never changes: they count the bundles of a stream.
stream = "{stream}"
"""
_GITIGNORE = """\
# Private keys do not belong into a repository.
*.key.pem
# Bundles are made from the lock, byte for byte the same.
/bundles/
"""


@dataclass(frozen=True, slots=True)
class Site:
    """A site that was read."""

    directory: Path
    spec: Spec

    @property
    def spec_path(self) -> Path:
        """Where sealift.toml is."""
        return self.directory / specfile.NAME

    @property
    def lock_path(self) -> Path:
        """Where sealift.lock is, or will be."""
        return self.directory / LOCK_NAME

    @property
    def roots(self) -> Path:
        """The folder of the root versions."""
        return self.directory / self.spec.roots

    def key(self, name: str) -> KeyFiles:
        """Return the files of a key, given by name or by the path of one of them."""
        return find_key(name, self.directory)


def create_site(directory: Path) -> Path:
    """Make a site in `directory`, named after it; return the path of its spec.

    Raises:
        UsageError: there is one.
        HostError: it cannot be written.
    """
    path = directory / specfile.NAME
    with host_errors("cannot make the site"):
        if exists(path):
            raise UsageError(f"there is a site already: {path}")
        directory.mkdir(parents=True, exist_ok=True)
        ignore = directory / ".gitignore"
        if not exists(ignore):
            ignore.write_text(_GITIGNORE, "utf-8")
        text = _SPEC.format(stream=stream_name(directory.resolve().name))
        write_new(path, text.encode(), 0o666)
    return path


def read_site(start: Path) -> Site:
    """Read the site that `start` is in: the nearest directory upwards with a sealift.toml.

    Raises:
        UsageError: there is none, or its spec is malformed.
        HostError: it cannot be read.
    """
    directory = find_site(start)
    if directory is None:
        raise UsageError(
            f"no {specfile.NAME} in {start} or above it", hint="make a site: sealift init DIR"
        )
    spec = specfile.read_spec(directory / specfile.NAME)
    return Site(directory, replace(spec, url=Packed(spec.url)))


def find_site(start: Path) -> Path | None:
    """Return the nearest directory from `start` upwards that holds a sealift.toml, or None."""
    here = start.absolute()
    return next((place for place in (here, *here.parents) if exists(place / specfile.NAME)), None)


def find_key(name: str, directory: Path) -> KeyFiles:
    """Return the files of the key `name`: a name in `keys/`, or the path of either file.

    Raises:
        UsageError: it is neither.
    """
    for suffix in (PRIVATE_SUFFIX, PUBLIC_SUFFIX):
        if name.endswith(suffix):
            path = Path(name.removesuffix(suffix))
            return KeyFiles.named(path.parent, path.name)
    if name.endswith(".pem"):
        return KeyFiles(Path(name), Path(name))
    if not TOOL_NAME.fullmatch(name):
        raise UsageError(
            f"not the name of a key: {printable(name)}",
            hint=f"a plain lower-case name, or the path of a NAME{PRIVATE_SUFFIX}",
        )
    return KeyFiles.named(directory / KEYS_NAME, name)


def stream_name(text: str) -> str:
    """Return `text` as a stream's name: lower case, with a dash for what is not allowed."""
    name = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:63]
    return name if STREAM.fullmatch(name) else "site"


def present_time() -> str:
    """Return the time that new documents bear, in UTC: SOURCE_DATE_EPOCH if set, else the clock.

    Raises:
        UsageError: SOURCE_DATE_EPOCH is no number of seconds.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        return format_time(int(time.time()))
    # reproducible-builds.org/specs/source-date-epoch: ASCII digits and nothing else.
    if not re.fullmatch(r"[0-9]{1,11}", given, re.ASCII):
        raise UsageError(f"SOURCE_DATE_EPOCH is no number of seconds: {printable(given)}")
    return format_time(int(given))


def clock_time() -> str:
    """Return the system's time in UTC."""
    return format_time(int(time.time()))


def format_time(seconds: int) -> str:
    """Return a POSIX time as `2026-01-31T09:00:00Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def read_time(text: str) -> int:
    """Return the POSIX time of `2026-01-31T09:00:00Z`.

    Raises:
        ValueError: there is no such day.
    """
    # `time.strptime` takes 30 ms to import.
    return int(datetime.fromisoformat(text).timestamp())
