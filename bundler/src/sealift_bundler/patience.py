"""How long to wait, how often to try, how much at once: every number of the downloader."""

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from sealift_installer.errors import UsageError, printable

T = TypeVar("T", int, float)
# A longer pause than any; 2 to this power is still a number.
_DOUBLINGS = 30
_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Patience:
    """Times are in seconds, amounts in bytes.

    Attributes:
        connect: for a connection.
        read: without a byte (a stall), and for the head of an answer; its body may take any time
            as long as bytes come.
        least: that have to come in `read` seconds.
        attempts: in a row that bring nothing.
        pause: before the second attempt; it doubles with each further one.
        longest_pause: which no pause exceeds.
        jitter: the part of a pause that is left to chance, so that clients do not come in step.
        longest_wait: that a server may ask for in Retry-After; one that asks for more is given up.
        progress: an attempt that brings as much is no failure, however it ends.
        redirects: that are followed in a row.
        connections: at the same time.
        host_connections: of them to one host.
        block: the bytes that are read at once.
        room: that is left free on the disk.
        farewell: for running downloads to end when all are stopped.
        outage: for which a server may bring none of many files; then it is left alone.
    """

    connect: float = 10.0
    read: float = 60.0
    least: int = 1024
    attempts: int = 4
    pause: float = 0.5
    longest_pause: float = 30.0
    jitter: float = 0.25
    longest_wait: float = 300.0
    progress: int = 64 * 1024
    redirects: int = 10
    connections: int = 8
    host_connections: int = 6
    block: int = 256 * 1024
    room: int = 16 * 1024 * 1024
    farewell: float = 0.5
    outage: float = 60.0

    @property
    def timeouts(self) -> tuple[float, float]:
        """The two time-outs as requests takes them."""
        return self.connect, self.read

    def wait(self, failures: int, asked: float | None = None) -> float:
        """Return the seconds to wait after `failures` in a row; `asked` is what the server wants."""
        pause = min(self.pause * 2.0 ** min(failures - 1, _DOUBLINGS), self.longest_pause)
        pause *= 1 + random.uniform(-self.jitter, self.jitter)  # noqa: S311 - no secret
        return max(pause, asked or 0.0)


def with_environment(patience: Patience, environment: Mapping[str, str] = os.environ) -> Patience:
    """Return `patience` with what uv's variables say.

    Raises:
        UsageError: one of them is no number.
    """
    retries = _number(environment, "UV_HTTP_RETRIES", -1)
    return replace(
        patience,
        connect=_number(environment, "UV_HTTP_CONNECT_TIMEOUT", 0.0) or patience.connect,
        read=_number(environment, "UV_HTTP_TIMEOUT", 0.0) or patience.read,
        # The first attempt is no retry.
        attempts=patience.attempts if retries < 0 else retries + 1,
        connections=_number(environment, "UV_CONCURRENT_DOWNLOADS", patience.connections, least=1),
    )


def _number(environment: Mapping[str, str], name: str, absent: T, *, least: int = 0) -> T:
    text = environment.get(name, "")
    if not text:
        return absent
    try:
        value = type(absent)(text)
    except ValueError:
        value = type(absent)(-1)
    if not least <= value < _MOST:
        raise UsageError(f"{name} is no sensible number: {printable(text)}")
    return value
