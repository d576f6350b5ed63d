"""A bundle whose archive has one bit that is another: refused, and nothing is left of it."""

import io
import random

import py7zr
import pytest

from sealift_installer.errors import Damaged
from simulator import Member, SimArchive
from target import Target

SAMPLED, ALL = 40, 10_000
CONTENTS = {
    "bin/tool": b"#!/bin/sh\necho one\n",
    "lib/noise": random.Random(5).randbytes(9_000),
    "lib/text": b"a line of text\n" * 600,
}
FORMATS = ["tar", "tar.gz", "tar.bz2", "tar.xz", "zip", "7z"]


def carried(tmp_path, archive_format: str) -> Target:
    data = None
    if archive_format == "7z":
        buffer = io.BytesIO()
        with py7zr.SevenZipFile(buffer, "w") as packed:
            for name, content in CONTENTS.items():
                packed.writestr(content, f"top/{name}")
        data = buffer.getvalue()
    members = tuple(Member(name, content) for name, content in CONTENTS.items())
    target = Target(tmp_path)
    target.carry(SimArchive("tool-1.0", members, format=archive_format, data=data))
    target.trust()
    return target


def flip_and_install(target: Target, places: list[int]) -> None:
    (name,) = (name for name in target.site.files() if name.startswith("archives/"))
    for place in places:
        target.site.flip_bit(name, place >> 3, place & 7)
        (outcome,) = target.install().outcomes
        assert isinstance(outcome.error, Damaged), place
        assert not target.tree().exists(), place
        assert target.leftovers() == [], place
        target.site.flip_bit(name, place >> 3, place & 7)
    target.install()
    assert (target.tree() / "lib/text").read_bytes() == CONTENTS["lib/text"]


def size(target: Target) -> int:
    (name,) = (name for name in target.site.files() if name.startswith("archives/"))
    return (target.site.path / name).stat().st_size * 8


@pytest.mark.parametrize("archive_format", FORMATS)
def test_any_bit_flipped_in_an_archive_is_refused(archive_format, tmp_path):
    target = carried(tmp_path, archive_format)
    end = size(target)
    chosen = random.Random(archive_format).sample(range(end), SAMPLED)
    flip_and_install(target, [0, end - 1, *chosen])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("archive_format", FORMATS)
def test_ten_thousand_bits_flipped_in_an_archive_are_refused(archive_format, tmp_path):
    target = carried(tmp_path, archive_format)
    end = size(target)
    count = min(end, ALL // len(FORMATS))
    flip_and_install(target, random.Random(archive_format).sample(range(end), count))
