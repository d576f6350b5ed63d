"""What publishers write: lists of digests, GitHub's answers, Snappy; and what they cannot make."""

import json
import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealift_bundler.upstream.checksums import UnreadableList, stated_digests
from sealift_bundler.upstream.github import (
    MOST_ATTESTATIONS,
    UnreadableAnswer,
    find_asset,
    list_attestations,
    read_lines,
    unpack_attestation,
    write_lines,
)
from sealift_bundler.upstream.questions import PYPY_LIST, find_questions
from sealift_bundler.upstream.reader import Request
from sealift_bundler.upstream.snappy import SnappyError, unpack
from sealift_schemas.lock import LockedArchive
from sealift_schemas.network import Mirror
from sealift_schemas.spec import UrlWanted
from snappy_packer import pack_snappy

OURS, OTHER = "ab" * 32, "cd" * 32
URL = "https://example.invalid/v1/tool%2B1.tar.gz"
RELEASE = "https://github.com/acme/tool/releases/download/v1%2B2/tool-1.tar.gz"
PBS = "https://github.com/astral-sh/python-build-standalone/releases/download/20250529/a%2Bb.tar.gz"

LISTS = {
    "coreutils": f"{OTHER}  other.tar.gz\n{OURS}  tool+1.tar.gz\n",
    "coreutils, binary": f"{OURS} *tool+1.tar.gz\n",
    "coreutils, upper case": f"{OURS.upper()}  tool+1.tar.gz\n",
    "coreutils, a folder": f"{OURS}  ./tool+1.tar.gz\n",
    "the folder of the address": f"{OURS}  v1/tool+1.tar.gz\n",
    "coreutils, escaped": f"\\{OURS}  tool+1.tar.gz\n",
    "BSD": f"SHA256 (tool+1.tar.gz) = {OURS}\nSHA512 (tool+1.tar.gz) = {OURS * 2}\n",
    "openssl 3": f"SHA2-256(tool+1.tar.gz)= {OURS}\n",
    "Windows": f"{OTHER}  other.tar.gz\r\n{OURS}  tool+1.tar.gz\r\n",
    "no end": f"{OURS}  tool+1.tar.gz",
    "reStructuredText": f"Checksums\n=========\n\npypy::\n\n    {OURS}  tool+1.tar.gz\n",
    "signed": f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{OURS}  tool+1.tar.gz\n"
    "-----BEGIN PGP SIGNATURE-----\n\niQEzBAEBCAAdFiEE\n-----END PGP SIGNATURE-----\n",
    "twice alike": f"{OURS}  tool+1.tar.gz\n{OURS} *tool+1.tar.gz\n",
    "a tab": f"{OURS}\ttool+1.tar.gz\n",
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_states_a_digest(name: str) -> None:
    assert stated_digests(LISTS[name].encode(), URL) == {OURS}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_a_byte_order_mark_is_no_part_of_the_first_digest(encoding: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    text = f"{mark}{OURS}  tool+1.tar.gz\r\n"
    assert stated_digests(text.encode(encoding), URL) == {OURS}


@pytest.mark.parametrize(
    "text",
    [
        f"{OURS}  other.tar.gz\n",
        f"{OURS}  not-tool+1.tar.gz\n",
        f"{OURS}  win/tool+1.tar.gz\n",
        f"{OURS}  tool+1.tar.gz.asc\n",
        f"{OURS}  tool%2B1.tar.gz\n",
        f"{OURS}\n",
        f"SHA256 (other) = {OURS}\n",
    ],
)
def test_a_list_that_speaks_of_other_files(text: str) -> None:
    assert stated_digests(text.encode(), URL) == frozenset()


def test_two_digests_of_one_name_are_both_told() -> None:
    text = f"{OURS}  tool+1.tar.gz\n{OTHER}  tool+1.tar.gz\n"
    assert stated_digests(text.encode(), URL) == {OURS, OTHER}


@pytest.mark.parametrize("text", [OURS, f"{OURS}\n", f"{OURS}  /tmp/build/tool+1.tar.gz\n"])
def test_the_list_of_one_file_need_not_name_it(text: str) -> None:
    assert stated_digests(text.encode(), URL, alone=True) == {OURS}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 100,
        b"not found\n",
        b"<!DOCTYPE html><pre>" + OURS.encode(),
        OURS[:63].encode(),
    ],
)
def test_what_is_no_list(data: bytes) -> None:
    with pytest.raises(UnreadableList, match=r"no line with a SHA-256|a web page"):
        stated_digests(data, URL, alone=True)


def test_a_list_with_long_lines_is_read_in_no_time() -> None:
    # What a pattern that goes back on itself would not survive.
    blanks = " " * 200_000
    lines = [
        f"{OURS}  {blanks}x",
        f"{OURS}  a{blanks}b",
        " " * 200_000,
        "SHA256 (" + "(" * 100_000,
        OURS * 3000,
    ]
    assert stated_digests("\n".join([*lines, f"{OURS}  tool+1.tar.gz"]).encode(), URL) == {OURS}


