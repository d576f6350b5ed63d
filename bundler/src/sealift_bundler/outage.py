"""Servers that are away: of many files the last ones are not asked for, as the first did not come."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from sealift_bundler.addresses import shown
from sealift_bundler.errors import AwayError, NetworkError


class Outages:
    """Since when which servers have brought no file, for all threads of a run."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._since: dict[str, float] = {}

    @contextmanager
    def heeded(self, address: str, longest: float) -> Iterator[None]:
        """Fetch a file in the `with` block; `address` is the first one that is asked for it.

        Args:
            address: of the file.
            longest: for how many seconds a server may bring none of the files that it is asked for.

        Raises:
            NetworkError: it has brought none for longer.
        """
        host, begin = urlsplit(address).netloc, time.monotonic()
        with self._guard:
            silent = begin - self._since.get(host, begin)
        if silent > longest:
            what = f"not asked for, since nothing has come from there for {silent:.0f} s"
            raise NetworkError(f"{shown(address)}: {what}")
        try:
            yield
        except AwayError:
            with self._guard:
                self._since.setdefault(host, begin)
            raise
        with self._guard:
            self._since.pop(host, None)
