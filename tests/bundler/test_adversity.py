"""Whole commands under adverse conditions: lying lists, full disks, odd places, interrupts."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from catalogs import document, entry
from loopback import Body, Good, LoopbackServer, NoRange, Redirect, Reset, Slow, Status, Truncated
from road import PROGRAMS
from sealift_bundler import web
from workshop import Workshop, digest, tree

SECRET = "hunter2-and-more"
KINDS = {
    "refused": [Status(401)],
    "forbidden": [Status(403)],
    "missing": [Status(404)],
    "a proxy's word": [Status(407)],
    "busy": [Status(503)],
    "away": [Reset(None)],
    "cut off": [Truncated(30)],
    "a web page": [Body(b"<html>log in</html>", "text/html")],
    "other bytes": [Body(b"other bytes")],
    "led on": [Redirect("/nowhere")],
    "led to a file": [Redirect("file:///etc/passwd")],
    "led in a circle": [Redirect("/tool-1.0.tar.gz")],
}


@pytest.fixture
def workshop(tmp_path, monkeypatch):
    monkeypatch.setattr(web, "PATIENCE", web.Patience(attempts=2, pause=0.0))
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    return Workshop(tmp_path).found()


@pytest.fixture
def server(workshop):
    with LoopbackServer(workshop.served) as server:
        yield server


def add(workshop, server, *more):
    """Ask for the server's tool."""
    with workshop.spec.open("a") as spec:
        spec.write(
            f'[[url]]\nurl = "{server.url}/tool-1.0.tar.gz"\nname = "tool"\nversion = "1.0"\n'
            f'sha256 = "{digest(workshop.tool)}"\n' + "".join(more)
        )


def told(workshop, capfd, *words):
    """Run sealift; return its code and everything that it said or wrote."""
    code = workshop.sealift(*words)
    shown = capfd.readouterr()
    places = [workshop.site, workshop.folder / "cache"]
    kept = b"".join(data for place in places for data in tree(place).values())
    return code, shown.out + shown.err + kept.decode("utf-8", "replace")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["netrc", "token", "mirror", "proxy"])
def test_no_secret_is_told_whatever_fails(kind, way, workshop, server, capfd, monkeypatch):
    server.faults["/tool-1.0.tar.gz"] = KINDS[kind]
    host = server.url.removeprefix("http://")
    if way == "netrc":
        netrc = workshop.folder / "netrc"
        netrc.write_text(f"machine 127.0.0.1 login me password {SECRET}\n")
        monkeypatch.setenv("NETRC", str(netrc))
    if way == "proxy":
        monkeypatch.setenv("http_proxy", f"http://me:{SECRET}@{host}")
    token = f'[[network.host]]\nname = "{host}"\ntoken_env = "TOKEN"\n' if way == "token" else ""
    monkeypatch.setenv("TOKEN", SECRET)
    if way == "mirror":
        prefix = "https://github.com/astral-sh/python-build-standalone/releases/download/"
        workshop.publish(url=f"{prefix}1/tool-1.0.tar.gz", sha256=digest(workshop.tool))
        workshop.add_python()
        monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", f"http://me:{SECRET}@{host}/mirror")
        server.faults["/mirror/1/tool-1.0.tar.gz"] = KINDS[kind]
    else:
        add(workshop, server, token)
    code, text = told(workshop, capfd, "lock")
    assert code in {4, 8}, text
    asked = [one for one in server.requests if "tool-1.0" in one.path]
    assert asked
    if kind == "away" or way == "proxy":
        return  # the proxy's password goes to the proxy, whatever is asked
    assert any("authorization" in one.headers for one in asked)
    assert SECRET not in text


@pytest.mark.parametrize("way", ["proxy", "catalogue"])
def test_no_secret_of_a_place_that_is_away_is_told(way, workshop, capfd, monkeypatch):
    if way == "proxy":
        monkeypatch.setenv("http_proxy", f"http://me:{SECRET}@127.0.0.1:1")
    else:
        url = f"http://me:{SECRET}@127.0.0.1:1/list.json?key={SECRET}"
        workshop.environment["UV_PYTHON_DOWNLOADS_JSON_URL"] = url
    with workshop.spec.open("a") as spec:
        spec.write(
            '[[url]]\nurl = "http://127.0.0.2:1/a.tar.gz"\nname = "a"\nversion = "1"\n'
            f'sha256 = "{"0" * 64}"\n'
        )
    workshop.add_python()
    code, text = told(workshop, capfd, "lock")
    assert code == 8
    assert SECRET not in text


