"""What is found in an archive while it is looked into: components and licences."""

import io
import json
import zipfile
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealift_bundler.evidence import nested, purl
from sealift_bundler.evidence.collect import Collector
from sealift_bundler.evidence.findings import Findings, LicencesLeftOut, Licensing, Part
from sealift_bundler.evidence.libraries import Libraries, identify, name_project
from sealift_bundler.evidence.licensing import declared, holds_licence, joined
from sealift_bundler.evidence.limits import EvidenceLimits
from sealift_bundler.evidence.metadata import read_distribution, read_package
from sealift_bundler.inspect import inspect_archive
from sealift_schemas.lock import LockedArchive
from workshop import digest, pack

PYTHON = LockedArchive(
    name="cpython-3.13.3-linux-x86_64-gnu",
    kind="interpreter",
    source="python",
    request="cpython@3.13",
    version="3.13.3",
    platform="linux-x86_64-gnu",
    url="https://example.invalid/cpython.tar.gz",
    filename="cpython.tar.gz",
    format="tar.gz",
    sha256="0" * 64,
    size=1,
    digest_source="catalog",
    recipe="cpython",
)
TOOL = replace(PYTHON, name="tool-1.0", kind="tool", source="url", version="1.0", recipe="generic")
WHEEL = replace(TOOL, recipe="wheel", format="zip", filename="a-1.0-py3-none-any.whl")
LICENCE = b"""A. HISTORY OF THE SOFTWARE
PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2
BEOPEN.COM LICENSE AGREEMENT FOR PYTHON 2.0
CNRI LICENSE AGREEMENT FOR PYTHON 1.6.1
"""
METADATA = b"""\
Metadata-Version: 2.4
Name: Some.Project
Version: 1.0
License-Expression: MIT
Author-email: "An Author" <author@example.invalid>
Project-URL: Source Code, https://example.invalid/source
Project-URL: Sponsor, https://example.invalid/money
Home-page: https://example.invalid/

The description.
"""
ELF = b"\x7fELF\x02\x01\x01" + b"\0" * 60


def found(archive: LockedArchive, files: dict[str, bytes], **limits: int) -> Findings:
    collector = Collector(archive, limits=replace(EvidenceLimits(), **limits))
    for name, data in files.items():
        collector.see(name, data)
    return collector.findings()


def named(parts: tuple[Part, ...]) -> dict[str, str | None]:
    return {part.name: part.version for part in parts}


def wheel(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "path",
    [
        *("LICENSE", "python/lib/python3.13/LICENSE.txt", "a/LICENCE.md", "COPYING", "COPYING.LIB"),
        *("COPYING3", "LICENSE-MIT", "legal/java.base/LICENSE", "THIRD_PARTY_LICENSES.txt"),
        *(
            "ThirdPartyNotices.txt",
            "NOTICE",
            "licenses/LICENSE.openssl-3.txt",
            "LICENSE_NATIVE.txt",
        ),
        *("a-1.0.dist-info/licenses/src/AUTHORS.rst", "a-1.0.dist-info/LICENSE", "Unlicense"),
    ],
)
def test_names_of_licences(path):
    assert holds_licence(path)


@pytest.mark.parametrize(
    "path",
    [
        *("license.py", "licenses.json", "noticed.txt", "lib/copyright.pyc", "LICENSE.png"),
        *("notices.js", "LICENSES/", "licensing.txt", "x/__pycache__/licenses.cpython-313.pyc"),
        *("COPYING.c", "license.tar.gz", "README"),
    ],
)
def test_names_of_other_files(path):
    assert not holds_licence(path)


def test_licences_are_kept_once_with_all_their_places():
    findings = found(TOOL, {"t/LICENSE": b"one", "t/b/COPYING": b"one", "t/NOTICE": b"two\n"})
    assert [licence.path for licence in findings.licences] == [
        "t/LICENSE",
        "t/NOTICE",
        "t/b/COPYING",
    ]
    assert sorted(findings.texts.values()) == [b"one", b"two\n"]
    assert findings.left_out == ()


