import base64
import hashlib
import io
import json
import os
import re
import sys
import zipfile

import pytest

from certificates import Authority
from index_stand_in import digest_of, publish
from loopback import Body, Gzipped, LoopbackServer, Redirect, Status, nobody
from sealift_bundler import web
from sealift_bundler.access import Access
from sealift_bundler.errors import NetworkError
from sealift_bundler.sources import index_client, pip_settings
from sealift_bundler.sources.package_index import find_package
from sealift_bundler.sources.pip_settings import PipSettings, read_pip_settings, through_pip
from sealift_installer.errors import Damaged, UsageError
from sealift_schemas.lock import LockedArchive
from sealift_schemas.spec import PackageWanted
from workshop import Workshop, tree

LINUX = "linux-x86_64-gnu"
TOOL = [
    "a_tool-1.2.0-py3-none-manylinux_2_28_x86_64.whl",
    "a_tool-1.2.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "a_tool-1.2.0-py3-none-manylinux_2_17_aarch64.whl",
    "a_tool-1.2.0-py3-none-musllinux_1_2_x86_64.whl",
    "a_tool-1.2.0-py3-none-macosx_11_0_arm64.whl",
    "a_tool-1.2.0-py3-none-macosx_10_9_universal2.whl",
    "a_tool-1.2.0-py3-none-win_amd64.whl",
    "a_tool-1.1.0-py3-none-any.whl",
    "a_tool-1.2.0.tar.gz",
]


@pytest.fixture
def index(tmp_path):
    with LoopbackServer(tmp_path) as server:
        publish(server, "a-tool", TOOL)
        yield server


@pytest.fixture
def settings(index):
    return PipSettings(index_url=f"{index.url}/simple/")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(web, "PATIENCE", web.Patience(attempts=2, pause=0.0))


def test_the_wheel_for_the_platform_with_the_least_demand_is_found(index, settings):
    wanted = PackageWanted("a-tool==1.2.0", links={"tool": "bin/tool"})
    (found,) = find_package(wanted, LINUX, settings)
    assert found.name == "a-tool-1.2.0-linux-x86_64-gnu"
    assert found.filename == TOOL[1]
    assert found.url == f"{index.url}/files/{TOOL[1]}"
    assert found.sha256 == digest_of(TOOL[1])
    assert (found.kind, found.recipe, found.format) == ("tool", "wheel", "zip")
    assert (found.source, found.digest_source) == ("package", "index")
    assert found.request == "a-tool==1.2.0"
    assert found.links == {"tool": "bin/tool"}
    assert found.size is None
    assert index.paths == ["/simple/a-tool/"]
    locked = found.locked(5)
    assert LockedArchive.from_json(locked.to_json(), "archive") == locked


@pytest.mark.parametrize(
    ("platform", "filename"),
    [
        ("linux-x86_64-gnu", TOOL[1]),
        ("linux-x86_64_v3-gnu", TOOL[1]),
        ("linux-aarch64-gnu", TOOL[2]),
        ("linux-x86_64-musl", TOOL[3]),
        ("macos-aarch64-none", TOOL[5]),
        ("macos-x86_64-none", TOOL[5]),
        ("windows-x86_64-none", TOOL[6]),
    ],
)
def test_each_platform_gets_its_wheel(platform, filename, settings):
    (found,) = find_package(PackageWanted("A.Tool", (platform,)), LINUX, settings)
    assert found.filename == filename
    assert found.platform == platform


def test_a_wheel_for_any_platform_is_found_once(settings):
    platforms = (LINUX, "windows-x86_64-none")
    (found,) = find_package(PackageWanted("pypi:a-tool==1.1.0", platforms), LINUX, settings)
    assert found.name == "a-tool-1.1.0-any"
    assert found.platform == "any"


@pytest.mark.parametrize(
    ("filenames", "chosen"),
    [
        pytest.param(
            ["x-1-py3-none-any.whl", "x-1-cp313-cp313-manylinux_2_28_x86_64.whl"],
            1,
            id="platform before any",
        ),
        pytest.param(
            [
                "x-1-cp313-cp313-manylinux_2_17_x86_64.whl",
                "x-1-cp39-abi3-manylinux_2_17_x86_64.whl",
                "x-1-py2.py3-none-manylinux_2_28_x86_64.whl",
            ],
            2,
            id="none before abi3 before a version",
        ),
        pytest.param(
            [
                "x-1-cp312-cp312-manylinux_2_17_x86_64.whl",
                "x-1-cp313-cp313-manylinux_2_17_x86_64.whl",
                "x-1-cp313-cp313t-manylinux_2_17_x86_64.whl",
                "x-1-pp311-pypy311_pp73-manylinux_2_17_x86_64.whl",
            ],
            1,
            id="the newest version",
        ),
        pytest.param(
            ["x-1-py3-none-linux_x86_64.whl", "x-1-py3-none-manylinux1_x86_64.whl"],
            1,
            id="a known demand before an unknown one",
        ),
        pytest.param(["x-1-py3-none-any.whl", "x-1-7-py3-none-any.whl"], 1, id="the highest build"),
    ],
)
def test_the_better_wheel_is_chosen(filenames, chosen, index, settings):
    publish(index, "x", filenames)
    (found,) = find_package(PackageWanted("x==1"), LINUX, settings)
    assert found.filename == filenames[chosen]


