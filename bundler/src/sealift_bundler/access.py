"""By which way servers are reached: proxy, authorities, client certificates, tokens, mirrors."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from sealift_bundler.patience import Patience, with_environment
from sealift_installer.errors import UsageError, printable
from sealift_schemas.network import Host, Mirror, Network

_PORTS = {"https": 443, "http": 80}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Access:
    """What the spec says about the network, with paths made absolute; no secret is in here."""

    proxy: str | None = None
    ca: str | None = None
    hosts: Mapping[str, Host] = field(default_factory=dict)
    mirrors: tuple[Mirror, ...] = ()
    patience: Patience = field(default_factory=Patience)

    def certificate(self, url: str) -> tuple[str, str] | str | None:
        """Return the client certificate for the host of `url`, as requests takes it."""
        host = self._host(urlsplit(url))
        if host is None or host.client_cert is None:
            return None
        return (host.client_cert, host.client_key) if host.client_key else host.client_cert

    def token(self, url: str) -> str | None:
        """Return the bearer token for the host of `url`, read from its environment variable.

        Raises:
            UsageError: the variable is not set, or the token would travel in the clear.
        """
        parts = urlsplit(url)
        host = self._host(parts)
        if host is None or host.token_env is None:
            return None
        token = os.environ.get(host.token_env, "")
        if not token.isascii() or not token.isprintable() or not token:
            raise UsageError(
                f"the token for {host.name} is missing: {host.token_env} is not set, or no token"
            )
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise UsageError(
                f"the token for {host.name} would be sent in the clear",
                hint="it goes to https addresses alone",
            )
        return token

    def _host(self, parts: SplitResult) -> Host | None:
        name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        standard = _PORTS.get(parts.scheme)
        port = parts.port or standard
        return self.hosts.get(f"{name}:{port}") or (
            self.hosts.get(name or "") if port == standard else None
        )


def read_access(network: Network, directory: Path, patience: Patience) -> Access:
    """Return the access that the spec in `directory` describes.

    Raises:
        UsageError: a file that it names is not there, a host is named twice, or a variable of the
            environment is no number.
    """

    def path(name: str | None) -> str | None:
        if name is None:
            return None
        full = directory / name
        if not full.is_file():
            raise UsageError(f"[network] names a file that is not there: {printable(str(full))}")
        return str(full)

    hosts = {
        host.name: Host(host.name, host.token_env, path(host.client_cert), path(host.client_key))
        for host in network.hosts
    }
    if len(hosts) != len(network.hosts):
        raise UsageError("[[network.host]] names a host twice")
    return Access(
        proxy=network.proxy,
        ca=path(network.ca),
        hosts=hosts,
        mirrors=network.mirrors,
        patience=with_environment(patience),
    )
