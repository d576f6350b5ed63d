import json
import sys
import time

import pytest

import road
from catalogs import document, entry
from sealift_bundler.catalogs.metadata import read_catalog
from sealift_bundler.catalogs.requests import PythonRequest
from sealift_bundler.catalogs.search import Filters, platform_filter, search
from sealift_installer.errors import UsageError
from workshop import Workshop

MUSL = {"libc": "musl"}
MAC = {"os": "darwin", "libc": "none", "arch": {"family": "aarch64", "variant": None}}
ENTRIES = read_catalog(
    document(
        entry(),
        entry(patch=4),
        entry(patch=4, variant="freethreaded"),
        entry(patch=4, **MUSL),
        entry(patch=4, **MAC),
        entry(minor=12, patch=9),
        entry(minor=12, patch=9, variant="debug"),
        entry(minor=14, patch=0, prerelease="rc1"),
        entry(minor=11, patch=15, name="pypy"),
        entry(minor=14, patch=2, os="emscripten", libc="musl", sha256=None,
              arch={"family": "wasm32", "variant": None}),
    ),
    "catalogue",
)  # fmt: skip


def found(request=None, **filters):
    parsed = None if request is None else PythonRequest.parse(request)
    platforms = tuple(platform_filter(text) for text in filters.pop("platforms", ()))
    keys = [
        str(one.key) for one in search(ENTRIES, Filters(parsed, platforms=platforms, **filters))
    ]
    return [key.replace("cpython-", "").replace("linux-x86_64-", "") for key in keys]


def test_everything_but_prereleases_the_newest_first():
    assert found() == [
        *("3.13.4-gnu", "3.13.4-musl", "3.13.4-macos-aarch64-none", "3.13.4+freethreaded-gnu"),
        *("3.13.3-gnu", "3.12.9-gnu", "3.12.9+debug-gnu"),
        *("pypy-3.11.15-gnu", "pyodide-3.14.2-emscripten-wasm32-musl"),
    ]


@pytest.mark.parametrize(
    ("request_text", "filters", "keys"),
    [
        ("3.12", {}, ["3.12.9-gnu"]),
        (">=3.12,<3.13", {}, ["3.12.9-gnu"]),
        ("3.12", {"variants": ("debug",)}, ["3.12.9+debug-gnu"]),
        ("3.12", {"variants": ("any",)}, ["3.12.9-gnu", "3.12.9+debug-gnu"]),
        ("3.13", {"variants": ("default",), "platforms": ["gnu"]}, ["3.13.4-gnu", "3.13.3-gnu"]),
        ("3.13t", {}, ["3.13.4+freethreaded-gnu"]),
        ("3.13", {"platforms": ["macos", "musl"]}, ["3.13.4-musl", "3.13.4-macos-aarch64-none"]),
        ("3.13", {"platforms": ["linux-x86_64-musl"]}, ["3.13.4-musl"]),
        ("3.13", {"platforms": ["aarch64"]}, ["3.13.4-macos-aarch64-none"]),
        ("3.14", {}, ["3.14.0rc1-gnu"]),
        ("3.14", {"prereleases": False}, []),
        (">=3.13", {"prereleases": True, "platforms": ["gnu"], "each_minor": True},
         ["3.14.0rc1-gnu", "3.13.4-gnu"]),
        (None, {"implementations": ("pypy", "pyodide")},
         ["pypy-3.11.15-gnu", "pyodide-3.14.2-emscripten-wasm32-musl"]),
        (">=3.11", {"implementations": ("pypy",)}, ["pypy-3.11.15-gnu"]),
        ("pypy", {}, ["pypy-3.11.15-gnu"]),
        ("cpython-3.13-linux-x86_64-musl", {}, ["3.13.4-musl"]),
        (None, {"each_minor": True, "platforms": ["gnu"], "variants": ("default",)},
         ["3.13.4-gnu", "3.12.9-gnu", "pypy-3.11.15-gnu"]),
        ("2.7", {}, []),
    ],
)  # fmt: skip
def test_filters(request_text, filters, keys):
    assert found(request_text, **filters) == keys


@pytest.mark.parametrize("text", ["3.13", "pypy", "nosuch", "linux-3.13", "any"])
def test_what_is_no_platform(text):
    with pytest.raises(UsageError, match="not a platform"):
        platform_filter(text)


def test_words_that_nothing_has():
    with pytest.raises(UsageError, match="not a known variant: fast"):
        Filters(variants=("fast",))
    with pytest.raises(UsageError, match="not a known implementation: jython"):
        Filters(implementations=("jython",))


