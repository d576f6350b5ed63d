import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealift_schemas.keys import KEY, PLATFORM, InstallKey, Platform


@pytest.mark.parametrize(
    ("text", "minor_key", "suffix"),
    [
        ("cpython-3.13.3-linux-x86_64-gnu", "cpython-3.13-linux-x86_64-gnu", ""),
        (
            "cpython-3.13.3+freethreaded-linux-x86_64-gnu",
            "cpython-3.13+freethreaded-linux-x86_64-gnu",
            "t",
        ),
        (
            "cpython-3.14.0rc2+freethreaded+debug-macos-aarch64-none",
            "cpython-3.14+freethreaded+debug-macos-aarch64-none",
            "td",
        ),
        ("cpython-3.9.1+debug-windows-x86-none", "cpython-3.9+debug-windows-x86-none", "d"),
        ("cpython-3.14.0+gil-linux-x86_64-musl", "cpython-3.14+gil-linux-x86_64-musl", ""),
        ("pypy-3.11.15-linux-x86_64-gnu", "pypy-3.11-linux-x86_64-gnu", ""),
    ],
)
def test_keys_are_taken_apart(text: str, minor_key: str, suffix: str) -> None:
    key = InstallKey.parse(text)
    assert str(key) == text
    assert key.minor_key == minor_key
    assert key.suffix == suffix
    assert key.minor in {"3.9", "3.11", "3.13", "3.14"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cpython-3.13-linux-x86_64-gnu",
        "cpython-3.13.3-linux-x86_64",
        "cpython-3.13.3-linux-x86_64-gnu-extra",
        "cpython-3.13.3-linux-x86_64-gnu\n",
        "cpython-3.13.3+nogil-linux-x86_64-gnu",
        "cpython-3.013.3-linux-x86_64-gnu",
        "CPython-3.13.3-linux-x86_64-gnu",
        "jython-2.7.3-linux-x86_64-gnu",
        "../cpython-3.13.3-linux-x86_64-gnu",
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an install key"):
        InstallKey.parse(text)


@pytest.mark.parametrize(
    "text", ["linux", "linux-x86_64", "darwin-x86_64-none", "linux-X86-gnu", "linux-_-gnu", "any"]
)
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="one looks like linux-x86_64-gnu"):
        Platform.parse(text)


@settings(deadline=None)
@given(st.from_regex(KEY.pattern, fullmatch=True))
def test_every_key_is_written_as_it_was_read(text: str) -> None:
    assert str(InstallKey.parse(text)) == text
    assert text.count("-") == 4


@settings(deadline=None)
@given(st.from_regex(PLATFORM.pattern, fullmatch=True))
def test_every_platform_is_written_as_it_was_read(text: str) -> None:
    assert str(Platform.parse(text)) == text