def test_withdrawn_and_early_versions_are_had_by_their_exact_version_alone(index, settings):
    name = "x-{}-py3-none-any.whl".format
    publish(index, "x", {name("1"): "", name("2"): 'data-yanked="bad"', name("3rc1"): ""})
    (newest,) = find_package(PackageWanted("x"), LINUX, settings)
    (withdrawn,) = find_package(PackageWanted("x==2"), LINUX, settings)
    (early,) = find_package(PackageWanted("x==3rc1"), LINUX, settings)
    assert [newest.version, withdrawn.version, early.version] == ["1", "2", "3rc1"]


@pytest.mark.parametrize(
    ("request_text", "platform", "message", "hint"),
    [
        ("a-tool==9", LINUX, r"no wheel of a-tool==9: http://127", r"it has wheels of 1\.2\.0, 1"),
        ("nothing==1", LINUX, "the package index has no nothing", "pip config list"),
        ("a-tool==1.2.0", "linux-s390x-gnu", "has no wheel for linux-s390x-gnu", "macosx_10_9"),
        ("a-tool[x]==1", LINUX, "without extras, markers and addresses", "NAME==VERSION"),
        ("a tool", LINUX, "not a package: a tool", "NAME==VERSION"),
        ("a==" + "9" * 5000, LINUX, "not a package: a==9", "NAME==VERSION"),
    ],
)
def test_what_cannot_be_found_is_told(request_text, platform, message, hint, settings):
    with pytest.raises(UsageError, match=message) as caught:
        find_package(PackageWanted(request_text, (platform,)), LINUX, settings)
    assert re.search(hint, caught.value.hint or "")


@pytest.mark.parametrize(
    "filename",
    [
        f"x-{'9' * 5000}-py3-none-any.whl",
        f"x-2-{'9' * 5000}-py3-none-any.whl",
        f"x-2-cp3{'9' * 5000}-abi3-any.whl",
        f"x-2-py3-none-manylinux_2_{'9' * 5000}_x86_64.whl",
        # Each part has few tags, and all of them together 1,728.
        f"x-2-{'.'.join(['py3'] * 12)}-{'.'.join(['none'] * 12)}-{'.'.join(['any'] * 12)}.whl",
    ],
)
def test_a_name_without_measure_is_passed_over(filename, index, settings):
    publish(index, "x", [filename, "x-1-py3-none-any.whl"])
    (found,) = find_package(PackageWanted("x"), LINUX, settings)
    assert found.version == "1"


def offer(index, **fields):
    """Let the index offer one wheel, as PEP 691 has it, with `fields`."""
    wheel = {
        "filename": "x-1-py3-none-any.whl",
        "url": "/files/x-1-py3-none-any.whl",
        "hashes": {"sha256": "0" * 64},
        **fields,
    }
    page = {"meta": {"api-version": "1.1"}, "name": "x", "versions": ["1"], "files": [wheel]}
    data = json.dumps(page).encode()
    index.faults["/simple/x/"] = [Body(data, "application/vnd.pypi.simple.v1+json")]


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://host/x", "http://host/\u202ex", "http://h/%00", "http://h:x/"],
)
def test_an_index_that_leads_to_no_server_is_refused(url, index, settings):
    offer(index, url=url)
    with pytest.raises(Damaged, match=r"leads to no server: x-1-py3-none-any\.whl"):
        find_package(PackageWanted("x"), LINUX, settings)


@pytest.mark.parametrize("size", [10**4000, 2**63, -1])
def test_a_size_that_no_file_has_is_none(size, index, settings):
    offer(index, size=size)
    (found,) = find_package(PackageWanted("x"), LINUX, settings)
    assert found.size is None


def test_a_file_without_a_digest_is_refused(index, settings):
    publish(index, "x", {"x-1-py3-none-any.whl": "no-digest"})
    with pytest.raises(UsageError, match=r"tells no SHA-256 for x-1-py3-none-any\.whl"):
        find_package(PackageWanted("x==1"), LINUX, settings)


