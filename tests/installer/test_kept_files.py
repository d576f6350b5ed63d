"""A pipe, a device, a directory or a link in the place of a file of the state: a clear end, no wait."""

import os
import shutil
import signal
import stat
from pathlib import Path

import pytest

from sealift_installer import cli
from sealift_installer.errors import HostError
from sealift_installer.hostkey import NAME, load_host_key
from sealift_installer.journal import Journal
from sealift_installer.receipts import ReceiptLog
from target import Target, tool


@pytest.fixture
def target(tmp_path):
    target = Target(tmp_path)
    target.carry(tool())
    target.trust()
    target.install()
    return target


@pytest.fixture(autouse=True)
def awake():
    """Let what waits for a pipe fail, instead of waiting as long as the tests are let."""

    def fail(*_):
        raise TimeoutError("it waits")

    former = signal.signal(signal.SIGALRM, fail)
    signal.alarm(400)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


def put_pipe(path: Path) -> None:
    os.mkfifo(path)


def put_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def put_loop(path: Path) -> None:
    path.symlink_to(path.name)


def put_socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o644)  # the module socket is not for the trusted side


THINGS = {
    "pipe": put_pipe,
    "directory": Path.mkdir,
    "device": put_device,
    "loop": put_loop,
    "socket": put_socket,
}
FILES = ("trust.json", "receipts.jsonl", "roots/1.root.dsse.json", "installs/tool-1.0.json")
CHECK, LIST, SHOW = ("check",), ("list",), ("trust", "show")
READERS = [
    *((file, command) for file in FILES[:3] for command in (CHECK, SHOW)),
    ("installs/tool-1.0.json", CHECK),
    ("installs/tool-1.0.json", LIST),
    ("journal/tool-1.0.json", CHECK),
    ("lock", ("uninstall", "tool-1.0")),
]
WORDS = {
    "pipe": "a pipe or a device stands in the place of a file: ",
    "directory": "Is a directory: ",
    "device": "a pipe or a device stands in the place of a file: |Too many levels",
    "loop": "Too many levels of symbolic links: ",
    "socket": "No such device or address: ",
}


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize(("file", "command"), READERS)
def test_something_else_than_a_file(target, capsys, thing, file, command):
    path = target.prefix.state / file
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    THINGS[thing](path)
    code = cli.main([*command, "--prefix", str(target.prefix.path)])
    said = capsys.readouterr().err
    assert code == HostError.exit_code, said
    assert str(path) in said
    assert any(words in said for words in WORDS[thing].split("|")), said


@pytest.mark.parametrize("thing", THINGS)
def test_a_kept_index(target, capsys, thing):
    path = next((target.prefix.state / "index").iterdir())
    path.unlink()
    THINGS[thing](path)
    assert cli.main(["check", "--prefix", str(target.prefix.path)]) == HostError.exit_code
    assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize("thing", THINGS)
def test_what_is_written_is_not_written_there(target, thing):
    """The next install puts nothing into it."""
    bundle = target.carry(tool(content=b"two\n"))
    path = target.store.log.path
    former = path.read_bytes()
    path.unlink()
    THINGS[thing](path)
    with pytest.raises(HostError, match="receipts"):
        target.install(bundle)
    with pytest.raises(HostError, match="receipts"):
        ReceiptLog(path).append(b"one\n")
    if thing == "directory":
        path.rmdir()
    else:
        path.unlink()
    path.write_bytes(former)
    (outcome,) = target.install(bundle).outcomes
    assert outcome.error is None


def test_a_pipe_with_a_reader(target):
    path = target.store.log.path
    path.unlink()
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(HostError, match=r"in the place of a file: .*receipts\.jsonl"):
            ReceiptLog(path).append(b"one\n")
        assert os.read(reader, 100) == b""
    finally:
        os.close(reader)


def test_the_key_of_this_host(target):
    os.mkfifo(target.prefix.state / NAME)
    with pytest.raises(HostError, match="a pipe or a device stands"):
        load_host_key(target.prefix.state)


def test_a_link_to_a_file_is_followed(target, tmp_path, capsys):
    """Whoever keeps the state elsewhere may: who writes here could write a file as well."""
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(target.prefix.state, elsewhere)
    for file in FILES:
        path = target.prefix.state / file
        path.unlink()
        path.symlink_to(elsewhere / file)
    assert cli.main(["check", "--prefix", str(target.prefix.path)]) == 0
    assert "as it was sealed" in capsys.readouterr().out
    assert list(Journal(target.prefix).entries()) == []