LIES = {
    "a path in the name": ({"url": "https://h.invalid/x/..%2F..%2F..%2Fetc%2Fpasswd.tar.gz"}, 8),
    "a backslash": ({"url": "https://h.invalid/..%5C..%5Cx.tar.gz"}, 8),
    "no name": ({"url": "https://h.invalid/"}, 2),
    "a device's name": ({"url": "https://h.invalid/.tar.gz"}, 8),
    "a name of 300 letters": ({"url": f"https://h.invalid/{'a' * 300}.tar.gz"}, 8),
    "a password": ({"url": f"https://me:{SECRET}@h.invalid/a.tar.gz"}, 4),
    "a line break": ({"url": "https://h.invalid/a\n.tar.gz"}, 4),
    "no digest at all": ({"sha256": "0" * 63}, 4),
    "a version beyond": ({"minor": 10**30}, 4),
    "a patch that is a text": ({"patch": "3; rm -rf /"}, 4),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_list_that_lies_is_refused(lie, workshop, server, capfd):
    changes, expected = LIES[lie]
    (workshop.served / "list.json").write_bytes(
        document(entry(**{"sha256": digest(workshop.python), **changes}))
    )
    workshop.environment["UV_PYTHON_DOWNLOADS_JSON_URL"] = f"{server.url}/list.json"
    workshop.add_python()
    code, text = told(workshop, capfd, "lock")
    assert code == expected, text[:500]
    assert SECRET not in text.replace(str(changes), "")
    assert "defect" not in text
    assert not workshop.lock.exists()
    inside = [workshop.folder / name for name in ("served", "site", "cache")]
    assert sorted(workshop.folder.iterdir()) == sorted(inside)


def test_a_list_from_a_server_leads_to_no_file_of_this_machine(workshop, server, capfd):
    workshop.publish()
    workshop.environment["UV_PYTHON_DOWNLOADS_JSON_URL"] = f"{server.url}/downloads.json"
    workshop.add_python()
    code, text = told(workshop, capfd, "lock")
    assert code == 4, text
    assert "file" in text
    assert not workshop.lock.exists()


def test_a_file_that_changes_between_lock_and_build(workshop, server, capfd):
    add(workshop, server)
    assert workshop.sealift("lock") == 0
    shutil.rmtree(workshop.folder / "cache")
    workshop.serve("tool-1.0.tar.gz", {"tool-1.0/bin/tool": b"another tool"})
    output = workshop.folder / "bundle"
    code, text = told(workshop, capfd, "build", "--output", str(output))
    assert code == 4
    assert "has another size than" in text or "has other bytes than" in text
    assert not output.exists()
    assert tree(workshop.folder / "cache").keys() <= {"lock"}


@pytest.mark.parametrize(
    "name", ["a site", "Größe 大きさ", 'quote\'s "and" $HOME `x` \\n', "%41+%2B", "x" * 200]
)
def test_a_site_may_be_called_anything(name, tmp_path):
    folder = tmp_path / name / ("y" * 150) / "z"
    folder.mkdir(parents=True)
    workshop = Workshop(folder).found()
    workshop.add_tool()
    workshop.add_python()
    bundle = workshop.build()
    assert workshop.sealift("verify", bundle) == 0
    for data in tree(bundle).values():
        assert str(folder).encode() not in data


def mounts_work():
    command = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs none /srv"]
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_mounts = pytest.mark.skipif(not mounts_work(), reason="unshare -rm does not mount here")


def mounted(workshop, script):
    """Run a shell script in the site, where it may mount."""
    return subprocess.run(
        ["unshare", "-rm", "sh", "-euc", script],
        cwd=workshop.site,
        env={**os.environ, **workshop.environment, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


@needs_mounts
@pytest.mark.parametrize("full", ["../cache", "../out"])
@pytest.mark.parametrize("room", ["8k", "64k"])
def test_a_full_disk_leaves_nothing_half_done(full, room, workshop):
    workshop.serve("large.tar.gz", {"large/data": random.Random(1).randbytes(300_000)})
    large = workshop.served / "large.tar.gz"
    with workshop.spec.open("a") as spec:
        spec.write(
            f'[[url]]\nurl = "{large.as_uri()}"\nname = "large"\nversion = "1.0"\n'
            f'sha256 = "{digest(large)}"\n'
        )
    done = mounted(
        workshop,
        f"mkdir -p {full}; mount -t tmpfs -o size={room} none {full}\n"
        "code=0; sealift build --output ../out/bundle || code=$?\n"
        f'echo "code $code"; find {full} -type f -size +0 | sort; ls -A ../out',
    )
    lines = done.stdout.splitlines()
    assert "code 6" in lines, done.stdout + done.stderr
    assert "defect" not in done.stderr
    left = lines[lines.index("code 6") + 1 :]
    assert not [line for line in left if "archives" in line or line == "bundle"], left
    # With room it goes on.
    assert workshop.sealift("build", "--output", workshop.folder / "bundle") == 0


@needs_mounts
def test_a_cache_that_cannot_be_written_serves_all_the_same(workshop):
    workshop.add_tool()
    workshop.build()
    spec = workshop.spec.read_text()
    workshop.serve("other.tar.gz", {"other/data": b"x"})
    other = workshop.served / "other.tar.gz"
    freeze = "mount --bind ../cache ../cache; mount -o remount,bind,ro ../cache\n"
    done = mounted(workshop, f"{freeze} sealift build --output ../second")
    assert done.returncode == 0, done.stderr
    workshop.spec.write_text(
        f'{spec}[[url]]\nurl = "{other.as_uri()}"\nname = "other"\nversion = "1.0"\n'
        f'sha256 = "{digest(other)}"\n'
    )
    done = mounted(workshop, f"{freeze} sealift build --output ../third")
    assert done.returncode == 6, done.stderr
    assert "cannot write the cache: Read-only file system" in done.stderr
    assert not (workshop.folder / "third").exists()


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 30))]
)
def test_an_interrupt_at_any_moment_leaves_what_a_next_run_goes_on_with(seed, workshop, server):
    server.faults["/tool-1.0.tar.gz"] = [Slow(0.3)]
    add(workshop, server)
    output = workshop.folder / "bundle"
    words = [PROGRAMS / "sealift", "build", "--output", output]
    environment = {**os.environ, **workshop.environment, "no_proxy": "127.0.0.1"}
    process = subprocess.Popen(
        words, cwd=workshop.site, env=environment, stderr=subprocess.PIPE, text=True
    )
    # Before that it is Python that is interrupted, and says so.
    while not (workshop.folder / "cache" / "lock").exists():
        assert process.poll() is None
        time.sleep(0.001)
    time.sleep(random.Random(seed).uniform(0.0, 1.5))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert "Traceback" not in said
    assert process.returncode in {0, 130}, said
    if output.exists():
        # It came too late: all is there.
        assert workshop.sealift("verify", output) == 0
    assert [path.name for path in workshop.folder.glob(".bundle*")] == []
    shutil.rmtree(output, ignore_errors=True)
    server.faults["/tool-1.0.tar.gz"] = [Good()]
    assert subprocess.run(words, cwd=workshop.site, env=environment, check=False).returncode == 0
    assert json.loads((output / "manifest.json").read_text())["subject"]


def test_an_interrupt_at_the_end_is_none(tmp_path):
    """When all is done and said, Python still has to end."""
    code = (
        "import atexit, os, signal; from sealift_bundler.cli import main\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_two_builds_at_once_on_one_cache(workshop, server):
    server.faults["/tool-1.0.tar.gz"] = [Slow(0.5), NoRange()]
    add(workshop, server)
    twin = workshop.folder / "twin"
    shutil.copytree(workshop.site, twin)
    environment = {**os.environ, **workshop.environment, "no_proxy": "127.0.0.1"}
    running = [
        subprocess.Popen(
            [sys.executable, PROGRAMS / "sealift", "build", "--output", workshop.folder / name],
            cwd=site,
            env=environment,
        )
        for name, site in (("one", workshop.site), ("two", twin))
    ]
    assert [process.wait() for process in running] == [0, 0]
    assert server.paths.count("/tool-1.0.tar.gz") == 1
    one, two = (tree(workshop.folder / name) for name in ("one", "two"))
    assert one == two
    assert Path(workshop.folder / "cache/partial").exists()