def test_a_fault_that_passes_is_tried_again(index, settings):
    for status in (408, 429, 503):
        index.requests.clear()
        index.faults["/simple/a-tool/"] = [
            Status(status, "0"),
            *index.faults["/simple/a-tool/"][-1:],
        ]
        index._served.clear()
        (found,) = find_package(PackageWanted("a-tool==1.2.0"), LINUX, settings)
        assert found.version == "1.2.0"
        assert len(index.paths) == 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Status(500), "the server answered 500"),
        (Status(403), "the server answered 403"),
        (Body(b"{}", "application/octet-stream"), "does not answer as a package index"),
        (Body(b"{", "application/vnd.pypi.simple.v1+json"), "does not answer as a package index"),
        (Body(b"[]", "application/vnd.pypi.simple.v1+json"), "does not answer as a package index"),
    ],
)
def test_an_index_that_does_not_answer_is_told(answer, message, index, settings):
    index.faults["/simple/a-tool/"] = [answer]
    with pytest.raises(NetworkError, match=message):
        find_package(PackageWanted("a-tool"), LINUX, settings)


def test_an_answer_that_would_fill_the_memory_is_refused(index, settings, monkeypatch):
    page = b'<!DOCTYPE html><a href="/x-1-py3-none-any.whl">x</a>'
    (index.directory / "simple/a-tool").mkdir(parents=True)
    (index.directory / "simple/a-tool/index.html").write_bytes(page)
    index.faults["/simple/a-tool/"] = [Redirect("index.html")]
    index.faults["/simple/a-tool/index.html"] = [Gzipped(10**9)]
    with pytest.raises(NetworkError, match="the answer is encoded, unasked for"):
        find_package(PackageWanted("a-tool"), LINUX, settings)
    index.faults["/simple/a-tool/index.html"] = [Body(page, "text/html")]
    monkeypatch.setattr(index_client, "LIMIT", len(page) - 1)
    with pytest.raises(NetworkError, match=f"more than {len(page) - 1} bytes for one page"):
        find_package(PackageWanted("a-tool"), LINUX, settings)


def test_a_redirect_of_the_index_to_plain_http_is_refused(tmp_path, monkeypatch):
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    authority = Authority(tmp_path / "authority")
    with LoopbackServer(tmp_path, authority.server(authority.issue("server"))) as server:
        server.faults["/simple/a-tool/"] = [Redirect("http://127.0.0.1:1/simple/a-tool/")]
        settings = PipSettings(f"{server.url}/simple/", cert=str(authority.ca))
        with pytest.raises(NetworkError, match=r"refused a redirect to http://127\.0\.0\.1:1"):
            find_package(PackageWanted("a-tool"), LINUX, settings)


def test_an_index_that_is_not_there_is_told():
    refused = r"http://127\.0\.0\.1:\d+/simple/: connection refused"
    with nobody() as address, pytest.raises(NetworkError, match=refused):
        find_package(PackageWanted("a-tool"), LINUX, PipSettings(f"{address}/simple/"))


def test_credentials_reach_the_index_and_nothing_else(index):
    address = index.url.replace("http://", "http://user:secret@")
    settings = PipSettings(index_url=f"{address}/simple/")
    (found,) = find_package(PackageWanted("a-tool==1.2.0"), LINUX, settings)
    assert "secret" not in found.url
    assert index.requests[0].headers["authorization"].startswith("Basic ")
    index.faults["/simple/a-tool/"] = [Status(500)]
    with pytest.raises(NetworkError, match="answered 500") as caught:
        find_package(PackageWanted("a-tool==1.2.0"), LINUX, settings)
    assert "secret" not in caught.value.message


def test_an_index_that_is_a_folder_is_refused():
    with pytest.raises(UsageError, match="the package index is no web address: file:///simple"):
        find_package(PackageWanted("a-tool"), LINUX, PipSettings("file:///simple"))


@pytest.fixture
def no_configuration_here(tmp_path, monkeypatch):
    """Leave out what this machine and this environment are configured for."""
    monkeypatch.setattr(pip_settings, "_MACHINE", tmp_path / "etc/pip.conf")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))