@pytest.fixture
def workshop(tmp_path):
    workshop = Workshop(tmp_path)
    (workshop.served / "downloads.json").write_bytes(
        document(entry(), entry(patch=4, os="emscripten", libc="musl", sha256=None,
                                arch={"family": "wasm32", "variant": None}))
    )  # fmt: skip
    return workshop


def test_a_table_and_json(workshop, capsys):
    assert workshop.sealift("search", cwd=workshop.folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["KEY", "BUILD", "DIGEST"],
        ["cpython-3.13.3-linux-x86_64-gnu", "20250529", "sha256"],
        ["pyodide-3.13.4-emscripten-wasm32-musl", "20250529", "none"],
    ]
    assert workshop.sealift("search", "pyodide", "--json", cwd=workshop.folder) == 0
    (pyodide,) = json.loads(capsys.readouterr().out)
    assert pyodide["sha256"] is None


def test_a_build_that_is_no_date_is_shown_as_text(workshop, capsys):
    catalogue = document(entry(build="\x1b[31m\nred"), entry(patch=4, build="b" * 1_000_000))
    (workshop.served / "downloads.json").write_bytes(catalogue)
    assert workshop.sealift("search", cwd=workshop.folder) == 0
    shown = capsys.readouterr().out
    assert "\\x1b[31m\\nred  " in shown
    assert "\x1b" not in shown
    assert f"  {'b' * 40}...  sha256" in shown
    assert len(shown.splitlines()) == 3
    assert len(shown) < 1000


def test_the_newest_of_each_minor_version(workshop, capsys):
    catalogue = document(
        *(entry(minor=minor, patch=patch) for minor in (12, 13) for patch in (1, 2))
    )
    (workshop.served / "downloads.json").write_bytes(catalogue)
    assert workshop.sealift("search", "--each", "minor", "--json", cwd=workshop.folder) == 0
    found = [one["key"] for one in json.loads(capsys.readouterr().out)]
    assert found == ["cpython-3.13.2-linux-x86_64-gnu", "cpython-3.12.2-linux-x86_64-gnu"]


def test_what_is_there_without_the_filters_is_told(workshop, capsys):
    words = ("search", "3.13", "--platform", "musl")
    assert workshop.sealift(*words, cwd=workshop.folder) == 2
    shown = capsys.readouterr().err
    assert "the catalogue has no cpython 3.13 that passes the filters" in shown
    assert "without them there is cpython-3.13.3-linux-x86_64-gnu" in shown


def test_a_filter_for_another_implementation_is_what_is_told(workshop, capsys):
    words = ("search", "cpython@3.13", "--implementation", "pypy")
    assert workshop.sealift(*words, cwd=workshop.folder) == 2
    assert "the catalogue has no pypy 3.13" in capsys.readouterr().err


def test_pyodide_is_listed_and_refused_without_an_accepted_digest(workshop, capsys):
    workshop.found()
    words = ("add", "pyodide@3.13", "--platform", "emscripten-wasm32-musl")
    assert workshop.sealift(*words) == 0
    assert workshop.sealift("lock") == 2
    assert "no digest for pyodide-3.13.4-emscripten-wasm32-musl" in capsys.readouterr().err


def test_thousands_of_entries_are_searched_quickly():
    entries = read_catalog(
        document(*(entry(minor=minor, patch=patch) for minor in range(34) for patch in range(200))),
        "c",
    )
    assert len(entries) == 6800
    start = time.thread_time()
    assert len(search(entries, Filters(PythonRequest.parse(">=3.12,<3.20")))) == 8 * 200
    assert time.thread_time() - start < 0.5


def test_a_search_imports_what_a_search_needs(tmp_path):
    catalogue = tmp_path / "downloads.json"
    catalogue.write_bytes(document(entry()))
    code = (
        "import sys; from sealift_bundler.cli.main import run; run(['search', '3.13']); "
        "print([name for name in ('requests', 'jsonschema', 'rich', 'tomlkit', 'cryptography') "
        "if name in sys.modules])"
    )
    done = road.run(
        sys.executable,
        "-c",
        code,
        cwd=tmp_path,
        env={"UV_PYTHON_DOWNLOADS_JSON_URL": str(catalogue), "SEALIFT_CACHE_DIR": str(tmp_path)},
    )
    assert "cpython-3.13.3-linux-x86_64-gnu" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
