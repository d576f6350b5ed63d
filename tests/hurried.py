"""Patience for servers that stall: none where nothing will come, and plenty everywhere else.

So a test of stalls takes no time, and a machine that is busy elsewhere changes nothing about it.
"""

from dataclasses import dataclass, field

from loopback import LoopbackServer, Stalled
from sealift_bundler.patience import Patience

# Seconds; nobody who has something to send or to read takes so long, however busy the machine is.
PLENTY = 120.0
_NONE = 0.2


@dataclass(frozen=True)
class Hurried(Patience):
    """Gives up at once when `server` has a stall for the next who asks for `path`."""

    connect: float = PLENTY
    read: float = PLENTY
    server: LoopbackServer | None = None
    path: str = ""
    # Of each attempt that meets a stall: how many requests there are when it is counted.
    stalled: list[int] = field(default_factory=list)

    @property
    def timeouts(self) -> tuple[float, float]:
        """The two time-outs of the next attempt."""
        if self.server is None or not isinstance(self.server.upcoming(self.path), Stalled):
            return self.connect, self.read
        self.stalled.append(len(self.server.requests) + 1)
        return self.connect, _NONE

    def wait(self, failures: int, asked: float | None = None) -> float:
        """Wait until the server has counted the attempt that has failed: it may be late."""
        if self.server is not None and self.stalled:
            self.server.wait_for(self.stalled[-1])
        return super().wait(failures, asked)