@pytest.mark.usefixtures("no_configuration_here")
def test_pips_configuration_is_read_in_pips_order(tmp_path):
    home, machine, named = tmp_path / "home", tmp_path / "xdg", tmp_path / "named.conf"
    for path, text in (
        (machine / "pip/pip.conf", "[global]\nindex-url = http://machine\ncert = /machine.pem\n"),
        (home / ".pip/pip.conf", "[global]\nindex_url = http://legacy\n"),
        (home / ".config/pip/pip.conf", "[global]\nproxy = http://proxy\nindex-url=http://user\n"),
        (named, "[global]\nclient-cert = /me.pem\n[download]\nindex-url = http://named\n"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    variables = {"HOME": str(home), "XDG_CONFIG_DIRS": str(machine)}
    user = read_pip_settings(variables)
    assert (user.index_url, user.proxy, user.cert) == (
        "http://user",
        "http://proxy",
        "/machine.pem",
    )
    # The user's file is left out where another one is named.
    other = read_pip_settings(variables | {"PIP_CONFIG_FILE": str(named)})
    assert other == PipSettings("http://named", "/machine.pem", "/me.pem", None)
    loud = {"PIP_INDEX_URL": "http://loud", "PIP_CERT": "/loud.pem"}
    assert read_pip_settings(variables | loud).index_url == "http://loud"
    assert read_pip_settings(variables | loud).cert == "/loud.pem"
    silent = read_pip_settings(variables | {"PIP_CONFIG_FILE": "/dev/null"})
    assert silent == PipSettings()


def test_a_malformed_configuration_is_told_without_its_text(tmp_path):
    named = tmp_path / "pip.conf"
    named.write_text("index-url = http://user:secret@host\n")
    with pytest.raises(UsageError, match="pip's configuration is malformed") as caught:
        read_pip_settings({"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(named)})
    assert "secret" not in caught.value.message


@pytest.fixture
def pips_index(tmp_path, monkeypatch):
    """A real wheel in an index that wants a password; return the server, what asks it, the site."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(zipfile.ZipInfo("b.py", (1980, 1, 1, 0, 0, 0)), "VALUE = 1\n")
    name, sha256 = "b-1-py3-none-any.whl", hashlib.sha256(data.getvalue()).hexdigest()
    page = f'<!DOCTYPE html><a href="/files/{name}#sha256={sha256}">{name}</a>'.encode()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    workshop = Workshop(tmp_path).found()

    def serve(server):
        server.faults["/simple/b/"] = [Body(page, "text/html")]
        server.faults[f"/files/{name}"] = [Body(data.getvalue())]
        assert workshop.sealift("add", "pypi:b==1") == 0
        return workshop

    return serve


def test_the_files_of_the_index_come_with_pips_password(index, pips_index, capfd):
    workshop = pips_index(index)
    address = index.url.replace("http://", "http://user:s%65cret@")
    workshop.environment["PIP_INDEX_URL"] = f"{address}/simple/"
    bundle = workshop.build()
    asked = [request for request in index.requests if request.path.startswith("/files/")]
    basic = base64.b64encode(b"user:secret").decode()
    assert [one.headers["authorization"] for one in asked] == [f"Basic {basic}"]
    kept = [*tree(bundle).values(), *tree(workshop.folder / "cache").values()]
    for data in (*kept, workshop.lock.read_bytes(), capfd.readouterr().err.encode()):
        assert not re.search(rb"secret|s%65cret", data)


def test_pips_password_and_certificate_are_for_its_server_alone():
    settings = PipSettings("https://u:p@Host/simple/", "/ca.pem", "/me.pem", "http://proxy")
    access = through_pip(Access(), settings)
    assert (access.ca, access.proxy) == ("/ca.pem", "http://proxy")
    assert access.password("https://host:443/files/a.whl") == ("u", "p")
    assert access.certificate("https://host/files/a.whl") == "/me.pem"
    for other in ("https://other/a.whl", "https://host:444/a.whl", "http://host/a.whl"):
        assert access.password(other) is None
        assert access.certificate(other) is None
    assert "'p'" not in repr(access)


def test_the_files_of_the_index_come_by_pips_certificates(tmp_path, pips_index):
    authority = Authority(tmp_path / "authority")
    with LoopbackServer(tmp_path, authority.server(authority.issue("server"))) as server:
        workshop = pips_index(server)
        workshop.environment |= {"PIP_INDEX_URL": f"{server.url}/simple/"}
        assert workshop.sealift("lock") == 8
        workshop.environment |= {"PIP_CERT": str(authority.ca)}
        workshop.build()


def test_the_index_is_asked_by_the_authorities_of_the_spec(tmp_path, pips_index, monkeypatch):
    monkeypatch.delenv("PIP_CERT", raising=False)
    authority = Authority(tmp_path / "authority")
    with LoopbackServer(tmp_path, authority.server(authority.issue("server"))) as server:
        workshop = pips_index(server)
        workshop.environment |= {"PIP_INDEX_URL": f"{server.url}/simple/"}
        assert workshop.sealift("lock") == 8
        with workshop.spec.open("a") as file:
            file.write(f'[network]\nca = "{authority.ca}"\n')
        workshop.build()


def test_an_index_with_an_absurd_address_is_told_without_it():
    variables = {"PIP_INDEX_URL": "http://u:secret@[host/simple", "PIP_CONFIG_FILE": os.devnull}
    with pytest.raises(UsageError, match="has no address to fetch from") as caught:
        read_pip_settings(variables)
    assert "secret" not in caught.value.message