@pytest.mark.parametrize(
    ("files", "limits", "reason"),
    [
        ({"LICENSE": b"long enough"}, {"licence": 5}, "LICENSE: too large"),
        ({"LICENSE": b"MZ\0\0"[2:] + b"x"}, {}, "LICENSE: no text"),
        ({"LICENSE": b"a", "NOTICE": b"b"}, {"licence_files": 1}, "NOTICE: too many"),
        ({"LICENSE": b"aa", "NOTICE": b"bb"}, {"licences": 3}, "NOTICE: too large together"),
        ({"a.dist-info/METADATA": METADATA}, {"metadata": 9}, "a.dist-info/METADATA: too large"),
        ({"x/a.dist-info/METADATA": b"?"}, {}, "x/a.dist-info/METADATA: not to be read"),
    ],
)
def test_what_is_left_out_is_named(files, limits, reason):
    assert found(TOOL, files, **limits).left_out == (reason,)


def test_a_large_licence_is_named_without_being_held():
    collector = Collector(TOOL)
    collector.see_large("t/LICENSE", iter([b"x"] * 3))
    findings = collector.findings()
    assert findings.left_out == ("t/LICENSE: too large",)
    assert findings.licences_left_out == LicencesLeftOut((("t/LICENSE", "too large"),))


def test_licences_that_are_left_out_are_told_apart():
    files = {"b/LICENSE": b"long enough", "a/COPYING": b"also long", "x.dist-info/METADATA": b"?"}
    findings = found(TOOL, files, licence=5)
    assert len(findings.left_out) == 3
    named = (("a/COPYING", "too large"), ("b/LICENSE", "too large"))
    assert findings.licences_left_out == LicencesLeftOut(named)
    many = found(TOOL, {f"{n:02}/LICENSE": b"long enough" for n in range(9)}, licence=5, places=4)
    assert [path for path, _ in many.licences_left_out.named] == [f"0{n}/LICENSE" for n in range(4)]
    assert many.licences_left_out.more == 5


def test_licences_of_a_wheel_inside_that_are_left_out():
    inner = wheel({"p.dist-info/LICENSE": b"long enough", "NOTICE": b"one", "COPYING": b"\0" * 30})
    place = "python/lib/python3.13/ensurepip/_bundled/p-1-py3-none-any.whl"
    files = {"LICENSE": b"four", place: inner}
    findings = found(PYTHON, files, licence=5, licences=6)
    assert findings.licences_left_out.named == (
        (f"{place}!/COPYING", "no text"),
        (f"{place}!/NOTICE", "too large together"),
        (f"{place}!/p.dist-info/LICENSE", "too large"),
    )


def test_a_licence_of_a_wheel_that_is_too_large_to_be_held(monkeypatch):
    monkeypatch.setattr(nested, "_FILE", 3)
    data = wheel({"LICENSE": b"four", "a.py": b"four"})
    collector = Collector(None)
    assert nested.read_wheel("p.whl", data, collector.see, collector.see_large) == ""
    assert collector.findings().left_out == ("LICENSE: too large",)


def test_an_archive_of_a_thousand_packages_is_cut_short():
    files = {
        f"t/node_modules/p{n}/package.json": json.dumps({"name": f"p{n}", "version": "1"}).encode()
        for n in range(8)
    }
    findings = found(TOOL, files, parts=5)
    assert len(findings.parts) == 5
    assert findings.left_out == ("1 more components",)


def test_a_host_of_libraries_take_no_more_than_their_share():
    collector = Collector(PYTHON)
    for n in range(6_000):
        collector.see(f"python/{n}/libz.so.1", ELF)
        collector.see(f"python/lib/libown{n}.so", ELF)
    findings = collector.findings()
    assert len(findings.parts) == EvidenceLimits().parts
    assert findings.left_out == ("1 more components",)
    zlib = [part for part in Libraries.parts(collector._libraries) if part.name == "zlib"]
    assert len(zlib[0].places) == EvidenceLimits().places


