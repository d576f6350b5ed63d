"""Memory is shared where the C library can be asked for it; elsewhere everything works as well."""

import ctypes
import sys
from types import SimpleNamespace

import pytest

from sealift_bundler.allocator import share_memory


def test_a_static_interpreter_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OSError("Dynamic loading not supported")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    share_memory()


def test_without_ctypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    share_memory()


def test_another_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    share_memory()


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_are_not_asked(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    def refuse(_: object) -> None:
        pytest.fail("it was asked")

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    share_memory()


def test_glibc_gets_two_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda name, value: asked.append((name, value)))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    share_memory()
    # The names of mallopt(3): at most one arena, and large blocks from the system.
    assert asked == [(-8, 1), (-3, 256 * 1024)]
