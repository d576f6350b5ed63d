"""What goes to which host: tokens, netrc, certificates, proxies; and that it goes nowhere else."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from certificates import Authority
from hurried import PLENTY
from loopback import Good, LoopbackServer, Redirect, Status
from sealift_bundler.access import Access, read_access
from sealift_bundler.cache import Cache
from sealift_bundler.errors import NetworkError
from sealift_bundler.fetch import Fetching, Wanted, fetch
from sealift_bundler.patience import Patience
from sealift_installer.errors import HostError, UsageError
from sealift_schemas.network import Host, Network
from workshop import Workshop, digest

NAME = "a.tar.gz"
DATA = b"an archive" * 100
SHA256 = hashlib.sha256(DATA).hexdigest()
PATIENCE = Patience(connect=PLENTY, read=PLENTY, attempts=1)
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*VARIABLES, *map(str.lower, VARIABLES)):
        monkeypatch.delenv(name, raising=False)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LoopbackServer]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / NAME).write_bytes(DATA)
    with LoopbackServer(folder) as server:
        yield server


@pytest.fixture
def other(server: LoopbackServer) -> Iterator[LoopbackServer]:
    with LoopbackServer(server.directory) as other:
        yield other


def host_of(server: LoopbackServer) -> str:
    return server.url.partition("//")[2]


def take(server: LoopbackServer, folder: Path, **access: object) -> Path:
    reached = Access(patience=PATIENCE, **access)  # type: ignore[arg-type]
    wanted = Wanted(f"{server.url}/{NAME}", NAME, SHA256, len(DATA))
    return fetch(wanted, Fetching(Cache(folder / "cache"), reached))


def token_for(server: LoopbackServer) -> dict[str, Host]:
    return {host_of(server): Host(host_of(server), token_env="A_TOKEN")}


def test_a_token_goes_to_its_host(
    server: LoopbackServer, other: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", "hunter2")
    take(server, tmp_path, hosts=token_for(server))
    assert server.requests[0].headers["authorization"] == "Bearer hunter2"
    take(other, tmp_path / "b", hosts=token_for(server))
    assert "authorization" not in other.requests[0].headers


def test_a_token_comes_before_netrc(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", "hunter2")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    take(server, tmp_path, hosts=token_for(server))
    assert server.requests[0].headers["authorization"] == "Bearer hunter2"


def test_netrc_serves_where_there_is_no_token(server: LoopbackServer, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    take(server, tmp_path)
    assert server.requests[0].headers["authorization"] == "Basic bWU6c2VjcmV0"


@pytest.mark.parametrize("kind", ["token", "address"])
def test_credentials_are_dropped_where_a_redirect_leads_away(
    server: LoopbackServer,
    other: LoopbackServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.setenv("A_TOKEN", "hunter2")
    server.faults[f"/{NAME}"] = [Redirect(f"{other.url}/{NAME}")]
    hosts = token_for(server) if kind == "token" else {}
    url = f"{server.url if kind == 'token' else server.url.replace('//', '//me:hunter2@')}/{NAME}"
    how = Fetching(Cache(tmp_path / "cache"), Access(hosts=hosts, patience=PATIENCE))
    fetch(Wanted(url, NAME, SHA256, len(DATA)), how)
    assert "authorization" in server.requests[0].headers
    assert "authorization" not in other.requests[0].headers


def test_a_redirect_brings_the_token_of_where_it_leads(
    server: LoopbackServer, other: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", "hunter2")
    server.faults[f"/{NAME}"] = [Redirect(f"{other.url}/{NAME}")]
    take(server, tmp_path, hosts=token_for(other))
    assert "authorization" not in server.requests[0].headers
    assert other.requests[0].headers["authorization"] == "Bearer hunter2"


@pytest.mark.parametrize("value", [None, "", "a\nb", "ü"])
def test_a_token_that_is_missing_is_told(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("A_TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("A_TOKEN", value)
    with pytest.raises(UsageError, match=r"the token for \S+ is missing: A_TOKEN is not set"):
        take(server, tmp_path, hosts=token_for(server))
    assert server.requests == []


def test_a_token_is_not_sent_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "hunter2")
    access = Access(hosts={"host.invalid": Host("host.invalid", token_env="A_TOKEN")})
    with pytest.raises(UsageError, match=r"host\.invalid would be sent in the clear"):
        access.token("http://host.invalid/a")
    assert access.token("https://host.invalid/a") == "hunter2"
    assert access.token("https://host.invalid:443/a") == "hunter2"
    assert access.token("https://host.invalid:8443/a") is None
    assert access.token("https://a.host.invalid/a") is None
    assert "hunter2" not in repr(access)


def test_no_secret_is_told(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", "hunter2")
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//me:hunter2@"))
    server.faults[f"/{NAME}"] = [Status(407)]
    with pytest.raises(NetworkError, match="the proxy answered 407") as caught:
        take(server, tmp_path, hosts=token_for(server))
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"
    assert server.requests[0].headers["proxy-authorization"].startswith("Basic ")
    assert "NTLM" in (caught.value.hint or "")


def test_a_proxy_of_https_is_verified_before_it_has_the_password(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on the way to an http address, of which nothing but the digest is verified."""
    authority, stranger = Authority(tmp_path / "authority"), Authority(tmp_path / "stranger")
    wanted = Wanted(f"http://files.invalid/{NAME}", NAME, SHA256, len(DATA))
    tls = authority.server(authority.issue("a proxy"))
    with LoopbackServer(server.directory, tls) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//me:hunter2@"))
        for ca in (None, str(stranger.ca)):
            access = Access(patience=PATIENCE, ca=ca)
            with pytest.raises(NetworkError, match="the certificate is not trusted"):
                fetch(wanted, Fetching(Cache(tmp_path / "cache"), access))
        assert proxy.requests == []
        client = Host("files.invalid", client_cert=str(authority.issue("a client")))
        access = Access(patience=PATIENCE, ca=str(authority.ca), hosts={client.name: client})
        fetch(wanted, Fetching(Cache(tmp_path / "cache"), access))
        assert [one.path for one in proxy.requests] == [wanted.url]


