import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogs import document, entry
from sealift_bundler.catalogs.metadata import CatalogEntry, read_catalog
from sealift_bundler.catalogs.requests import PythonRequest, matching, select
from sealift_installer.errors import UsageError
from sealift_schemas.keys import Platform

LINUX = Platform.parse("linux-x86_64-gnu")
ARM = {"arch": {"family": "aarch64", "variant": None}}
ENTRIES = read_catalog(
    document(
        entry(minor=12, patch=9),
        entry(minor=13, patch=0, prerelease="rc2"),
        entry(minor=13, patch=2),
        entry(minor=13, patch=10),
        entry(minor=13, patch=10, variant="freethreaded"),
        entry(minor=13, patch=10, variant="debug"),
        entry(minor=13, patch=10, libc="musl"),
        entry(minor=13, patch=10, **ARM),
        entry(minor=13, patch=10, os="darwin", libc="none", **ARM),
        entry(minor=13, patch=10, arch={"family": "armv7"}, libc="gnueabi"),
        entry(minor=13, patch=10, arch={"family": "armv7"}, libc="gnueabihf"),
        entry(minor=14, patch=0),
        entry(minor=15, patch=0, prerelease="a9"),
        entry(minor=15, patch=0, prerelease="a10"),
        entry(name="pypy", minor=11, patch=13, build="7.3.20"),
        entry(minor=13, patch=2, os="emscripten", arch={"family": "wasm32"}, libc="musl"),
    ),
    "catalogue",
)


def chosen(request: str, platform: Platform = LINUX) -> str:
    return str(select(ENTRIES, PythonRequest.parse(request), platform).key)


@pytest.mark.parametrize(
    ("request_text", "key"),
    [
        ("3.13", "cpython-3.13.10-linux-x86_64-gnu"),
        ("313", "cpython-3.13.10-linux-x86_64-gnu"),
        (" CPython@3.13 ", "cpython-3.13.10-linux-x86_64-gnu"),
        ("python3.13.2", "cpython-3.13.2-linux-x86_64-gnu"),
        ("3", "cpython-3.14.0-linux-x86_64-gnu"),
        ("default", "cpython-3.14.0-linux-x86_64-gnu"),
        ("cpython", "cpython-3.14.0-linux-x86_64-gnu"),
        ("any", "cpython-3.15.0a10-linux-x86_64-gnu"),
        ("3.15", "cpython-3.15.0a10-linux-x86_64-gnu"),
        ("3.15a9", "cpython-3.15.0a9-linux-x86_64-gnu"),
        ("3.13.0rc2", "cpython-3.13.0rc2-linux-x86_64-gnu"),
        (">=3.12,<3.14", "cpython-3.13.10-linux-x86_64-gnu"),
        ("cpython>=3.12,<3.13", "cpython-3.12.9-linux-x86_64-gnu"),
        (">=3.15.0a1", "cpython-3.15.0a10-linux-x86_64-gnu"),
        ("==3.13.2", "cpython-3.13.2-linux-x86_64-gnu"),
        ("==3.13.*", "cpython-3.13.10-linux-x86_64-gnu"),
        ("3.13t", "cpython-3.13.10+freethreaded-linux-x86_64-gnu"),
        ("3.13+freethreaded", "cpython-3.13.10+freethreaded-linux-x86_64-gnu"),
        ("cpython-3.13d", "cpython-3.13.10+debug-linux-x86_64-gnu"),
        (">=3.13,<3.14+debug", "cpython-3.13.10+debug-linux-x86_64-gnu"),
        ("pypy", "pypy-3.11.13-linux-x86_64-gnu"),
        ("pp311", "pypy-3.11.13-linux-x86_64-gnu"),
        ("pypy@3.11", "pypy-3.11.13-linux-x86_64-gnu"),
        ("pyodide", "pyodide-3.13.2-emscripten-wasm32-musl"),
        ("3.13-musl", "cpython-3.13.10-linux-x86_64-musl"),
        ("linux-aarch64", "cpython-3.13.10-linux-aarch64-gnu"),
        ("any-3.13-any-arm64", "cpython-3.13.10-linux-aarch64-gnu"),
        ("3.13-macos-aarch64", "cpython-3.13.10-macos-aarch64-none"),
        ("cpython-3.13.10-darwin-aarch64-none", "cpython-3.13.10-macos-aarch64-none"),
        ("cpython-3.13.10+debug-linux-x86_64-gnu", "cpython-3.13.10+debug-linux-x86_64-gnu"),
    ],
)
def test_a_request_selects(request_text: str, key: str) -> None:
    assert chosen(request_text) == key


