"""Authenticated reads, of one part and of several."""

import hashlib
import io
import os
import random
import zipfile

import pytest

from sealift_installer.bundle import Bundle
from sealift_installer.chunks import AuthenticatedFile, read_authenticated
from sealift_installer.errors import Damaged
from sealift_schemas.payload import CHUNK_SIZE, BundleFile
from simulator import describe

SIZE = 2 * CHUNK_SIZE + 4321


class Parts:
    """A file of several chunks, in two parts."""

    def __init__(self, path):
        self.data = random.Random(1).randbytes(SIZE)
        self.path = path
        pieces = {"a.001": self.data[: CHUNK_SIZE + 1000], "a.002": self.data[CHUNK_SIZE + 1000 :]}
        for name, piece in pieces.items():
            (path / name).write_bytes(piece)
        self.files = [describe(name, piece) for name, piece in pieces.items()]
        self.sha256 = hashlib.sha256(self.data).hexdigest()

    def open(self, sha256=None):
        return AuthenticatedFile(Bundle(self.path), self.files, sha256 or self.sha256, "a")

    def flip(self, name, position):
        data = bytearray((self.path / name).read_bytes())
        data[position] ^= 1
        (self.path / name).write_bytes(data)


@pytest.fixture
def parts(tmp_path):
    parts = Parts(tmp_path)
    file = parts.open()
    assert b"".join(map(bytes, file.chunks())) == parts.data
    file.compare()
    assert file.size == SIZE
    return parts


def test_a_wrong_chunk_is_not_handed_out(parts):
    parts.flip("a.001", CHUNK_SIZE + 500)
    chunks = parts.open().chunks()
    assert next(chunks) == parts.data[:CHUNK_SIZE]
    with pytest.raises(Damaged, match=r"wrong SHA-256: a.001, chunk 2\n  Expected: [0-9a-f]{64}\n"):
        next(chunks)


def test_a_part_that_is_cut_short(parts):
    os.truncate(parts.path / "a.001", CHUNK_SIZE + 999)
    with pytest.raises(Damaged, match=r"(?s)cut short: a.001.*4195304 bytes.*4195303 bytes"):
        list(parts.open().chunks())


def test_a_part_that_goes_on(parts):
    with (parts.path / "a.002").open("ab") as file:
        file.write(b"x")
    with pytest.raises(Damaged, match=r"too long: a.002"):
        list(parts.open().chunks())


def test_the_whole_is_compared_at_the_end(parts):
    file = parts.open("0" * 64)
    with pytest.raises(Damaged, match=r"wrong SHA-256: a\n"):
        list(file.chunks())
    with pytest.raises(Damaged, match=r"wrong SHA-256: a\n"):
        file.compare()


def test_the_digest_of_a_part_is_compared(parts):
    first = parts.files[0]
    parts.files[0] = BundleFile(first.path, first.size, "0" * 64, first.chunks)
    with pytest.raises(Damaged, match=r"wrong SHA-256: a.001\n"):
        list(parts.open().chunks())


def test_an_empty_file(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    assert read_authenticated(Bundle(tmp_path), describe("empty", b""), 0) == b""
    (tmp_path / "empty").write_bytes(b"x")
    with pytest.raises(Damaged, match=r"too long: empty"):
        read_authenticated(Bundle(tmp_path), describe("empty", b""), 0)


def test_a_file_above_the_limit_is_not_opened(tmp_path):
    with pytest.raises(Damaged, match=r"(?s)too large: absent.*at most 3 bytes.*4 bytes"):
        read_authenticated(Bundle(tmp_path), describe("absent", b"1234"), 3)


def test_reading_anywhere(parts):
    choose = random.Random(2)
    reference = io.BytesIO(parts.data)
    with parts.open().seekable() as file:
        assert file.seekable()
        for _ in range(300):
            position = choose.randrange(SIZE + 10)
            size = choose.choice([0, 1, 100, 70_000])
            assert file.seek(position) == reference.seek(position)
            assert file.read(size) == reference.read(size)
        assert file.seek(-10, io.SEEK_END) == SIZE - 10
        assert file.read() == parts.data[-10:]
        assert file.tell() == SIZE
        file.seek(0)
        assert file.read() == parts.data


def test_reading_anywhere_authenticates_what_is_fetched(parts):
    file = parts.open().seekable()
    parts.flip("a.002", 5)
    assert file.read(10) == parts.data[:10]
    file.seek(CHUNK_SIZE + 1000)
    with pytest.raises(Damaged, match=r"wrong SHA-256: a.002, chunk 1"):
        file.read(1)


def test_a_chunk_is_authenticated_again_when_it_is_fetched_again(tmp_path):
    data = random.Random(3).randbytes(8 * CHUNK_SIZE)
    (tmp_path / "a").write_bytes(data)
    described = describe("a", data)
    file = AuthenticatedFile(Bundle(tmp_path), [described], described.sha256, "a").seekable()
    for number in range(8):
        file.seek(number * CHUNK_SIZE)
        assert file.read(1) == data[number * CHUNK_SIZE : number * CHUNK_SIZE + 1]
    with (tmp_path / "a").open("r+b") as changed:
        changed.write(bytes([data[0] ^ 1]))
    file.seek(0)
    with pytest.raises(Damaged, match=r"wrong SHA-256: a, chunk 1"):
        file.read(1)


def test_a_zip_is_read_through_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("one", b"1" * 100)
    data = (tmp_path / "a.zip").read_bytes()
    described = describe("a.zip", data)
    file = AuthenticatedFile(Bundle(tmp_path), [described], described.sha256, "a.zip")
    with zipfile.ZipFile(file.seekable()) as packed:
        assert packed.read("one") == b"1" * 100
    file.compare()


def test_a_chunk_takes_the_place_of_the_one_before(parts):
    chunks = parts.open().chunks()
    first = next(chunks)
    second = next(chunks)
    assert second == parts.data[CHUNK_SIZE : CHUNK_SIZE + 1000]
    assert first[:1000] == second