def test_what_snappy_packed_is_unpacked() -> None:
    words = random.Random(1)
    for size in (0, 1, 59, 60, 61, 300, 5000):
        data = bytes(words.choices(b"abc{}:", k=size)) * 2
        assert unpack(pack_snappy(data), 100_000) == data
    # Long literals, and the two other kinds of copies; by the format's description.
    assert unpack(b"\x40" + bytes([60 << 2, 63]) + b"x" * 64, 64) == b"x" * 64
    assert unpack(b"\x08" + b"\x0cabcd" + bytes([0 << 2 | 1, 4]), 8) == b"abcdabcd"
    assert unpack(b"\x0a" + b"\x00a" + bytes([8 << 2 | 3, 1, 0, 0, 0]), 10) == b"a" * 10


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not start with a size"),
        (b"\xff\xff\xff\xff\xff", "does not start with a size"),
        (b"\xff\xff\xff\xff\x0f", "are taken at most"),
        (b"\x05\x10ab", "ends within a literal"),
        (b"\x05\xf4", "ends within a tag"),
        (b"\x05\x01\x01", "refers to what is not there"),
        (b"\x05\x00a\x02\x00\x00", "refers to what is not there"),
        (b"\x02\x00a", "holds less than it says"),
        (b"\x01\x04ab", "holds more than it says"),
        (b"\x01\x00a\xfe\x01\x00", "holds more than it says"),
    ],
)
def test_what_is_no_snappy_block(data: bytes, message: str) -> None:
    with pytest.raises(SnappyError, match=message):
        unpack(data, 1000)


def release(*assets: object) -> bytes:
    return json.dumps({"tag_name": "v1", "assets": assets, "download": 1.5}).encode()


ASSET = {"name": "tool-1.tar.gz", "size": 7, "digest": f"sha256:{OURS}", "download_count": 3}


def test_what_a_release_says_of_a_file() -> None:
    asset = find_asset(release({"name": "other"}, ASSET), RELEASE)
    assert asset is not None
    assert (asset.sha256, asset.size) == (OURS, 7)
    # A count changes by itself, and with it would the evidence.
    assert asset.record == {"name": "tool-1.tar.gz", "size": 7, "digest": f"sha256:{OURS}"}
    assert find_asset(release({"name": "other"}), RELEASE) is None
    # Those from before June 2025 have none.
    old = find_asset(release({**ASSET, "digest": None}), RELEASE)
    assert old is not None
    assert old.sha256 is None


def test_what_is_kept_of_a_release_is_small() -> None:
    """Of megabytes in one field nothing is kept, and numbers are those that a lock could hold."""
    more = {"created_at": "2026-01-01T00:00:00Z", "updated_at": 10**4000, "uploader": {"id": 1}}
    asset = find_asset(
        release({**ASSET, **more, "size": 10**4000, "browser_download_url": "x" * 5_000_000}),
        RELEASE,
    )
    assert asset is not None
    assert asset.size is None
    assert asset.record == {
        "name": "tool-1.tar.gz",
        "digest": f"sha256:{OURS}",
        "created_at": "2026-01-01T00:00:00Z",
    }
    assert asset.left_out == ("updated_at", "browser_download_url")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"assets": {}}',
        b"[" * 100_000,
        release(ASSET, ASSET),
        release({**ASSET, "digest": "sha256:xy"}),
    ],
)
def test_what_is_no_answer_about_a_release(data: bytes) -> None:
    with pytest.raises(UnreadableAnswer, match=r"JSON|no release|twice|no digest"):
        find_asset(data, RELEASE)


def test_attestations_in_the_answer_and_apart_from_it() -> None:
    answer = {
        "attestations": [
            {"bundle": {"a": 1}, "bundle_url": "https://blobs.invalid/1"},
            {"bundle": None, "bundle_url": "https://blobs.invalid/2?sig=x", "repository_id": 1},
        ]
    }
    first, second = list_attestations(json.dumps(answer).encode())
    assert first == {"a": 1}
    assert isinstance(second, Request)
    assert second.places == ("https://blobs.invalid/2?sig=x",)
    assert not second.keep


@pytest.mark.parametrize(
    "entries",
    [None, [1], [{}], [{"bundle": None, "bundle_url": "file:///etc/passwd"}], [{}] * 31, {"a": 1}],
)
def test_what_is_no_answer_about_attestations(entries: object) -> None:
    assert MOST_ATTESTATIONS == 30
    with pytest.raises(UnreadableAnswer, match=r"no attestations|without content|more than 30"):
        list(list_attestations(json.dumps({"attestations": entries}).encode()))