@pytest.mark.parametrize(
    ("request_text", "hint"),
    [
        ("", "requests look like"),
        ("cpyton@3.13", "did you mean cpython"),
        ("3.13-linx", "did you mean linux"),
        ("cpython@latest", "requests look like"),
        ("@3.13", "requests look like"),
        ("3.13.1.1", "requests look like"),
        ("3rc1", "requests look like"),
        ("3.300", "requests look like"),
        ("1!3.13", "requests look like"),
        ("3.13.dev1", "requests look like"),
        (">=" + "9" * 5000, "requests look like"),
        ("3.13rc" + "9" * 5000, "requests look like"),
        ("3.13+jit", "requests look like"),
        ("3.13-x86_64-linux", "did you mean linux"),
        ("cpython-3.13-linux-x86_64-gnu-x", "requests look like"),
        ("../python", "requests look like"),
        ("\x1b[31m", "requests look like"),
    ],
)
def test_what_is_no_request_is_told(request_text: str, hint: str) -> None:
    with pytest.raises(UsageError, match="not a request for a Python") as caught:
        PythonRequest.parse(request_text)
    assert hint in (caught.value.hint or "")
    assert "\x1b" not in caught.value.message


@pytest.mark.parametrize(
    ("request_text", "message", "hint"),
    [
        (
            "3.13.3",
            r"the catalogue has no cpython 3\.13\.3 for linux-x86_64-gnu",
            "there is cpython-3.13.10-linux-x86_64-gnu, cpython-3.13.2-linux-x86_64-gnu",
        ),
        (
            "3.99",
            r"no cpython 3\.99 for",
            "there is cpython-3.15.0a10-linux-x86_64-gnu, cpython-3.14.0-linux-x86_64-gnu",
        ),
        (
            "3.12t",
            r"no cpython 3\.12\+freethreaded for",
            "there is cpython-3.12.9-linux-x86_64-gnu",
        ),
        ("3.14-macos-aarch64", r"no cpython 3\.14 for", "there is one for linux-x86_64-gnu"),
        ("pypy-linux-aarch64", "no pypy for", "there is one for linux-x86_64-gnu"),
        (">3.99", "no cpython >3.99 for", "cpython-3.14.0-linux-x86_64-gnu"),
    ],
)
def test_what_is_not_there_comes_with_what_is_near(
    request_text: str, message: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        chosen(request_text)
    assert hint in (caught.value.hint or "")


def test_an_empty_catalogue_has_nothing_near() -> None:
    with pytest.raises(UsageError, match=r"has no cpython 3\.13") as caught:
        select((), PythonRequest.parse("3.13"), LINUX)
    assert caught.value.hint is None


def test_a_libc_that_does_not_follow_is_asked_for() -> None:
    both = "linux-armv7-gnueabi, linux-armv7-gnueabihf"
    with pytest.raises(UsageError, match=f"leaves open which platform: {both}"):
        chosen("3.13-linux-armv7")
    assert chosen("3.13-linux-armv7-gnueabi") == "cpython-3.13.10-linux-armv7-gnueabi"


def test_the_platform_decides_what_the_request_leaves_open() -> None:
    macos = Platform.parse("macos-aarch64-none")
    assert chosen("3.13", macos) == "cpython-3.13.10-macos-aarch64-none"
    assert chosen("3.13-linux", macos) == "cpython-3.13.10-linux-aarch64-gnu"


def test_a_list_has_the_newest_first_and_default_builds_before_variants() -> None:
    assert [str(entry.key) for entry in matching(ENTRIES, PythonRequest.parse("any"), LINUX)] == [
        "cpython-3.15.0a10-linux-x86_64-gnu",
        "cpython-3.15.0a9-linux-x86_64-gnu",
        "cpython-3.14.0-linux-x86_64-gnu",
        "cpython-3.13.10-linux-x86_64-gnu",
        "cpython-3.13.10+freethreaded-linux-x86_64-gnu",
        "cpython-3.13.10+debug-linux-x86_64-gnu",
        "cpython-3.13.2-linux-x86_64-gnu",
        "cpython-3.13.0rc2-linux-x86_64-gnu",
        "cpython-3.12.9-linux-x86_64-gnu",
    ]
    everywhere = matching(ENTRIES, PythonRequest.parse("3.13.10"))
    assert len({entry.key.platform for entry in everywhere}) == 6


def test_of_two_that_are_equal_the_first_counts() -> None:
    twice = read_catalog(document(entry(build="1"), entry(build="2")), "catalogue")
    assert select(twice, PythonRequest.parse("3.13"), LINUX).build == "1"


@given(st.sampled_from(ENTRIES))
def test_each_key_selects_itself(entry: CatalogEntry) -> None:
    assert chosen(str(entry.key)) == str(entry.key)


@given(st.text(max_size=40) | st.from_regex(r"[a-z0-9.@+,<>=!~_*-]{1,30}", fullmatch=True))
def test_any_text_is_a_request_or_a_usage_error(text: str) -> None:
    try:
        request = PythonRequest.parse(text)
    except UsageError:
        return
    for found in matching(ENTRIES, request):
        assert found.key.implementation == request.implementation