def test_the_metadata_of_a_distribution():
    part = read_distribution(METADATA, "x/METADATA")
    assert part is not None
    assert (part.name, part.version, part.author) == ("Some.Project", "1.0", "An Author")
    assert part.purl == "pkg:pypi/some-project@1.0"
    assert part.licensing == Licensing("MIT")
    assert part.links == {
        "vcs": "https://example.invalid/source",
        "website": "https://example.invalid/",
    }


@pytest.mark.parametrize(
    ("fields", "licensing"),
    [
        ({"expression": "mit or Apache-2.0"}, Licensing("MIT OR Apache-2.0")),
        ({"expression": None, "text": "MIT"}, Licensing("MIT")),
        ({"expression": None, "text": "BSD, somehow"}, Licensing(names=("BSD, somehow",))),
        ({"expression": None, "text": "Permission is\nhereby granted"}, Licensing()),
        (
            {"expression": None, "classifiers": ["License :: OSI Approved :: MIT License"]},
            Licensing(names=("MIT License",)),
        ),
        ({"expression": "Sealed-0.0 OR ("}, Licensing(names=("Sealed-0.0 OR (",))),
        ({"expression": None, "text": "x\x1b[2Jy"}, Licensing(names=("x [2Jy",))),
        ({"expression": None, "text": "UNKNOWN" * 99}, Licensing()),
    ],
)
def test_what_metadata_declares(fields, licensing):
    assert declared(**fields) == licensing


def test_identifiers_of_a_list_all_apply():
    assert joined(["Python-2.0", "CNRI-Python"]) == Licensing("CNRI-Python AND Python-2.0")
    assert joined(["no such licence"]) == Licensing(names=("no such licence",))
    assert joined([]) == Licensing()


def test_packages_of_npm():
    package = {
        "name": "@a/b",
        "version": "1.0",
        "license": {"type": "MIT"},
        "author": {"name": "A"},
    }
    part = read_package(json.dumps(package).encode(), "package.json")
    assert part is not None
    assert (part.purl, part.licensing.expression, part.author) == ("pkg:npm/%40a/b@1.0", "MIT", "A")
    files = {
        "t/package.json": b'{"name": "top", "version": "1"}',
        "t/node_modules/in/package.json": b'{"name": "in", "version": "2"}',
        "t/node_modules/@s/in/package.json": b'{"name": "@s/in", "version": "3"}',
        "t/test/fixture/package.json": b'{"name": "no", "version": "4"}',
        "t/node_modules/broken/package.json": b'{"name": ',
        "t/node_modules/nested/package.json": b"[" * 100_000,
        "t/node_modules/list/package.json": b"[1]",
        "t/node_modules/odd/package.json": b'{"name": "../x", "version": "1"}',
    }
    assert named(found(TOOL, files).parts) == {"top": "1", "in": "2", "@s/in": "3"}


@pytest.mark.parametrize(
    ("filename", "project"),
    [
        *(("libssl.so.3", "openssl"), ("libcrypto-3.dll", "openssl"), ("libffi.8.dylib", "libffi")),
        *(("libtcl8.6.so", "tcl"), ("tk86t.dll", "tk"), ("libncursesw.so.6", "ncurses")),
        *(("libz.so.1", "zlib"), ("libpython3.13.so.1.0", None), ("libpypy3.10-c.so", None)),
        *(("libz-1a2b3c4d.so.1.3", "zlib"), ("libssl-0badc0de.so.1.1", "openssl")),
        *(("libown.so.1", "libown"), ("own.dll", None), ("_ssl.so", None), ("libz.a", None)),
    ],
)
def test_libraries_by_their_names(filename, project):
    assert identify(filename)[0] == project


