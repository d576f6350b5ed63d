"""Each limit at its edge: so much is taken, one more is refused."""

import dataclasses
import gzip
import io
import itertools
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hostile.generator import END, Zip, header, member, pax
from hostile.seven import FILE, Seven, coder, encoded
from hostile.sparse import old, version_00, version_01, version_10
from hostile.streams import PACKERS
from memory_source import MemorySource
from sealift_installer.archives import (
    check_link,
    check_links,
    check_path,
    check_target,
    read_members,
)
from sealift_installer.authenticate import authenticate
from sealift_installer.bundle import Bundle
from sealift_installer.chunks import read_authenticated
from sealift_installer.errors import SealiftError
from sealift_installer.limits import LIMITS, MIB, Limits
from simulator import describe, small_bundle

# For each limit: what is done under limits, the value that is just enough, and the refusal's words.
Case = tuple[Callable[[Limits], Any], int, str]


def read(archive_format: str, data: bytes) -> Callable[[Limits], None]:
    def action(limits: Limits) -> None:
        for each in read_members(archive_format, MemorySource(data), limits):
            for _ in each.data:
                pass

    return action


def tar_of(*contents: bytes) -> bytes:
    return b"".join(member(b"%d" % place, data) for place, data in enumerate(contents)) + END


def zip_of(*contents: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as packed:
        for place, data in enumerate(contents):
            packed.writestr(str(place), data)
    return buffer.getvalue()


def seven_of(*contents: bytes) -> bytes:
    archive = Seven()
    for place, data in enumerate(contents):
        archive.add(str(place), data, FILE)
    return archive.build()


def stream(archive_format: str, *contents: bytes) -> tuple[bytes, int]:
    """Return a packed tar archive, and how many bytes it becomes."""
    plain = tar_of(*contents)
    return PACKERS[archive_format][0](plain), len(plain)


def chain(length: int) -> Callable[[Limits], None]:
    links = {f"l{place}": f"l{place + 1}" for place in range(length)}
    return lambda limits: check_links(links, limits)


def ratio_cases() -> list[tuple[str, Case]]:
    """Return the ratio in each format, with everything suspected from the first byte on."""
    found = []
    for archive_format in PACKERS:
        data, size = stream(archive_format, bytes(300_000))
        found.append((archive_format, data, size // len(data) + 1))
    zeros = zip_of(bytes(300_000))
    with zipfile.ZipFile(io.BytesIO(zeros)) as packed:
        info = packed.infolist()[0]
    found.append(("zip", zeros, info.file_size // info.compress_size + 1))
    squeeze = zlib.compressobj(wbits=-15)
    block = squeeze.compress(bytes(300_000)) + squeeze.flush()
    archive = Seven(coders=b"\x01" + coder("040108"), packed=block)
    archive.add("a", bytes(300_000), FILE)
    found.append(("7z", archive.build(), 300_000 // len(block) + 1))
    # A header of 512 bytes, and no data.
    found.append(("tar", old(b"a", ((512_000, 0),), 512_000, b"") + END, 1000))

    def suspicious(action: Callable[[Limits], None]) -> Callable[[Limits], None]:
        return lambda limits: action(replace(limits, unsuspected=0))

    return [
        ("ratio", (suspicious(read(kind, data)), most, r"unpacks? to \d+"))
        for kind, data, most in found
    ]


def total_ratio_cases() -> list[tuple[str, Case]]:
    """Many members that are each below suspicion, and together are not."""
    contents = [bytes(10_000)] * 50
    packed, _ = stream("tar.gz", bytes(10_000))
    holes = b"".join(version_10(b"%d" % at, ((2000, 0),), 2000, b"") for at in range(50)) + END
    blocks = [
        ("zip", zip_of(*contents), 500_000),
        ("tar.gz", packed, len(tar_of(bytes(10_000)))),
        ("tar", holes, 100_000),
    ]

    def few(action: Callable[[Limits], None]) -> Callable[[Limits], None]:
        return lambda limits: action(replace(limits, ratio=2))

    return [
        ("unsuspected", (few(read(kind, data)), most, rf"unpack to {most}"))
        for kind, data, most in blocks
    ]


def archive_cases() -> list[tuple[str, Case]]:
    three = [b"12345", b"123", b""]
    long_name = b"n" * 300
    packed, size = stream("tar.gz", b"x" * 5000)
    listing = seven_of(*three)
    header_size = int.from_bytes(listing[20:28], "little")
    plain = Seven().add("a", b"x").add("b", b"y" * 50)
    encoded_seven = encoded(b"x" + b"y" * 50, plain.header())
    central = Zip().add(b"a").add(b"b", b"y")
    return [
        ("members", (read("tar", tar_of(*three)), 3, "it has more than 2 members")),
        ("members", (read("zip", zip_of(*three)), 3, "it has more than 2 members")),
        ("members", (read("7z", listing), 3, "it has more than 2 members")),
        ("unpacked", (read("tar", tar_of(*three)), 8, "it unpacks to more than 7 bytes")),
        ("unpacked", (read("zip", zip_of(*three)), 8, "it unpacks to more than 7 bytes")),
        ("unpacked", (read("7z", listing), 8, "it unpacks to more than 7 bytes")),
        ("stream", (read("tar.gz", packed), size, f"it unpacks to more than {size - 1} bytes")),
        (
            "extended_header",
            (read("tar", pax((b"path", long_name[:200])) + member(b"a") + END), 210, "too long"),
        ),
        (
            "extended_header",
            (read("tar", member(b"L", b"n" * 120 + b"\0", b"L") + member(b"n") + END), 121, "too l"),
        ),
        ("padding", (read("tar", member(b"a") + END + bytes(2048)), 2048, "bytes of zeros follow")),
        *sparse_cases(),
        (
            "central_directory",
            (read("zip", central.build()), len(central.records), "list of members is too long"),
        ),
        ("seven_header", (read("7z", listing), header_size, "its header is too long")),
        ("seven_header", (read("7z", encoded_seven), len(plain.header()), "its header is too long")),
    ]  # fmt: skip


def sparse_cases() -> list[tuple[str, Case]]:
    """Return maps of 30 regions, and files of more bytes than are stored."""
    regions = tuple((4096 * place, 512) for place in range(30))
    size, data = 30 * 4096, bytes(30 * 512)
    cases: list[tuple[str, Case]] = []
    for write in (old, version_00, version_01, version_10):
        archive = write(b"a", regions, size, data) + END
        cases.append(("sparse_regions", (read("tar", archive), 30, "more than 29 regions")))
        # Beside its bytes the archive has the extended headers and the map.
        holes = member(b"b", bytes(40_000)) + write(b"a", ((size, 0),), size, b"") + END
        beside = 0
        if write is not old:
            said = write(b"a", ((size, 0),), size, b"")
            beside = int(said[124:135], 8) + 512 * (write is version_10)
        cases.append(("unpacked", (read("tar", holes), 40_000 + size + beside, "it unpacks to m")))
    return cases


def path_cases() -> list[tuple[str, Case]]:
    deep = "a/" * 63 + "b"
    return [
        ("path", (lambda limits: check_path("a" * 40, limits), 40, "is longer than 39 bytes")),
        ("path", (lambda limits: check_path("é" * 20, limits), 40, "is longer than 39 bytes")),
        (
            "component",
            (lambda limits: check_path("a/" + "b" * 250, limits), 250, "is longer than 249 bytes"),
        ),
        ("depth", (lambda limits: check_path(deep, limits), 64, "more than 63 components")),
        (
            "link_target",
            (lambda limits: check_target("a" * 30, limits), 30, "it is longer than 29 bytes"),
        ),
        (
            "link_target",
            (lambda limits: check_link("l", "a" * 30, limits), 30, "it is longer than 29 bytes"),
        ),
        ("link_chain", (chain(9), 9, "leads through more than 8 links")),
    ]


CASES = [*path_cases(), *archive_cases(), *ratio_cases(), *total_ratio_cases()]


@pytest.mark.parametrize(
    ("field", "case"), CASES, ids=[f"{field}-{place}" for place, (field, _) in enumerate(CASES)]
)
def test_so_much_is_taken_and_one_more_is_refused(field: str, case: Case):
    action, enough, refused = case
    action(replace(LIMITS, **{field: enough}))
    with pytest.raises(SealiftError, match=refused):
        action(replace(LIMITS, **{field: enough - 1}))


def bundle_cases(bundle: Bundle, state: Any, terms: Any) -> dict[str, tuple[int, str]]:
    """Return for each limit of a bundle what the small one needs."""

    def longest(pattern: str) -> int:
        return max(path.stat().st_size for path in bundle.path.glob(pattern))

    return {
        "envelope": (longest("manifest.dsse.json"), "too large: manifest.dsse.json"),
        "root": (longest("trust/root/*"), "too large: trust/root/"),
        "checksums": (longest("SHA256SUMS"), "too large: SHA256SUMS"),
        "signature_file": (longest("SHA256SUMS.*.sig"), "too large: SHA256SUMS"),
        "bundle_files": (sum(1 for _ in bundle.path.rglob("*")), "files in the bundle"),
        "root_versions": (2, "more than 1 root versions"),
        "index": (longest("index/*"), "too large: index/"),
        "template": (longest("templates/*"), "too large: templates/"),
    }


def test_each_limit_of_a_bundle_at_its_edge(tmp_path):
    site = small_bundle(tmp_path / "bundle")
    site.add_root(site.next_root(), site.root_keys)
    site.write()
    needed = bundle_cases(site.bundle, site.state, site.terms)

    def use(limits: Limits) -> None:
        found = authenticate(Bundle(site.path, limits), site.state, site.terms)
        for archive in found.manifest.archives:
            for entry in found.entries(archive):
                if entry.template is not None:
                    found.template(entry.template)

    for field, (enough, refused) in needed.items():
        use(replace(LIMITS, **{field: enough}))
        with pytest.raises(SealiftError, match=refused):
            use(replace(LIMITS, **{field: enough - 1}))


@pytest.mark.parametrize("archive_format", ["tar.xz", "tar.zst"])
def test_the_memory_of_a_decoder(archive_format):
    """What a decoder takes is its own affair: a little is refused, what packers use is not."""
    data, _ = stream(archive_format, b"x" * 4_000_000)
    read(archive_format, data)(replace(LIMITS, decoder_memory=64 * MIB))
    with pytest.raises(SealiftError, match=r"(?i)memory|too large"):
        read(archive_format, data)(replace(LIMITS, decoder_memory=MIB))


@pytest.mark.parametrize("window", [16, 17])
def test_the_memory_of_a_7z_block(window):
    """LZMA2 says how large its dictionary is: two at 11 are 4 kB, and each step doubles by two."""
    properties = bytes([2 * (window - 12)])
    archive = Seven(coders=b"\x01" + coder("21", properties), packed=b"\x01\0\0x\0")
    archive.add("a", b"x", FILE)
    limits = replace(LIMITS, decoder_memory=1 << 16)
    if window == 16:
        read("7z", archive.build())(limits)
    else:
        with pytest.raises(SealiftError, match="more than 65536 bytes of memory"):
            read("7z", archive.build())(limits)


def test_a_document_of_the_bundle_at_its_edge(tmp_path):
    (tmp_path / "a").write_bytes(b"1234")
    assert read_authenticated(Bundle(tmp_path), describe("a", b"1234"), 4) == b"1234"
    with pytest.raises(SealiftError, match="too large: a"):
        read_authenticated(Bundle(tmp_path), describe("a", b"1234"), 3)


def test_an_index_makes_the_limits_tighter():
    limits = LIMITS.within(members=10, unpacked=1000)
    assert limits.members == 56
    assert limits.stream == limits.unpacked == 1000 + 26 * LIMITS.member_headers + LIMITS.padding
    assert limits.path == LIMITS.path
    assert LIMITS.within(10**9, 10**18) == LIMITS


def test_a_bomb_is_refused_before_it_grows_beyond_what_the_index_lists():
    limits = replace(LIMITS, member_headers=512, padding=1024).within(members=1, unpacked=1000)
    good, _ = stream("tar.gz", b"x" * 1000)
    read("tar.gz", good)(limits)
    bomb, _ = stream("tar.gz", bytes(10_000_000))
    with pytest.raises(SealiftError, match=f"unpacks to more than {limits.unpacked} bytes"):
        read("tar.gz", bomb)(limits)
    nothing_but_headers = PACKERS["tar.gz"][0](
        b"".join(pax((b"comment", b"c" * 9000)) for _ in range(10)) + member(b"a") + END
    )
    with pytest.raises(SealiftError, match="unpacks to more than"):
        read("tar.gz", nothing_but_headers)(limits)


# Members of no bytes, 40 of them, of which more is said than there is room for.
GREEDY = {
    "records": (pax((b"comment", b"c" * 5000)) + header(b"%d")) * 40,
    "long names": (member(b"L", b"b" * 200 + bytes(5000), b"L") + header(b"a")) * 40,
    "global headers": pax((b"comment", b"c"), kind=b"g") * 150 + header(b"a") * 40,
    "tops": header(b"./", b"5") * 150 + header(b"a") * 40,
    "maps": version_10(b"a", ((0, 0),) * 1500, 0, b"") * 40,
    "blocks of a map": old(b"a", ((0, 0),) * 300, 0, b"") * 40,
}


@pytest.mark.parametrize("name", GREEDY)
def test_what_an_index_leaves_no_room_for_is_refused_without_one(name):
    """The bundler, which has no index yet, refuses in the words of the target."""
    limits = replace(LIMITS, member_headers=4096, padding=4096)
    read_all = read("tar", GREEDY[name] + END)
    where = r"it (has|unpacks to) more than \d+ (members|bytes)"
    with pytest.raises(SealiftError, match=where) as without:
        read_all(limits)
    with pytest.raises(SealiftError, match=where) as within:
        read_all(limits.within(40, 0))
    assert within.value.message == without.value.message
    if "bytes" in within.value.message:
        read_all(replace(limits, member_headers=16 * 1024))


def zip_with_tops(tops: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a name is there twice
        for place, name in enumerate(["./"] * tops + ["./a", "./d/"]):
            packed.writestr(name, b"x" if place == tops else b"")
    return buffer.getvalue()


def test_so_many_tops_of_a_zip_archive_are_taken_with_an_index_and_without():
    within = LIMITS.within(members=2, unpacked=1)
    most = LIMITS.share(2, 1)[0] - 2
    for limits in (LIMITS, within):
        read("zip", zip_with_tops(most))(limits)
        with pytest.raises(SealiftError, match=f"it has more than {most + 2} members"):
            read("zip", zip_with_tops(most + 1))(limits)


def test_two_hundred_thousand_files_where_the_index_lists_three():
    plain = header(b"a") * 200_000 + END
    source = MemorySource(gzip.compress(plain, 1), step=4096)
    members = read_members("tar.gz", source, LIMITS.within(members=3, unpacked=0))
    assert sum(1 for _ in itertools.islice(members, 28)) == 28
    with pytest.raises(SealiftError, match="it has more than 28 members"):
        next(members)
    assert not source.drained


def test_every_limit_has_its_edge_tested(tmp_path):
    site = small_bundle(tmp_path / "bundle")
    tested = {field for field, _ in CASES} | set(bundle_cases(site.bundle, None, None))
    apart = {"decoder_memory", "member_headers"}
    assert tested | apart == {field.name for field in dataclasses.fields(LIMITS)}