@pytest.mark.parametrize("scheme", ["socks", "socks4", "socks4a", "socks5", "SOCKS5h"])
def test_a_proxy_that_speaks_socks_is_told(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://me:hunter2@127.0.0.1:1080")
    with pytest.raises(UsageError, match=r"^the proxy speaks SOCKS, which sealift") as caught:
        take(server, tmp_path)
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize(
    "proxy",
    [
        "not a proxy:hunter2@",
        "http://me:hunter2@[::1",
        "http://me:hunter2/@proxy.invalid:3128",
        "http://me:hunter2@proxy.invalid:99999",
        "ftp://me:hunter2@proxy.invalid",
        "http://me:hunter2@",
        "http://me:hunter2@a b",
    ],
)
def test_a_proxy_that_is_no_address(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(UsageError, match=r"^the proxy has no address that can be used") as caught:
        take(server, tmp_path)
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"
    assert server.requests == []


def test_a_proxy_without_a_scheme(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", host_of(server))
    wanted = Wanted(f"http://files.invalid/{NAME}", NAME, SHA256, len(DATA))
    fetch(wanted, Fetching(Cache(tmp_path / "cache"), Access(patience=PATIENCE)))
    assert server.paths == [f"http://files.invalid/{NAME}"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"machine 127.0.0.1 login m\xff password hunter2", "not in UTF-8"),
        ("machine 127.0.0.1 login me password hunter2\u2603".encode(), "beyond Latin-1"),
    ],
)
def test_a_netrc_that_cannot_be_used(
    server: LoopbackServer, tmp_path: Path, line: bytes, message: str
) -> None:
    (tmp_path / "netrc").write_bytes(line + b"\n")
    with pytest.raises(UsageError, match=message) as caught:
        take(server, tmp_path)
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"


def test_a_password_of_a_proxy_that_cannot_be_sent(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//me:%E2%98%83@"))
    with pytest.raises(UsageError, match="beyond Latin-1"):
        take(server, tmp_path)


def test_a_client_certificate_goes_to_its_host(server: LoopbackServer, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    tls = authority.server(authority.issue("server"), clients=True)
    certificate = str(authority.issue("client"))
    with LoopbackServer(server.directory, tls) as secure:
        own = {host_of(secure): Host(host_of(secure), client_cert=certificate)}
        take(secure, tmp_path, ca=str(authority.ca), hosts=own)
        with pytest.raises(NetworkError, match=r"TLS|connection"):
            take(secure, tmp_path / "b", ca=str(authority.ca))
        assert len(secure.requests) == 1
        server.faults[f"/{NAME}"] = [Redirect(f"{secure.url}/{NAME}")]
        take(server, tmp_path / "c", ca=str(authority.ca), hosts=own)


def test_a_certificate_that_is_none_is_told(server: LoopbackServer, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    with LoopbackServer(server.directory, authority.server(authority.issue("server"))) as secure:
        missing = {host_of(secure): Host(host_of(secure), client_cert=str(tmp_path / "none"))}
        with pytest.raises(HostError, match="cannot read the certificates"):
            take(secure, tmp_path, ca=str(authority.ca), hosts=missing)
        with pytest.raises(HostError, match="cannot read the certificates"):
            take(secure, tmp_path, ca=str(tmp_path / "none"))


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_the_environments_authority_comes_first(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    authority, unknown = Authority(tmp_path / "authority"), Authority(tmp_path / "unknown")
    with LoopbackServer(server.directory, authority.server(authority.issue("server"))) as secure:
        monkeypatch.setenv(variable, str(authority.ca))
        take(secure, tmp_path, ca=str(unknown.ca))


def test_the_proxy_of_the_spec_serves_unless_the_environment_says_otherwise(
    server: LoopbackServer, other: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(server, tmp_path / "a", proxy=other.url)
    assert [request.path for request in other.requests] == [f"{server.url}/{NAME}"]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    take(server, tmp_path / "b", proxy=other.url)
    assert len(other.requests) == 1
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("http_proxy", server.url)
    take(other, tmp_path / "c", proxy="http://127.0.0.1:1")
    assert server.requests[-1].path == f"{other.url}/{NAME}"


def test_no_proxy_holds_where_a_redirect_leads(
    server: LoopbackServer, other: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "localhost")
    with LoopbackServer(server.directory) as proxy:
        away = other.url.replace("127.0.0.1", "localhost")
        proxy.faults[f"/{NAME}"] = [Redirect(f"{away}/{NAME}")]
        take(server, tmp_path, proxy=proxy.url)
        assert len(proxy.requests) == 1
    assert other.requests[0].path == f"/{NAME}"


def test_the_spec_is_read_beside_its_files(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    (tmp_path / "client.pem").write_text("")
    network = Network(ca="ca.pem", hosts=(Host("host.invalid", client_cert="client.pem"),))
    access = read_access(network, tmp_path, PATIENCE)
    assert access.ca == str(tmp_path / "ca.pem")
    assert access.certificate("https://host.invalid/a") == str(tmp_path / "client.pem")
    assert access.certificate("https://else.invalid/a") is None
    keyed = Network(hosts=(Host("h", client_cert="client.pem", client_key="ca.pem"),))
    both = read_access(keyed, tmp_path, PATIENCE).certificate("https://h/")
    assert both == (str(tmp_path / "client.pem"), str(tmp_path / "ca.pem"))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Network(ca="none.pem"), r"names a file that is not there: .*none\.pem"),
        (Network(hosts=(Host("h", client_cert="none.pem"),)), "names a file that is not there"),
        (Network(hosts=(Host("h"), Host("h", token_env="A"))), "names a host twice"),
    ],
)
def test_a_spec_that_makes_no_sense_is_told(tmp_path: Path, network: Network, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_access(network, tmp_path, PATIENCE)


def test_a_build_takes_the_way_that_the_spec_names(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", "hunter2")
    (tmp_path / "shop").mkdir()
    shop = Workshop(tmp_path / "shop").found()
    (server.directory / "tool-1.0.tar.gz").write_bytes(shop.tool.read_bytes())
    with shop.spec.open("a") as file:
        file.write(
            f'[[network.host]]\nname = "{host_of(server)}"\ntoken_env = "A_TOKEN"\n'
            '[[network.mirror]]\nprefix = "https://published.invalid/"\n'
            f'urls = ["{server.url}/"]\n'
        )
    assert (
        shop.sealift(
            *("add", "--url", "https://published.invalid/tool-1.0.tar.gz"),
            *("--sha256", digest(shop.tool), "--name", "tool", "--version", "1.0"),
        )
        == 0
    )
    bundle = shop.build()
    assert server.requests[0].headers["authorization"] == "Bearer hunter2"
    assert server.paths == ["/tool-1.0.tar.gz"]
    assert '"https://published.invalid/tool-1.0.tar.gz"' in shop.lock.read_text()
    for path in (shop.lock, *(path for path in bundle.rglob("*") if path.is_file())):
        data = path.read_bytes()
        assert b"hunter2" not in data
        assert host_of(server).encode() not in data


def test_a_catalogue_comes_by_the_way_that_the_spec_names(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", "hunter2")
    (tmp_path / "shop").mkdir()
    shop = Workshop(tmp_path / "shop").found()
    (server.directory / "python.tar.gz").write_bytes(shop.python.read_bytes())
    shop.publish(url=f"{server.url}/python.tar.gz")
    (server.directory / "downloads.json").write_bytes((shop.served / "downloads.json").read_bytes())
    text = shop.spec.read_text()
    shop.spec.write_text(f'catalogs = ["{server.url}/downloads.json"]\n{text}')
    with shop.spec.open("a") as file:
        file.write(f'[[network.host]]\nname = "{host_of(server)}"\ntoken_env = "A_TOKEN"\n')
    server.faults["/downloads.json"] = [Status(503, "0"), Good()]
    assert shop.add_python() == 0
    assert shop.sealift("lock") == 0
    asked = [one for one in server.requests if one.path == "/downloads.json"]
    assert [one.headers["authorization"] for one in asked] == ["Bearer hunter2"] * 2


def test_a_password_in_the_spec_is_refused_and_not_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Workshop(tmp_path).found()
    with shop.spec.open("a") as file:
        file.write('[network]\nproxy = "http://me:hunter2@proxy.invalid:3128"\n')
    assert shop.sealift("lock") == 2
    error = capsys.readouterr().err
    assert "network.proxy" in error
    assert "Found: an address with credentials" in error
    assert "hunter2" not in error
