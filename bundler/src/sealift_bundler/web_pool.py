"""Connections that do not wait for ever for the head of an answer.

The time-outs of sockets are for each byte: a server that sends one now and then, or one provisional
answer (RFC 9110, 15.2) after the other, would be listened to without end.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

_LATE = "the head of the answer took too long"


@contextmanager
def _deadline(connection: HTTPConnection) -> Iterator[None]:
    """Hang up when the connection's time-out has passed before the end of the block.

    Raises:
        TimeoutError: it has.
    """
    guard, late, ended = threading.Lock(), False, False

    def hang_up() -> None:
        nonlocal late
        with guard:
            # The connection may be in other hands by now.
            held = None if ended else connection.sock
            late = not ended
            if held is not None:
                with suppress(OSError):
                    # The socket's own, for that of TLS takes away what the other thread is reading.
                    socket.socket.shutdown(held, socket.SHUT_RDWR)

    seconds = connection.timeout
    timer = _start(seconds, hang_up) if isinstance(seconds, int | float) else None
    broken: Exception | None = None
    try:
        yield
    except Exception as error:  # noqa: BLE001 - raised again, unless it came of hanging up
        broken = error
    finally:
        with guard:
            ended = True
        if timer is not None:
            timer.cancel()
    if late:
        # A head that breaks off is a whole one to http.client; and a reset, or whatever else
        # hanging up has led to, is no cause to be told.
        raise TimeoutError(_LATE) from None
    if broken is not None:
        raise broken


def _start(seconds: float, action: Callable[[], None]) -> threading.Timer | None:
    """Return a timer that runs; None where a user may have no more threads."""
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    try:
        timer.start()
    except RuntimeError:
        # The time-outs of the socket are still there.
        return None
    return timer


class _Connection(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        with _deadline(self):
            return super().getresponse()


class _SecureConnection(HTTPSConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        with _deadline(self):
            return super().getresponse()

    def _tunnel(self) -> None:
        # The answer of a proxy has a head too.
        with _deadline(self):
            super()._tunnel()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class Adapter(HTTPAdapter):
    """What a session makes its connections with."""

    def init_poolmanager(self, *values: Any, **named: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*values, **named)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *values: Any, **named: Any) -> PoolManager:
        """Return the pools of connections through a proxy."""
        manager: PoolManager = super().proxy_manager_for(*values, **named)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Verify whoever the connection leads to.

        For an http address requests would trust any proxy of https, and show it the password. The
        client's certificate is for the server alone.
        """
        if not url.lower().startswith("https"):
            cert = None
            if conn.proxy is not None and conn.proxy.scheme == "https":
                url = conn.proxy.url
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
