import errno
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loopback import LoopbackServer, Redirect
from sealift_bundler.addresses import find_flaw
from sealift_bundler.mirrors import PBS, find_addresses
from sealift_bundler.specfile import append_tables, read_spec
from sealift_installer.errors import UsageError
from workshop import Workshop

HEX = "a" * 64
URL = '[[url]]\nurl = "{}"\nname = "n"\nversion = "1"\nsha256 = "' + HEX + '"\n'


class FullFile:
    """A file on a disk that is full."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def workshop(tmp_path):
    return Workshop(tmp_path).found()


@pytest.mark.parametrize(
    ("url", "flaw"),
    [
        ("https://user:hunter2@host/a.zip", "user or password"),
        ("http://[host/a.zip", "no host and port that can be read"),
        ("http://host:99999/a.zip", "no host and port that can be read"),
        ("http://\u2100.org/a.zip", "no host and port that can be read"),
        ("http:///a.zip", "no host"),
        ("https://host/\u202ea.zip", "control characters"),
        ("https://host/\x1b[31m.zip", "control characters"),
        ("file:///a%00.zip", "a NUL byte"),
        ("https://host/" + "a/" * 5000 + "a.zip", "more than 8000 characters"),
        ("https://host/@scope/a.zip?a=b@c", None),
        ("file:///a b/c%2B.zip", None),
    ],
)
def test_an_address_that_is_no_use_is_told(url, flaw):
    assert find_flaw(url) == flaw


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (URL.format("http://u:hunter2@[host/a.zip"), "Found: no host and port that can be read"),
        (URL.format("http://u:hunter2@host/a.zip"), "Found: user or password"),
        (URL.format("file:///a%00.zip"), "Found: a NUL byte"),
        ('[[python]]\nrequest = "3.13"\nplatforms = ' + "[" * 3000, "is not TOML"),
        ("expires_days = " + "9" * 5000, "is not TOML"),
        ("a." * 2000 + "b = 1", "is not TOML"),
        ("a." * 100_000 + "b = 1", "a line with more than 8000 dots"),
        ("[" + "a." * 2000 + "b]\n[a]\n", "is not TOML"),
        ("\ufeff# by an editor", "it begins with a byte order mark"),
        ("expires_days = 0x" + "f" * 5000, "Found: a larger one"),
        ('catalogs = ["a\\u0000"]', "catalogs[0]\n  Expected: text without NUL"),
        ('[[package]]\nrequest = "a @ https://u:hunter2@h/a.whl"', "without extras, markers and"),
        ('[[package]]\nrequest = "a @@ https://u:hunter2@h/a.whl"', "not a package: a"),
    ],
)
def test_an_absurd_spec_is_told_without_a_defect(text, message, workshop, capsys):
    table, value = workshop.spec.read_text(), text
    # Plain keys stand above the tables.
    workshop.spec.write_text(table + value if value.startswith("[[") else value + "\n" + table)
    assert workshop.sealift("lock") == 2
    told = capsys.readouterr().err
    assert message in told
    assert "hunter2" not in told


def test_a_catalogue_with_a_password_in_an_address_is_refused(workshop, capsys):
    workshop.publish(url="https://user:hunter2@host/cpython.tar.gz", sha256=HEX)
    assert workshop.add_python() == 0
    assert workshop.sealift("lock") == 4
    told = capsys.readouterr().err
    assert "any name.url\n  Expected: a plain address\n  Found: user or password" in told
    assert "hunter2" not in told


def test_of_several_requests_all_are_added_or_none(workshop):
    before = workshop.spec.read_bytes()
    assert workshop.sealift("add", "3.13", "pypi:tool==1", "nonsense") == 2
    assert workshop.spec.read_bytes() == before


def test_what_is_added_at_once_is_all_there(workshop):
    def add(number):
        url = f"https://h.invalid/{number}.tar.gz"
        values = {"url": url, "name": f"t{number}", "version": "1", "sha256": "0" * 64}
        append_tables(workshop.spec, [("url", values)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(24)))
    names = [one.name for one in read_spec(workshop.spec).url]
    assert sorted(names) == sorted(f"t{number}" for number in range(24))


@pytest.mark.parametrize("request_text", ["pypi:", "pypi:a b", "pypi:a[x]==1", "installed:"])
def test_what_could_never_be_found_is_not_added(request_text, workshop):
    before = workshop.spec.read_bytes()
    assert workshop.sealift("add", request_text) == 2
    assert workshop.spec.read_bytes() == before


def test_an_error_in_a_link_names_the_option(workshop, capsys):
    assert workshop.add_tool("--link", "../x=bin/x") == 2
    assert "error: --link is wrong" in capsys.readouterr().err


def test_a_key_is_whole_or_not_there(workshop, capsys):
    public = workshop.site / "keys" / "second.pub.pem"
    assert workshop.sealift("key", "new", "second.pem", "--no-passphrase") == 2
    assert not (workshop.site / "second.pem").exists()
    public.symlink_to("nowhere/at/all")
    assert workshop.sealift("key", "new", "second", "--no-passphrase") == 6
    assert not (workshop.site / "keys" / "second.key.pem").exists()
    assert "a new key is two files" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["key", "new", "k", "--passphrase-fd", "-1"], 2, "--passphrase-fd"),
        (["key", "new", "k", "--passphrase-file", "/dev/zero"], 2, "more than 65536 bytes"),
        (["verify", ".", "--root", "/dev/zero"], 4, "too large: the root"),
        (["init", "x" * 300], 6, "File name too long"),
        (["lock", "--site", "x" * 300], 6, "File name too long"),
        (["search", "x" * 100_000], 2, "x..."),
        (["verify", "a\x1b[31m"], 6, "a\\x1b[31m"),
    ],
)
def test_absurd_words_are_told_without_a_defect(words, code, message, workshop, capsys):
    assert workshop.sealift(*words) == code
    told = capsys.readouterr().err
    assert message in told
    assert len(told) < 10_000


@pytest.mark.parametrize(
    ("redirection", "code", "told"),
    [
        (">/dev/full", 6, "error: cannot go on: No space left on device\n"),
        (">&-", 0, ""),
        ("2>/dev/full >&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
    ],
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_streams_are_taken_as_they_are(redirection, code, told, workshop):
    program = "from sealift_bundler.cli.main import main; main()"
    command = [sys.executable, "-c", program, "root", "show", "--json"]
    run = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *command],
        capture_output=True,
        cwd=workshop.site,
        env=os.environ | workshop.environment,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (code, told)


def test_a_locale_that_cannot_write_a_name(workshop):
    """Python reads POSIX as UTF-8 unless told not to; other locales can still lack letters."""
    archive = workshop.tool.rename(workshop.served / "tööl-1.0.tar.gz")
    workshop.tool = archive
    assert workshop.add_tool() == 0
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    program = "from sealift_bundler.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "lock"],
        capture_output=True,
        cwd=workshop.site,
        env=os.environ | workshop.environment | plain,
        text=True,
        check=False,
    )
    assert done.returncode == 6
    assert "error: the locale has no way to write a name" in done.stderr
    assert "LC_ALL=C.UTF-8" in done.stderr


def test_nothing_half_written_stands_in_the_way(workshop, monkeypatch):
    real, folder = os.fdopen, workshop.folder
    shutil.rmtree(workshop.site / "root")
    monkeypatch.setattr(os, "fdopen", lambda *words: FullFile(real(*words)))
    monkeypatch.setattr(os, "fsync", lambda _: FullFile(None).write(b""))
    assert workshop.sealift("init", folder / "other") == 6
    assert workshop.sealift("key", "new", "second", "--no-passphrase") == 6
    assert workshop.sealift("root", "init", "--key", "release") == 6
    monkeypatch.undo()
    assert workshop.sealift("init", folder / "other") == 0
    assert workshop.sealift("key", "new", "second", "--no-passphrase") == 0
    assert workshop.sealift("root", "init", "--key", "release") == 0


def test_a_time_to_come_leaves_no_lock_behind(workshop, capsys):
    workshop.environment["SOURCE_DATE_EPOCH"] = "99999999999"
    assert workshop.sealift("lock") == 5
    assert "the time of the lock is more than a day ahead of the clock" in capsys.readouterr().err
    assert not workshop.lock.exists()


def test_a_size_that_was_edited_is_told_as_a_size(workshop, capsys):
    workshop.add_tool()
    assert workshop.sealift("lock") == 0
    size = workshop.tool.stat().st_size
    text = workshop.lock.read_text()
    workshop.lock.write_text(text.replace(f'"size": {size}', f'"size": {size + 1}'))
    assert workshop.sealift("build") == 4
    assert f"Expected: {size + 1} bytes\n  Computed: {size} bytes" in capsys.readouterr().err


def test_another_stream_is_told_as_a_change(workshop, capsys):
    workshop.add_tool()
    assert workshop.sealift("lock") == 0
    text = workshop.spec.read_text()
    workshop.spec.write_text(text.replace('stream = "site"', 'stream = "other"'))
    assert workshop.sealift("lock") == 0
    assert "~ the stream: site to other; its sequence starts at 1" in capsys.readouterr().out


def test_a_redirect_to_nonsense_is_the_networks_fault(workshop, capsys):
    with LoopbackServer(workshop.served) as server:
        server.faults["/tool-1.0.tar.gz"] = [Redirect("http://[nowhere/a.tar.gz")]
        url = f"{server.url}/tool-1.0.tar.gz"
        words = ("--sha256", HEX, "--name", "tool", "--version", "1")
        assert workshop.sealift("add", "--url", url, *words) == 0
        assert workshop.sealift("lock") == 8
    assert "the server leads to an address that cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "flaw"),
    [
        ("http://[", "no host and port that can be read"),
        ("https://u:hunter2@h/a", "user or password"),
    ],
)
def test_an_address_that_was_edited_in_the_lock_is_refused(workshop, capsys, url, flaw):
    workshop.add_tool()
    assert workshop.sealift("lock") == 0
    text = workshop.lock.read_text()
    before = json.loads(text)["archives"][0]["url"]
    workshop.lock.write_text(text.replace(f'"url": "{before}"', f'"url": "{url}"'))
    shutil.rmtree(workshop.folder / "cache", ignore_errors=True)
    assert workshop.sealift("build") == 2
    told = capsys.readouterr().err
    assert " in sealift.lock has no address to fetch from\n" in told
    assert f"Found: {flaw}" in told
    assert "hunter2" not in told


def test_a_tool_is_not_called_as_an_interpreter_is(workshop, capsys):
    words = ("--sha256", HEX, "--name", "cpython", "--version", "3.11.2")
    url = workshop.tool.as_uri()
    platform = ("--platform", "linux-x86_64-gnu")
    assert workshop.sealift("add", "--url", url, *words, *platform) == 2
    told = capsys.readouterr().err
    assert "a tool cannot be called as an interpreter is: cpython-3.11.2-linux-x86_64-gnu" in told


def test_a_lock_that_was_edited_so_is_not_sealed(workshop, capsys):
    workshop.add_tool()
    assert workshop.sealift("lock") == 0
    lock = json.loads(workshop.lock.read_text())
    lock["archives"][0]["name"] = "cpython-3.11.2-linux-x86_64-gnu"
    workshop.lock.write_text(json.dumps(lock))
    assert workshop.sealift("build") == 4
    assert "calls a tool by an install key" in capsys.readouterr().err


@pytest.mark.parametrize("mirror", ["not a url", "/srv/mirror", "http://[", "u:hunter2@host/m"])
def test_a_mirror_that_is_no_address_is_told_by_its_variable(mirror):
    with pytest.raises(UsageError, match="UV_PYTHON_INSTALL_MIRROR names no address") as caught:
        find_addresses(f"{PBS}1/a.tar.gz", "cpython", (), {"UV_PYTHON_INSTALL_MIRROR": mirror})
    assert "hunter2" not in caught.value.message