def test_a_library_is_named_with_the_version_that_it_tells():
    files = {
        "python/lib/libcrypto.so.3": ELF + b'OpenSSL 3.0.17 1 Jul 2025\0OPENSSLDIR: "/etc"\0',
        "python/lib/libssl.so.3": ELF,
        "python/lib/libown.so.1": ELF,
        "python/lib/libtcl8.6.so": ELF,
        "python/lib/libtk8.6.so": ELF + b"\x008.6.14\0",
    }
    parts = found(PYTHON, files).parts
    assert named(parts) == {"openssl": "3.0.17", "libown": None, "tcl": "8.6", "tk": "8.6.14"}
    openssl = next(part for part in parts if part.name == "openssl")
    assert openssl.places == ("python/lib/libcrypto.so.3", "python/lib/libssl.so.3")
    assert openssl.purl == "pkg:generic/openssl@3.0.17"
    # A tool's own libraries are the tool.
    assert named(found(TOOL, {"t/lib/libown.so": ELF, "t/lib/libz.so.1": ELF}).parts) == {
        "zlib": None
    }


def test_what_is_linked_statically_is_found_across_the_borders_of_pieces():
    text = ELF + b" deflate 1.3.1 Copyright 1995-2024 \0expat_2.6.2\0"
    text += b'OpenSSL 3.0.15 3 Sep 2024\0OPENSSLDIR: "/etc/ssl"\0'
    for size in (7, 50, 1000):
        collector = Collector(PYTHON)
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        collector.see_large("python/bin/python3.13", iter(pieces))
        parts = collector.findings().parts
        assert named(parts) == {"zlib": "1.3.1", "expat": "2.6.2", "openssl": "3.0.15"}


def test_a_program_that_only_loads_openssl_does_not_have_it():
    files = {"python/lib/_ssl.so": ELF + b"OpenSSL 3.0.15 3 Sep 2024\0"}
    assert found(PYTHON, files).parts == ()


def test_the_metadata_of_a_full_archive():
    standalone = {
        "python_implementation_name": "cpython",
        "python_version": "3.13.3",
        "licenses": ["Python-2.0", "CNRI-Python"],
        "build_info": {
            "core": {"links": [{"name": "pthread", "system": True}]},
            "extensions": {
                "_bz2": [{"licenses": ["bzip2-1.0.6"], "links": [{"name": "bz2"}]}],
                "_ssl": [
                    {"licenses": ["Apache-2.0"], "links": [{"name": "ssl"}, {"name": "crypto"}]}
                ],
                "_tkinter": [{"licenses": ["TCL"], "links": [{"name": "tcl8.6"}, {"name": "X11"}]}],
                "_scproxy": [{"links": [{"name": "CoreFoundation", "framework": True}]}],
                "_odd": "?",
            },
        },
    }
    files = {
        "python/PYTHON.json": json.dumps(standalone).encode(),
        "python/install/bin/python3.13": ELF + b'OpenSSL 3.0.15 3 Sep 2024\0OPENSSLDIR: "/"\0',
        "python/licenses/LICENSE.openssl-3.txt": b"Apache License",
    }
    findings = found(PYTHON, files)
    assert findings.own is not None
    assert findings.own.licensing == Licensing("CNRI-Python AND Python-2.0")
    assert named(findings.parts) == {
        "bzip2": None,
        "libx11": None,
        "openssl": "3.0.15",
        "tcl": None,
    }
    _, x11, openssl, tcl = findings.parts
    # Whose licence it is among several projects, nobody says.
    assert (x11.licensing, tcl.licensing) == (Licensing(), Licensing())
    # One component, found in two ways.
    assert openssl.licensing == Licensing("Apache-2.0")
    assert openssl.places == ("python/install/bin/python3.13", "python/PYTHON.json")
    assert [licence.path for licence in findings.licences] == [
        "python/licenses/LICENSE.openssl-3.txt"
    ]
    for odd in (b"[]", b"{", b"[" * 100_000, b'{"licenses": 1, "build_info": {"extensions": []}}'):
        assert found(PYTHON, {"python/PYTHON.json": odd}).parts == ()


