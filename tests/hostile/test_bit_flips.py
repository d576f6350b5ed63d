"""One bit of a real bundle is another: refused wherever it is, and nothing is left behind.

Half of the bits are chosen by bytes, so that most are in the archive; half by files, so that the
small ones get as many as the large. Each flip goes through authentication and, where that reads no
payload, the reader of the file with the bit. A share goes through the commands.
"""

import os
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from road import ARCHIVES, PROGRAMS, Site, Target, catalogue, needs_archives, run, sha256
from sealift_installer.authenticate import Terms, authenticate
from sealift_installer.bundle import Bundle, is_control
from sealift_installer.chunks import AuthenticatedFile
from sealift_installer.errors import BundleError
from sealift_installer.trust.state import StateStore, TrustState

pytestmark = needs_archives
SAMPLED, ALL = 300, 10_000
# So many flips go through the commands.
COMMANDS_SAMPLED, COMMANDS_ALL = 6, 200
# What `unseal install` reads of the payload in any case; of README.txt, say, it uses nothing.
INSTALLED = ("archives/", "index/", "templates/")


@dataclass(frozen=True)
class Carried:
    """A bundle, and a prefix that trusts it and in which nothing is installed."""

    bundle: Path
    target: Target
    state: TrustState

    @property
    def sizes(self) -> Mapping[str, int]:
        files = (path for path in self.bundle.rglob("*") if path.is_file())
        return {path.relative_to(self.bundle).as_posix(): path.stat().st_size for path in files}


@pytest.fixture(scope="module")
def carried(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flipped")
    (archive,) = Path(ARCHIVES or "").glob("cpython-*.tar.gz")
    entry = (archive.as_uri().replace("+", "%2B"), sha256(archive), "20261122")
    (folder / "downloads.json").write_text(catalogue({"cpython-3.11.2": entry}))
    site = Site(folder / "site", {"UV_PYTHON_DOWNLOADS_JSON_URL": str(folder / "downloads.json")})
    site.without_travelling_installer()
    site("add", "cpython@3.11", "--platform", "linux-x86_64-gnu")
    site("build", "--output", folder / "bundle")
    target = Target(folder / "prefix", site)
    return Carried(folder / "bundle", target, StateStore(target.prefix / "state").load())


@contextmanager
def flipped(bundle: Path, name: str, bit: int) -> Iterator[None]:
    """Flip one bit of a file in place, and back again."""
    file = os.open(bundle / name, os.O_RDWR)
    try:
        old = os.pread(file, 1, bit >> 3)
        os.pwrite(file, bytes([old[0] ^ 1 << (bit & 7)]), bit >> 3)
        yield
        os.pwrite(file, old, bit >> 3)
    finally:
        os.close(file)


def choose(sizes: Mapping[str, int], count: int, seed: int) -> Iterator[tuple[str, int]]:
    """Yield files and bits in them: half of them by bytes, half by files, each file in its turn."""
    choice = random.Random(seed)
    names = sorted(name for name, size in sizes.items() if size)
    weights = [sizes[name] for name in names]
    for number in range(count):
        by_bytes = choice.choices(names, weights)[0]
        name = by_bytes if number % 2 else names[number // 2 % len(names)]
        yield name, choice.randrange(sizes[name] * 8)


def refuse_quickly(carried: Carried, name: str, bit: int) -> None:
    with flipped(carried.bundle, name, bit), pytest.raises(BundleError, match=r"."):
        read_bit(carried, name, bit)


def read_bit(carried: Carried, name: str, bit: int) -> None:
    """Authenticate, and read the chunk with the bit: a payload file's byte is read no sooner."""
    bundle = Bundle(carried.bundle)
    authenticated = authenticate(bundle, carried.state, Terms("2026-12-01T00:00:00Z"))
    assert not is_control(name), f"bit {bit} of {name} was not seen"
    file = authenticated.files[name]
    with AuthenticatedFile(bundle, (file,), file.sha256, name).seekable() as reader:
        reader.seek(bit >> 3)
        reader.read(1)


def refuse_by_command(carried: Carried, name: str, bit: int) -> None:
    """Run `unseal verify`, and `unseal install` where it reads the file."""
    prefix = carried.target.prefix
    with flipped(carried.bundle, name, bit):
        commands = ["verify"]
        if is_control(name) or name.startswith(INSTALLED):
            commands.append("install")
        for command in commands:
            words = [PROGRAMS / "unseal", command, carried.bundle, "--prefix", prefix]
            done = run(*words, check=False)
            assert done.returncode in {3, 4}, (command, name, bit, done.stdout, done.stderr)
            assert "Traceback" not in done.stderr
        left = [path.as_posix() for path in prefix.glob("*/*") if path.parent.name != "state"]
        assert [path for path in left if not path.endswith(".staging")] == []
        assert list(prefix.glob("*/.staging/*")) == []


def refuse_all(carried: Carried, count: int, by_command: int) -> None:
    flips = list(choose(carried.sizes, count, seed=count))
    assert {name for name, _ in flips} == {name for name, size in carried.sizes.items() if size}
    for name, bit in flips:
        refuse_quickly(carried, name, bit)
    for name, bit in flips[:: count // by_command + 1]:
        refuse_by_command(carried, name, bit)
    # Whole again, it is let in.
    carried.target("verify", carried.bundle)


def test_some_bits_of_a_real_bundle(carried):
    refuse_all(carried, SAMPLED, COMMANDS_SAMPLED)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_bits_of_a_real_bundle(carried):
    refuse_all(carried, ALL, COMMANDS_ALL)
    carried.target("install", carried.bundle)
