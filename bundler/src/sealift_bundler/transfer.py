"""What is to be fetched, and what all fetches of a run share."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sealift_bundler.cache import Cache
from sealift_bundler.outage import Outages
from sealift_bundler.progress import Progress
from sealift_installer.errors import UsageError, printable


class Stopped(Exception):
    """Somebody else has failed or has been interrupted; what is here is kept."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What is to be brought, and the addresses that have it; `size` is in bytes, if known."""

    addresses: tuple[str, ...]
    filename: str
    sha256: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all transfers of a run share."""

    cache: Cache
    progress: Progress
    stop: threading.Event = field(default_factory=threading.Event)
    outages: Outages = field(default_factory=Outages)

    def found(self, filename: str, path: Path) -> None:
        """Tell that an archive is in the cache."""
        size = path.stat().st_size
        self.progress.begin(filename, size, size)
        self.progress.finish(filename, size, fetched=False)

    def check_stop(self) -> None:
        """Give up if all do.

        Raises:
            Stopped: they do.
        """
        if self.stop.is_set():
            raise Stopped


def local_path(url: str) -> Path:
    """Return the path of a file URL.

    Raises:
        UsageError: it names another machine.
    """
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        raise UsageError(
            f"{printable(url)} names another machine", hint="a file's URL starts with file:///"
        )
    return Path(unquote(parts.path))