def test_the_wheels_that_ensurepip_carries():
    pip = wheel(
        {
            "pip/_vendor/vendor.txt": b"requests==2.32.0\n    urllib3==1.26  # old\n-r x\n",
            "pip-25.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: pip\nVersion: 25.0\n",
            "pip-25.0.dist-info/LICENSE.txt": b"the licence of pip",
        }
    )
    folder = "python/lib/python3.13/ensurepip/_bundled"
    findings = found(
        PYTHON,
        {
            f"{folder}/pip-25.0-py3-none-any.whl": pip,
            f"{folder}/broken-1.0-py3-none-any.whl": pip[:-30],
            "python/lib/python3.13/site-packages/pip-25.0.dist-info/METADATA": METADATA,
            "python/lib/python3.13/LICENSE.txt": LICENCE,
        },
    )
    broken, carried, installed = findings.parts
    assert (broken.name, broken.version, broken.licensing) == ("broken", "1.0", Licensing())
    assert carried.purl == "pkg:pypi/pip@25.0?file_name=pip-25.0-py3-none-any.whl"
    assert carried.sha256 is not None
    assert named(carried.parts) == {"requests": "2.32.0"}
    assert installed.name == "Some.Project"
    assert findings.own is not None
    assert findings.own.licensing == Licensing("Python-2.0", concluded=True)
    assert findings.left_out == (
        f"{folder}/broken-1.0-py3-none-any.whl: not to be read as a wheel",
    )
    inside = f"{folder}/pip-25.0-py3-none-any.whl!/pip-25.0.dist-info/LICENSE.txt"
    assert inside in [licence.path for licence in findings.licences]


def test_a_wheel_is_what_its_metadata_says():
    findings = found(
        WHEEL,
        {
            "a-1.0.dist-info/METADATA": METADATA,
            "a/_vendor/b-2.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: b\nVersion: 2.0\n",
        },
    )
    assert findings.own is not None
    assert findings.own.name == "Some.Project"
    assert named(findings.parts) == {"b": "2.0"}


def test_names_cannot_break_out_of_a_line():
    text = b"Metadata-Version: 2.1\nName: a\nVersion: 1\nAuthor: x\x1b[31m\xe2\x80\xae y\n"
    part = read_distribution(text, "METADATA")
    assert part is not None
    assert part.author == "x [31m y"
    assert read_distribution(b"Name: ../../etc\nVersion: 1\n", "METADATA") is None
    assert read_distribution(b"\xff\xfe" * 100, "METADATA") is None


def test_package_urls():
    assert purl.npm("@a/b", "1.0") == "pkg:npm/%40a/b@1.0"
    assert purl.pypi("A_b", "1+c") == "pkg:pypi/a-b@1%2Bc"
    assert (
        purl.generic("a", url="https://example.invalid/a%2B1?x", sha256="0")
        == "pkg:generic/a?checksum=sha256:0&download_url=https://example.invalid/a%252B1%3Fx"
    )
    assert name_project("ssl") == ("openssl", None)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["a.dist-info/METADATA", "x/package.json",
       "python/PYTHON.json", "x/_vendor/vendor.txt", "x/_bundled/a-1-b-c-d.whl", "x/LICENSE",
       "x/libssl.so"]))  # fmt: skip
def test_nothing_in_an_archive_makes_collecting_fail(data, name):
    for archive in (PYTHON, TOOL, WHEEL):
        found(archive, {name: data, "x/b": ELF + data})


def test_the_inspection_hands_its_bytes_on_in_its_one_pass(tmp_path):
    path = tmp_path / "tool.tar.gz"
    large = b'OPENSSLDIR: "\0' + b"x" * (17 * 1024 * 1024)
    files = {"t/bin/tool": ELF + large + b"OpenSSL 3.0.15 3 Sep 2024\0", "t/LICENSE": b"free"}
    path.write_bytes(pack(files))
    archive = replace(TOOL, sha256=digest(path), size=path.stat().st_size)
    findings = inspect_archive(archive, path).findings
    assert named(findings.parts) == {"openssl": "3.0.15"}
    assert [licence.path for licence in findings.licences] == ["t/LICENSE"]
