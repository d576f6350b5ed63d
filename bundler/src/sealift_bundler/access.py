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
class Login:
    """What pip shows to the server of its package index: user and password, a certificate."""

    server: str
    user: str = ""
    password: str = field(default="", repr=False)
    client_cert: str | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """What the spec says about the network, with paths made absolute.

    No secret is in here but in `login`, which is pip's and for one server alone.
    """

    proxy: str | None = None
    ca: str | None = None
    hosts: Mapping[str, Host] = field(default_factory=dict)
    mirrors: tuple[Mirror, ...] = ()
    patience: Patience = field(default_factory=Patience)
    login: Login | None = None

    def password(self, url: str) -> tuple[str, str] | None:
        """Return user and password for the server of `url`, or None."""
        login = self._login(url)
        return None if login is None or not login.user else (login.user, login.password)

    def certificate(self, url: str) -> tuple[str, str] | str | None:
        """Return the client certificate for the host of `url`, as requests takes it."""
        host = self._host(urlsplit(url))
        if host is None or host.client_cert is None:
            login = self._login(url)
            return None if login is None else login.client_cert
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

    def _login(self, url: str) -> Login | None:
        return self.login if self.login and self.login.server == server_of(url) else None

    def _host(self, parts: SplitResult) -> Host | None:
        name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        standard = _PORTS.get(parts.scheme)
        port = parts.port or standard
        return self.hosts.get(f"{name}:{port}") or (
            self.hosts.get(name or "") if port == standard else None
        )


def server_of(url: str) -> str:
    """Return scheme, host and port of `url`, by which servers are told apart."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or _PORTS.get(parts.scheme)}"


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