def test_an_attestation_is_packed_or_plain() -> None:
    plain = json.dumps({"mediaType": "x", "list": [1, 2]}).encode()
    assert unpack_attestation(plain) == unpack_attestation(pack_snappy(plain))
    for bad in (b"", b"\x00", pack_snappy(b"[]"), b"{", pack_snappy(b"{]")):
        with pytest.raises(UnreadableAnswer, match=r"unpacked|JSON"):
            unpack_attestation(bad)


def test_attestations_are_kept_in_an_order_of_their_own() -> None:
    one, two = {"b": 1, "a": [1]}, {"a": 2}
    assert write_lines([one, two, one]) == write_lines([two, one])
    assert read_lines(write_lines([one, two])) == [two, one]
    assert read_lines(json.dumps(one, indent=2).encode()) == [one]


def archive(url: str, **changes: object) -> LockedArchive:
    fields: dict[str, object] = {
        "name": "tool-1",
        "kind": "tool",
        "source": "url",
        "request": url,
        "version": "1",
        "platform": "any",
        "url": url,
        "filename": "tool-1.tar.gz",
        "format": "tar.gz",
        "sha256": OURS,
        "size": 7,
        "digest_source": "spec",
        "recipe": "generic",
    }
    return LockedArchive(**{**fields, **changes})  # type: ignore[arg-type]


API = "https://api.github.com/repos/"
QUESTIONS = {
    PBS: [
        ("checksum-file", PBS.replace("a%2Bb.tar.gz", "SHA256SUMS")),
        ("release-digest", f"{API}astral-sh/python-build-standalone/releases/tags/20250529"),
        ("attestation", f"{API}astral-sh/python-build-standalone/attestations/sha256:{OURS}"),
    ],
    RELEASE: [
        ("checksum-file", f"{RELEASE}.sha256"),
        ("release-digest", f"{API}acme/tool/releases/tags/v1%2B2"),
        ("attestation", f"{API}acme/tool/attestations/sha256:{OURS}"),
    ],
    "https://downloads.python.org/pypy/pypy3.11.tar.gz": [("checksum-file", PYPY_LIST)],
    "https://nodejs.org/dist/v24.1.0/node-v24.1.0-linux-x64.tar.xz": [
        ("checksum-file", "https://nodejs.org/dist/v24.1.0/SHASUMS256.txt")
    ],
    "https://example.invalid/a.zip?x=1": [
        ("checksum-file", "https://example.invalid/a.zip.sha256")
    ],
    "file:///srv/a.zip": [("checksum-file", "file:///srv/a.zip.sha256")],
    # Not a file of a release.
    "https://github.com/acme/tool/archive/v1.zip": [
        ("checksum-file", "https://github.com/acme/tool/archive/v1.zip.sha256")
    ],
}


@pytest.mark.parametrize("url", QUESTIONS)
def test_who_is_asked(url: str) -> None:
    found = find_questions(archive(url), None, ())
    assert [(one.kind, one.request.address) for one in found] == QUESTIONS[url]


def test_what_the_spec_names_comes_first() -> None:
    wanted = UrlWanted(
        RELEASE, "tool", "1", checksums="https://a.invalid/sums", attestation="https://a.invalid/b"
    )
    found = find_questions(archive(RELEASE), wanted, ())
    assert [(one.kind, one.request.address) for one in found] == [
        ("checksum-file", "https://a.invalid/sums"),
        ("attestation", "https://a.invalid/b"),
        ("release-digest", f"{API}acme/tool/releases/tags/v1%2B2"),
    ]
    assert not found[0].alone


def test_nobody_is_asked_about_what_was_captured() -> None:
    assert find_questions(archive("installed:cpython", source="captured"), None, ()) == []


def test_mirrors_stand_in_for_every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    mirrors = (Mirror("https://api.github.com/", ("https://m.invalid/api",), exclusive=True),)
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", "file:///srv/pbs")
    found = find_questions(archive(PBS, source="python", recipe="cpython"), None, mirrors)
    places = [one.request.places for one in found]
    assert places[0] == ("file:///srv/pbs/20250529/SHA256SUMS",)
    assert places[1][0].startswith("https://m.invalid/api/repos/astral-sh/")
    assert [len(each) for each in places] == [1, 1, 1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["assets", "attestations", "bundle", "bundle_url", "name", "digest"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_is_sent_only_the_errors_named_come_of_it(data: bytes) -> None:
    with suppress(UnreadableList):
        stated_digests(data, URL, alone=True)
    with suppress(UnreadableAnswer):
        find_asset(data, RELEASE)
    with suppress(UnreadableAnswer):
        list(list_attestations(data))
    with suppress(UnreadableAnswer):
        read_lines(data)
    with suppress(UnreadableAnswer):
        unpack_attestation(data)
    with suppress(SnappyError):
        assert len(unpack(data, 1000)) <= 1000


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=400))
def test_what_was_packed_is_unpacked(data: bytes) -> None:
    assert unpack(pack_snappy(data * 2), 1000) == data * 2
