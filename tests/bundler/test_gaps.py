"""What a lock that was edited lacks for the wishes of its spec, told wish by wish."""

import json
from pathlib import Path

import pytest

from catalogs import document, entry
from sealift_bundler.gaps import find_gap
from sealift_schemas.lock import Expansion, Lock, LockedArchive
from sealift_schemas.spec import PackageWanted, PythonWanted, Spec
from workshop import Workshop, digest

LINUX, ARM = "linux-x86_64-gnu", "linux-aarch64-gnu"


def python(
    request: str, version: str, platform: str = LINUX, name: str = "cpython"
) -> LockedArchive:
    """Return an interpreter that a request has found."""
    return locked(
        f"{name}-{version}-{platform}", "python", request, version.partition("+")[0], platform
    )


def package(request: str, version: str, platform: str = LINUX) -> LockedArchive:
    """Return a wheel of ruff that a request has found."""
    return locked(f"ruff-{version}-{platform}", "package", request, version, platform)


def locked(name: str, source: str, request: str, version: str, platform: str) -> LockedArchive:
    return LockedArchive(
        name=name,
        kind="tool" if source == "package" else "interpreter",
        source=source,
        request=request,
        version=version,
        platform=platform,
        url=f"https://example.org/{name}",
        filename=name,
        format="tar.gz",
        sha256="a" * 64,
        size=1,
        digest_source="catalog",
        recipe="cpython",
    )


def gap(
    archives: list[LockedArchive],
    pythons: list[PythonWanted] | None = None,
    packages: list[PackageWanted] | None = None,
    expansions: tuple[Expansion, ...] = (),
) -> str | None:
    lock = Lock("site", 1, "2026-01-01T00:00:00Z", "0" * 64, archives, expansions=expansions)
    return find_gap(lock, Spec("site", python=tuple(pythons or ()), package=tuple(packages or ())))


OLD, NEW = python("3.12", "3.12.9"), python("3.13", "3.13.3")


def test_one_of_several_wishes_without_an_archive() -> None:
    wishes = [PythonWanted("3.12"), PythonWanted("3.13")]
    assert gap([OLD, NEW], wishes) is None
    assert gap([OLD], wishes) == "it has no archive for 3.13"
    assert gap([NEW], wishes) == "it has no archive for 3.12"


def test_one_of_several_platforms_without_an_archive() -> None:
    wish = PythonWanted("3.13", (LINUX, ARM))
    assert gap([NEW, python("3.13", "3.13.3", ARM)], [wish]) is None
    assert gap([NEW], [wish]) == f"it has no archive for 3.13 on {ARM}"


@pytest.mark.parametrize(
    ("request_", "platforms"),
    [
        ("cpython@3.13", ()),
        ("cpython@3.13", (LINUX,)),
        (">=3.12", (LINUX,)),
        ("cpython-3.13.3-linux-x86_64-gnu", ()),
        ("3.13-linux", (LINUX,)),
        ("any", ()),
    ],
)
def test_two_wishes_for_one_archive_are_no_gap(request_: str, platforms: tuple[str, ...]) -> None:
    wishes = [PythonWanted("3.13", (LINUX,)), PythonWanted(request_, platforms)]
    assert gap([python("3.13", "3.13.3")], wishes) is None


@pytest.mark.parametrize(
    "request_", ["3.13t", "3.13.4", "pypy@3.13", "3.13-musl", "<3.13", "3.13.3rc1"]
)
def test_an_archive_that_the_wish_could_not_have_found(request_: str) -> None:
    wishes = [PythonWanted("3.13"), PythonWanted(request_)]
    assert gap([NEW], wishes) == f"it has no archive for {request_}"


def test_what_a_request_settles_itself_is_not_looked_for_on_the_platform() -> None:
    wasm = python("pyodide", "3.13.2", "emscripten-wasm32-musl", "pyodide")
    assert gap([wasm], [PythonWanted("pyodide", (LINUX,))]) is None
    assert gap([NEW], [PythonWanted("3.13"), PythonWanted("pyodide", (LINUX,))]) is not None


def test_prereleases_and_variants_are_what_their_wishes_found() -> None:
    found = [python("3.15", "3.15.0rc1"), python("3.13t", "3.13.3+freethreaded")]
    assert gap(found, [PythonWanted("3.15"), PythonWanted("3.13t", (LINUX,))]) is None
    assert gap(found, [PythonWanted("3.15.0rc1"), PythonWanted("3.13+freethreaded")]) is None


def test_a_wish_for_many_archives_without_a_record() -> None:
    wish = PythonWanted("3.13", (LINUX,), each="minor")
    record = Expansion("3.13", (NEW.name,), (LINUX,), "minor")
    assert gap([NEW], [wish], expansions=(record,)) is None
    assert gap([NEW], [wish]) == "it does not say which archives are for 3.13"
    assert gap([OLD], [wish], expansions=(record,)) == "it lacks archives for 3.13"


def test_packages_too() -> None:
    wishes = [PackageWanted("ruff==0.15.1", (LINUX, ARM)), PackageWanted("Ruff>=0.15")]
    here, there = package("ruff==0.15.1", "0.15.1"), package("ruff==0.15.1", "0.15.1", ARM)
    assert gap([here, there], packages=wishes) is None
    assert gap([here], packages=wishes) == f"it has no archive for ruff==0.15.1 on {ARM}"
    assert gap([package("ruff", "0.15.1", "any")], packages=wishes) is None
    other = [*wishes, PackageWanted("mypy==1.0")]
    assert gap([here, there], packages=other) == "it has no archive for mypy==1.0"
    assert gap([package("ruff==0.14", "0.14")], packages=wishes[1:]) is not None


def test_an_archive_with_a_name_that_is_no_key_answers_nothing() -> None:
    odd = locked("odd", "python", "3.12", "3.12", LINUX)
    assert gap([odd], [PythonWanted("3.13")]) == "it has no archive for 3.13"


def test_a_build_finds_it_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = Workshop(tmp_path).found()
    older = shop.serve("cpython-3.12.9-install_only.tar.gz", {"python/bin/python3.12": b""})
    offers = [
        entry(url=shop.python.as_uri(), sha256=digest(shop.python)),
        entry(url=older.as_uri(), sha256=digest(older), minor=12, patch=9),
    ]
    (shop.served / "downloads.json").write_bytes(document(*offers))
    for request in ("3.12", "3.13", "cpython@3.13"):
        assert shop.sealift("add", request, "--platform", LINUX) == 0
    assert shop.sealift("lock") == 0
    whole = json.loads(shop.lock.read_bytes())
    assert [one["request"] for one in whole["archives"]] == ["3.12", "3.13"]
    capsys.readouterr()
    assert shop.sealift("lock") == 0
    assert "nothing has changed" in capsys.readouterr().err
    for left in (0, 1):
        shop.lock.write_text(json.dumps({**whole, "archives": [whole["archives"][left]]}))
        assert shop.sealift("lock") == 0
        assert json.loads(shop.lock.read_bytes())["archives"] == whole["archives"]
