"""The record: a chain that shows each edit."""

import json

import pytest

from sealift_installer.errors import HostError, Untrusted
from sealift_installer.receipts import Event, ReceiptLog, hash_line
from sealift_schemas.receipt import FIRST, ArchiveIdentity
from simulator import NOW


@pytest.fixture
def log(tmp_path):
    """A record of five lines that are read without complaint."""
    log = ReceiptLog(tmp_path / "receipts.jsonl")
    head = FIRST
    for number in range(1, 6):
        archive = ArchiveIdentity(f"tool-{number}", "0" * 64, f"/opt/sealift/tools/tool-{number}")
        event = Event(NOW, "install", "installed", archive=archive, overrides={"a": "because"})
        line = event.receipt(number, head, NOW, "0" * 64).encode()
        log.append(line)
        head = hash_line(line)
    assert [receipt.number for receipt in log.read()] == [1, 2, 3, 4, 5]
    assert log.read_tail().head == head
    return log


def change(log, edit):
    lines = log.path.read_bytes().splitlines(keepends=True)
    log.path.write_bytes(b"".join(edit(lines)))


def test_an_empty_record(tmp_path):
    log = ReceiptLog(tmp_path / "receipts.jsonl")
    assert list(log.read()) == []
    assert log.read_tail().head == FIRST


def test_an_edited_line(log):
    change(log, lambda lines: [*lines[:2], lines[2].replace(b"because", b"becouse"), *lines[3:]])
    with pytest.raises(Untrusted, match=r"receipt 4 does not follow the line before it"):
        list(log.read())


def test_a_removed_line(log):
    change(log, lambda lines: [*lines[:2], *lines[3:]])
    with pytest.raises(Untrusted, match=r"(?s)receipt 3 has another number.*Computed: 4"):
        list(log.read())


def test_exchanged_lines(log):
    change(log, lambda lines: [lines[1], lines[0], *lines[2:]])
    with pytest.raises(Untrusted, match=r"receipt 1 has another number"):
        list(log.read())


def test_a_removed_beginning(log):
    change(log, lambda lines: lines[1:])
    with pytest.raises(Untrusted, match=r"receipt 1 has another number"):
        list(log.read())


def test_a_line_that_was_renumbered(log):
    change(
        log, lambda lines: [*lines[:2], lines[3].replace(b'"number":4', b'"number":3'), *lines[4:]]
    )
    with pytest.raises(Untrusted, match=r"receipt 3 does not follow the line before it"):
        list(log.read())


def test_a_line_with_spaces(log):
    """The same values, other bytes: the chain would hold for the last line."""
    change(log, lambda lines: [*lines[:4], json.dumps(json.loads(lines[4])).encode() + b"\n"])
    with pytest.raises(Untrusted, match=r"receipt 5 is not as unseal writes it"):
        list(log.read())


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b"x" * 300_000, b'{"format":1}'])
def test_a_line_that_is_no_receipt(log, line):
    change(log, lambda lines: [*lines, line])
    with pytest.raises(Untrusted, match=r"receipt 6 is malformed"):
        list(log.read())


def test_a_record_that_is_a_directory(tmp_path):
    log = ReceiptLog(tmp_path)
    with pytest.raises(HostError, match=r"cannot read the receipts: Is a directory"):
        list(log.read())
    with pytest.raises(HostError, match=r"cannot read the receipts: Is a directory"):
        log.read_tail()
    with pytest.raises(HostError, match=r"cannot write the receipts: Is a directory"):
        log.append(b"x")


def test_a_record_that_is_a_link(tmp_path, log):
    link = ReceiptLog(tmp_path / "link")
    link.path.symlink_to(log.path)
    with pytest.raises(HostError, match=r"cannot write the receipts"):
        link.append(b"x")


def test_the_tail_of_a_long_record(log):
    for _ in range(3):
        log.append(b"y" * 400_000 + b"\n")
    log.append(b"last\ntorn")
    tail = log.read_tail()
    assert (tail.line, tail.torn) == (b"last\n", b"torn")


def test_names_of_host_and_user_are_recorded(log, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "clerk\x1b[2J")
    receipt = Event(NOW, "install", "installed").receipt(1, FIRST, NOW, "0" * 64)
    assert receipt.user.endswith("(sudo by clerk\\x1b[2J)")
    assert receipt.host
    assert receipt.tool.startswith("unseal ")
